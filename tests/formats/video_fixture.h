// SPDX-License-Identifier: Apache-2.0
// Videos whose frames carry their number in black and white blocks, so that a frame that is off by
// one shows whatever the codec does to the pixels; a folder for them, which make_folder and
// drop_folder set up and take down.
#ifndef TACT_TESTS_FORMATS_VIDEO_FIXTURE_H
#define TACT_TESTS_FORMATS_VIDEO_FIXTURE_H

#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "formats/video.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { H = 64, W = 192, FPS = 30, FRAMES = 40, BYTES = H * W * 3, NAME = 256 };

static char folder[] = "/tmp/tact_video_XXXXXX";

static inline void file_name(char out[NAME], const char *name) {
    snprintf(out, NAME, "%s/%s", folder, name);
}

// 2 x 4 blocks of 32 x 32 hold the bits of `number`; noise beside them makes packets of some size.
static inline void draw(uint8_t *rgb, int number) {
    RngStream noise = {.key = {.seed = (uint64_t)number}};
    for (int y = 0; y < H; y++) {
        for (int x = 0; x < W; x++) {
            int bit = y / 32 * 4 + x / 32;
            int value = x >= 128 ? (int)rng_below(&noise, 256) : number >> bit & 1 ? 220 : 30;
            memset(rgb + ((size_t)y * W + (size_t)x) * 3, value, 3);
        }
    }
}

static inline int drawn(const uint8_t *rgb) {
    int number = 0;
    for (int bit = 0; bit < 8; bit++) {
        int value = rgb[((bit / 4 * 32 + 16) * W + bit % 4 * 32 + 16) * 3];
        if (value > 80 && value < 170) fail_msg("block %d is grey: %d", bit, value);
        if (value >= 170) number |= 1 << bit;
    }
    return number;
}

// False when there is no such encoder.
static inline bool write_video_at(const char *path, const char *codec, int gop, int crf,
                                  int frames) {
    Error err;
    VideoWriter *w;
    uint8_t rgb[BYTES];
    if (!video_writer_open(path, codec, H, W, FPS, gop, crf, &w, &err)) {
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

static inline bool write_video(const char *path, const char *codec, int gop, int frames) {
    return write_video_at(path, codec, gop, 30, frames);
}

static inline Video *must_open(const char *path) {
    Error err;
    Video *v;
    if (!video_open(path, NULL, &v, &err)) fail_msg("%s", err.text);
    return v;
}

static inline void expect_frame(Video *v, int frame, uint8_t *rgb) {
    Error err;
    memset(rgb, 128, BYTES);
    if (!video_read_index(v, frame, rgb, &err)) fail_msg("%s", err.text);
    assert_int_equal(drawn(rgb), frame);
}

// Numbers in the boxes of an MP4.
static inline uint32_t big32(const char *p) {
    const uint8_t *b = (const uint8_t *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static inline void set_big32(char *p, uint32_t v) {
    for (int i = 0; i < 4; i++) p[i] = (char)(v >> (24 - 8 * i));
}

// Gives an MP4 another display matrix: where a step to the right and a step down of the stored
// picture lead, (right, down) each. (Track header box, ISO/IEC 14496-12, 8.3.2.)
static inline void set_display(const char *path, const double step[4]) {
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

static inline int make_folder(void **state) {
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static inline int drop_folder(void **state) {
    (void)state;
    Error err;
    return remove_tree(folder, &err) ? 0 : -1;
}

#endif
