// SPDX-License-Identifier: Apache-2.0
// plant_faults SOURCE ROOT FAULTS: writes a copy of a dataset with faults that recordings have, and
// prints what it did, a line an episode. FAULTS is "none", for a copy that was decoded and encoded
// once more as the others are, or some of these with commas between:
//   lag     in every fifth episode the actions are recorded 5 or 6 rows late
//   freeze  in another fifth of them the cameras stay at one picture, from a row on that lies
//           between 20 and 40 % of the episode
//   tail    every episode goes on for 4 to 5 seconds in which nothing moves
// Which episodes, and how much, only their number decides. bench/faults and
// tests/check/test_planted.sh are made on it.
#include "base/memory.h"
#include "base/rng.h"
#include "dataset/frames.h"
#include "dataset/writer.h"

#include <stdio.h>
#include <string.h>

enum { EVERY = 5, LAGGED = 1, FROZEN = 3 }; // episodes 1, 6, 11 ... and 3, 8, 13 ...
enum { FAULT_LAG = 1, FAULT_FREEZE = 2, FAULT_TAIL = 4 };

// What becomes of an episode, in rows.
typedef struct Plan {
    int64_t late;   // actions are those of so many rows before
    int64_t frozen; // the last row with a picture of its own, or -1
    int64_t tail;   // added to the end
} Plan;

static Plan plan_episode(const Dataset *ds, int64_t e, unsigned faults) {
    const uint64_t length = (uint64_t)ds->episodes[e].length, fps = (uint64_t)ds->fps;
    RngStream rng = {.key = {.seed = (uint64_t)e}};
    const uint64_t late = 5 + rng_below(&rng, 2);
    const uint64_t frozen = length / 5 + rng_below(&rng, length / 5 + 1);
    const uint64_t tail = 4 * fps + rng_below(&rng, fps + 1);
    return (Plan){.late = (faults & FAULT_LAG) && e % EVERY == LAGGED ? (int64_t)late : 0,
                  .frozen = (faults & FAULT_FREEZE) && e % EVERY == FROZEN ? (int64_t)frozen : -1,
                  .tail = faults & FAULT_TAIL ? (int64_t)tail : 0};
}

static void print_plan(int64_t e, const Plan *p, int64_t rows) {
    printf("episode %lld: %lld rows", (long long)e, (long long)rows);
    if (p->late) printf(", actions %lld rows late", (long long)p->late);
    if (p->frozen >= 0) printf(", cameras frozen from row %lld", (long long)p->frozen);
    if (p->tail) printf(", the last %lld of standing still", (long long)p->tail);
    printf("\n");
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

// Row i of an episode with the faults. Behind the end everything stays as it was in the last row,
// and actions that are late come to their end.
static bool copy_row(const Dataset *ds, FrameReader *reader, DatasetWriter *w, const Episode *e,
                     const Plan *p, int64_t i, uint8_t **images, Error *err) {
    const int64_t last = e->length - 1, now = e->first_row + least(i, last);
    const int64_t told = i < p->late ? 0 : least(i - p->late, last);
    const int64_t seen = e->first_row + (p->frozen >= 0 ? least(p->frozen, i) : least(i, last));
    for (int k = 0; k < ds->n_cameras; k++)
        if (!frames_read(reader, k, seen, images[k], err)) return false;
    return dataset_writer_frame(
        w, ds->state ? ds->state_data + now * ds->state->size : NULL,
        ds->env ? ds->env_data + now * ds->env->size : NULL,
        ds->action ? ds->action_data + (e->first_row + told) * ds->action->size : NULL,
        (const uint8_t *const *)images, err);
}

static bool copy_rows(const Dataset *ds, DatasetWriter *w, unsigned faults, uint8_t **images,
                      Error *err) {
    FrameReader *reader;
    bool ok = frames_open(ds, 0, 0, &reader, err);
    for (int64_t e = 0; ok && e < ds->n_episodes; e++) {
        const Episode *episode = &ds->episodes[e];
        const Plan plan = plan_episode(ds, e, faults);
        const int64_t rows = episode->length + plan.tail;
        for (int64_t i = 0; ok && i < rows; i++)
            ok = copy_row(ds, reader, w, episode, &plan, i, images, err);
        ok = ok && dataset_writer_episode(w, episode->task, err);
        if (ok) print_plan(e, &plan, rows);
    }
    frames_close(reader);
    return ok;
}

static bool open_writer(const Dataset *ds, const char *root, DatasetWriter **w, Error *err) {
    WriterCamera *cameras = NEW(WriterCamera, ds->n_cameras + 1);
    for (int k = 0; k < ds->n_cameras; k++) {
        const Feature *f = ds->cameras[k];
        cameras[k] = (WriterCamera){f->name, f->height, f->width, !f->video};
    }
    const Feature *state = ds->state, *env = ds->env, *action = ds->action;
    const WriterOptions options = {
        .root = root,
        .robot_type = ds->robot_type,
        .fps = ds->fps,
        .state_dim = state ? (int)state->size : 0,
        .env_dim = env ? (int)env->size : 0,
        .action_dim = action ? (int)action->size : 0,
        .state_names = state && state->n_names ? (const char *const *)state->names : NULL,
        .env_names = env && env->n_names ? (const char *const *)env->names : NULL,
        .action_names = action && action->n_names ? (const char *const *)action->names : NULL,
        .cameras = cameras,
        .n_cameras = ds->n_cameras,
    };
    bool ok = dataset_writer_open(&options, w, err);
    mem_free(cameras);
    return ok;
}

static bool copy_dataset(const Dataset *ds, const char *root, unsigned faults, Error *err) {
    DatasetWriter *w;
    if (!open_writer(ds, root, &w, err)) return false;
    uint8_t **images = NEW(uint8_t *, ds->n_cameras + 1);
    for (int k = 0; k < ds->n_cameras; k++)
        images[k] = NEW(uint8_t, (int64_t)ds->cameras[k]->height * ds->cameras[k]->width * 3);
    bool ok = copy_rows(ds, w, faults, images, err);
    if (ok)
        ok = dataset_writer_close(w, err);
    else
        dataset_writer_abort(w);
    for (int k = 0; k < ds->n_cameras; k++) mem_free(images[k]);
    mem_free(images);
    return ok;
}

static bool parse_faults(const char *text, unsigned *faults, Error *err) {
    static const struct Name {
        const char *text;
        unsigned fault;
    } names[] = {{"none", 0}, {"lag", FAULT_LAG}, {"freeze", FAULT_FREEZE}, {"tail", FAULT_TAIL}};
    *faults = 0;
    for (const char *at = text;; at++) {
        size_t n = strcspn(at, ","), k = 0, count = sizeof names / sizeof names[0];
        while (k < count && (strlen(names[k].text) != n || memcmp(names[k].text, at, n) != 0)) k++;
        if (k == count)
            return fail(err, "%s: \"none\", or of lag, freeze and tail with commas between", text);
        *faults |= names[k].fault;
        at += n;
        if (!*at) return true;
    }
}

int main(int argc, char **argv) {
    Error err;
    Dataset *ds = NULL;
    unsigned faults;
    if (argc != 4) {
        fprintf(stderr, "usage: plant_faults SOURCE ROOT none|lag,freeze,tail\n");
        return 2;
    }
    bool ok = parse_faults(argv[3], &faults, &err) &&
              dataset_open(&(DatasetOptions){.root = argv[1], .need_videos = true}, &ds, &err) &&
              copy_dataset(ds, argv[2], faults, &err);
    if (!ok) fprintf(stderr, "plant_faults: %s\n", err.text);
    dataset_close(ds);
    return ok ? 0 : 1;
}
