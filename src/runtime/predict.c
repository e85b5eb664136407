// SPDX-License-Identifier: Apache-2.0
// The window as training makes it (dataset/window.c and loader/batch_maker.c), through the model,
// to actions that a robot takes. In two parts, of which the second may run in another thread.
#include "runtime/predict.h"

#include "base/memory.h"
#include "pose/pose.h"
#include "runtime/actions.h"
#include "runtime/handle.h"
#include "runtime/memory_check.h"
#include <math.h>
#include <omp.h>
#include <string.h>

bool snapshot_init(tact_policy *p, bool copies, Error *err) {
    const PolicyConfig *c = p->config;
    Snapshot *s = &p->snapshot;
    size_t T = (size_t)c->obs_state_horizon, frames = T * (size_t)c->n_cameras;
    s->state = TRY_NEW(float, T *(size_t)c->state_dim);
    s->env = TRY_NEW(float, c->env_dim);
    s->base = TRY_NEW(double, p->state_size);
    s->slots = TRY_NEW(int, frames);
    s->frames = TRY_NEW(struct SnapshotFrame, frames);
    if (!s->state || !s->env || !s->base || !s->slots || !s->frames)
        return fail_memory(err, "what a prediction reads");
    if (!copies) return true;
    s->copies = mem_try(frames * p->history.most_bytes);
    return s->copies || fail_memory(err, "a copy of %zu frames", frames);
}

void snapshot_free(Snapshot *s) {
    void *owned[] = {s->state, s->env, s->base, s->slots, s->frames, s->copies};
    for (size_t i = 0; i < sizeof owned / sizeof owned[0]; i++) mem_free(owned[i]);
    *s = (Snapshot){0};
}

static void snapshot_take_frame(Snapshot *s, History *h, int slot, int camera) {
    if (h->encoded[slot]) return;
    const uint8_t *rgb = history_frame(h, slot);
    if (s->copies) {
        uint8_t *copy = s->copies + (size_t)s->n_frames * h->most_bytes;
        rgb = memcpy(copy, rgb, h->frame_bytes[camera]);
    }
    s->frames[s->n_frames++] = (struct SnapshotFrame){camera, slot, rgb};
    h->encoded[slot] = true;
}

void snapshot_take(tact_policy *p) {
    const PolicyConfig *c = p->config;
    Snapshot *s = &p->snapshot;
    History *h = &p->history;
    int T = h->horizon;
    const double *newest = history_newest(h);
    if (!p->cache) history_forget_tokens(h);
    s->n_frames = 0;
    p->schedule.asked_captured = p->schedule.captured;
    p->schedule.asked_by_clock = p->schedule.by_clock;
    for (int t = 0; t < T; t++) {
        int place = history_place(h, t);
        double *row = p->rows + (size_t)t * (size_t)c->state_dim;
        const double *recorded = history_state(h, place);
        for (int i = 0; i < h->cameras; i++) {
            s->slots[i * T + t] = history_slot(h, place, i);
            snapshot_take_frame(s, h, s->slots[i * T + t], i);
        }
        if (!c->state_dim) continue;
        if (c->arms)
            pose_row_to_policy(recorded, newest, c->arms, row);
        else
            memcpy(row, recorded, p->state_size * sizeof *row);
    }
    if (p->state_size) memcpy(s->base, newest, p->state_size * sizeof *newest);
    if (c->state_dim) normalizer_apply(&p->state_norm, p->rows, s->state, T);
    if (c->env_dim) normalizer_apply(&p->env_norm, p->env_row, s->env, 1);
}

Computing compute_begin(const tact_policy *p) {
    Computing before = {.threads = omp_get_max_threads()};
    signals_hold(&before.signals);
    omp_set_num_threads(p->device->threads);
    p->device->attach(p->device);
    act_use_slots(p->act, p->slots);
    return before;
}

void compute_end(const Computing *before) {
    omp_set_num_threads(before->threads);
    signals_release(&before->signals);
}

tact_status snapshot_predict(tact_policy *p, double *out, Error *err) {
    const PolicyConfig *c = p->config;
    const Snapshot *s = &p->snapshot;
    if (!memory_for_prediction(p, err)) return TACT_ERROR_MEMORY;
    for (int i = 0; i < s->n_frames; i++) {
        const struct SnapshotFrame *f = &s->frames[i];
        if (!act_encode_frame(p->act, f->camera, f->rgb, f->slot, err))
            return status_of(err, TACT_ERROR_DEVICE);
    }
    int given = 0;
    ActInput in = {.batch = 1,
                   .state = s->state,
                   .env = s->env,
                   .action = p->prefix.rows,
                   .action_prefix = prefix_rows(p, &given)};
    if (!act_predict_slots(p->act, &in, s->slots, p->predicted, err))
        return status_of(err, TACT_ERROR_DEVICE);
    p->first_made = true;
    for (int i = 0; i < c->chunk_size * c->action_dim; i++)
        if (!isfinite(p->predicted[i])) {
            (void)!fail(err, "the policy's output is not finite");
            return TACT_ERROR_PREDICTION;
        }
    actions_from_prediction(&p->action_norm, p->predicted, c->chunk_size, s->base, c->arms,
                            c->pipeline.relative, p->row, out);
    prefix_put_rows(p, out);
    actions_fill_in(out, c->chunk_size, c->action_down_sample_steps, (int)p->action_size, c->arms);
    prefix_put_steps(p, out);
    return actions_check(out, (size_t)policy_chunk_steps(c) * p->action_size, err);
}
