// SPDX-License-Identifier: Apache-2.0
// Private to eval/: what a run gathers from its predictions, and the result that comes of it.
#ifndef TACT_EVAL_ACCUMULATE_H
#define TACT_EVAL_ACCUMULATE_H

#include "eval/open_loop.h"
#include "normalize/normalize.h"

typedef struct Accumulator {
    EvalResult *result;
    const Normalizer *action_norm;
    int64_t room;           // windows there will be, W
    float *error, *stay;    // (M, S, W); NaN beyond an episode's end
    int64_t steps;          // that counted, of all windows
    double *latencies;      // (W)
    double *sum, *stay_sum; // (M) of the running episode
    int64_t episode_steps;
    EvalWindow window; // being looked at; its memory goes into result.worst and comes back
    EvalCurves curves; // of the running episode, likewise
    // Scratch.
    double *recorded, *held, *nearest, *base; // (A)
    double *one, *other;                      // (M)
    double *row, *other_row;                  // (D)
    float *seen, *wanted;                     // (D) normalised
} Accumulator;

// Of r, dataset, S, A, arms, stride and measures are set already. names (A) are borrowed. Error: no
// memory for the errors.
CHECKED bool accumulator_init(Accumulator *a, EvalResult *r, const char *const *names,
                              const Normalizer *action_norm, Error *err);
void accumulator_free(Accumulator *a); // a zeroed struct is allowed
// Adds a prediction (S, A), made at a frame of an episode (its position in the dataset), and the
// milliseconds that it took.
void accumulator_add(Accumulator *a, int64_t episode, int64_t frame, const double *predicted,
                     double milliseconds);
void accumulator_end_episode(Accumulator *a, int64_t episode);
// Computes the statistics of result.
void accumulator_finish(Accumulator *a);

// ---- accumulate_kept.c: the predictions that are kept whole -------------------------------------
// Room for the window and the curves that are being looked at.
void kept_init(Accumulator *a);
// Keeps a->window among the worst of the result if it is one of them; a->window then has the memory
// of a window that is kept no longer.
void kept_add_window(Accumulator *a);
// Adds a prediction (S, A) to the curves of the running episode if it is one of those that will be
// drawn.
void kept_add_chunk(Accumulator *a, const EvalEpisode *e, int64_t frame, const double *predicted);
// Keeps the running episode's curves if its mean error is among the worst.
void kept_end_episode(Accumulator *a, int64_t episode);

// How many predictions there are in `frames` frames, with one every `stride` frames.
static inline int64_t eval_windows_of(int64_t frames, int64_t stride) {
    return (frames + stride - 1) / stride;
}

static inline double *eval_doubles(Arena *arena, int64_t n) {
    return arena_alloc(arena, sizeof(double) * (size_t)n);
}

#endif
