// SPDX-License-Identifier: Apache-2.0
// Any files as a LeRobot dataset: it is refused, or every row, window, frame and statistic of it
// can be read, and `tact check` says what it finds. The same target serves v2.x and v3.0, each with
// seeds of its own. Parquet tables are made of text (driver.h); "@@ rename", "@@ episodes" and "@@
// videos" are options. Videos and images are read by FFmpeg, which is linked here and not a module.
#include "base/memory.h"
#include "check/check.h"
#include "dataset/dataset.h"
#include "dataset/frames.h"
#include "dataset/window.h"
#include "driver.h"
#include "loader/frame_key.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PIXELS = 1 << 16, MOST_ROWS = 8, MOST_EPISODES = 16 };

static void read_columns(const Dataset *ds) {
    for (int64_t r = 0; r < ds->rows; r++) {
        const Episode *e = dataset_episode_of(ds, r);
        if (e < ds->episodes || e >= ds->episodes + ds->n_episodes) abort();
        if (r < e->first_row || r >= e->first_row + e->length) abort();
        if (!isfinite(ds->timestamp[r])) abort();
        if (dataset_row_of(ds, dataset_index_of(ds, r)) < 0) abort();
        for (int64_t k = 0; ds->state && k < ds->state->size; k++)
            if (!isfinite(ds->state_data[r * ds->state->size + k])) abort();
        for (int64_t k = 0; ds->action && k < ds->action->size; k++)
            if (!isfinite(ds->action_data[r * ds->action->size + k])) abort();
        for (int64_t k = 0; ds->env && k < ds->env->size; k++)
            fuzz_use(ds->env_data[r * ds->env->size + k]);
    }
}

static void read_description(const Dataset *ds) {
    int64_t rows = 0;
    fuzz_use_bytes(ds->version, strlen(ds->version));
    for (int i = 0; i < ds->n_features; i++) {
        const Feature *f = &ds->features[i];
        fuzz_use_bytes(f->name, strlen(f->name));
        for (int k = 0; k < f->n_names; k++) fuzz_use_bytes(f->names[k], strlen(f->names[k]));
    }
    for (int i = 0; i < ds->n_tasks; i++) fuzz_use_bytes(ds->tasks[i], strlen(ds->tasks[i]));
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        int64_t at;
        if (e->first_row != rows || e->length < 1) abort();
        if (e->data_file < 0 || e->data_file >= ds->n_data_files) abort();
        (void)dataset_file_of(ds, e->first_row, &at);
        if (at < 0) abort();
        rows += e->length;
    }
    if (rows != ds->rows) abort();
}

static const WindowSpec window = {
    .horizon = 2, .down_sample = 1, .chunk_size = 3, .action_down_sample = 1, .past = 2};

static void read_windows(const Dataset *ds) {
    const WindowSpec w = window;
    const int dims[] = {window_state_dim(ds, &w), ds->action ? window_action_dim(ds, &w) : 0};
    double *state = NEW(double, 2 * dims[0] + 1), *action = NEW(double, 5 * dims[1] + 1);
    uint8_t padded[5];
    Stats a = {0}, b = {0};
    Error err = {""};
    for (int64_t r = 0; r < ds->rows && r < MOST_ROWS; r++) {
        int64_t rows[2];
        window_rows(ds, &w, r, rows);
        if (rows[0] < 0 || rows[0] > rows[1] || rows[1] != r) abort();
        if (ds->state) window_state(ds, &w, r, state);
        if (ds->action) window_action(ds, &w, r, action, padded);
    }
    if (ds->state && ds->action &&
        fuzz_ok(window_stats(ds, &w, NULL, 0, 0, 1, &a, &b, &err), &err)) {
        stats_free(&a);
        stats_free(&b);
    }
    mem_free(state);
    mem_free(action);
}

static void read_stats(const Dataset *ds) {
    const Feature *features[] = {ds->state, ds->env, ds->action};
    const float *data[] = {ds->state_data, ds->env_data, ds->action_data};
    uint8_t *held_out = NEW(uint8_t, ds->n_episodes + 1);
    for (int i = 0; i < 3; i++) {
        Stats s = {0};
        bool computed;
        if (!features[i]) continue;
        dataset_stats(ds, features[i], data[i], &s, &computed);
        if (s.dim != features[i]->size) abort();
        stats_free(&s);
    }
    dataset_split(ds, 0.3, held_out);
    fuzz_use_bytes(held_out, (size_t)ds->n_episodes);
    mem_free(held_out);
}

static void read_frames(const Dataset *ds) {
    FrameReader *reader;
    Error err = {""};
    if (!fuzz_ok(frames_open(ds, 0, 0, &reader, &err), &err)) return;
    for (int c = 0; c < ds->n_cameras; c++) {
        const Feature *f = ds->cameras[c];
        const size_t pixels = (size_t)f->height * (size_t)f->width;
        char key[FRAME_KEY];
        if (fuzz_ok(
                frame_key(ds, c, (FrameSize){.height = f->height, .width = f->width}, key, &err),
                &err))
            fuzz_use_bytes(key, strlen(key));
        if (pixels > MOST_PIXELS) continue;
        uint8_t *rgb = malloc(pixels * 3);
        for (int64_t r = 0; r < ds->rows && r < MOST_ROWS; r++) {
            int64_t first, end;
            if (fuzz_ok(frames_segment(reader, c, r, &first, &end, &err), &err) &&
                (first > r || end <= r || first < 0 || end > ds->rows))
                abort();
            if (fuzz_ok(frames_read(reader, c, r, rgb, &err), &err))
                fuzz_use_bytes(rgb, pixels * 3);
        }
        free(rgb);
    }
    frames_close(reader);
}

// ds NULL: it is opened again, without the episodes that are refused.
static void check(const DatasetOptions *options, Dataset *ds) {
    const CheckOptions checked = {.window = &window, .threads = 1};
    CheckReport report = {0};
    Dataset *own = NULL;
    Error err = {""};
    if (!ds && !fuzz_ok(check_open(options, &own, &report, &err), &err)) return;
    if (!ds) ds = own;
    if (!ds || fuzz_ok(check_run(ds, &checked, &report, &err), &err)) {
        json_t *o = check_report_json(ds, &report);
        char *text = o ? json_text(o, 0) : NULL;
        if (!text) abort();
        mem_free(text);
        json_decref(o);
    }
    check_report_free(&report);
    dataset_close(own);
}

// Numbers with blanks between them.
static int64_t read_episodes(char *text, int64_t *out) {
    int64_t n = 0;
    char *rest;
    for (char *word = strtok_r(text, " ", &rest); word && n < MOST_EPISODES;
         word = strtok_r(NULL, " ", &rest))
        out[n++] = strtoll(word, NULL, 10);
    return n;
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    const int n = fuzz_split(data, size, parts);
    const FuzzPart *rename = fuzz_part(parts, n, "rename");
    char *map = fuzz_text(rename), *list = fuzz_text(fuzz_part(parts, n, "episodes"));
    int64_t episodes[MOST_EPISODES];
    const int64_t n_episodes = read_episodes(list, episodes);
    Dataset *ds = NULL;
    Error err = {""};
    const DatasetOptions options = {.root = fuzz_folder(parts, n, ""),
                                    .rename = rename ? map : NULL,
                                    .episodes = n_episodes ? episodes : NULL,
                                    .n_episodes = n_episodes,
                                    .need_videos = fuzz_part(parts, n, "videos") != NULL};
    if (fuzz_ok(dataset_open(&options, &ds, &err), &err)) {
        read_columns(ds);
        read_description(ds);
        read_windows(ds);
        read_stats(ds);
        read_frames(ds);
        check(&options, ds);
        dataset_close(ds);
    } else {
        check(&options, NULL);
    }
    free(map);
    free(list);
}
