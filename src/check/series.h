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

// One value of a vector in one episode.
typedef struct DimOfEpisode {
    double min, max, mean, std;
    double bend; // mean |change of the change from row to row|, each counted as `step` at most
} DimOfEpisode;

// A vector: the state or the action.
typedef struct Vector {
    const Feature *feature; // NULL: the dataset has none
    const float *data;      // (rows, n)
    int n;
    Dim *dims;              // (n)
    DimOfEpisode *episodes; // (n_episodes, n)
} Vector;

// The table of tasks.
typedef struct Tasks {
    int64_t rows;       // 0: there is none
    const char *place;  // "meta/tasks.parquet"
    const char **texts; // (rows) that of task_index, NULL: of no row
    bool ordered;       // row k is of task_index k
} Tasks;

typedef struct Check {
    const Dataset *ds;
    const CheckOptions *options;
    CheckReport *report;
    Vector state, action;
    bool *moves; // (rows) whether a value of state or action moves from the row before to this one
    bool *state_moves; // (rows) the same of the state alone; moves where there is none
    int arms;          // of relative poses, 0: none
    Tasks tasks;       // with CheckOptions.files
    Arena arena;       // owns the arrays above
} Check;

// Fills state, action, moves and state_moves, with the rows as they are recorded.
void series_gather(Check *c);
// The same with rotation vectors of c->arms arms that go on where the recorded ones pass half a
// turn: there a vector becomes its negative, nearly, and is the same rotation. False, and nothing
// is filled, where none does. c->arena holds the rows.
bool series_continue(Check *c);

// The value of a vector at a row.
static inline double value_at(const Vector *v, int64_t row, int d) {
    return (double)v->data[row * v->n + d];
}

// What is known of value d in an episode (its position).
static inline const DimOfEpisode *dim_of(const Vector *v, int64_t episode, int d) {
    return &v->episodes[episode * v->n + d];
}

// How far it moves there.
static inline double range_in(const Vector *v, int64_t episode, int d) {
    return dim_of(v, episode, d)->max - dim_of(v, episode, d)->min;
}

// What is usual needs some episodes to be seen.
enum { FEWEST_EPISODES = 5 };

// A new finding at the report's end; episode as in CheckFinding.
CheckFinding *report_add(CheckReport *r, CheckRuleId rule, int64_t episode);
// Adds a finding; `text` and what follows as printf. Only numbers that are there are given: NaN
// for measured, -1 for episode (a position in ds->episodes, not its index) and frame.
void find(Check *c, CheckRuleId rule, int64_t episode, int64_t frame, const char *where,
          double measured, const char *text, ...) __attribute__((format(printf, 7, 8)));

// Adds a finding for each episode whose measure (n_episodes; NaN: none) is above the rule's limit;
// where these are more than half of several episodes, one for the whole dataset. The text is
// `before`, the measure, `after`.
void find_episodes(Check *c, CheckRuleId rule, const char *where, const double *measured,
                   const char *before, const char *after);

// Middle of n values; 0 for none. Sorts them.
double middle_of(double *values, int64_t n);

// Rows of an episode in which nothing moves: at its begin (all of them where nothing ever does), at
// its end, and the most between, with the first of them.
typedef struct Stillness {
    int64_t head, tail, longest, longest_at;
} Stillness;
Stillness stillness_of(const Check *c, const Episode *episode);

// Where n products of two sequences, moved against each other, are largest, between two of them by
// a parabola. False where that is less than `least` of `norm`, or at an end.
bool best_lag(const double *common, int n, double norm, double least, double *at);

// Runs work(user, i) for i from 0 to n - 1 by several threads, in any order.
void share_out(int threads, int64_t n, void (*work)(void *user, int64_t i), void *user);

// Says which files below a dataset's folder explain that it, or some of it, was refused: pointers
// of Git LFS, downloads that broke off.
void files_explain_refusal(const DatasetOptions *options, CheckReport *report);

// Whether state and action of two episodes are the same to the last bit.
bool same_rows(const Check *c, const Episode *a, const Episode *b);

// The groups of rules.
void check_files(Check *c);
void tasks_gather(Check *c); // fills tasks
void check_info(Check *c);
void check_tables(Check *c);
void check_statistics(Check *c);
void check_videos(Check *c);
void check_structure(Check *c);
void check_time(Check *c);
void check_lag(Check *c);
void check_values(Check *c);
void check_rotations(Check *c);
void check_episodes(Check *c);
void check_grippers(Check *c);
void check_movement(Check *c);
void check_twins(Check *c);
void check_policy(Check *c);
void check_starts(Check *c);
void check_split(Check *c);
CHECKED bool check_pictures(Check *c, Error *err);

#endif
