// SPDX-License-Identifier: Apache-2.0
// What open-loop evaluation makes of predictions whose errors are known: small whole numbers, so
// that every sum is exact. Two episodes of 5 and 3 frames, a chunk of 3, a prediction every second
// frame: five windows, of 3, 3, 1, 3 and 1 actions.
#include "eval/accumulate.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 8, A = 2, S = 3, M = A + 1, WINDOWS = 5 };
static const char *const names[A] = {"shoulder", "elbow"};

typedef struct Fixture {
    Feature action, state;
    Episode episodes[2];
    float actions[ROWS * A], states[ROWS * A];
    Dataset dataset;
    double scale[A], offset[A];
    Normalizer norm;
    EvalResult result;
    Accumulator sums;
} Fixture;

// Rows 0-4 are the first episode, 5-7 the second. The first value of row n is 100 n, its state 3
// less; the second is always 9, its state n + 1 more.
static void begin(Fixture *f, bool with_state, int K) {
    Error err;
    *f = (Fixture){.action = {.size = A}, .state = {.size = A}};
    f->episodes[0] = (Episode){.index = 4, .length = 5};
    f->episodes[1] = (Episode){.index = 6, .length = 3, .first_row = 5};
    for (int n = 0; n < ROWS; n++) {
        f->actions[A * n] = 100 * (float)n, f->actions[A * n + 1] = 9;
        f->states[A * n] = 100 * (float)n - 3, f->states[A * n + 1] = 10 + (float)n;
    }
    f->dataset = (Dataset){.fps = 1,
                           .action = &f->action,
                           .state = with_state ? &f->state : NULL,
                           .n_episodes = 2,
                           .episodes = f->episodes,
                           .rows = ROWS,
                           .action_data = f->actions,
                           .state_data = f->states};
    memcpy(f->scale, (double[]){0.5, 0.25}, sizeof f->scale);
    memcpy(f->offset, (double[]){7, -1}, sizeof f->offset);
    f->norm = (Normalizer){
        .mode = NORM_MEAN_STD, .dim = A, .scale = f->scale, .offset = f->offset}; // never inverted
    EvalResult *r = &f->result;
    *r = (EvalResult){.dataset = &f->dataset, .S = S, .A = A, .K = K, .stride = 2, .frames = ROWS};
    r->measures = measures_new(&r->arena, 0, A, names);
    assert_int_equal(r->measures.count, M);
    assert_true(accumulator_init(&f->sums, r, names, &f->norm, &err));
}

static void end(Fixture *f) {
    accumulator_free(&f->sums);
    arena_free(&f->result.arena);
}

// The error of step s of window w, both from 0; of the second value it is -2 times that. Steps
// beyond the episode's end are off by a thousand, and must not count.
static double error_of(int w, int s, int valid) {
    return s < valid ? w + 1 + 10 * s : 1000;
}

static void run(Fixture *f, int K) {
    static const double milliseconds[WINDOWS] = {9, 4, 3, 8, 5};
    int w = 0;
    for (int e = 0; e < 2; e++) {
        int first = (int)f->episodes[e].first_row, length = (int)f->episodes[e].length;
        for (int frame = 0; frame < length; frame += 2, w++) {
            double predicted[S * A];
            int valid = 0;
            while (valid < S && frame + K * valid < length) valid++;
            for (int s = 0; s < S; s++) {
                int row = s < valid ? first + frame + K * s : 0;
                predicted[A * s] = f->actions[A * row] + error_of(w, s, valid);
                predicted[A * s + 1] = f->actions[A * row + 1] - 2 * error_of(w, s, valid);
            }
            accumulator_add(&f->sums, e, frame, predicted, milliseconds[w]);
        }
        accumulator_end_episode(&f->sums, e);
    }
    assert_int_equal(w, WINDOWS);
    accumulator_finish(&f->sums);
}

static void near(double got, double wanted) {
    if (!(fabs(got - wanted) <= 1e-9 * fabs(wanted))) fail_msg("%.17g, not %.17g", got, wanted);
}

static void summary_is(const Summary *s, double times, int64_t count, double mean, double median,
                       double p95, double max) {
    assert_int_equal(s->count, count);
    near(s->mean, times * mean);
    near(s->median, times * median);
    near(s->p95, times * p95);
    near(s->max, times * max);
}

// Of the measures: each value's |error|, and the mean of them normalised, (1/2 + 2/4) / 2.
static const double factor[M] = {1, 2, 0.5};

static void summaries_by_step_of_the_horizon(void **state) {
    (void)state;
    Fixture f;
    begin(&f, true, 1);
    run(&f, 1);
    const EvalResult *r = &f.result;
    assert_int_equal(r->windows, WINDOWS);
    for (int m = 0; m < M; m++) {
        // 1 2 3 4 5; 11 12 14; 21 22 24. p95 lies at 0.95 (n - 1).
        summary_is(&r->error[m * S], factor[m], 5, 3, 3, 4.8, 5);
        summary_is(&r->error[m * S + 1], factor[m], 3, 37.0 / 3, 12, 13.8, 14);
        summary_is(&r->error[m * S + 2], factor[m], 3, 67.0 / 3, 22, 23.8, 24);
        summary_is(&r->error_all[m], factor[m], 11, 119.0 / 11, 11, 23, 24);
    }
    end(&f);
}

// The baseline holds the state of the observed frame: the first value is 3 off, and 100 more with
// every step; the second by one more than the number of the frame's row, 0 2 4 5 7.
static void summaries_of_staying(void **state) {
    (void)state;
    Fixture f;
    begin(&f, true, 1);
    run(&f, 1);
    const EvalResult *r = &f.result;
    assert_string_equal(r->stays, "observed state");
    for (int s = 0; s < S; s++) {
        double off = 3 + 100 * s;
        summary_is(&r->stay[s], 1, s == 0 ? 5 : 3, off, off, off, off);
    }
    summary_is(&r->stay[S], 1, 5, 23.0 / 5, 5, 7.6, 8);
    summary_is(&r->stay[S + 1], 1, 3, 10.0 / 3, 3, 5.7, 6);
    summary_is(&r->stay[S + 2], 1, 3, 10.0 / 3, 3, 5.7, 6);
    near(r->stay[2 * S].mean, (3 / 2.0 + 23 / 5.0 / 4) / 2);       // normalised, step 0
    near(r->stay[2 * S + 2].mean, (203 / 2.0 + 10 / 3.0 / 4) / 2); // and step 2
    near(r->stay_all[0].mean, (5 * 3 + 3 * 103 + 3 * 203) / 11.0);
    near(r->stay_all[1].mean, (23 + 10 + 10) / 11.0);
    const EvalDimension *d = r->dimensions;
    near(d[0].stay_l1, (5 * 3 + 3 * 103 + 3 * 203) / 11.0);
    near(d[0].stay_mse, (5 * 9 + 3 * 103 * 103 + 3 * 203 * 203) / 11.0);
    near(d[1].stay_l1, 43 / 11.0);
    near(d[1].stay_mse, (1 + 9 + 25 + 36 + 64 + 2 * (1 + 9 + 36)) / 11.0);
    end(&f);
}

static void means_of_values_episodes_and_windows(void **state) {
    (void)state;
    Fixture f;
    begin(&f, true, 1);
    run(&f, 1);
    const EvalResult *r = &f.result;
    const double squares = 55 + 121 + 144 + 196 + 441 + 484 + 576;
    near(r->dimensions[0].l1, 119 / 11.0);
    near(r->dimensions[0].mse, squares / 11);
    near(r->dimensions[1].l1, 2 * 119 / 11.0);
    near(r->dimensions[1].mse, 4 * squares / 11);
    assert_string_equal(r->dimensions[1].name, "elbow");
    assert_int_equal(r->episodes[0].index, 4);
    assert_int_equal(r->episodes[0].windows, 3);
    assert_int_equal(r->episodes[1].windows, 2);
    for (int m = 0; m < M; m++) {
        near(r->episodes[0].error[m], factor[m] * (33 + 36 + 3) / 7);
        near(r->episodes[1].error[m], factor[m] * (42 + 5) / 4);
    }
    near(r->episodes[0].stay[1], (3 * 1 + 3 * 3 + 5) / 7.0);
    near(r->episodes[1].stay[1], (3 * 6 + 8) / 4.0);
    // The worst first, by the normalised error; windows are 14, 12, 11, 5 and 3 off.
    static const struct {
        int episode, frame, valid;
        double error, stay; // of the second value
    } worst[WINDOWS] = {
        {1, 0, 3, 28, 6}, {0, 2, 3, 24, 3}, {0, 0, 3, 22, 1}, {1, 2, 1, 10, 8}, {0, 4, 1, 6, 5}};
    assert_int_equal(r->n_worst, WINDOWS);
    for (int i = 0; i < WINDOWS; i++) {
        const EvalWindow *w = &r->worst[i];
        assert_int_equal(w->episode, worst[i].episode);
        assert_int_equal(w->frame, worst[i].frame);
        assert_int_equal(w->row, worst[i].frame + 5 * worst[i].episode);
        assert_int_equal(w->valid, worst[i].valid);
        near(w->error[1], worst[i].error);
        near(w->stay[1], worst[i].stay);
    }
    end(&f);
}

// What was predicted in each episode is kept whole, the worst episode first: by the normalised
// error the second, whose windows are 14 and 5 off.
static void predictions_of_the_worst_episodes(void **state) {
    (void)state;
    Fixture f;
    begin(&f, true, 1);
    run(&f, 1);
    const EvalResult *r = &f.result;
    assert_int_equal(r->n_curves, 2);
    static const int episode[2] = {1, 0}, count[2] = {2, 3}, first_window[2] = {3, 0};
    for (int i = 0; i < 2; i++) {
        const EvalCurves *c = &r->curves[i];
        const Episode *e = &f.episodes[episode[i]];
        assert_int_equal(c->episode, episode[i]);
        assert_int_equal(c->count, count[i]);
        for (int k = 0; k < count[i]; k++) {
            assert_int_equal(c->frames[k], 2 * k);
            int valid = (int)e->length - 2 * k < S ? (int)e->length - 2 * k : S;
            for (int s = 0; s < S; s++) {
                int64_t row = s < valid ? e->first_row + 2 * k + s : 0;
                double off = error_of(first_window[i] + k, s, valid);
                const float *chunk = c->chunks + (k * S + s) * A;
                near((double)chunk[0], f.actions[A * row] + off);
                near((double)chunk[1], f.actions[A * row + 1] - 2 * off);
            }
        }
    }
    end(&f);
}

// Of windows less than a second apart the worst is kept, whole; one that gives way hands on its
// memory, and nothing of what was in it.
static void windows_of_one_second(void **state) {
    (void)state;
    Fixture f;
    begin(&f, true, 1);
    f.dataset.fps = 3;
    run(&f, 1);
    const EvalResult *r = &f.result;
    assert_int_equal(r->n_worst, 2);
    near(r->worst[0].error[0], 14);
    near(r->worst[0].stay[1], 6);
    near(r->worst[1].error[0], 12);
    near(r->worst[1].stay[1], 3);
    const float first[] = {504, 1, 614, -19, 724, -39}, second[] = {202, 5, 312, -15, 422, -35};
    assert_memory_equal(r->worst[0].predicted, first, sizeof first);
    assert_memory_equal(r->worst[1].predicted, second, sizeof second);
    end(&f);
}

// The first prediction, which prepares the device, is apart from the others.
static void latencies(void **state) {
    (void)state;
    Fixture f;
    begin(&f, true, 1);
    run(&f, 1);
    const double rest[] = {3, 4, 5, 8};
    near(f.result.first_latency, 9);
    summary_is(&f.result.latency, 1, 4, 5, 4.5, 7.55, 8);
    assert_memory_equal(f.result.latencies, rest, sizeof rest);
    end(&f);
}

static double at(const json_t *list, size_t i, const char *key) {
    const json_t *item = json_array_get(list, i);
    const json_t *value = key ? json_object_get(item, key) : item;
    assert_true(json_is_number(value));
    return json_number_value(value);
}

// The same numbers in eval.json: a list over the horizon, over the values, over the episodes.
static void the_numbers_as_json(void **state) {
    (void)state;
    Fixture f;
    begin(&f, true, 1);
    f.episodes[0].first_index = 70, f.episodes[1].first_index = 75;
    f.dataset.root = "set", f.dataset.repo_id = "me/set";
    f.result.config.policy.vision_backbone = "resnet18";
    run(&f, 1);
    json_t *json = eval_to_json(&f.result);
    assert_non_null(json);
    const json_t *measures = json_object_get(json, "measures");
    assert_int_equal(json_array_size(measures), M);
    assert_string_equal(json_string_value(json_object_get(json, "headline")), "normalised L1");
    for (size_t m = 0; m < M; m++) {
        const json_t *measure = json_array_get(measures, m);
        const json_t *steps = json_object_get(measure, "policy_by_step");
        const json_t *mean = json_object_get(steps, "mean"), *p95 = json_object_get(steps, "p95");
        const json_t *n = json_object_get(measure, "windows_by_step");
        assert_int_equal(json_array_size(mean), S);
        near(at(mean, 0, NULL), factor[m] * 3);
        near(at(mean, 2, NULL), factor[m] * 67 / 3);
        near(at(p95, 1, NULL), factor[m] * 13.8);
        assert_true(at(n, 0, NULL) == 5 && at(n, 2, NULL) == 3);
        const json_t *all = json_object_get(measure, "policy");
        near(json_number_value(json_object_get(all, "max")), factor[m] * 24);
        assert_int_equal(json_integer_value(json_object_get(all, "count")), 11);
    }
    const json_t *stay = json_object_get(json_array_get(measures, 1), "stay_by_step");
    near(at(json_object_get(stay, "median"), 0, NULL), 5);
    const json_t *values = json_object_get(json, "dimensions");
    assert_int_equal(json_array_size(values), A);
    near(at(values, 1, "l1"), 2 * 119 / 11.0);
    near(at(values, 1, "stay_l1"), 43 / 11.0);
    const json_t *episodes = json_object_get(json, "episodes");
    assert_int_equal(json_array_size(episodes), 2);
    assert_true(at(episodes, 1, "index") == 6 && at(episodes, 1, "frames") == 3);
    const json_t *worst = json_object_get(json, "worst");
    assert_int_equal(json_array_size(worst), WINDOWS);
    assert_true(at(worst, 0, "episode") == 6 && at(worst, 0, "index") == 75);
    assert_true(at(worst, 1, "frame") == 2 && at(worst, 1, "steps") == 3);
    // 3, 4, 5 and 8 ms, of which the hundredth quantile is 7.91; two hundredths of room about them.
    const json_t *latency = json_object_get(json, "latency_ms");
    const json_t *histogram = json_object_get(latency, "histogram");
    const json_t *counts = json_object_get(histogram, "counts");
    near(json_number_value(json_object_get(latency, "first")), 9);
    near(json_number_value(json_object_get(histogram, "from")), 3 - 0.02 * 4.91);
    near(json_number_value(json_object_get(histogram, "to")), 7.91 + 0.02 * 4.91);
    assert_int_equal(json_array_size(counts), 24);
    static const size_t bins[4] = {0, 5, 9, 23};
    double sum = 0;
    for (size_t i = 0; i < 24; i++) sum += at(counts, i, NULL);
    assert_true(sum == 4);
    for (int i = 0; i < 4; i++) assert_true(at(counts, bins[i], NULL) == 1);
    json_decref(json);
    f.result.latency.count = 0; // of a single prediction there is none
    json = eval_to_json(&f.result);
    assert_null(json_object_get(json_object_get(json, "latency_ms"), "histogram"));
    json_decref(json);
    end(&f);
}

// Without a state that is an action, the baseline holds the action before, at an episode's first
// frame its own: 0 off there at step 0, else 100. With two frames between actions the second lies
// 200 further on.
static void staying_at_the_action_before(void **state) {
    (void)state;
    Fixture f;
    begin(&f, false, 2);
    run(&f, 2);
    const EvalResult *r = &f.result;
    assert_string_equal(r->stays, "action before");
    // Windows of 3, 2, 1, 2 and 1 actions: errors 1 2 3 4 5; 11 12 14; 21.
    summary_is(&r->error[0], 1, 5, 3, 3, 4.8, 5);
    summary_is(&r->error[1], 1, 3, 37.0 / 3, 12, 13.8, 14);
    summary_is(&r->error[2], 1, 1, 21, 21, 21, 21);
    summary_is(&r->stay[0], 1, 5, 60, 100, 100, 100);        // 0 100 100 0 100
    summary_is(&r->stay[1], 1, 3, 700.0 / 3, 200, 290, 300); // 200 300 200
    summary_is(&r->stay[2], 1, 1, 400, 400, 400, 400);
    near(r->stay_all[0].mean, (300 + 700 + 400) / 9.0);
    end(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(summaries_by_step_of_the_horizon),
        cmocka_unit_test(summaries_of_staying),
        cmocka_unit_test(means_of_values_episodes_and_windows),
        cmocka_unit_test(predictions_of_the_worst_episodes),
        cmocka_unit_test(windows_of_one_second),
        cmocka_unit_test(latencies),
        cmocka_unit_test(the_numbers_as_json),
        cmocka_unit_test(staying_at_the_action_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
