// SPDX-License-Identifier: Apache-2.0
// What a policy sees at one frame: T observations, H actions, in the form it is trained on.
#ifndef TACT_DATASET_WINDOW_H
#define TACT_DATASET_WINDOW_H

#include "base/stats.h"
#include "dataset/dataset.h"

typedef struct WindowSpec {
    int horizon;     // T, obs_state_horizon
    int down_sample; // s, obs_down_sample_steps: frames between two observations; 0: all the newest
    int chunk_size;  // H
    int action_down_sample; // K, action_down_sample_steps: frames from one action to the next
    int past;      // N, n_past_actions: actions before those of the chunk, as far apart; 0: none
    bool relative; // poses relative to the newest observation's (pose_repr=relative)
    int arms;      // k when relative: state and action have 7k values
    // (action's size) Actions that become differences to the newest state, LeRobot's
    // relative_actions_processor; NULL: none. Not together with relative.
    const bool *minus_state;
} WindowSpec;

// H + N: the actions of a window.
static inline int window_action_rows(const WindowSpec *w) {
    return w->chunk_size + w->past;
}

// Width of a state/action row after the transform: 10k when relative, else as recorded.
int window_state_dim(const Dataset *ds, const WindowSpec *w); // 0 without a state
int window_action_dim(const Dataset *ds, const WindowSpec *w);

// rows (T): the frames seen at `row`, oldest first: row - (T-1)s ... row - s, row, each clamped to
// the first row of its own episode.
void window_rows(const Dataset *ds, const WindowSpec *w, int64_t row, int64_t *rows);

// The samples of one frame, before normalisation. state (T, state_dim), action (H + N, action_dim),
// is_pad (H + N), each may be NULL. The first H actions are those of row, row+K, row+2K, ...; where
// the episode has ended the last of these that it has is repeated, and is_pad is 1. Behind them
// stand the N past ones, newest first: row-K, row-2K, ...; before the episode's start the first of
// these that it has, or that of `row`, is repeated as padding. Padded actions are transformed like
// the others.
// window_actions says how many of the H are not padded, at least 1; window_past_actions how many of
// the N.
int window_actions(const Dataset *ds, const WindowSpec *w, int64_t row);
int window_past_actions(const Dataset *ds, const WindowSpec *w, int64_t row);
void window_state(const Dataset *ds, const WindowSpec *w, int64_t row, double *state);
void window_action(const Dataset *ds, const WindowSpec *w, int64_t row, double *action,
                   uint8_t *is_pad);

// ---- statistics -------------------------------------------------------------------------------
// Statistics of what training sees: from the windows at `samples` random rows (seeded, without
// replacement; 0 = all; more than there are = all) out of `rows` (n_rows of them; NULL = all rows
// of the dataset), all T states, all unpadded actions of the chunk: past ones do not count, so that
// a chunk is normalised alike whatever N is. No image is decoded. For relative rows the six
// rotation values get min -1, max 1, mean 0, std 1. Either output may be NULL.
CHECKED bool window_stats(const Dataset *ds, const WindowSpec *w, const int64_t *rows,
                          int64_t n_rows, int64_t samples, uint64_t seed, Stats *state,
                          Stats *action, Error *err);
// A column's own statistics, which are LeRobot's: those of meta/stats.json, and so of all episodes
// whichever are selected. Where it has none that can be used (missing, another length, not finite),
// they are computed over the rows that are loaded, and *computed is true. f: state, env or action
// of the dataset, data its column.
void dataset_stats(const Dataset *ds, const Feature *f, const float *data, Stats *out,
                   bool *computed);

#endif
