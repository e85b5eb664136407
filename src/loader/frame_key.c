// SPDX-License-Identifier: Apache-2.0
#include "loader/frame_key.h"

#include "base/sha256.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// Counted up when a frame comes to be read in another way from the same files, so that none kept
// before is served: 2 since videos and images are turned upright.
enum { READING = 2 };

static void add_text(Sha256 *s, const char *text) {
    sha256_add(s, text, strlen(text) + 1);
}

static void add_numbers(Sha256 *s, const char *what, int64_t a, int64_t b) {
    char line[128];
    snprintf(line, sizeof line, "%s %lld %lld", what, (long long)a, (long long)b);
    add_text(s, line);
}

CHECKED static bool add_file(Sha256 *s, const Dataset *ds, const char *path, Error *err) {
    struct stat st;
    size_t root = strlen(ds->root);
    if (stat(path, &st) != 0) return fail_errno(err, "%s: cannot look at it", path);
    add_text(s, strncmp(path, ds->root, root) == 0 ? path + root : path);
    add_numbers(s, "size", (int64_t)st.st_size, 0);
    add_numbers(s, "changed", (int64_t)st.st_mtim.tv_sec, (int64_t)st.st_mtim.tv_nsec);
    return true;
}

bool frame_key(const Dataset *ds, int camera, int height, int width, char out[FRAME_KEY],
               Error *err) {
    const Feature *f = ds->cameras[camera];
    const char *last = NULL;
    Sha256 s;
    sha256_init(&s);
    add_text(&s, f->disk_name);
    add_numbers(&s, "reading", READING, 0);
    add_numbers(&s, "recorded", f->height, f->width);
    add_numbers(&s, "kept", height, width);
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        const char *path = f->video ? e->videos[camera].path : e->data_path;
        add_numbers(&s, "episode", e->index, e->length);
        if (path != last && !add_file(&s, ds, path, err)) return false;
        last = path;
        if (f->video) {
            const double *time = ds->timestamp + e->first_row;
            sha256_add(&s, &e->videos[camera].from, sizeof(double));
            sha256_add(&s, time, (size_t)e->length * sizeof *time);
        } else {
            add_numbers(&s, "row", e->data_row, 0);
        }
    }
    sha256_hex(&s, out);
    return true;
}
