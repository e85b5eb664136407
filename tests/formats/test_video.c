// SPDX-License-Identifier: Apache-2.0
// Videos are written with their frame's number in black and white blocks, so that a frame that is
// off by one shows whatever the codec does to the pixels.
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "formats/safetensors.h"
#include "formats/video.h"
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

enum { H = 64, W = 192, FPS = 30, FRAMES = 40, BYTES = H * W * 3, NAME = 256 };

static char folder[] = "/tmp/tact_video_XXXXXX";

static void file_name(char out[NAME], const char *name) {
    snprintf(out, NAME, "%s/%s", folder, name);
}

// 2 x 4 blocks of 32 x 32 hold the bits of `number`; noise beside them makes packets of some size.
static void draw(uint8_t *rgb, int number) {
    RngStream noise = {.key = {.seed = (uint64_t)number}};
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            int bit = y / 32 * 4 + x / 32;
            int value = x >= 128 ? (int)rng_below(&noise, 256) : number >> bit & 1 ? 220 : 30;
            memset(rgb + ((size_t)y * W + (size_t)x) * 3, value, 3);
        }
    }
}

static int drawn(const uint8_t *rgb) {
    int number = 0;
    for (int bit = 0; bit < 8; bit++) {
        int value = rgb[((bit / 4 * 32 + 16) * W + bit % 4 * 32 + 16) * 3];
        if (value > 80 && value < 170) fail_msg("block %d is grey: %d", bit, value);
        if (value >= 170) number |= 1 << bit;
    }
    return number;
}

// False when there is no such encoder.
static bool write_video(const char *path, const char *codec, int gop, int frames) {
    Error err;
    VideoWriter *w;
    uint8_t rgb[BYTES];
    if (!video_writer_open(path, codec, H, W, FPS, gop, 30, &w, &err)) {
        if (strstr(err.text, "no encoder")) return false;
        fail_msg("%s", err.text);
    }
    for (int i = 0; i < frames; i++) {
        draw(rgb, i);
        if (!video_writer_add(w, rgb, &err)) fail_msg("%s", err.text);
        memset(rgb, 0x55, BYTES); // the writer keeps no pointer to it
    }
    assert_false(file_exists(path)); // only close makes the file appear
    if (!video_writer_close(w, &err)) fail_msg("%s", err.text);
    return true;
}

static Video *must_open(const char *path) {
    Error err;
    Video *v;
    if (!video_open(path, NULL, &v, &err)) fail_msg("%s", err.text);
    return v;
}

static void expect_frame(Video *v, int frame, uint8_t *rgb) {
    Error err;
    memset(rgb, 128, BYTES);
    if (!video_read_index(v, frame, rgb, &err)) fail_msg("%s", err.text);
    assert_int_equal(drawn(rgb), frame);
}

// What is seen of a file without reading it through is what reading it through finds, and stands in
// the way of no one who reads it later. rgb: room for a frame.
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
    // In any order, with repeats and short and long jumps, to the same bytes.
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

static uint32_t big32(const char *p) {
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void set_big32(char *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (char)(v >> (24 - 8 * i));
}

// Gives an MP4 another display matrix: where a step to the right and a step down of the stored
// picture lead, (right, down) each. (Track header box, ISO/IEC 14496-12, 8.3.2.)
static void set_display(const char *path, const double step[4]) {
    Error err;
    char *file;
    size_t size;
    assert_true(file_read(path, &file, &size, &err));
    char *header = memmem(file, size, "tkhd", 4);
    assert_non_null(header);
    static const int places[4] = {0, 1, 3, 4};
    assert_int_equal(big32(header + 44), 0x10000); // the matrix is there: the writer's is upright
    for (int i = 0; i < 4; i++)
        set_big32(header + 44 + 4 * places[i], (uint32_t)(int32_t)lrint(step[i] * 65536));
    assert_true(file_write(path, file, size, &err));
    mem_free(file);
}

// Frames come as they are to be seen, of the size that then has, by whatever table.
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

// Nobody's camera sees mirrored, and a frame by 10 degrees would need pixels that are not there.
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
    // The scale is the player's business.
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

// Cut while it is open: reads fail, and none gives a wrong frame.
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
            // Each once, then neighbours of the frame before or another place.
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

static int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state) {
    (void)state;
    Error err;
    return remove_tree(folder, &err) ? 0 : -1;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_av1),
        cmocka_unit_test(test_h264),
        cmocka_unit_test(test_hevc),
        cmocka_unit_test(test_shared_tables),
        cmocka_unit_test(test_turned),
        cmocka_unit_test(test_other_matrices),
        cmocka_unit_test(test_one_frame),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_cut_while_open),
        cmocka_unit_test(test_hole),
        cmocka_unit_test(test_no_video),
        cmocka_unit_test(test_writer_refuses),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_golden_frames),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
