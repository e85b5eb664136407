// SPDX-License-Identifier: Apache-2.0
#include "env/record.h"

#include "base/log.h"
#include "dataset/writer.h"
#include "env/rolls.h"
#include "image/image.h"
#include <stddef.h>

static CHECKED bool open_writer(const RecordOptions *o, const EnvSpec *spec, DatasetWriter **out,
                                Error *err) {
    WriterCamera cameras[ENV_MAX_CAMERAS];
    for (int c = 0; c < spec->n_cameras; c++)
        cameras[c] = (WriterCamera){spec->cameras[c], o->height, o->width, false};
    const WriterOptions writer = {
        .root = o->root,
        .robot_type = "tact_sim_gripper",
        .fps = spec->fps,
        .state_dim = spec->state_dim,
        .action_dim = spec->action_dim,
        .state_names = spec->names,
        .action_names = spec->names,
        .cameras = cameras,
        .n_cameras = spec->n_cameras,
    };
    return dataset_writer_open(&writer, out, err);
}

static CHECKED bool write_roll(DatasetWriter *w, const RecordOptions *o, const EnvSpec *spec,
                               const Roll *roll, Error *err) {
    size_t one = image_rgb_bytes(o->height, o->width);
    for (int k = 0; k < roll->frames; k++) {
        const uint8_t *images[ENV_MAX_CAMERAS];
        for (int c = 0; c < spec->n_cameras; c++)
            images[c] = roll->rgb + (size_t)(k * spec->n_cameras + c) * one;
        if (!dataset_writer_frame(w, roll->state + k * ENV_DIM, NULL, roll->action + k * ENV_DIM,
                                  images, err))
            return false;
    }
    return dataset_writer_episode(w, spec->task, err);
}

// w: NULL where nothing is recorded.
static CHECKED bool record_rolls(Rolls *rolls, DatasetWriter *w, const RecordOptions *o,
                                 const EnvSpec *spec, RecordResult *r, Error *err) {
    while ((w ? r->succeeded : r->tried) < o->episodes) {
        Roll roll;
        if (!rolls_next(rolls, &roll, err)) return false;
        r->tried++;
        bool ok = true;
        if (roll.success) {
            r->succeeded++;
            r->frames += roll.frames;
            ok = !w || write_roll(w, o, spec, &roll, err);
        } else {
            log_info("seed %llu: %s after %d steps%s", (unsigned long long)roll.seed, roll.outcome,
                     roll.frames, w ? "; left out" : "");
        }
        roll_free(&roll);
        if (!ok) return false;
        if (w && r->tried - r->succeeded > o->episodes + 5) {
            return fail(
                err, "--env.type=%s: the expert failed %lld of %lld episodes; nothing is recorded",
                o->type, (long long)(r->tried - r->succeeded), (long long)r->tried);
        }
        if (o->progress) o->progress(o->user, w ? r->succeeded : r->tried, o->episodes);
    }
    return true;
}

bool env_record(const RecordOptions *o, RecordResult *out, Error *err) {
    const EnvSpec *spec;
    DatasetWriter *w = NULL;
    Rolls *rolls;
    *out = (RecordResult){0};
    if (!env_find(o->type, &spec, err)) return false;
    const RollsOptions options = {o->type,
                                  o->seed,
                                  o->height,
                                  o->width,
                                  o->threads,
                                  o->root != NULL,
                                  {o->shift[0], o->shift[1], o->shift[2]}};
    if (o->root && !open_writer(o, spec, &w, err)) return false;
    if (!rolls_open(&options, &rolls, err)) {
        dataset_writer_abort(w);
        return false;
    }
    bool ok = record_rolls(rolls, w, o, spec, out, err);
    rolls_close(rolls);
    if (w && ok) return dataset_writer_close(w, err);
    dataset_writer_abort(w);
    return ok;
}
