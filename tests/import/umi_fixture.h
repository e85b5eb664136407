// SPDX-License-Identifier: Apache-2.0
// Replay buffers for the tests: those in data/, unpacked from their zip files; and a small one
// written here, of which the refusals alter a file.
#ifndef TACT_TESTS_UMI_FIXTURE_H
#define TACT_TESTS_UMI_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/memory.h"
#include "import/archive.h"
#include "import/source.h"

#include "../ok.h" // last: cmocka defines `fail` as a macro

typedef struct Fixture {
    Arena arena;
    char dir[200];
    char *root; // of the buffer: dir/buffer.zarr
} Fixture;

static int set_up(void **state) {
    Error err;
    Fixture *f = NEW(Fixture, 1);
    if (!make_temporary_dir(f->dir, sizeof f->dir, NULL, &err)) return -1;
    f->root = arena_printf(&f->arena, "%s/buffer.zarr", f->dir);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Error err;
    Fixture *f = *state;
    bool ok = remove_tree(f->dir, &err);
    arena_free(&f->arena);
    mem_free(f);
    return ok ? 0 : -1;
}

// Writes DIR/NAME and the folders it lies in.
static inline void write_at(Fixture *f, const char *dir, const char *name, const void *data,
                            size_t size) {
    Error err;
    char *path = arena_printf(&f->arena, "%s/%s", dir, name), parent[4096];
    path_parent(parent, sizeof parent, path);
    OK(make_dirs(parent, &err));
    FILE *out = fopen(path, "wb"); // file_write would wait for the disk, file by file
    assert_non_null(out);
    assert_int_equal(fwrite(data, 1, size, out), size);
    assert_int_equal(fclose(out), 0);
}

static inline void write_text(Fixture *f, const char *name, const char *text) {
    write_at(f, f->root, name, text, strlen(text));
}

// Unpacks a zip file to DIR, without `prefix` before the names.
static inline void unpack(Fixture *f, const char *zip, const char *prefix, const char *dir) {
    Archive a;
    Error err;
    uint8_t *bytes = NULL;
    size_t room = 0;
    OK(archive_open(&a, zip, &err));
    for (int64_t i = 0; i < a.n_members; i++) {
        const ArchiveMember *m = &a.members[i];
        char *name = arena_printf(&f->arena, "%.*s", m->n_name, m->name);
        if (strncmp(name, prefix, strlen(prefix)) != 0 || name[strlen(name) - 1] == '/') continue;
        OK(archive_read(&a, m, &bytes, &room, &err));
        write_at(f, dir, name + strlen(prefix), bytes, (size_t)m->size);
    }
    mem_free(bytes);
    archive_close(&a);
}

// ---- a small recording --------------------------------------------------------------------------

enum { ROWS = 6, SIDE = 2 }; // of two episodes, which end at 2 and 6; of its frames

// An array of which a chunk is `chunk` rows, its .zarray with `more` put into the object, and no
// compressor unless `more` has one.
static inline void write_meta(Fixture *f, const char *name, const char *dtype, const char *shape,
                              const char *chunk, const char *more) {
    char *file = arena_printf(&f->arena, "%s/.zarray", name);
    write_text(
        f, file,
        arena_printf(&f->arena,
                     "{\"zarr_format\": 2, \"order\": \"C\", \"dtype\": \"%s\", "
                     "\"shape\": %s, \"chunks\": %s, \"fill_value\": 0, \"filters\": null%s%s}",
                     dtype, shape, chunk,
                     strstr(more, "compressor") ? "" : ", \"compressor\": null", more));
}

static inline void write_floats(Fixture *f, const char *name, int dim) {
    float values[ROWS * 8];
    for (int i = 0; i < ROWS * dim; i++) values[i] = (float)(i % 7) * 0.125f;
    write_meta(f, name, "<f4", arena_printf(&f->arena, "[%d, %d]", ROWS, dim),
               arena_printf(&f->arena, "[%d, %d]", ROWS, dim), "");
    write_at(f, f->root, arena_printf(&f->arena, "%s/0.0", name), values,
             sizeof(float) * ROWS * (size_t)dim);
}

static inline void write_ends(Fixture *f, int64_t first, int64_t second) {
    int64_t ends[] = {first, second};
    write_meta(f, "meta/episode_ends", "<i8", "[2]", "[2]", "");
    write_at(f, f->root, "meta/episode_ends/0", ends, sizeof ends);
}

static inline void write_recording(Fixture *f) {
    static const char *const groups[] = {".zgroup", "data/.zgroup", "meta/.zgroup"};
    uint8_t frame[SIDE * SIDE * 3] = {0};
    for (int i = 0; i < 3; i++) write_text(f, groups[i], "{\"zarr_format\": 2}");
    write_ends(f, 2, ROWS);
    write_floats(f, "data/robot0_eef_pos", 3);
    write_floats(f, "data/robot0_eef_rot_axis_angle", 3);
    write_floats(f, "data/robot0_gripper_width", 1);
    write_meta(f, "data/camera0_rgb", "|u1", "[6, 2, 2, 3]", "[1, 2, 2, 3]", "");
    for (int row = 0; row < ROWS; row++) {
        memset(frame, 10 * row, sizeof frame);
        write_at(f, f->root, arena_printf(&f->arena, "data/camera0_rgb/%d.0.0.0", row), frame,
                 sizeof frame);
    }
}

static inline void forget(Fixture *f, const char *name) {
    assert_int_equal(remove(arena_printf(&f->arena, "%s/%s", f->root, name)), 0);
}

// ---- opening ------------------------------------------------------------------------------------

static inline ImportSource *open_source(const char *path) {
    Error err;
    ImportSource *s;
    OK(import_open(path, &s, &err));
    return s;
}

// The error is one clear line that has both texts in it.
static inline void assert_says(const Error *err, const char *first, const char *second) {
    if (!strstr(err->text, first) || !strstr(err->text, second))
        fail_msg("\"%s\" lacks \"%s\" or \"%s\"", err->text, first, second);
    assert_null(strchr(err->text, '\n'));
}

static inline void assert_refused(const char *path, const char *first, const char *second) {
    Error err = {""};
    ImportSource *s;
    assert_false(import_open(path, &s, &err));
    assert_null(s);
    assert_says(&err, first, second);
    assert_says(&err, path, first);
}

// Without the module there is nothing to test.
static inline void need_module(void) {
#ifndef TACT_IMPORT
    print_message("skipped: tact_import, for want of its libraries, was not built\n");
    skip();
#endif
}

#endif
