// SPDX-License-Identifier: Apache-2.0
#include "runtime/blend.h"

#include "pose/pose.h"
#include "runtime/actions.h"
#include <string.h>

double blend_share(int i, int steps) {
    double u = (i + 1.0) / (steps + 1.0);
    return u * u * (3 - 2 * u); // level at both ends: the speed is no jump either
}

// The old chunk's i-th action from the one that would be due, into out.
static void action_played(const Played *old, int i, int width, int arms, double *out) {
    const size_t A = (size_t)width;
    if (i < old->n_rest) {
        memcpy(out, old->rest + (size_t)i * A, A * sizeof *out);
        return;
    }
    const int n = old->n_rest;
    const double *end = n > 0 ? old->rest + (size_t)(n - 1) * A : old->last;
    const double *before = n > 1 ? end - A : n == 1 ? old->last : old->before;
    if (!before) before = end;
    actions_between(before, end, 2 + i - n, width, arms, out);
    for (int k = 0; k < arms; k++) out[POSE_ROW * k + 6] = end[POSE_ROW * k + 6];
}

void blend_chunks(const Played *old, double *rows, int n, int steps, int width, int arms,
                  double *scratch) {
    double *played = scratch, *blended = scratch + width;
    if (steps > n) steps = n;
    for (int i = 0; i < steps; i++) {
        double *row = rows + (size_t)i * (size_t)width;
        action_played(old, i, width, arms, played);
        actions_between(played, row, blend_share(i, steps), width, arms, blended);
        memcpy(row, blended, (size_t)width * sizeof *row);
        actions_continue(row, i ? row - width : old->last, arms);
    }
    if (n > steps) {
        double *row = rows + (size_t)steps * (size_t)width;
        actions_continue(row, steps ? row - width : old->last, arms);
    }
}
