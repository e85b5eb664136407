// SPDX-License-Identifier: Apache-2.0
// Files put one behind the other: the frames are the parts', and stand at their time also after an
// hour at a rate that is a fraction.
#include "video_fixture.h"
#include <math.h>

static const double rate = 60000.0 / 1001;

// A part with the frames first .. first + n - 1.
static void write_part(const char *path, double fps, int width, int first, int n) {
    Error err;
    VideoWriter *w;
    uint8_t rgb[BYTES];
    if (!video_writer_open_part(path, H, width, fps, 2, 30, &w, &err)) {
        if (strstr(err.text, "no encoder") || strstr(err.text, "apt-get")) skip();
        fail_msg("%s", err.text);
    }
    for (int i = 0; i < n; i++) {
        draw(rgb, first + i);
        if (!video_writer_add(w, rgb, &err)) fail_msg("%s", err.text);
    }
    if (!video_writer_close(w, &err)) fail_msg("%s", err.text);
}

static void add_part(VideoJoin *j, const char *part, int64_t expected) {
    Error err;
    int64_t frames;
    if (!video_join_add(j, part, &frames, &err)) fail_msg("%s", err.text);
    assert_int_equal(frames, expected);
}

static void parts_follow_each_other(void **state) {
    (void)state;
    Error err;
    char a[NAME], b[NAME], whole[NAME];
    VideoJoin *j;
    file_name(a, "a.mp4");
    file_name(b, "b.mp4");
    file_name(whole, "whole.mp4");
    write_part(a, rate, W, 0, 24);
    write_part(b, rate, W, 24, 7); // an odd number of frames
    if (!video_join_open(whole, rate, &j, &err)) fail_msg("%s", err.text);
    add_part(j, a, 24);
    add_part(j, b, 7);
    add_part(j, a, 24);
    assert_false(file_exists(whole));
    if (!video_join_close(j, &err)) fail_msg("%s", err.text);
    Video *v = must_open(whole), *part = must_open(b);
    assert_int_equal(video_frames(v), 55);
    uint8_t rgb[BYTES], same[BYTES];
    for (int i = 0; i < 55; i++) {
        if (!video_read(v, i / rate, rgb, &err)) fail_msg("%s", err.text);
        assert_int_equal(drawn(rgb), i < 31 ? i : i - 31);
        if (i < 24 || i >= 31) continue;
        if (!video_read_index(part, i - 24, same, &err)) fail_msg("%s", err.text);
        assert_memory_equal(rgb, same, BYTES);
    }
    video_close(part);
    video_close(v);
}

static void bytes_repeat(void **state) {
    (void)state;
    Error err;
    char a[NAME], b[NAME], *first, *second;
    size_t n, m;
    file_name(a, "once.mp4");
    file_name(b, "again.mp4");
    write_part(a, 30, W, 0, 50);
    write_part(b, 30, W, 0, 50);
    if (!file_read(a, &first, &n, &err) || !file_read(b, &second, &m, &err))
        fail_msg("%s", err.text);
    assert_int_equal(n, m);
    assert_memory_equal(first, second, n);
    mem_free(first);
    mem_free(second);
}

// An hour and more: the times of frames and of rows may part by no more than LeRobot's tolerance,
// 1e-4 s. They part by far less than that.
static void frames_keep_their_time(void **state) {
    (void)state;
    enum { PART = 1000, PARTS = 220 };
    static const double rates[] = {60000.0 / 1001, 59.94, 12.5};
    for (size_t r = 0; r < sizeof rates / sizeof *rates; r++) {
        Error err;
        char a[NAME], whole[NAME];
        VideoJoin *j;
        file_name(a, "part.mp4");
        file_name(whole, "hour.mp4");
        write_part(a, rates[r], 64, 0, PART);
        if (!video_join_open(whole, rates[r], &j, &err)) fail_msg("%s", err.text);
        for (int i = 0; i < PARTS; i++) add_part(j, a, PART);
        if (!video_join_close(j, &err)) fail_msg("%s", err.text);
        Video *v = must_open(whole);
        assert_int_equal(video_frames(v), PART * PARTS);
        assert_true(fabs(video_rate(v) / rates[r] - 1) <= 1e-9);
        for (int64_t k = 0; k < PART * PARTS; k += 997)
            assert_true(fabs(video_time(v, k) - (double)k / rates[r]) <= 1e-5);
        video_close(v);
    }
}

static void what_does_not_fit_is_refused(void **state) {
    (void)state;
    Error err;
    char a[NAME], b[NAME], whole[NAME];
    VideoJoin *j;
    int64_t frames;
    file_name(a, "wide.mp4");
    file_name(b, "narrow.mp4");
    file_name(whole, "none.mp4");
    write_part(a, 30, W, 0, 4);
    write_part(b, 30, W / 2, 0, 4);
    if (!video_join_open(whole, 30, &j, &err)) fail_msg("%s", err.text);
    add_part(j, a, 4);
    assert_false(video_join_add(j, b, &frames, &err));
    assert_non_null(strstr(err.text, "encoded otherwise"));
    video_join_abort(j);
    assert_false(file_exists(whole));
    if (!video_join_open(whole, 30, &j, &err)) fail_msg("%s", err.text);
    assert_false(video_join_close(j, &err)); // no part at all
    assert_false(file_exists(whole));
    assert_false(video_join_open(whole, 0, &j, &err));
    if (!file_write(b, "not a video", 11, &err)) fail_msg("%s", err.text);
    if (!video_join_open(whole, 30, &j, &err)) fail_msg("%s", err.text);
    assert_false(video_join_add(j, b, &frames, &err));
    assert_non_null(strstr(err.text, "narrow.mp4"));
    video_join_abort(j);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_follow_each_other),
        cmocka_unit_test(bytes_repeat),
        cmocka_unit_test(frames_keep_their_time),
        cmocka_unit_test(what_does_not_fit_is_refused),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
