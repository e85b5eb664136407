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
    int most = sizeof s / sizeof *s, n = 0;
    int64_t bytes = 0;
    for (int i = 0; i < most; i++) {
        bool fits = add(c, i % 3 ? tables : NULL, &s[i]);
        assert_true(fits ? video_cut_bytes(c) > bytes : video_cut_bytes(c) == bytes);
        bytes = video_cut_bytes(c);
        if (fits) s[n++] = s[i];
    }
    // HEVC pictures have numbers, which may get into each other's way.
    assert_true(strcmp(codec, "hevc") == 0 ? n >= most / 2 : n == most);
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
    Stretch s[] = {of(a, 8, 12), of(a, 14, 14), of(a, 33, 34)};
    VideoCut *c = must_begin(path);
    for (int i = 0; i < 3; i++) assert_true(add(c, NULL, &s[i]));
    must_close(c);
    assert_true(fabs(s[0].from - 0.0 / FPS) <= 1e-6); // it begins at a keyframe
    assert_true(fabs(s[1].from - 6.0 / FPS) <= 1e-6); // which it goes on from
    Video *v = must_open(path);
    assert_true(fabs(s[2].from - 8.0 / FPS) <= 1e-6); // behind 7 frames and a keyframe
    assert_int_equal(video_frames(v), 10);
    video_close(v);
    check_stretches(path, s, 3);
}

// Stretches that follow each other in their file do so in the new one, without another copy of what
// they are decoded from, also where frames between them are left out.
static void check_going_on(const char *codec) {
    char a[NAME], b[NAME], path[NAME];
    file_name(a, "on_a.mp4");
    file_name(b, "on_b.mp4");
    file_name(path, "on_cut.mp4");
    unlink(a);
    unlink(b);
    unlink(path);
    if (!write_video(a, codec, 1000, FRAMES)) skip();
    write_video(b, codec, 1000, FRAMES);
    Stretch s[] = {of(a, 2, 8),   of(a, 9, 9), of(a, 10, 17),
                   of(a, 26, 39), of(b, 3, 7), of(a, 0, 1)};
    VideoCut *c = must_begin(path);
    for (int i = 0; i < 6; i++) assert_true(add(c, NULL, &s[i]));
    must_close(c);
    for (int i = 0; i < 4; i++) assert_true(fabs(s[i].from - (double)s[i].first / FPS) <= 1e-6);
    assert_true(fabs(s[4].from - (FRAMES + 3.0) / FPS) <= 1e-6);
    check_stretches(path, s, 6);
    check_even(path, s, 6);
}

static void test_going_on(void **state) {
    (void)state;
    check_going_on("av1");
    check_going_on("h264");
}

// A file that has taken another one's place is another file.
static void test_replaced(void **state) {
    (void)state;
    Error err;
    char a[NAME], kept[NAME], path[NAME];
    file_name(a, "replaced.mp4");
    file_name(kept, "replaced_before.mp4");
    file_name(path, "replaced_cut.mp4");
    if (!write_video(a, NULL, 2, 12)) skip();
    Stretch s[] = {of(a, 4, 6), of(a, 7, 9)};
    VideoCut *c = must_begin(path);
    assert_true(add(c, NULL, &s[0]));
    assert_int_equal(rename(a, kept), 0);
    VideoWriter *w;
    uint8_t rgb[BYTES];
    assert_true(video_writer_open(a, NULL, H, W, FPS, 2, 30, &w, &err));
    for (int i = 0; i < 12; i++) {
        draw(rgb, 100 + i);
        assert_true(video_writer_add(w, rgb, &err));
    }
    assert_true(video_writer_close(w, &err));
    assert_true(add(c, NULL, &s[1]));
    must_close(c);
    s[0].file = kept;
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

// An edit list that goes on, after ten frames, half a frame before frame 20: those from the
// keyframe before are decoded and not shown, at times between those of the ten.
static void test_hidden_within(void **state) {
    (void)state;
    Error err;
    char a[NAME], path[NAME];
    bool fits;
    file_name(a, "hidden_within.mp4");
    file_name(path, "hidden_within_cut.mp4");
    if (!write_video(a, NULL, 16, FRAMES)) skip();
    uint32_t ticks = frame_ticks(a);
    uint32_t first[2] = {0, 19 * ticks + ticks / 2}, end[2] = {10 * ticks, 30 * ticks};
    set_edits(a, first, end, 2);
    Stretch s = of(a, 0, 13);
    VideoCut *c = must_begin(path);
    assert_false(video_cut_add(c, a, NULL, s.first, s.last, &s.from, &s.to, &fits, &err));
    if (!strstr(err.text, a) || !strstr(err.text, "hides frames")) fail_msg("%s", err.text);
    video_cut_abort(c);
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

// A record of parameter sets (avcC) with those of H.264, one each.
static const uint8_t *find_sets(const char *path, char **file, size_t *size) {
    Error err;
    assert_true(file_read(path, file, size, &err));
    const uint8_t *record = memmem(*file, *size, "avcC", 4);
    assert_non_null(record);
    *size = big32((const char *)record - 4) - 8;
    assert_int_equal(record[4 + 5] & 31, 1);
    return record + 4;
}

// Two encodings with one header. The second has its own parameter sets, in front of keyframes, and
// the decoder keeps them: in one file, what is read of the first after the second would be wrong.
static void test_sets_within(void **state) {
    (void)state;
    Error err;
    char a[NAME], b[NAME], path[NAME], *first, *second, sets[256];
    size_t n, m;
    file_name(a, "sets_a.mp4");
    file_name(b, "sets_b.mp4");
    file_name(path, "sets_cut.mp4");
    if (!write_video_at(a, "h264", 12, 30, FRAMES)) skip();
    write_video_at(b, "h264", 12, 18, FRAMES);
    const uint8_t *one = find_sets(a, &first, &n), *other = find_sets(b, &second, &m);
    assert_int_equal(n, m);
    assert_true(memcmp(one, other, n) != 0);
    Stretch sets_differ[] = {of(a, 3, 9), of(b, 15, 20)};
    VideoCut *c = must_begin(path);
    assert_true(add(c, NULL, &sets_differ[0]));
    assert_false(add(c, NULL, &sets_differ[1]));
    must_close(c);
    // 16 bits of length in the record, 32 in the packets
    int sps = other[6] << 8 | other[7], pps = other[9 + sps] << 8 | other[10 + sps];
    assert_true(8 + sps + pps <= (int)sizeof sets);
    set_big32(sets, (uint32_t)sps);
    memcpy(sets + 4, other + 8, (size_t)sps);
    set_big32(sets + 4 + sps, (uint32_t)pps);
    memcpy(sets + 8 + sps, other + 11 + sps, (size_t)pps);
    size_t at = (size_t)((const char *)other - second), whole = at + m;
    mem_free(second);
    assert_true(file_read(b, &second, &whole, &err));
    memcpy(second + at, one, n);
    assert_true(file_write(b, second, whole, &err));
    mem_free(first);
    mem_free(second);
    prefix_keyframes(b, sets, (uint32_t)(8 + sps + pps));
    Stretch s[2][2] = {{of(a, 3, 9), of(a, 15, 20)}, {of(b, 15, 20), of(b, 2, 5)}};
    for (int i = 0; i < 2; i++) {
        Stretch other_one = s[1 - i][0];
        unlink(path);
        c = must_begin(path);
        assert_true(add(c, NULL, &s[i][0]));
        assert_false(add(c, NULL, &other_one));
        assert_true(add(c, NULL, &s[i][1]));
        must_close(c);
        check_stretches(path, s[i], 2);
    }
}

// HEVC keyframes may ask that pictures which are not yet shown be dropped. Where they stood it had
// no effect, because they did not begin anew there.
static void test_nothing_dropped(void **state) {
    (void)state;
    Error err;
    char a[NAME], path[NAME];
    file_name(a, "drop.mp4");
    file_name(path, "drop_cut.mp4");
    if (!write_video(a, "hevc", 12, FRAMES)) skip();
    Samples samples = find_samples(a);
    for (uint32_t i = 1; i < samples.n; i++) {
        if (!samples.key[i]) continue;
        for (size_t at = 0; at < samples.bytes[i];) {
            char *unit = samples.file + samples.at[i] + at + 4;
            int type = unit[0] >> 1 & 63;
            if (type >= 16 && type <= 23) unit[2] |= 0x40;
            at += 4 + big32(unit - 4);
        }
    }
    assert_true(file_write(a, samples.file, samples.size, &err));
    free_samples(&samples);
    Stretch s[] = {of(a, 2, 8), of(a, 26, 29), of(a, 13, 19), of(a, 0, 4), of(a, 26, 28)};
    VideoCut *c = must_begin(path);
    int n = 0;
    for (int i = 0; i < 5; i++)
        if (add(c, NULL, &s[i])) s[n++] = s[i];
    must_close(c);
    assert_true(n >= 3);
    check_stretches(path, s, n);
}

// FFmpeg 7 takes no picture that has the number of one which the decoder may still keep, and
// numbers go on from keyframe to keyframe: a few frames cannot follow themselves.
static void test_numbers(void **state) {
    (void)state;
    char a[NAME], path[NAME];
    file_name(a, "numbers.mp4");
    file_name(path, "numbers_cut.mp4");
    if (!write_video(a, "hevc", 8, FRAMES)) skip();
    Stretch s[] = {of(a, 20, 22), of(a, 0, FRAMES - 1), of(a, 20, 22)}, again = s[0];
    VideoCut *c = must_begin(path);
    assert_true(add(c, NULL, &s[0]));
    assert_false(add(c, NULL, &again));
    assert_true(add(c, NULL, &s[1])); // begins anew with a keyframe that lets go of all
    assert_true(add(c, NULL, &s[2])); // whose number was that of a frame long before
    must_close(c);
    check_stretches(path, s, 3);
}

static int entries(const char *dir) {
    int n = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d)) n++;
    closedir(d);
    return n;
}

// What does not fit is told and changes nothing.
static void test_misfits(void **state) {
    (void)state;
    Error err;
    char a[NAME], path[NAME], whole[NAME], name[NAME], other[6][NAME];
    file_name(a, "fit.mp4");
    file_name(path, "fit_cut.mp4");
    file_name(whole, "fit_whole.mp4");
    if (!write_video(a, NULL, 4, 12)) skip();
    int n = 0;
    const struct {
        const char *codec;
        int height;
        double fps;
    } kinds[] = {
        {"h264", H, FPS}, {NULL, H / 2, FPS}, {NULL, H, 2 * FPS}, {NULL, H, 60000.0 / 1001}};
    for (int i = 0; i < 4; i++) {
        VideoWriter *w;
        uint8_t rgb[BYTES] = {0};
        snprintf(name, sizeof name, "fit_%d.mp4", i);
        file_name(other[n], name);
        if (!video_writer_open(other[n], kinds[i].codec, kinds[i].height, W, kinds[i].fps, 4, 30,
                               &w, &err))
            continue; // no such encoder
        for (int k = 0; k < 12; k++) assert_true(video_writer_add(w, rgb, &err));
        assert_true(video_writer_close(w, &err));
        n++;
    }
    Stretch s[] = {of(a, 0, 3), of(a, 5, 11)};
    VideoCut *c = must_begin(path);
    assert_true(add(c, NULL, &s[0]));
    for (int i = 0; i < n; i++) {
        Stretch misfit = of(other[i], 2, 5);
        int64_t bytes = video_cut_bytes(c);
        if (add(c, NULL, &misfit)) fail_msg("%s fits", other[i]);
        assert_int_equal(video_cut_bytes(c), bytes);
        assert_true(misfit.from == 0 && misfit.to == 0);
    }
    assert_true(add(c, NULL, &s[1]));
    must_close(c);
    check_stretches(path, s, 2);
    check_even(path, s, 2);
    for (int i = 0; i < n; i++) { // each is the first in a file of its own
        Stretch first = of(other[i], 2, 5);
        unlink(whole);
        c = must_begin(whole);
        assert_true(add(c, NULL, &first));
        must_close(c);
        check_stretches(whole, &first, 1);
    }
}

// After an error nothing can be finished, and nothing is left.
static void expect_refused(const char *file, int first, int last, const char *why) {
    Error err;
    char path[NAME];
    Stretch s = of(file, first, last);
    bool fits;
    file_name(path, "refused.mp4");
    int before = entries(folder);
    VideoCut *c = must_begin(path);
    if (video_cut_add(c, file, NULL, first, last, &s.from, &s.to, &fits, &err))
        fail_msg("%s: frames %d to %d added", file, first, last);
    if (!strstr(err.text, file) || !strstr(err.text, why)) fail_msg("%s", err.text);
    assert_false(video_cut_add(c, file, NULL, 0, 0, &s.from, &s.to, &fits, &err));
    assert_false(video_cut_close(c, &err));
    assert_non_null(strstr(err.text, path));
    assert_int_equal(entries(folder), before);
}

static void test_refused(void **state) {
    (void)state;
    Error err;
    char a[NAME], cut[NAME], path[NAME], *file;
    size_t size;
    file_name(a, "good.mp4");
    file_name(cut, "damaged.mp4");
    file_name(path, "none.mp4");
    if (!write_video(a, NULL, 4, FRAMES)) skip();
    expect_refused(a, 5, 4, "5 to 4");
    expect_refused(a, -1, 4, "-1 to 4");
    expect_refused(a, 0, FRAMES, "40");
    expect_refused(cut, 0, 1, "No such file");
    assert_true(file_read(a, &file, &size, &err));
    assert_true(file_write(cut, file, size / 2, &err));
    expect_refused(cut, 0, 1, "cut short");
    // Zeros that a crash left: before them frames can be cut out.
    memset(file + size / 2, 0, size / 8);
    assert_true(file_write(cut, file, size, &err));
    expect_refused(cut, 0, FRAMES - 1, "damaged");
    VideoCut *c = must_begin(path);
    Stretch s = of(cut, 0, 10);
    assert_true(add(c, NULL, &s));
    must_close(c);
    check_stretches(path, &s, 1);
    unlink(path);
    c = must_begin(path);
    assert_false(video_cut_close(c, &err));
    assert_non_null(strstr(err.text, "without frames"));
    assert_false(file_exists(path));
    assert_false(video_cut_open("/nonexistent/cut.mp4", &c, &err));
    assert_non_null(strstr(err.text, "/nonexistent/cut.mp4"));
    assert_null(c);
    video_cut_abort(NULL);
    mem_free(file);
}

// A limit on the file's size stands in for a full disk.
static void test_disk_full(void **state) {
    (void)state;
    Error err = {{0}};
    char a[NAME], path[NAME];
    struct rlimit before, small;
    file_name(a, "big.mp4");
    file_name(path, "full.mp4");
    if (!write_video(a, NULL, 2, FRAMES)) skip();
    int there = entries(folder);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 65536;
    VideoCut *c = must_begin(path);
    bool ok = setrlimit(RLIMIT_FSIZE, &small) == 0, fits;
    for (int i = 0; i < 20 && ok; i++) {
        double from, to;
        ok = video_cut_add(c, a, NULL, 0, FRAMES - 1, &from, &to, &fits, &err);
    }
    ok = video_cut_close(c, ok ? &err : &(Error){{0}}) && ok;
    setrlimit(RLIMIT_FSIZE, &before);
    assert_false(ok);
    if (!strstr(err.text, path) || !strstr(err.text, "cannot write")) fail_msg("%s", err.text);
    assert_int_equal(entries(folder), there);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_av1),
        cmocka_unit_test(test_h264),
        cmocka_unit_test(test_hevc),
        cmocka_unit_test(test_one_keyframe),
        cmocka_unit_test(test_no_more_than_needed),
        cmocka_unit_test(test_going_on),
        cmocka_unit_test(test_replaced),
        cmocka_unit_test(test_uneven),
        cmocka_unit_test(test_gap),
        cmocka_unit_test(test_hidden),
        cmocka_unit_test(test_hidden_within),
        cmocka_unit_test(test_turned),
        cmocka_unit_test(test_sets_within),
        cmocka_unit_test(test_nothing_dropped),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_misfits),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_disk_full),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
