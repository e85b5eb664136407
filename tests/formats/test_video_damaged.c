// SPDX-License-Identifier: Apache-2.0
// What is no video or only part of one is refused with its name, and no wrong frame is given out; a
// video that cannot be written leaves nothing behind.
#include "video_fixture.h"
#include <signal.h>
#include <sys/resource.h>

// An MP4 with its index moved from the end to the front; *media is where the frames begin.
static char *index_first(const char *path, size_t *size, size_t *media) {
    Error err;
    char *file;
    assert_true(file_read(path, &file, size, &err));
    char *index = memmem(file, *size, "moov", 4);
    assert_non_null(index);
    index -= 4;
    uint32_t length = big32(index), first = big32(file); // first: the ftyp box
    assert_true(index + length == file + *size);
    char *stco = memmem(index, length, "stco", 4);
    assert_non_null(stco);
    for (uint32_t i = 0, n = big32(stco + 8); i < n; i++)
        set_big32(stco + 12 + 4 * i, big32(stco + 12 + 4 * i) + length);
    char *moved = mem_alloc(*size);
    memcpy(moved, file, first);
    memcpy(moved + first, index, length);
    memcpy(moved + first + length, file + first, *size - first - length);
    *media = first + length + 16; // the boxes free and mdat begin with 8 bytes each
    mem_free(file);
    return moved;
}

// Opening fails, or reading all frames fails somewhere, with the file's name; a frame that is given
// out is the right one.
static void expect_cut_noticed(const char *path, const char *bytes, size_t size, bool at_open) {
    Error err;
    Video *v;
    uint8_t rgb[BYTES];
    bool whole = true;
    assert_true(file_write(path, bytes, size, &err));
    if (!video_open(path, NULL, &v, &err)) {
        assert_non_null(strstr(err.text, path));
        return;
    }
    if (at_open) fail_msg("cut to %zu bytes and opened", size);
    for (int i = 0; i < video_frames(v); i++)
        if (video_read_index(v, i, rgb, &err))
            assert_int_equal(drawn(rgb), i);
        else
            whole = false;
    if (whole) fail_msg("cut to %zu bytes and read whole", size);
    video_close(v);
}

static void test_truncated(void **state) {
    (void)state;
    static const char *const codecs[] = {"av1", "h264"};
    for (int n = 0; n < 2; n++) {
        char path[NAME], cut[NAME];
        Error err;
        file_name(path, "whole.mp4");
        file_name(cut, "cut.mp4");
        unlink(path);
        if (!write_video(path, codecs[n], 4, FRAMES)) continue;
        char *file;
        size_t size, media;
        assert_true(file_read(path, &file, &size, &err));
        for (size_t part = 0; part < 24; part++)
            expect_cut_noticed(cut, file, part < 20 ? size * part / 20 : size - 1 - (part - 20) * 9,
                               true);
        mem_free(file);
        file = index_first(path, &size, &media);
        assert_true(file_write(cut, file, size, &err));
        Video *v = must_open(cut); // the surgery itself did no harm
        uint8_t rgb[BYTES];
        for (int i = 0; i < FRAMES; i++) expect_frame(v, i, rgb);
        video_close(v);
        for (size_t part = 0; part < 20; part++)
            expect_cut_noticed(cut, file, media + (size - 1 - media) * (part + 1) / 20, true);
        mem_free(file);
    }
}

// The file is cut while it is open: reads fail, and none gives a wrong frame.
static void test_cut_while_open(void **state) {
    (void)state;
    char path[NAME], moved[NAME];
    Error err;
    size_t size, media;
    uint8_t rgb[BYTES];
    file_name(path, "shrinks.mp4");
    file_name(moved, "shrinks_first.mp4");
    if (!write_video(path, NULL, 2, FRAMES)) skip();
    char *file = index_first(path, &size, &media);
    assert_true(file_write(moved, file, size, &err));
    Video *v = must_open(moved);
    assert_int_equal(truncate(moved, (off_t)(media + (size - media) / 2)), 0);
    int good = 0, bad = 0;
    for (int i = FRAMES - 1; i >= 0; i--) {
        if (video_read_index(v, i, rgb, &err)) {
            assert_int_equal(drawn(rgb), i);
            good++;
        } else {
            assert_non_null(strstr(err.text, moved));
            bad++;
        }
    }
    assert_true(good > 5 && bad > 5);
    video_close(v);
    mem_free(file);
}

// A hole in the middle of the frames: those it hits fail, those of other groups are right, in
// whatever order they are read.
static void test_hole(void **state) {
    (void)state;
    static const char *const codecs[] = {"av1", "h264", "hevc"};
    for (int n = 0; n < 3; n++) {
        char path[NAME], moved[NAME];
        Error err;
        size_t size, media;
        uint8_t rgb[BYTES];
        file_name(path, "hole.mp4");
        file_name(moved, "hole_first.mp4");
        unlink(path);
        if (!write_video(path, codecs[n], 4, FRAMES)) continue;
        char *file = index_first(path, &size, &media);
        size_t length = (size - media) / 6;
        memset(file + media + (size - media) / 2, 0, length);
        assert_true(file_write(moved, file, size, &err));
        Video *v = must_open(moved);
        RngStream rng = {.key = {.seed = 4}};
        int good = 0, bad = 0, known[FRAMES] = {0}, frame = 0; // known: 1 readable, -1 not
        for (int i = 0; i < 600; i++) {
            // Reads each frame once, then neighbours of the frame before or frames at another
            // place.
            int step =
                rng_next(&rng) % 6 ? (int)rng_below(&rng, 3) - 1 : (int)rng_below(&rng, FRAMES);
            frame = i < FRAMES ? i : (frame + step + FRAMES) % FRAMES;
            bool ok = video_read_index(v, frame, rgb, &err);
            if (known[frame] && known[frame] != (ok ? 1 : -1))
                fail_msg("%s: frame %d depends on what was read before it", codecs[n], frame);
            known[frame] = ok ? 1 : -1;
            good += ok;
            bad += !ok;
            if (ok) {
                assert_int_equal(drawn(rgb), frame);
            } else {
                assert_non_null(strstr(err.text, moved));
                assert_null(strchr(err.text, '\n'));
            }
        }
        if (good < 200 || bad < 30) fail_msg("%s: %d good, %d bad", codecs[n], good, bad);
        video_close(v);
        mem_free(file);
    }
}

static void expect_not_opened(const char *path) {
    Error err;
    Video *v;
    assert_false(video_open(path, NULL, &v, &err));
    assert_null(v);
    assert_non_null(strstr(err.text, path));
    assert_null(strchr(err.text, '\n'));
}

static void test_no_video(void **state) {
    (void)state;
    char path[NAME], list[NAME];
    Error err;
    file_name(path, "nothing.mp4");
    expect_not_opened(path);
    expect_not_opened(folder);
    expect_not_opened("http://127.0.0.1:1/video.mp4");
    assert_true(file_write(path, "", 0, &err));
    expect_not_opened(path);
    assert_true(file_write(path, "This is no video, but it is long enough to ask.", 47, &err));
    expect_not_opened(path);
    // A playlist would make FFmpeg open the files it names.
    char target[NAME], text[NAME + 32];
    file_name(target, "target.mp4");
    file_name(list, "list.ffconcat");
    if (!write_video(target, NULL, 2, 2)) skip();
    snprintf(text, sizeof text, "ffconcat version 1.0\nfile target.mp4\n");
    assert_true(file_write(list, text, strlen(text), &err));
    expect_not_opened(list);
}

static void test_writer_refuses(void **state) {
    (void)state;
    char path[NAME];
    Error err;
    VideoWriter *w;
    file_name(path, "refused.mp4");
    assert_false(video_writer_open(path, NULL, 63, 64, 30, 2, 30, &w, &err));
    assert_false(video_writer_open(path, NULL, 64, 0, 30, 2, 30, &w, &err));
    assert_false(video_writer_open(path, NULL, 64, 64, 0, 2, 30, &w, &err));
    assert_false(video_writer_open(path, "mpeg9", 64, 64, 30, 2, 30, &w, &err));
    assert_non_null(strstr(err.text, "mpeg9"));
    assert_false(video_writer_open("/no/such/folder/a.mp4", NULL, 64, 64, 30, 2, 30, &w, &err));
    assert_non_null(strstr(err.text, "/no/such/folder/a.mp4"));
    assert_null(w);
    if (!video_writer_open(path, NULL, H, W, 30, 2, 30, &w, &err)) skip();
    assert_false(video_writer_close(w, &err)); // no frame
    assert_true(video_writer_open(path, NULL, H, W, 30, 2, 30, &w, &err));
    uint8_t rgb[BYTES] = {0};
    assert_true(video_writer_add(w, rgb, &err));
    video_writer_abort(w);
    video_writer_abort(NULL);
    assert_false(file_exists(path));
}

// A limit on the file's size stands in for a full disk.
static void test_disk_full(void **state) {
    (void)state;
    char path[NAME];
    Error err = {{0}};
    VideoWriter *w;
    uint8_t *rgb = mem_alloc(BYTES);
    struct rlimit before, small;
    RngStream rng = {.key = {.seed = 6}};
    file_name(path, "full.mp4");
    if (!video_writer_open(path, NULL, H, W, FPS, 2, 20, &w, &err)) skip();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 32768;
    bool ok = setrlimit(RLIMIT_FSIZE, &small) == 0;
    for (int i = 0; i < 60 && ok; i++) {
        for (int k = 0; k < BYTES; k++) rgb[k] = (uint8_t)rng_next(&rng);
        ok = video_writer_add(w, rgb, &err);
    }
    ok = video_writer_close(w, ok ? &err : &(Error){{0}}) && ok;
    setrlimit(RLIMIT_FSIZE, &before);
    assert_false(ok);
    if (!strstr(err.text, path) || !strstr(err.text, "cannot write")) fail_msg("%s", err.text);
    assert_false(file_exists(path));
    mem_free(rgb);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated),      cmocka_unit_test(test_cut_while_open),
        cmocka_unit_test(test_hole),           cmocka_unit_test(test_no_video),
        cmocka_unit_test(test_writer_refuses), cmocka_unit_test(test_disk_full),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
