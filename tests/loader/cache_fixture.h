// SPDX-License-Identifier: Apache-2.0
// A dataset with two cameras, which are seen at two sizes of equally many bytes; its frames as a
// decoder gives them; and a place for cache files.
#ifndef TACT_TESTS_LOADER_CACHE_FIXTURE_H
#define TACT_TESTS_LOADER_CACHE_FIXTURE_H

#include "loader/frame_cache.h"
#include "loader/frame_file.h"
#include "loader/loader.h"

#include "../dataset/fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <utime.h>

enum {
    T = 2,
    BATCH = 4,
    SIDE = 48,
    RECORDED = 64,
    CAMERAS = 2,
    ROWS = 30,
    FRAME = SIDE * SIDE * 3
};

static const int cameras[CAMERAS] = {1, 0}; // not the dataset's order
static const FrameSize frame_sizes[CAMERAS] = {{SIDE, SIDE, IMAGE_AREA},
                                               {SIDE / 4 * 3, SIDE / 3 * 4, IMAGE_AREA}};

typedef struct Fixture {
    Arena arena;
    char *dir, *root, *cache;
    Dataset *ds; // 3 episodes of 9, 10 and 11 frames, two cameras
    Normalizer state, action;
    int64_t rows[ROWS];
    uint8_t *frames; // (CAMERAS, ROWS, FRAME) as decoded
} Fixture;

static inline int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    FrameReader *reader;
    f->dir = new_folder(&f->arena);
    f->root = at(&f->arena, f->dir, "set");
    f->cache = at(&f->arena, f->dir, "cache");
    const SampleOptions o = {.root = f->root,
                             .episodes = 3,
                             .frames = 9,
                             .height = RECORDED,
                             .width = RECORDED,
                             .cameras = CAMERAS,
                             .fps = 10,
                             .seed = 3,
                             .joints = true};
    OK(sample_dataset_write(&o, &err));
    f->ds = open_all(f->root);
    OK(normalizer_init(&f->state, "state", NORM_IDENTITY, NULL, (int)f->ds->state->size, &err));
    OK(normalizer_init(&f->action, "action", NORM_IDENTITY, NULL, (int)f->ds->action->size, &err));
    f->frames = NEW(uint8_t, CAMERAS * ROWS * FRAME);
    OK(frames_open(f->ds, SIDE, SIDE, &reader, &err));
    OK(frames_resize(reader, cameras[1], frame_sizes[1], &err));
    for (int i = 0; i < CAMERAS * ROWS; i++)
        OK(frames_read(reader, cameras[i / ROWS], i % ROWS, f->frames + (size_t)i * FRAME, &err));
    frames_close(reader);
    for (int64_t i = 0; i < ROWS; i++) f->rows[i] = i;
    *state = f;
    return 0;
}

static inline int tear_down(void **state) {
    Fixture *f = *state;
    normalizer_free(&f->state), normalizer_free(&f->action);
    dataset_close(f->ds);
    mem_free(f->frames);
    return remove_fixture(f, &f->arena, f->dir);
}

// Every test begins without files.
static inline int no_files(void **state) {
    const Fixture *f = *state;
    Error err;
    return remove_tree(f->cache, &err) ? 0 : -1;
}

static inline FrameCacheOptions options(const Fixture *f, const char *mode) {
    return (FrameCacheOptions){.dataset = f->ds,
                               .cameras = cameras,
                               .n_cameras = CAMERAS,
                               .sizes = frame_sizes,
                               .mode = mode,
                               .dir = f->cache,
                               .limit_gb = 1};
}

static inline FrameCache *open_cache(const Fixture *f, const char *mode) {
    FrameCacheOptions o = options(f, mode);
    FrameCache *c;
    frame_cache_open(&o, &c);
    assert_non_null(c);
    return c;
}

static inline const uint8_t *frame(const Fixture *f, int camera, int64_t row) {
    return f->frames + ((size_t)camera * ROWS + (size_t)row) * FRAME;
}

static inline void put_all(const Fixture *f, FrameCache *c) {
    for (int k = 0; k < CAMERAS; k++)
        for (int64_t row = 0; row < ROWS; row++) frame_cache_put(c, k, row, frame(f, k, row));
}

// Counts the frames that come out of the cache; each must be right.
static inline int right_ones(const Fixture *f, FrameCache *c) {
    uint8_t rgb[FRAME];
    int n = 0;
    for (int k = 0; k < CAMERAS; k++)
        for (int64_t row = 0; row < ROWS; row++) {
            if (!frame_cache_get(c, k, row, rgb)) continue;
            assert_memory_equal(rgb, frame(f, k, row), FRAME);
            n++;
        }
    return n;
}

// The files, in the order of their names.
static inline int list_files(const Fixture *f, char paths[8][4096]) {
    char command[4200], *end;
    int n = 0;
    snprintf(command, sizeof command, "ls -d %s/*.frames 2>/dev/null", f->cache);
    FILE *p = popen(command, "r");
    while (n < 8 && fgets(paths[n], 4096, p)) {
        if ((end = strchr(paths[n], '\n'))) *end = 0;
        n++;
    }
    pclose(p);
    return n;
}

static inline char *a_file(const Fixture *f) {
    static char paths[8][4096];
    assert_true(list_files(f, paths) > 0);
    return paths[0];
}

static inline void overwrite(const char *path, int64_t place, const void *bytes, size_t n) {
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0 && pwrite(fd, bytes, n, place) == (ssize_t)n);
    close(fd);
}

static inline uint8_t byte_at(const char *path, int64_t place) {
    uint8_t byte = 0;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && pread(fd, &byte, 1, place) == 1);
    close(fd);
    return byte;
}

static inline void flip(const char *path, int64_t place) {
    uint8_t flipped = byte_at(path, place) ^ 0x10;
    overwrite(path, place, &flipped, 1);
}

#endif
