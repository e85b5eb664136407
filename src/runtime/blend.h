// SPDX-License-Identifier: Apache-2.0
// Smooth borders between chunks: how what was played goes over into a new chunk.
//
// A values of an action.
#ifndef TACT_RUNTIME_BLEND_H
#define TACT_RUNTIME_BLEND_H

// What would have been given out had no new chunk come.
typedef struct Played {
    const double *rest;          // (n_rest, A) actions of the chunk not given out, the next first
    int n_rest;                  // 0: all were
    const double *last, *before; // (A) given out last, and before that; before may be NULL
} Played;

// Blends `rows` (n, A), a new chunk from the action that is due on, over its first `steps` actions
// with what was played: the i-th (from 0) becomes the share blend_share(i, steps) of the way from
// the action that would have been played to the new one, positions and numbers on a straight line,
// rotations by the shorter turn. Beyond its end the old chunk's last step is repeated, the grippers
// of poses stay where they were. arms 0: actions are numbers, else poses (7 an arm). scratch (2,
// A).
void blend_chunks(const Played *old, double *rows, int n, int steps, int width, int arms,
                  double *scratch);
// The weight of the new chunk in the i-th of `steps` actions.
double blend_share(int i, int steps);

#endif
