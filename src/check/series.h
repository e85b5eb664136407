// SPDX-License-Identifier: Apache-2.0
// Private to check/: what the rules go by, gathered in one pass over the columns.
#ifndef TACT_CHECK_SERIES_H
#define TACT_CHECK_SERIES_H

#include "check/check.h"

// One value of a vector over the whole dataset.
typedef struct Dim {
    double min, max;          // of all rows
    double low, middle, high; // quantiles 0.01, 0.5, 0.99 of sampled rows
    double mean, std;         // of all rows
    double step;              // quantile 0.99 of |change from row to row|, of sampled rows
    double step_largest;      // of all rows
    double still;             // a smaller change from row to row is no movement
    int distinct;             // different values among the sampled rows, at most DISTINCT_MOST
    bool gripper;             // by its name
    char name[80];            // "action[2] gripper"
} Dim;

enum { DISTINCT_MOST = 16 };

// A vector: the state or the action.
typedef struct Vector {
    const Feature *feature; // NULL: the dataset has none
    const float *data;      // (rows, n)
    int n;
    Dim *dims; // (n)
} Vector;

typedef struct Check {
    const Dataset *ds;
    const CheckOptions *options;
    CheckReport *report;
    Vector state, action;
    bool *moves; // (rows) whether a value of state or action moves from the row before to this one
    bool *state_moves; // (rows) the same of the state alone; moves where there is none
    int arms;          // of relative poses, 0: none
    Arena arena;       // owns the arrays above
} Check;

// Fills state, action, moves and state_moves.
void series_gather(Check *c);

// The value of a vector at a row.
static inline double value_at(const Vector *v, int64_t row, int d) {
    return (double)v->data[row * v->n + d];
}

// A new finding at the report's end; episode as in CheckFinding.
CheckFinding *report_add(CheckReport *r, CheckRuleId rule, int64_t episode);
// Adds a finding; `text` and what follows as printf. Only numbers that are there are given: NaN
// for measured, -1 for episode (a position in ds->episodes, not its index) and frame.
void find(Check *c, CheckRuleId rule, int64_t episode, int64_t frame, const char *where,
          double measured, const char *text, ...) __attribute__((format(printf, 7, 8)));

// Middle of n values; 0 for none. Sorts them.
double middle_of(double *values, int64_t n);

// Rows of an episode in which nothing moves: at its begin (all of them where nothing ever does), at
// its end, and the most between, with the first of them.
typedef struct Stillness {
    int64_t head, tail, longest, longest_at;
} Stillness;
Stillness stillness_of(const Check *c, const Episode *episode);

// The groups of rules.
void check_time(Check *c);
void check_values(Check *c);
void check_episodes(Check *c);
void check_structure(Check *c);
void check_policy(Check *c);
CHECKED bool check_pictures(Check *c, Error *err);

#endif
