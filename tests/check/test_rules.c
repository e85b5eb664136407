// SPDX-License-Identifier: Apache-2.0
// Every rule of `tact check` over a dataset in memory: recordings as they should be give no
// finding; each fault, put into them by a few lines, is found where it is, and a little less of it
// is not.
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
} Recording;

// A movement from 0 to 1 that starts and ends slowly, between two shares of an episode.
static double reach(double t, double from, double to) {
    double u = (t - from) / (to - from);
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * u * (10 + u * (6 * u - 15));
}

// A number from -1 to 1 that only its arguments decide.
static double chance(int a, int b) {
    uint32_t x = (uint32_t)(a * 7919 + b * 104729 + 12345);
    x ^= x << 13, x ^= x >> 17, x ^= x << 5;
    return x / 2147483648.0 - 1;
}

// What the arm is told to do: reach for something, close the gripper there, and lift it.
static void command(int e, int i, double out[DIM]) {
    double t = (i + 0.5) / LENGTH, go = reach(t, 0.02, 0.5), lift = reach(t, 0.6, 0.97);
    for (int d = X; d <= RZ; d++) {
        double start = 0.1 * d + 0.02 * chance(e, d), goal = start + 0.3 + 0.1 * chance(e, d + 20);
        out[d] = start + go * (goal - start) + lift * 0.2;
    }
    out[GRIPPER] = 0.08 - 0.06 * reach(t, 0.5, 0.62);
}

static int new_recording(void **state) {
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

static int free_recording(void **state) {
    Recording *r = *state;
    json_decref(r->ds.stats);
    mem_free(r);
    return 0;
}

static void run(Recording *r, CheckReport *report) {
    Error err;
    const CheckOptions options = {.window = &r->window};
    *report = (CheckReport){0};
    OK(check_run(&r->ds, &options, report, &err));
}

static const CheckFinding *find_rule(const CheckReport *report, CheckRuleId rule) {
    for (int64_t i = 0; i < report->count; i++)
        if (report->findings[i].rule == rule) return &report->findings[i];
    return NULL;
}

static int64_t row_of(int e, int i) {
    return (int64_t)e * LENGTH + i;
}

// ---- the faults: `much` 1 is beyond the limit, 0 a little within
// ---------------------------------

static void cut_gap(Recording *r, int much) {
    double gap = (much ? 0.6 : 0.4) / FPS;
    for (int i = FRAME; i < LENGTH; i++) r->timestamps[row_of(AT, i)] += gap;
}
static void repeat_time(Recording *r, int much) {
    double back = (much ? 0.6 : 0.4) / FPS;
    for (int i = FRAME; i < LENGTH; i++) r->timestamps[row_of(AT, i)] -= back;
}
static void leave_grid(Recording *r, int much) {
    r->timestamps[row_of(AT, FRAME)] += much ? 2e-4 : 5e-5;
}
// Moves the states of an episode, or of all, by so many rows in time.
static void delay_states(Recording *r, int from, int to, int rows) {
    for (int e = from; e < to; e++) {
        float old[LENGTH][DIM];
        memcpy(old, r->states[row_of(e, 0)], sizeof old);
        for (int i = 0; i < LENGTH; i++) {
            int at = i - rows < 0 ? 0 : i - rows >= LENGTH ? LENGTH - 1 : i - rows;
            memcpy(r->states[row_of(e, i)], old[at], sizeof old[at]);
        }
    }
}
static void lag_behind(Recording *r, int much) {
    delay_states(r, 0, EPISODES, much ? 12 : 8); // 14 and 10 steps, where 12 are 0.4 s
}
static void lag_before(Recording *r, int much) {
    delay_states(r, 0, EPISODES, much ? -4 : -2);
}
static void lag_in_one(Recording *r, int much) {
    delay_states(r, AT, AT + 1, much ? 5 : 2);
}
static void hold_still(Recording *r, int much) {
    for (int64_t row = 0; row < ROWS; row++)
        r->states[row][RY] = r->actions[row][RY] = much ? 1 : 1 + 1e-3F * (float)(row % 7);
}
static void jump(Recording *r, int much) {
    // The fastest usual change is about 0.008; less than a percent of the range counts as that.
    r->states[row_of(AT, FRAME)][Y] += much ? 0.2F : 0.05F;
}
static void saturate(Recording *r, int much) {
    float top = much ? 0.25F : 0.45F;
    for (int64_t row = 0; row < ROWS; row++)
        if (r->actions[row][X] > top) r->actions[row][X] = top;
}
static void stand(Recording *r, int e, int from, int to) {
    for (int i = from; i < to; i++) {
        int keep = from > 0 ? from : to - 1;
        memcpy(r->states[row_of(e, i)], r->states[row_of(e, keep)], sizeof r->states[0]);
        memcpy(r->actions[row_of(e, i)], r->actions[row_of(e, keep)], sizeof r->actions[0]);
    }
}
static void wait_first(Recording *r, int much) {
    stand(r, AT, 0, much ? 66 : 50);
}
static void wait_last(Recording *r, int much) {
    stand(r, AT, LENGTH - (much ? 96 : 80), LENGTH);
}
static void hesitate(Recording *r, int much) {
    stand(r, AT, 20, 20 + (much ? 126 : 110));
}
static void cut_short(Recording *r, int much) {
    r->episodes[AT].length = much ? 48 : 52;
}
static void start_elsewhere(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++) {
        r->states[row_of(AT, i)][Z] += much ? 0.4F : 0.05F;
        r->actions[row_of(AT, i)][Z] += much ? 0.4F : 0.05F;
    }
}
static void end_elsewhere(Recording *r, int much) {
    for (int i = 75; i < LENGTH; i++) {
        float off = (float)((much ? 1.2 : 0.2) * reach(i, 75, LENGTH - 2));
        r->states[row_of(AT, i)][Z] -= off;
        r->actions[row_of(AT, i)][Z] -= off;
    }
}
static void copy_state(Recording *r, int much) {
    for (int64_t row = 0; row < ROWS; row++)
        if (much || row % 10) memcpy(r->actions[row], r->states[row], sizeof r->states[0]);
}
static void offset_at_rest(Recording *r, int much) {
    for (int e = 0; e < EPISODES; e++) stand(r, e, LENGTH - 14, LENGTH);
    for (int64_t row = 0; row < ROWS; row++) r->actions[row][X] += much ? 0.06F : 0.02F;
}
static void millimetres(Recording *r, int much) {
    for (int64_t row = 0; row < ROWS; row++)
        for (int d = X; d <= Z; d++) {
            r->states[row][d] *= much ? 1000 : 5;
            r->actions[row][d] *= much ? 1000 : 5;
        }
}
static void degrees(Recording *r, int much) {
    for (int64_t row = 0; row < ROWS; row++)
        for (int d = RX; d <= RZ; d++) r->states[row][d] *= much ? 57.3F : 3;
}
static void flip(Recording *r, int much) {
    for (int i = FRAME; i < LENGTH; i++) {
        float *s = r->states[row_of(AT, i)];
        s[RX] = (much ? -3.1F : 3.1F), s[RY] = s[RZ] = 0;
    }
    for (int i = 0; i < FRAME; i++) {
        float *s = r->states[row_of(AT, i)];
        s[RX] = 3.1F, s[RY] = s[RZ] = 0;
    }
}
static void leave_gripper(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++) {
        float *s = &r->states[row_of(AT, i)][GRIPPER];
        *s = 0.08F + (*s - 0.08F) * (much ? 0.2F : 0.4F);
    }
}
static void stale_statistics(Recording *r, int much) {
    double means[DIM], stds[DIM];
    json_t *mean = json_array(), *std = json_array();
    for (int d = 0; d < DIM; d++) {
        double sum = 0, squares = 0;
        for (int64_t row = 0; row < ROWS; row++) sum += (double)r->states[row][d];
        means[d] = sum / ROWS;
        for (int64_t row = 0; row < ROWS; row++)
            squares += pow((double)r->states[row][d] - means[d], 2);
        stds[d] = sqrt(squares / ROWS);
        json_array_append_new(mean, json_real(means[d] + (d == Z) * (much ? 0.2 : 0.05) * stds[d]));
        json_array_append_new(std, json_real(stds[d]));
    }
    r->ds.stats = json_pack("{s:{s:o, s:o}}", "observation.state", "mean", mean, "std", std);
}
static void forget_task(Recording *r, int much) {
    r->episodes[AT].task = much ? "" : "pick up";
}
static void long_chunks(Recording *r, int much) {
    r->window.chunk_size = much ? LENGTH + 1 : LENGTH;
}
static void padded(Recording *r, int much) {
    r->window.chunk_size = much ? 120 : 90;
}
static void few(Recording *r, int much) {
    r->ds.n_episodes = 2;
    r->ds.rows = 2 * LENGTH;
    r->window.chunk_size = much ? 16 : 14;
}
static void far(Recording *r, int much) {
    r->states[row_of(AT, FRAME)][RX] = much ? 50 : 3;
}

static const struct Case {
    CheckRuleId rule;
    void (*fault)(Recording *r, int much);
    int episode, frame; // where it is to be found; -1: of the whole dataset, or anywhere
} cases[] = {
    {RULE_stats_stale, stale_statistics, -1, -1},
    {RULE_task_empty, forget_task, AT, -1},
    {RULE_timestamp_gap, cut_gap, AT, FRAME},
    {RULE_timestamp_repeat, repeat_time, AT, FRAME},
    {RULE_timestamp_grid, leave_grid, AT, FRAME},
    {RULE_action_lag, lag_behind, -1, -1},
    {RULE_action_behind, lag_before, -1, -1},
    {RULE_episode_lag, lag_in_one, AT, -1},
    {RULE_dim_constant, hold_still, -1, -1},
    {RULE_value_jump, jump, AT, -1},
    {RULE_saturated, saturate, -1, -1},
    {RULE_idle_head, wait_first, AT, 0},
    {RULE_idle_tail, wait_last, AT, -1},
    {RULE_hesitation, hesitate, AT, -1},
    {RULE_length_outlier, cut_short, AT, -1},
    {RULE_start_outlier, start_elsewhere, AT, 0},
    {RULE_end_outlier, end_elsewhere, AT, LENGTH - 1},
    {RULE_action_is_state, copy_state, -1, -1},
    {RULE_rest_offset, offset_at_rest, -1, -1},
    {RULE_unit_position, millimetres, -1, -1},
    {RULE_unit_rotation, degrees, -1, -1},
    {RULE_rotation_flip, flip, AT, FRAME},
    {RULE_gripper_range, leave_gripper, AT, -1},
    {RULE_episode_short, long_chunks, 0, -1},
    {RULE_padding, padded, -1, -1},
    {RULE_few_windows, few, -1, -1},
    {RULE_far_outlier, far, -1, -1},
};

// ---- tests --------------------------------------------------------------------------------------

static void a_clean_recording_has_no_finding(void **state) {
    CheckReport report;
    run(*state, &report);
    for (int64_t i = 0; i < report.count; i++)
        print_error("%s: episode %lld, %s: %s\n", check_rules[report.findings[i].rule].name,
                    (long long)report.findings[i].episode, report.findings[i].where,
                    report.findings[i].text);
    assert_int_equal(report.count, 0);
    assert_int_equal(report.worst, CHECK_NOTE);
    assert_int_equal(report.episodes, EPISODES);
    check_report_free(&report);
}

static void each_fault_is_found_and_a_lesser_one_is_not(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct Case *c = &cases[i];
        const char *name = check_rules[c->rule].name;
        for (int much = 0; much < 2; much++) {
            CheckReport report;
            void *r;
            new_recording(&r);
            c->fault(r, much);
            run(r, &report);
            const CheckFinding *f = find_rule(&report, c->rule);
            if (!!f != much) fail_msg("%s: %s", name, f ? "found where it is not" : "not found");
            if (f && f->episode != c->episode)
                fail_msg("%s: in episode %lld", name, (long long)f->episode);
            if (f && c->frame >= 0 && f->frame != c->frame)
                fail_msg("%s: at frame %lld", name, (long long)f->frame);
            if (f && !(fabs(f->measured) >= 0)) fail_msg("%s: measured NaN", name);
            if (f) assert_true(report.worst >= check_rules[c->rule].severity);
            check_report_free(&report);
            free_recording(&r);
        }
    }
}

// But those that no dataset in memory can break: files that do not open, policies that do not fit,
// pictures.
static void every_rule_has_a_case(void **state) {
    (void)state;
    for (int rule = 0; rule < CHECK_RULES; rule++) {
        bool found = rule == RULE_unreadable || rule == RULE_no_policy ||
                     strcmp(check_rules[rule].group, "pictures") == 0;
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
            found = found || (int)cases[i].rule == rule;
        if (!found) fail_msg("%s has no case here", check_rules[rule].name);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_clean_recording_has_no_finding, new_recording,
                                        free_recording),
        cmocka_unit_test(each_fault_is_found_and_a_lesser_one_is_not),
        cmocka_unit_test(every_rule_has_a_case),
    };
    return cmocka_run_group_tests_name("check rules", tests, NULL, NULL);
}
