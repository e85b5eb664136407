// SPDX-License-Identifier: Apache-2.0
// Private to check/: what the rules about pictures go by, gathered by decoding frames.
#ifndef TACT_CHECK_PICTURES_H
#define TACT_CHECK_PICTURES_H

#include "check/series.h"

// A frame's brightness over a coarse grid, 0 to 255.
enum { GRID_ROWS = 12, GRID_COLUMNS = 16, GRID = GRID_ROWS * GRID_COLUMNS };

// What the looked-at frames of a camera in an episode are like. Frames are numbers within the
// episode; brightness and differences are in levels of 255.
typedef struct View {
    int looked_at;              // frames; 0: none could be read
    float grid[GRID];           // mean over them
    double dark, bright;        // least mean brightness; largest share of pixels at the top
    int64_t dark_at, bright_at; // their frames
    double red, blue;           // mean over them
    double sharpness;           // middle over the frames of the mean difference of neighbours
    double dullest;             // least of that
    int64_t dullest_at;
    double change;                 // mean over pairs of frames that follow each other
    int64_t same_longest, same_at; // rows over which the picture stayed while the robot moved
    int64_t repeated, pairs;       // neighbouring rows with one picture while the robot moved
    double step;                   // largest change of mean brightness between neighbouring rows
    int64_t step_at;
    double cut; // largest mean difference of neighbouring rows, without what brightness alone makes
    int64_t cut_at;
} View;

// Rows that are looked at one after the other in some episodes, beside those of
// CHECK_DECODE_SAMPLE.
enum { MOTION_ROWS = 40 };

// How much changes from row to row.
typedef struct Motion {
    float *speed;    // (rows) of state, or action without one; 0 at the first row of an episode
    float *pictures; // (n_cameras, rows) of a camera's frames; NaN: not looked at
    int64_t *from;   // (n_episodes) frame from which on MOTION_ROWS are looked at; -1: none
} Motion;

// What the frames are measured for.
typedef struct Looking {
    // Check's state_moves: a robot that was told to move and does not sees the same picture.
    const bool *moves;
    View *views; // (n_episodes, n_cameras)
    Motion *motion;
} Looking;

// Fills views and motion->pictures from frames as CheckOptions.decode says, by several threads. A
// frame that cannot be read is a finding.
CHECKED bool views_gather(const Dataset *ds, const CheckOptions *options, const Looking *looking,
                          CheckReport *report, Error *err);

// Fills speed and from, and makes room for pictures; they are in c->arena.
void motion_prepare(Check *c, Motion *m);
// Looks for the lag between what cameras show and what state says.
void check_motion(Check *c, const Motion *m);

#endif
