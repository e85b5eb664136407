// SPDX-License-Identifier: Apache-2.0
// Every rule of `tact check` over a dataset in memory: recordings as they should be give no
// finding; each fault, put into them by a few lines, is found where it is, and a little less of it
// is not.
#include "recording.h"

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
static void start_later(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++) r->timestamps[row_of(AT, i)] += (much ? 0.6 : 0.4) / FPS;
}
static void run_slow(Recording *r, int much) {
    for (int64_t row = 0; row < ROWS; row++) r->timestamps[row] *= much ? 1.006 : 1.004;
}
static void jitter(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++)
        r->timestamps[row_of(AT, i)] += (i % 2) * (much ? 0.11 : 0.09) / FPS;
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
static void turn_gripper(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++) {
        float *s = &r->states[row_of(AT, i)][GRIPPER];
        *s = much || i < 80 ? 0.1F - *s : 0.1F - (*s + 0.06F * (float)(i % 2));
    }
}
// Quaternions in the place of rotation and gripper, a little too long where it is less.
static void quaternions(Recording *r, int much) {
    for (int64_t row = 0; row < ROWS; row++) {
        float *s = r->states[row], size = 0;
        for (int d = RX; d <= GRIPPER; d++) size += s[d] * s[d];
        size = sqrtf(size) * (much || row % 8 ? 1.0F : 1.01F);
        for (int d = RX; d <= GRIPPER; d++) s[d] /= size;
    }
}
// A yaw that passes half a turn; with less, the whole vector turns over, as it should.
static void euler(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++) {
        float *s = r->states[row_of(AT, i)], yaw = 2.4F + 0.01F * (float)i, pitch = 1.0F;
        float length = sqrtf(yaw * yaw + pitch * pitch);
        bool beyond = i >= FRAME;
        s[RX] = 0;
        s[RY] = !much && beyond ? pitch * (1 - 6.2831853F / length) : pitch;
        s[RZ] = !beyond ? yaw : much ? yaw - 6.2831853F : yaw * (1 - 6.2831853F / length);
    }
}
// Keeps a share of how a value moves in an episode.
static void calm(float values[][DIM], int d, float share) {
    for (int i = LENGTH - 1; i >= 0; i--) {
        float *now = &values[row_of(AT, i)][d];
        *now = values[row_of(AT, 0)][d] + share * (*now - values[row_of(AT, 0)][d]);
    }
}
static void stick_state(Recording *r, int much) {
    calm(r->states, RY, much ? 0.005F : 0.05F);
}
static void stick_action(Recording *r, int much) {
    calm(r->actions, RY, much ? 0.005F : 0.05F);
}
static void shake(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++)
        r->states[row_of(AT, i)][Y] += (i % 2 ? 1 : -1) * (much ? 6e-4F : 2.5e-4F);
}
static void chatter(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++) {
        bool there = i >= 40 && i < 40 + 6 * (much ? 5 : 3); // the usual is one, so beyond 9
        r->actions[row_of(AT, i)][GRIPPER] = there && i / 3 % 2 ? 0.02F : i < 90 ? 0.08F : 0.02F;
    }
}
static void calibrate_otherwise(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++) r->states[row_of(AT, i)][Y] += much ? 0.05F : 0.02F;
}
static void other_units(Recording *r, int much) {
    for (int i = 0; i < LENGTH; i++)
        for (int d = X; d <= RZ; d++) r->states[row_of(AT, i)][d] *= much ? 57.3F : 6;
}
static void move_setup(Recording *r, int much) {
    for (int e = AT; e < EPISODES; e++)
        for (int i = 0; i < LENGTH; i++) r->states[row_of(e, i)][Z] += much ? 0.3F : 0.08F;
}
static void repeat_one(Recording *r, int much) {
    for (int64_t row = LENGTH; row < ROWS; row++)
        for (int d = 0; d < DIM; d++) {
            float first = r->states[row % LENGTH][d], keep = much ? 0.02F : 0.3F;
            r->states[row][d] = first + keep * (r->states[row][d] - first);
        }
}
static void record_twice(Recording *r, int much) {
    memcpy(r->states[row_of(AT, 0)], r->states[row_of(2, 0)], sizeof r->states[0] * LENGTH);
    memcpy(r->actions[row_of(AT, 0)], r->actions[row_of(2, 0)], sizeof r->actions[0] * LENGTH);
    if (!much) r->states[row_of(AT, FRAME)][X] += 1e-6F;
}
static void two_spellings(Recording *r, int much) {
    static const char *alike[] = {"pick up", "Pick  up."}, *apart[] = {"pick up", "pick it up"};
    r->ds.tasks = much ? alike : apart;
    r->ds.n_tasks = 2;
}
static void do_rarely(Recording *r, int much) {
    for (int e = 0; e < EPISODES; e++) r->episodes[e].task = e == AT ? "place" : "pick";
    if (!much) r->episodes[AT + 1].task = "place";
}
static void name_twice(Recording *r, int much) {
    if (much) r->names[RZ] = "z";
}
static void forget_name(Recording *r, int much) {
    r->action.n_names = much ? DIM - 1 : DIM;
}
static void label_oddly(Recording *r, int much) {
    r->ds.version = much ? "3.0" : "v2.1";
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

static void long_history(Recording *r, int much) {
    r->window.down_sample = much ? 54 : 51; // of 150 rows
}
static void hardly_move(Recording *r, int much) {
    for (int64_t row = 0; row < ROWS; row++)
        r->states[row][RY] = 1 + (much ? 1e-4F : 4e-4F) * (float)chance((int)row, 3);
}
static void spike(Recording *r, int much) {
    for (int64_t row = 0; row < ROWS; row += 400) r->states[row + 40][X] += much ? 30 : 10;
}
static void begin_elsewhere_twice(Recording *r, int much) {
    for (int e = AT; e < AT + 2; e++)
        for (int i = 0; i < LENGTH; i++) r->states[row_of(e, i)][Z] += much ? 0.25F : 0.1F;
}
// The last two episodes are held out.
static void hold_out(Recording *r, float off) {
    r->eval_split = 0.15;
    for (int e = EPISODES - 2; e < EPISODES; e++)
        for (int i = 0; i < LENGTH; i++)
            r->states[row_of(e, i)][Z] += off, r->actions[row_of(e, i)][Z] += off;
}
static void hold_out_elsewhere(Recording *r, int much) {
    hold_out(r, much ? 0.2F : 0.05F);
}
static void hold_out_others(Recording *r, int much) {
    hold_out(r, much ? 0.25F : 0.08F);
}
static void do_once(Recording *r, int much) {
    r->eval_split = 0.15;
    r->episodes[AT].task = "place";
    if (!much) r->episodes[AT + 1].task = "place";
}

static const struct Case {
    CheckRuleId rule;
    void (*fault)(Recording *r, int much);
    int episode, frame; // where it is to be found; -1: of the whole dataset, or anywhere
} cases[] = {
    {RULE_stats_stale, stale_statistics, -1, -1},
    {RULE_task_empty, forget_task, AT, -1},
    {RULE_task_twice, two_spellings, -1, -1},
    {RULE_task_rare, do_rarely, -1, -1},
    {RULE_feature_names, name_twice, -1, -1},
    {RULE_feature_names, forget_name, -1, -1},
    {RULE_version_label, label_oddly, -1, -1},
    {RULE_timestamp_gap, cut_gap, AT, FRAME},
    {RULE_timestamp_repeat, repeat_time, AT, FRAME},
    {RULE_timestamp_grid, leave_grid, AT, FRAME},
    {RULE_timestamp_start, start_later, AT, -1},
    {RULE_timestamp_drift, run_slow, -1, -1},
    {RULE_timestamp_jitter, jitter, AT, -1},
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
    {RULE_rotation_form, quaternions, -1, -1},
    {RULE_rotation_form, euler, AT, FRAME},
    {RULE_gripper_range, leave_gripper, AT, -1},
    {RULE_gripper_direction, turn_gripper, AT, -1},
    {RULE_gripper_chatter, chatter, AT, -1},
    {RULE_episode_offset, calibrate_otherwise, AT, -1},
    {RULE_episode_units, other_units, AT, -1},
    {RULE_state_stuck, stick_state, AT, -1},
    {RULE_action_stuck, stick_action, AT, -1},
    {RULE_episode_noise, shake, AT, -1},
    {RULE_episode_twice, record_twice, AT, -1},
    {RULE_episode_short, long_chunks, 0, -1},
    {RULE_padding, padded, -1, -1},
    {RULE_few_windows, few, -1, -1},
    {RULE_far_outlier, far, -1, -1},
    {RULE_history, long_history, -1, -1},
    {RULE_spread_tiny, hardly_move, -1, -1},
    {RULE_quantiles_narrow, spike, -1, -1},
    {RULE_starts_apart, begin_elsewhere_twice, -1, -1},
    {RULE_setup_moved, move_setup, AT, 0},
    {RULE_no_variety, repeat_one, -1, -1},
    {RULE_held_out_start, hold_out_elsewhere, EPISODES - 2, 0},
    {RULE_split_apart, hold_out_others, -1, -1},
    {RULE_split_task, do_once, -1, -1},
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
    int wrong = 0;
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
            bool right = !!f == much && (!f || f->episode == c->episode) &&
                         (!f || c->frame < 0 || f->frame == c->frame) &&
                         (!f || fabs(f->measured) >= 0);
            if (!right)
                print_error("%s, %s: %s, in episode %lld at frame %lld: %g, %s\n", name,
                            much ? "broken" : "nearly", f ? "found" : "not found",
                            f ? (long long)f->episode : -1, f ? (long long)f->frame : -1,
                            f ? f->measured : 0, f ? f->text : "");
            wrong += !right;
            if (f) assert_true(report.worst >= check_rules[c->rule].severity);
            check_report_free(&report);
            free_recording(&r);
        }
    }
    assert_int_equal(wrong, 0);
}

// Of a gripper that points down every rotation is about half a turn, and beyond it the vector is
// the negative one. The path is as smooth as ever.
static void half_a_turn_is_no_leap(void **state) {
    Recording *r = *state;
    CheckReport report;
    const double turn = 2 * 3.14159265358979;
    for (int e = 0; e < EPISODES; e++)
        for (int i = 0; i < LENGTH; i++) {
            double go = reach((i + 0.5) / LENGTH, 0.02, 0.5);
            double angle = 2.85 + 0.15 * chance(e, 1) + 0.2 * go, shorter = angle;
            if (angle > turn / 2) shorter = angle - turn;
            float *both[] = {r->states[row_of(e, i)], r->actions[row_of(e, i)]};
            for (int k = 0; k < 2; k++) {
                both[k][RX] = (float)shorter;
                both[k][RY] = (float)(0.1 * go * shorter / angle);
                both[k][RZ] = (float)(0.2 * go * shorter / angle);
            }
        }
    run(r, &report);
    int flips = 0;
    for (int64_t i = 0; i < report.count; i++) {
        const CheckFinding *f = &report.findings[i];
        flips += f->rule == RULE_rotation_flip;
        if (f->rule == RULE_value_jump || f->rule == RULE_end_outlier ||
            f->rule == RULE_start_outlier || f->rule == RULE_episode_noise)
            fail_msg("%s: episode %lld, %s: %s", check_rules[f->rule].name, (long long)f->episode,
                     f->where, f->text);
    }
    assert_true(flips > 0);
    check_report_free(&report);
}

// But those that no dataset in memory can break: files that do not open, policies that do not fit,
// pictures.
static void every_rule_has_a_case(void **state) {
    (void)state;
    for (int rule = 0; rule < CHECK_RULES; rule++) {
        bool found = rule == RULE_no_policy || strcmp(check_rules[rule].group, "files") == 0 ||
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
        cmocka_unit_test_setup_teardown(half_a_turn_is_no_leap, new_recording, free_recording),
        cmocka_unit_test(every_rule_has_a_case),
    };
    return cmocka_run_group_tests_name("check rules", tests, NULL, NULL);
}
