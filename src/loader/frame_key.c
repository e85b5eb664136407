// SPDX-License-Identifier: Apache-2.0
#include "loader/frame_key.h"

#include "base/sha256.h"
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// Counted up when a row comes to show another frame, or a frame other pixels, than before from the
// same files, so that none kept before is served: 2 since videos and images are turned upright and
// rows are held against the frames.
enum { READING = 3 };

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

// Which frame a row shows follows from the files, where they begin, the rows' times and rate, so it
// need not be known here, and a run without the module that reads videos finds what one with it has
// left.
CHECKED static bool add_video(Sha256 *s, const Dataset *ds, const Episode *e, int camera,
                              const char **last, Error *err) {
    const EpisodeVideo *v = &e->videos[camera];
    if (v->path != *last && !add_file(s, ds, v->path, err)) return false;
    *last = v->path;
    const double place[] = {v->from, v->to, ds->tolerance_s, ds->fps};
    sha256_add(s, place, sizeof place);
    sha256_add(s, ds->timestamp + e->first_row, (size_t)e->length * sizeof(double));
    return true;
}

CHECKED static bool add_images(Sha256 *s, const Dataset *ds, const Episode *e, const char **last,
                               Error *err) {
    const DataFile *f = &ds->data_files[e->data_file];
    for (int64_t end = e->data_row + e->length; end > 0; end -= f++->rows) {
        if (f->path != *last && !add_file(s, ds, f->path, err)) return false;
        *last = f->path;
    }
    add_numbers(s, "row", e->data_row, 0);
    return true;
}

bool frame_key(const Dataset *ds, int camera, FrameSize size, char out[FRAME_KEY], Error *err) {
    const Feature *f = ds->cameras[camera];
    const char *last = NULL;
    Sha256 s;
    sha256_init(&s);
    add_text(&s, f->disk_name);
    add_numbers(&s, "reading", READING, 0);
    add_numbers(&s, "kept", size.height, size.width);
    // Frames by area have the keys that they had before there was another filter.
    if (size.filter != IMAGE_AREA) add_numbers(&s, "filter", size.filter, 0);
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        add_numbers(&s, "episode", e->index, e->length);
        if (!(f->video ? add_video(&s, ds, e, camera, &last, err)
                       : add_images(&s, ds, e, &last, err)))
            return false;
    }
    sha256_hex(&s, out);
    return true;
}
