// SPDX-License-Identifier: Apache-2.0
// Episodes of the scripted expert, run by several threads, handed out in the order of their seeds.
#ifndef TACT_ENV_ROLLS_H
#define TACT_ENV_ROLLS_H

#include "env/env.h"

// One episode. Row k is what was seen before step k and the action taken there.
typedef struct Roll {
    uint64_t seed;
    bool success;
    const char *outcome; // env_outcome
    int frames;
    float *state, *action; // (frames, ENV_DIM)
    uint8_t *rgb;          // (frames, n_cameras, height, width, 3), or NULL
} Roll;

void roll_free(Roll *roll); // what it holds

typedef struct Rolls Rolls;

typedef struct RollsOptions {
    const char *type;
    uint64_t seed;     // of the first episode; the next has seed + 1
    int height, width; // of the images
    int threads;       // at least 1
    bool images;       // whether they are wanted
    double shift[3];   // env_shift_start
} RollsOptions;

CHECKED bool rolls_open(const RollsOptions *options, Rolls **out, Error *err);
// Gives the next episode, which the caller frees with roll_free.
CHECKED bool rolls_next(Rolls *rolls, Roll *out, Error *err);
void rolls_close(Rolls *rolls); // NULL allowed; stops the threads

#endif
