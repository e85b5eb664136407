// SPDX-License-Identifier: Apache-2.0
// How far a predicted action is from the recorded one, and statistics of many such numbers.
//
// A values of an action as recorded, D as the policy is trained on, M measures, S steps of a chunk.
#ifndef TACT_EVAL_ERRORS_H
#define TACT_EVAL_ERRORS_H

#include "base/error.h"
#include "base/memory.h"
#include "base/stats.h"
#include <stdint.h>

// ---- statistics ---------------------------------------------------------------------------------
typedef struct Summary {
    int64_t count; // values that went in; 0: everything else is NaN
    double mean, median, p95, p99, max;
} Summary;

// Summarizes the values that are not NaN. Moves those to the front of the array, in ascending
// order.
Summary summarize(double *values, int64_t n);

// ---- measures -----------------------------------------------------------------------------------
typedef enum MeasureKind {
    MEASURE_POSITION,   // distance, millimetres
    MEASURE_ROTATION,   // angle between two rotations, degrees
    MEASURE_GRIPPER,    // absolute difference, in the dataset's own unit
    MEASURE_VALUE,      // absolute difference of one value of a plain policy
    MEASURE_NORMALIZED, // mean absolute difference of the normalised row: what the L1 loss averages
} MeasureKind;

typedef struct Measure {
    MeasureKind kind;
    const char *name; // "position", "gripper of arm 2", or the value's name
    const char *unit; // "mm", "deg", or ""
    int at;           // first value of an action it looks at
} Measure;

typedef struct Measures {
    int count;
    Measure *of;  // (count); the normalised one is last
    int headline; // the one that windows and episodes are ordered by: the first position, else the
                  // last
} Measures;

// With arms 0 there is one measure for each value, named by names (A), which are borrowed. Strings
// are in the arena.
Measures measures_new(Arena *arena, int arms, int A, const char *const *names);
// Computes all measures but the normalised one, out (M - 1), of two actions (A).
void measures_compute(const Measures *m, const double *predicted, const double *recorded,
                      double *out);

// The angle in radians, 0 to pi, between two rotation vectors as rotations.
double rotation_between(const double a[3], const double b[3]);
// Writes rotation vector v as the same rotation's vector that is nearest to `reference`: v turned
// on by whole turns. Two vectors on either side of angle pi are far apart as numbers and near as
// rotations.
void rotation_nearest(const double v[3], const double reference[3], double out[3]);
// An action (A, of `arms` poses) with its rotation vectors as near as they can be to those of
// `reference`; arms 0: a copy.
void action_nearest(const double *action, const double *reference, int A, int arms, double *out);

#endif
