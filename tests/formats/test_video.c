// SPDX-License-Identifier: Apache-2.0
// Videos are written and read back, whole and turned; recorded ones give the frames that other
// software decodes.
#include "formats/safetensors.h"
#include "video_fixture.h"
#include <math.h>
#include <pthread.h>

// Looking at a file without reading it through finds the same as reading it through, and does not
// disturb a later reader. rgb: room for a frame.
static void check_look(const char *path, const Video *v, uint8_t *rgb) {
    Error err;
    Video *looked, *opened;
    VideoTables *tables = video_tables_new();
    if (!video_look(path, tables, &looked, &err)) fail_msg("%s", err.text);
    assert_int_equal(video_frames(looked), video_frames(v));
    assert_int_equal(video_height(looked), H);
    assert_int_equal(video_width(looked), W);
    assert_true(fabs(video_rate(looked) - video_rate(v)) <= 1e-6);
    for (int i = 0; i < FRAMES; i++) {
        assert_true(fabs(video_time(looked, i) - video_time(v, i)) <= 1e-9);
        assert_int_equal(video_frame_at(looked, (i + 0.3) / FPS), i);
    }
    assert_false(video_read_index(looked, 0, rgb, &err));
    if (!video_open(path, tables, &opened, &err)) fail_msg("%s", err.text);
    expect_frame(opened, FRAMES - 2, rgb);
    expect_frame(opened, 5, rgb);
    video_close(opened);
    video_close(looked);
    video_tables_free(tables);
}

static void check_codec(const char *codec, int gop) {
    char path[NAME];
    Error err;
    file_name(path, codec);
    if (!write_video(path, codec, gop, FRAMES)) {
        print_message("no encoder for %s in this FFmpeg\n", codec);
        skip();
    }
    Video *v = must_open(path);
    assert_int_equal(video_frames(v), FRAMES);
    assert_int_equal(video_height(v), H);
    assert_int_equal(video_width(v), W);
    assert_true(fabs(video_rate(v) - FPS) <= 1e-3);
    uint8_t *all = mem_alloc((size_t)FRAMES * BYTES), *rgb = mem_alloc(BYTES);
    for (int i = 0; i < FRAMES; i++) {
        expect_frame(v, i, all + (size_t)i * BYTES);
        assert_true(fabs(video_time(v, i) - (double)i / FPS) <= 1e-4);
    }
    // Frames are read in any order, with repeats and with short and long jumps, and have the same
    // bytes each time.
    RngStream rng = {.key = {.seed = 3}};
    for (int i = 0; i < 300; i++) {
        int frame = (int)rng_below(&rng, FRAMES);
        for (int step = 0; step < 3 && frame < FRAMES; step++) {
            expect_frame(v, frame, rgb);
            assert_memory_equal(rgb, all + (size_t)frame * BYTES, BYTES);
            frame += (int)rng_below(&rng, 4);
        }
    }
    for (int i = 0; i < FRAMES; i++) {
        for (int side = -1; side <= 1; side++) {
            int frame = (i * 7) % FRAMES;
            if (!video_read(v, (frame + 0.4 * side) / FPS, rgb, &err)) fail_msg("%s", err.text);
            assert_int_equal(drawn(rgb), frame);
        }
    }
    const double wrong[] = {-0.6 / FPS, (FRAMES - 0.4) / FPS, 1e30, NAN, -INFINITY};
    for (int i = 0; i < 5; i++) {
        assert_false(video_read(v, wrong[i], rgb, &err));
        assert_non_null(strstr(err.text, path));
        expect_frame(v, i, rgb);
    }
    assert_false(video_read_index(v, FRAMES, rgb, &err));
    assert_false(video_read_index(v, -1, rgb, &err));
    check_look(path, v, rgb);
    mem_free(all);
    mem_free(rgb);
    video_close(v);
}

// More files than the store has room for at first, each opened twice: the second time, and with the
// first reader closed, frames are found by the kept table.
static void test_shared_tables(void **state) {
    (void)state;
    enum { FILES = 40 };
    char path[NAME];
    Error err;
    VideoTables *tables = video_tables_new();
    uint8_t *rgb = mem_alloc(BYTES);
    const char *codec = "h264";
    file_name(path, "shared");
    if (!write_video(path, codec, 12, FRAMES)) write_video(path, codec = NULL, 12, FRAMES);
    for (int i = 0; i < 2 * FILES; i++) {
        char other[2 * NAME];
        Video *v;
        snprintf(other, sizeof other, "%s.%d.mp4", path, i % FILES);
        if (i < FILES) assert_int_equal(link(path, other), 0);
        if (!video_open(other, tables, &v, &err)) fail_msg("%s", err.text);
        assert_int_equal(video_frames(v), FRAMES);
        for (int k = 0; k < 5; k++) expect_frame(v, (i * 17 + k * 29) % FRAMES, rgb);
        video_close(v);
        if (i >= FILES) unlink(other);
    }
    video_tables_free(tables);
    video_tables_free(NULL);
    mem_free(rgb);
}

static void test_av1(void **state) {
    (void)state;
    check_codec("av1", 2);
}

static void test_h264(void **state) {
    (void)state;
    check_codec("h264", 12);
}

static void test_hevc(void **state) {
    (void)state;
    check_codec("hevc", 12);
}

// Frames are given out as they are meant to be seen, turned and of the turned size, whichever table
// found them.
static void test_turned(void **state) {
    (void)state;
    static const double steps[4][4] = {
        {1, 0, 0, 1}, {0, 1, -1, 0}, {-1, 0, 0, -1}, {0, -1, 1, 0}}; // clockwise
    char path[NAME];
    Error err;
    uint8_t *stored = mem_alloc(BYTES), *rgb = mem_alloc(BYTES);
    file_name(path, "turned.mp4");
    if (!write_video(path, NULL, 2, 6)) skip();
    Video *upright = must_open(path);
    for (int turn = 0; turn < 4; turn++) {
        char other[NAME + 16];
        VideoTables *tables = video_tables_new();
        snprintf(other, sizeof other, "%s.%d.mp4", path, 90 * turn);
        unlink(other);
        write_video(other, NULL, 2, 6);
        set_display(other, steps[turn]);
        for (int n = 0; n < 8; n++) {
            Video *v;
            int frame = n * 5 % 6, h = turn % 2 ? W : H, w = turn % 2 ? H : W;
            if (!video_open(other, n % 2 ? tables : NULL, &v, &err)) fail_msg("%s", err.text);
            assert_int_equal(video_height(v), h);
            assert_int_equal(video_width(v), w);
            expect_frame(upright, frame, stored);
            if (!video_read_index(v, frame, rgb, &err)) fail_msg("%s", err.text);
            for (int y = 0; y < h; y++) {
                for (int x = 0; x < w; x++) {
                    int from_y[4] = {y, H - 1 - x, H - 1 - y, x};
                    int from_x[4] = {x, y, W - 1 - x, W - 1 - y};
                    if (memcmp(rgb + (y * w + x) * 3,
                               stored + (from_y[turn] * W + from_x[turn]) * 3, 3) != 0)
                        fail_msg("turn %d, frame %d: pixel (%d,%d)", 90 * turn, frame, y, x);
                }
            }
            video_close(v);
        }
        video_tables_free(tables);
    }
    video_close(upright);
    mem_free(stored);
    mem_free(rgb);
}

// Refused are mirrored frames, which no camera records, and frames turned by 10 degrees, which
// would need pixels that are not there.
static void test_other_matrices(void **state) {
    (void)state;
    static const double steps[][4] = {
        {-1, 0, 0, 1},  {1, 0, 0, -1}, {0, 1, 1, 0}, {0, -1, -1, 0}, {0.985, 0.174, -0.174, 0.985},
        {1, 0, 0.2, 1}, {1, 0, 0, 0}};
    char path[NAME];
    Error err;
    Video *v;
    file_name(path, "mirrored.mp4");
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        unlink(path);
        if (!write_video(path, NULL, 2, 2)) skip();
        set_display(path, steps[i]);
        assert_false(video_open(path, NULL, &v, &err));
        if (!strstr(err.text, path) || !strstr(err.text, "mirrored")) fail_msg("%s", err.text);
    }
    // The scale of the matrix is left to players.
    unlink(path);
    write_video(path, NULL, 2, 2);
    set_display(path, (const double[4]){-2, 0, 0, -0.5});
    v = must_open(path);
    assert_int_equal(video_height(v), H);
    video_close(v);
}

static void test_one_frame(void **state) {
    (void)state;
    char path[NAME];
    uint8_t rgb[BYTES];
    file_name(path, "one.mp4");
    if (!write_video(path, NULL, 2, 1)) skip();
    Video *v = must_open(path);
    assert_int_equal(video_frames(v), 1);
    expect_frame(v, 0, rgb);
    video_close(v);
}

// Encoders that begin and end beside each other, as in an import: where nothing keeps them apart,
// every third run of this crashes.
static void *write_parts(void *user) {
    uint8_t *rgb = mem_alloc(BYTES);
    Error err;
    bool ok = true;
    for (int round = 0; round < 20 && ok; round++) {
        VideoWriter *w;
        ok = video_writer_open_part(user, H, W, FPS, 2, 30, &w, &err);
        for (int i = 0; i < 5 && ok; i++) {
            draw(rgb, i);
            ok = video_writer_add(w, rgb, &err);
        }
        ok = ok && video_writer_close(w, &err);
    }
    mem_free(rgb);
    return ok ? NULL : user;
}

static void test_side_by_side(void **state) {
    (void)state;
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    char paths[THREADS][NAME], name[16];
    for (int i = 0; i < THREADS; i++) {
        snprintf(name, sizeof name, "beside%d", i);
        file_name(paths[i], name);
    }
    if (!write_video(paths[0], NULL, 2, 1)) skip();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_parts, paths[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
}

// Real frames against their block means, decoded by other software (golden/README.md).
static void test_golden_frames(void **state) {
    (void)state;
    const char *shared = getenv("TACT_SHARED") ? getenv("TACT_SHARED") : "../shared";
    static const int frames[] = {2237, 0, 1, 391, 392, 393, 735, 736, 1092, 1093, 1947, 1948, 1503};
    char golden[1024], path[1024];
    Error err;
    snprintf(golden, sizeof golden, "%s/golden/g1_bottle_ee.safetensors", shared);
    snprintf(path, sizeof path,
             "%s/data/g1_bottle_ee/videos/observation.images.camera/chunk-000/file-000.mp4",
             shared);
    if (!file_exists(golden) || !file_exists(path)) {
        print_message("%s is not here\n", golden);
        skip();
    }
    Safetensors *file;
    if (!safetensors_open(golden, &file, &err)) fail_msg("%s", err.text);
    Video *v = must_open(path);
    uint8_t *rgb = mem_alloc(480 * 640 * 3);
    for (size_t n = 0; n < sizeof frames / sizeof *frames; n++) {
        char name[32];
        double expected[12 * 16 * 3], mean[12 * 16 * 3] = {0};
        snprintf(name, sizeof name, "frame.%d", frames[n]);
        const SafetensorsEntry *t = safetensors_find(file, name);
        assert_non_null(t);
        assert_int_equal(t->bytes, sizeof expected);
        memcpy(expected, t->data, sizeof expected);
        if (!video_read(v, frames[n] / 30.0, rgb, &err)) fail_msg("%s", err.text);
        for (int i = 0; i < 480 * 640 * 3; i++)
            mean[(i / 1920 / 40 * 16 + i % 1920 / 3 / 40) * 3 + i % 3] += rgb[i] / 1600.0;
        for (int i = 0; i < 12 * 16 * 3; i++)
            if (!(fabs(mean[i] - expected[i]) <= 1.5))
                fail_msg("frame %d, block %d: %.2f, not %.2f", frames[n], i, mean[i], expected[i]);
    }
    mem_free(rgb);
    video_close(v);
    safetensors_close(file);
}

int main(void) {
    setenv("SVT_LOG", "0", 0);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_av1),          cmocka_unit_test(test_h264),
        cmocka_unit_test(test_hevc),         cmocka_unit_test(test_shared_tables),
        cmocka_unit_test(test_turned),       cmocka_unit_test(test_other_matrices),
        cmocka_unit_test(test_one_frame),    cmocka_unit_test(test_golden_frames),
        cmocka_unit_test(test_side_by_side),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
