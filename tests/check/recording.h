// SPDX-License-Identifier: Apache-2.0
// A recording in memory as it should be, into which tests put faults.
#ifndef TACT_TESTS_CHECK_RECORDING_H
#define TACT_TESTS_CHECK_RECORDING_H

#include "check/check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "../ok.h"

enum { EPISODES = 12, LENGTH = 150, DIM = 7, ROWS = EPISODES * LENGTH };
enum { X, Y, Z, RX, RY, RZ, GRIPPER };
static const double FPS = 30;
// Where the faults are.
enum { AT = 5, FRAME = 70 };

typedef struct Recording {
    Dataset ds;
    Feature state, action;
    Episode episodes[EPISODES];
    float states[ROWS][DIM], actions[ROWS][DIM];
    double timestamps[ROWS];
    const char *names[DIM];
    WindowSpec window;
    double eval_split;
} Recording;

// A movement from 0 to 1 that starts and ends slowly, between two shares of an episode.
static inline double reach(double t, double from, double to) {
    double u = (t - from) / (to - from);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * u * (10 + u * (6 * u - 15));
}

// A number from -1 to 1 that only its arguments decide.
static inline double chance(int a, int b) {
    uint32_t x = (uint32_t)(a * 7919 + b * 104729 + 12345);
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    return x / 2147483648.0 - 1;
}

// What the arm is told to do: reach for something, close the gripper there, and lift it.
static inline void command(int e, int i, double out[DIM]) {
    double t = (i + 0.5) / LENGTH, go = reach(t, 0.02, 0.5), lift = reach(t, 0.6, 0.97);
    for (int d = X; d <= RZ; d++) {
        double start = 0.1 * d + 0.02 * chance(e, d), goal = start + 0.3 + 0.1 * chance(e, d + 20);
        out[d] = start + go * (goal - start) + lift * 0.2;
    }
    out[GRIPPER] = 0.08 - 0.06 * reach(t, 0.5, 0.62);
}

static inline int new_recording(void **state) {
    static const char *const names[DIM] = {"x", "y", "z", "rx", "ry", "rz", "gripper"};
    Recording *r = NEW(Recording, 1);
    memcpy(r->names, names, sizeof names);
    r->state = (Feature){.name = "observation.state",
                         .size = DIM,
                         .names = r->names,
                         .n_names = DIM,
                         .kind = FEATURE_STATE};
    r->action = (Feature){
        .name = "action", .size = DIM, .names = r->names, .n_names = DIM, .kind = FEATURE_ACTION};
    r->ds = (Dataset){.root = "memory",
                      .repo_id = "memory",
                      .version = "v3.0",
                      .fps = FPS,
                      .total_episodes = EPISODES,
                      .total_frames = ROWS,
                      .state = &r->state,
                      .action = &r->action,
                      .n_episodes = EPISODES,
                      .episodes = r->episodes,
                      .rows = ROWS,
                      .state_data = r->states[0],
                      .action_data = r->actions[0],
                      .timestamp = r->timestamps};
    r->window =
        (WindowSpec){.horizon = 2, .down_sample = 1, .chunk_size = 20, .action_down_sample = 1};
    for (int e = 0; e < EPISODES; e++) {
        r->episodes[e] =
            (Episode){.index = e, .first_row = e * LENGTH, .length = LENGTH, .task = "pick"};
        for (int i = 0; i < LENGTH; i++) {
            double now[DIM], before[DIM];
            int row = e * LENGTH + i;
            command(e, i, now);
            command(e, i < 2 ? 0 : i - 2, before); // the arm follows after two steps
            for (int d = 0; d < DIM; d++) {
                r->actions[row][d] = (float)now[d];
                r->states[row][d] = (float)(before[d] + 1e-5 * chance(row, d));
            }
            r->timestamps[row] = i / FPS;
        }
    }
    *state = r;
    return 0;
}

static inline int free_recording(void **state) {
    Recording *r = *state;
    json_decref(r->ds.stats);
    mem_free(r);
    return 0;
}

static inline void run(Recording *r, CheckReport *report) {
    Error err;
    const CheckOptions options = {.window = &r->window, .eval_split = r->eval_split};
    *report = (CheckReport){0};
    OK(check_run(&r->ds, &options, report, &err));
}

static inline const CheckFinding *find_rule(const CheckReport *report, CheckRuleId rule) {
    for (int64_t i = 0; i < report->count; i++)
        if (report->findings[i].rule == rule) return &report->findings[i];
    return NULL;
}

static inline int64_t row_of(int e, int i) {
    return (int64_t)e * LENGTH + i;
}

#endif
