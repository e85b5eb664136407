// SPDX-License-Identifier: Apache-2.0
// Stretches cut out of videos and put one behind the other have the pixels that the files have, at
// the times that are told, whatever they are encoded in.
#include "mp4_rewrite.h"
#include "video_fixture.h"
#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>

typedef struct Stretch {
    const char *file;
    int first, last;
    double from, to;
} Stretch;

static Stretch of(const char *file, int first, int last) {
    return (Stretch){file, first, last, 0, 0};
}

static VideoCut *must_begin(const char *path) {
    Error err;
    VideoCut *c;
    if (!video_cut_open(path, &c, &err)) fail_msg("%s", err.text);
    return c;
}

static bool add(VideoCut *c, VideoTables *tables, Stretch *s) {
    Error err;
    bool fits = false;
    if (!video_cut_add(c, s->file, tables, s->first, s->last, &s->from, &s->to, &fits, &err))
        fail_msg("%s", err.text);
    return fits;
}

static void must_close(VideoCut *c) {
    Error err;
    if (!video_cut_close(c, &err)) fail_msg("%s", err.text);
}

// Each frame of a stretch, found by its time, has the bytes of its file's frame.
static void check_stretch(Video *cut, const Stretch *s) {
    Error err;
    Video *v = must_open(s->file);
    size_t size = (size_t)video_height(v) * (size_t)video_width(v) * 3;
    uint8_t *expected = mem_alloc(size), *found = mem_alloc(size);
    assert_int_equal(video_height(cut), video_height(v));
    assert_int_equal(video_width(cut), video_width(v));
    for (int k = s->first; k <= s->last; k++) {
        double t = s->from + video_time(v, k) - video_time(v, s->first);
        int64_t frame = video_frame_at(cut, t);
        if (!(fabs(video_time(cut, frame) - t) <= 1e-6))
            fail_msg("%s: frame %d at %.9f s, there is one at %.9f s", s->file, k, t,
                     video_time(cut, frame));
        if (!video_read_index(v, k, expected, &err) || !video_read_index(cut, frame, found, &err))
            fail_msg("%s", err.text);
        if (memcmp(expected, found, size) != 0) fail_msg("%s: frame %d differs", s->file, k);
    }
    assert_true(video_time(cut, video_frame_at(cut, s->to)) > s->to - 1e-6 ||
                video_frame_at(cut, s->to) == video_frames(cut) - 1);
    video_close(v);
    mem_free(expected);
    mem_free(found);
}

// Stretches do not overlap, and the last first: decoding has to begin anew for each.
static void check_stretches(const char *path, const Stretch *stretches, int n) {
    Video *cut = must_open(path);
    for (int i = n - 1; i >= 0; i--) {
        const Stretch *s = &stretches[i];
        assert_true(s->to > s->from && s->from >= (i ? s[-1].to : 0) - 1e-9);
        check_stretch(cut, s);
    }
    video_close(cut);
}

static void check_even(const char *path, const Stretch *stretches, int n) {
    Video *cut = must_open(path);
    for (int64_t k = 0; k < video_frames(cut); k++)
        assert_true(fabs(video_time(cut, k) - (double)k / FPS) <= 1e-6);
    for (int i = 0; i < n; i++) {
        const Stretch *s = &stretches[i];
        assert_true(fabs(s->to - s->from - (double)(s->last - s->first + 1) / FPS) <= 1e-6);
    }
    video_close(cut);
}

// With AV1 the decoding order is the display order; H.264 and HEVC of these encoders have B
// frames, and HEVC keyframes that pictures shown before them follow.
static void check_codec(const char *codec, int gop) {
    char a[NAME], b[NAME], path[NAME];
    file_name(a, "a.mp4");
    file_name(b, "b.mp4");
    file_name(path, "cut.mp4");
    unlink(a);
    unlink(b);
    unlink(path);
    if (!write_video(a, codec, gop, FRAMES)) {
        print_message("no encoder for %s in this FFmpeg\n", codec);
        skip();
    }
    write_video(b, codec, gop, FRAMES - 13);
    VideoTables *tables = video_tables_new();
    VideoCut *c = must_begin(path);
    Stretch s[] = {of(a, 17, 29), of(a, 3, 3), of(b, 5, FRAMES - 14), of(a, 17, 29),
                   of(b, 0, 1),   of(a, 0, 8), of(a, 39, 39),         of(a, 0, FRAMES - 1)};
    int n = sizeof s / sizeof *s;
    int64_t bytes = 0;
    for (int i = 0; i < n; i++) {
        assert_true(add(c, i % 3 ? tables : NULL, &s[i]));
        assert_true(video_cut_bytes(c) > bytes);
        bytes = video_cut_bytes(c);
    }
    assert_false(file_exists(path));
    must_close(c);
    check_stretches(path, s, n);
    check_even(path, s, n);
    video_tables_free(tables);
}

static void test_av1(void **state) {
    (void)state;
    check_codec("av1", 2);
    check_codec("av1", 16);
}

static void test_h264(void **state) {
    (void)state;
    check_codec("h264", 12);
}

static void test_hevc(void **state) {
    (void)state;
    check_codec("hevc", 12);
}

static void test_one_keyframe(void **state) {
    (void)state;
    check_codec("h264", 1000);
}

// What a stretch decodes from goes along, and no more.
static void test_no_more_than_needed(void **state) {
    (void)state;
    char a[NAME], path[NAME];
    file_name(a, "long.mp4");
    file_name(path, "short.mp4");
    if (!write_video(a, "av1", 8, FRAMES)) skip();
    Stretch s[] = {of(a, 16, 20), of(a, 22, 22)};
    VideoCut *c = must_begin(path);
    assert_true(add(c, NULL, &s[0]) && add(c, NULL, &s[1]));
    must_close(c);
    assert_true(fabs(s[0].from - 0.0 / FPS) <= 1e-6);  // it begins at a keyframe
    assert_true(fabs(s[1].from - 11.0 / FPS) <= 1e-6); // behind 5 frames and those from 16 on
    Video *v = must_open(path);
    assert_int_equal(video_frames(v), 12);
    video_close(v);
    check_stretches(path, s, 2);
}

// Frames that come at no even rate keep their distances to the tick.
static void check_uneven(const char *codec, int gop) {
    char a[NAME], even[NAME], path[NAME];
    RngStream rng = {.key = {.seed = 4}};
    uint32_t times[FRAMES + 8] = {0};
    file_name(a, "uneven.mp4");
    file_name(even, "even.mp4");
    file_name(path, "uneven_cut.mp4");
    unlink(a);
    unlink(even);
    unlink(path);
    if (!write_video(a, codec, gop, FRAMES)) skip();
    write_video(even, codec, gop, FRAMES);
    for (int i = 1; i < FRAMES + 8; i++) times[i] = times[i - 1] + 100 + rng_below(&rng, 2000);
    set_times(a, times, FRAMES);
    Video *v = must_open(a);
    assert_int_equal(video_frames(v), FRAMES);
    video_close(v);
    Stretch s[] = {of(a, 21, 34), of(a, 0, 5), of(a, 10, 10), of(a, 21, 34), of(a, 0, FRAMES - 1)};
    Stretch other = of(even, 0, 9);
    VideoCut *c = must_begin(path);
    for (int i = 0; i < 5; i++) assert_true(add(c, NULL, &s[i]));
    // At an even rate frames are also found by a number made of the time: not in a file like this.
    assert_false(add(c, NULL, &other));
    must_close(c);
    check_stretches(path, s, 5);
    unlink(path);
    c = must_begin(path);
    assert_true(add(c, NULL, &other));
    assert_false(add(c, NULL, &s[0]));
    must_close(c);
    check_even(path, &other, 1);
}

static void test_uneven(void **state) {
    (void)state;
    check_uneven("av1", 8);
    check_uneven("h264", 12);
}

// One frame was lost while the file was recorded: stretches on either side of the gap are even.
static void test_gap(void **state) {
    (void)state;
    char a[NAME], path[NAME];
    uint32_t times[FRAMES + 8];
    file_name(a, "gap.mp4");
    file_name(path, "gap_cut.mp4");
    if (!write_video(a, NULL, 4, FRAMES)) skip();
    uint32_t ticks = frame_ticks(a);
    for (uint32_t i = 0; i < FRAMES + 8; i++) times[i] = (i + (i >= 20)) * ticks;
    set_times(a, times, FRAMES);
    Stretch s[] = {of(a, 2, 17), of(a, 25, 36)}, across = of(a, 10, 30);
    VideoCut *c = must_begin(path);
    assert_true(add(c, NULL, &s[0]));
    assert_false(add(c, NULL, &across));
    assert_true(add(c, NULL, &s[1]));
    must_close(c);
    check_even(path, s, 2);
    check_stretches(path, s, 2);
    unlink(path);
    c = must_begin(path);
    assert_true(add(c, NULL, &across));
    must_close(c);
    check_stretches(path, &across, 1);
}

// What an edit list hides at the beginning is decoded and copied, but belongs to no stretch; where
// it hides frames among those of a stretch, their times lie among the others'.
static void test_hidden(void **state) {
    (void)state;
    char a[NAME], path[NAME];
    file_name(a, "hidden.mp4");
    file_name(path, "hidden_cut.mp4");
    if (!write_video(a, "h264", 12, FRAMES) && !write_video(a, NULL, 12, FRAMES)) skip();
    uint32_t ticks = frame_ticks(a), delay;
    char *file;
    const char *list = find_box(a, "elst", &file);
    delay = big32(list + 8);
    mem_free(file);
    uint32_t first = delay + 5 * ticks, end = delay + FRAMES * ticks;
    set_edits(a, &first, &end, 1);
    Video *v = must_open(a);
    assert_int_equal(video_frames(v), FRAMES - 5);
    video_close(v);
    Stretch s[] = {of(a, 0, 3), of(a, 9, 20), of(a, 0, FRAMES - 6)};
    VideoCut *c = must_begin(path);
    for (int i = 0; i < 3; i++) assert_true(add(c, NULL, &s[i]));
    must_close(c);
    assert_true(fabs(s[0].from - 5.0 / FPS) <= 1e-6);
    check_even(path, s, 3);
    check_stretches(path, s, 3);
}

// Pictures that lie on their side still do, and do not go into a file whose pictures do not.
static void test_turned(void **state) {
    (void)state;
    static const double steps[2][4] = {{0, 1, -1, 0}, {-1, 0, 0, -1}};
    char a[2][NAME], path[NAME];
    for (int i = 0; i < 2; i++) {
        file_name(a[i], i ? "turned180.mp4" : "turned90.mp4");
        if (!write_video(a[i], NULL, 2, 8)) skip();
        set_display(a[i], steps[i]);
    }
    file_name(path, "turned_cut.mp4");
    Stretch s[] = {of(a[0], 3, 6), of(a[1], 3, 6)};
    for (int i = 0; i < 2; i++) {
        unlink(path);
        VideoCut *c = must_begin(path);
        assert_true(add(c, NULL, &s[i]));
        assert_false(add(c, NULL, &s[1 - i]));
        must_close(c);
        Video *cut = must_open(path);
        check_stretch(cut, &s[i]);
        video_close(cut);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_av1),
        cmocka_unit_test(test_h264),
        cmocka_unit_test(test_hevc),
        cmocka_unit_test(test_one_keyframe),
        cmocka_unit_test(test_no_more_than_needed),
        cmocka_unit_test(test_uneven),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_turned),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
