// SPDX-License-Identifier: Apache-2.0
#include "dataset/window.h"

#include "pose/pose.h"
#include <string.h>

static int row_dim(const Feature *f, const WindowSpec *w) {
    if (!f) return 0;
    return w->relative ? POSE_POLICY_ROW * w->arms : (int)f->size;
}

int window_state_dim(const Dataset *ds, const WindowSpec *w) {
    return row_dim(ds->state, w);
}

int window_action_dim(const Dataset *ds, const WindowSpec *w) {
    return row_dim(ds->action, w);
}

void window_rows(const Dataset *ds, const WindowSpec *w, int64_t row, int64_t *rows) {
    int64_t first = dataset_episode_of(ds, row)->first_row;
    for (int t = 0; t < w->horizon; t++) {
        int64_t r = row - (int64_t)(w->horizon - 1 - t) * w->down_sample;
        rows[t] = r < first ? first : r;
    }
}

static void row_to_doubles(const float *data, int64_t size, int64_t row, double *out) {
    for (int64_t i = 0; i < size; i++) out[i] = data[row * size + i];
}

// One recorded row in the policy's form.
static void row_to_policy_form(const WindowSpec *w, const double *base, const double *recorded,
                               int64_t size, double *out) {
    if (w->relative)
        pose_row_to_policy(recorded, base, w->arms, out);
    else
        memcpy(out, recorded, (size_t)size * sizeof *out);
}

void window_state(const Dataset *ds, const WindowSpec *w, int64_t row, double *state) {
    if (!state || !ds->state) return;
    double base[MAX_VECTOR], recorded[MAX_VECTOR];
    int64_t size = ds->state->size, dim = window_state_dim(ds, w);
    int64_t first = dataset_episode_of(ds, row)->first_row;
    row_to_doubles(ds->state_data, size, row, base);
    for (int t = 0; t < w->horizon; t++) {
        int64_t r = row - (int64_t)(w->horizon - 1 - t) * w->down_sample;
        row_to_doubles(ds->state_data, size, r < first ? first : r, recorded);
        row_to_policy_form(w, base, recorded, size, state + t * dim);
    }
}

int window_actions(const Dataset *ds, const WindowSpec *w, int64_t row) {
    const Episode *e = dataset_episode_of(ds, row);
    int64_t after = e->first_row + e->length - 1 - row;
    int64_t n = after / w->action_down_sample + 1;
    return n < w->chunk_size ? (int)n : w->chunk_size;
}

int window_past_actions(const Dataset *ds, const WindowSpec *w, int64_t row) {
    int64_t n = (row - dataset_episode_of(ds, row)->first_row) / w->action_down_sample;
    return n < w->past ? (int)n : w->past;
}

void window_action(const Dataset *ds, const WindowSpec *w, int64_t row, double *action,
                   uint8_t *is_pad) {
    double base[MAX_VECTOR], recorded[MAX_VECTOR];
    int64_t size = ds->action->size, dim = window_action_dim(ds, w), K = w->action_down_sample;
    int future = window_actions(ds, w, row), past = window_past_actions(ds, w, row);
    if (w->relative || w->minus_state) row_to_doubles(ds->state_data, ds->state->size, row, base);
    for (int i = 0; i < window_action_rows(w); i++) {
        // How many actions ahead, how many of these there are, and the one to take.
        bool ahead = i < w->chunk_size;
        int steps = ahead ? i : i - w->chunk_size + 1, most = ahead ? future - 1 : past;
        int64_t taken = (steps < most ? steps : most) * K, r = ahead ? row + taken : row - taken;
        if (is_pad) is_pad[i] = steps > most;
        if (!action) continue;
        row_to_doubles(ds->action_data, size, r, recorded);
        row_to_policy_form(w, base, recorded, size, action + i * dim);
        for (int64_t k = 0; w->minus_state && k < size; k++)
            if (w->minus_state[k]) action[i * dim + k] -= base[k];
    }
}
