// SPDX-License-Identifier: Apache-2.0
// The report of trainings, made of logs that are written here.
#include "../scratch.h"
#include "base/log.h"
#include "report/curve.h"
#include "report/run_files.h"
#include "report/runs.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

// Writes a file below the folder, with the folders that it lies in.
static void put(const char *name, const char *text) {
    Error err;
    char path[512], dir[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    path_parent(dir, sizeof dir, path);
    assert_true(make_dirs(dir, &err));
    assert_true(file_write(path, text, strlen(text), &err));
}

static const char *in_folder(const char *name, char out[512]) {
    snprintf(out, 512, "%s/%s", folder, name);
    return out;
}

// Warnings of the thread, the last one kept.
static char warned[1024];
static void keep_warning(void *user, LogLevel level, const char *line) {
    (void)user;
    (void)level;
    snprintf(warned, sizeof warned, "%s", line);
}

// What the page has of runs below the folder, NULL-ended; NULL: an error, whose text is in `err`.
static json_t *described(const char *page_dir, Error *err, const char *const *names) {
    enum { MOST = 4 };
    char paths[MOST][512], dir[512];
    const char *list[MOST];
    int n = 0;
    json_t *out = NULL;
    for (; names[n]; n++) list[n] = in_folder(names[n], paths[n]);
    warned[0] = 0;
    const LogSink before = log_to((LogSink){keep_warning, NULL});
    RunList runs = {0};
    const bool ok =
        runs_find(list, n, &runs, err) && runs_describe(&runs, in_folder(page_dir, dir), &out, err);
    runs_free(&runs);
    (void)log_to(before);
    return ok ? out : NULL;
}

static const json_t *run_of(const json_t *page, size_t i) {
    const json_t *run = json_array_get(json_object_get(page, "runs"), i);
    assert_non_null(run);
    return run;
}

// A member by its path, "curves/loss/steps".
static const json_t *at(const json_t *value, const char *path) {
    char key[128];
    for (; *path && value; path += strcspn(path, "/"), path += *path == '/') {
        snprintf(key, sizeof key, "%.*s", (int)strcspn(path, "/"), path);
        value = json_object_get(value, key);
    }
    return value;
}

// Compares a member with JSON in which ' stands for ".
static void holds(const json_t *value, const char *path, const char *wanted) {
    char text[1024];
    snprintf(text, sizeof text, "%s", wanted);
    for (char *c = text; *c; c++)
        if (*c == '\'') *c = '"';
    json_t *expected = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(expected);
    const json_t *got = at(value, path);
    char *said = got ? json_dumps(got, JSON_ENCODE_ANY) : NULL;
    if (!json_equal(got, expected)) fail_msg("%s is %s, not %s", path, said ? said : "-", text);
    free(said);
    json_decref(expected);
}

static void assert_says(const char *text, const char *part) {
    if (!strstr(text, part)) fail_msg("'%s' does not say '%s'", text, part);
}

#define LINE(step, loss)                                                                           \
    "{\"step\": " #step ", \"samples\": 8" #step ".0, \"episodes\": " #step                        \
    ".0, \"epochs\": 0." #step ", \"loss\": " #loss ", \"update_s\": 0.25, "                       \
    "\"dataloading_s\": 0.75}\n"

static void test_values(void **state) {
    (void)state;
    Error err;
    put("a/metrics.jsonl",
        LINE(10, 2.5) "{\"step\": 10, \"eval_loss\": 0.5}\n" LINE(
            20,
            1.5) "{\"step\": 20, \"pc_success\": 50.0, \"pc_success_95\": [20.0, 80.0], "
                 "\"n_episodes\": 10, \"mean_steps\": 40.0}\n"
                 "{\"step\": 20, \"ema_pc_success\": 60.0, \"ema_pc_success_95\": [30.0, 90.0], "
                 "\"n_episodes\": 10, \"mean_steps\": 30.0}\n"
                 "{\"step\": 30, \"samples\": 24"); // as a running training leaves it
    json_t *page = described("a", &err, (const char *const[]){"a", NULL});
    assert_non_null(page);
    assert_string_equal(warned, "");
    const json_t *run = run_of(page, 0);
    holds(run, "name", "'a'");
    holds(run, "base", "''");
    holds(run, "lines", "5");
    holds(run, "bad_lines", "0");
    holds(run, "curves/loss", "{'count': 2, 'steps': [10, 20], 'values': [2.5, 1.5]}");
    holds(run, "curves/eval_loss", "{'count': 1, 'steps': [10], 'values': [0.5]}");
    holds(run, "curves/pc_success_95.low/values", "[20.0]");
    holds(run, "curves/pc_success_95.high/values", "[80.0]");
    holds(run, "curves/ema_pc_success_95.high/values", "[90.0]");
    holds(run, "curves/mean_steps/values", "[40.0]");
    holds(run, "curves/ema_mean_steps/values", "[30.0]");
    assert_null(at(run, "curves/samples"));
    holds(run, "axes/samples", "{'steps': [10, 20], 'values': [810.0, 820.0]}");
    holds(run, "axes/seconds", "{'steps': [10, 20], 'values': [10.0, 20.0]}"); // a second a step
    holds(run, "totals", "{'first_step': 10, 'last_step': 20, 'seconds': 20.0, 'waiting': 0.75}");
    holds(run, "dataset/frames", "4100.0");
    holds(run, "settings", "null");
    holds(run, "checkpoints", "[]");
    json_decref(page);
}

static const char config[] =
    "{\"dataset\": {\"repo_id\": \"me/berries\", \"root\": \"gone\"}, \"policy\": {\"type\": "
    "\"act\", \"chunk_size\": 16, \"n_action_steps\": 16, \"device\": \"cpu\"}, \"steps\": 30, "
    "\"save_freq\": 10, \"batch_size\": %d, \"seed\": 7}";

static void put_checkpoint(const char *run, int step, int batch) {
    char name[256], text[1024];
    static const char *const same[] = {"config.json", "train_config.json"};
    for (size_t i = 0; i < 2; i++) {
        snprintf(name, sizeof name, "%s/checkpoints/%06d/pretrained_model/%s", run, step, same[i]);
        snprintf(text, sizeof text, config, batch);
        put(name, text);
    }
    snprintf(name, sizeof name, "%s/checkpoints/%06d/training_state/tact_state.json", run, step);
    put(name, "{\"threads\": 3}");
}

static void test_checkpoints(void **state) {
    (void)state;
    Error err;
    char path[512], found[POLICY_PATH], wanted[POLICY_PATH];
    put("b/metrics.jsonl", LINE(10, 2.5) LINE(25, 1.5));
    put_checkpoint("b", 10, 8);
    put_checkpoint("b", 25, 16);
    put("b/checkpoints/.000030.tmp/pretrained_model/config.json", "{}");
    put("b/eval/videos_step_000010/episode_7.mp4", "");
    put("b/eval/videos_step_000020_ema/episode_7.mp4", "");
    put("b/eval/notes/episode_7.mp4", "");
    json_t *page = described("", &err, (const char *const[]){"b", NULL});
    assert_non_null(page);
    const json_t *run = run_of(page, 0), *list = at(run, "checkpoints"), *flag;
    holds(run, "base", "'b'");
    assert_int_equal(json_array_size(list), 2);
    holds(json_array_get(list, 1), "step", "25");
    assert_true(json_integer_value(at(json_array_get(list, 1), "bytes")) > 300);
    holds(run, "videos",
          "[{'step': 10, 'average': false, 'file': 'eval/videos_step_000010/episode_7.mp4'},"
          " {'step': 20, 'average': true, 'file': 'eval/videos_step_000020_ema/episode_7.mp4'}]");
    holds(run, "changes", "[{'step': 25, 'flag': 'batch_size', 'from': 8, 'to': 16}]");
    holds(run, "machine/threads", "3");
    holds(run, "dataset/name", "'me/berries'");
    size_t i, given = 0, all = 0;
    json_array_foreach(at(run, "settings"), i, flag) {
        const char *name = json_string_value(at(flag, "flag"));
        if (strcmp(name, "batch_size") == 0) {
            holds(flag, "", "{'flag': 'batch_size', 'value': 16, 'default': 8, 'given': true}");
            given++;
        }
        if (strcmp(name, "log_freq") == 0) holds(flag, "given", "false");
        all++;
    }
    assert_int_equal(given, 1);
    assert_true(all > 50);
    json_decref(page);
    // Whatever in a run is named, the run is meant.
    static const char *const names[] = {"b",
                                        "b/checkpoints",
                                        "b/checkpoints/000010",
                                        "b/checkpoints/000010/pretrained_model",
                                        "b/checkpoints/000010/pretrained_model/train_config.json",
                                        "b/metrics.jsonl"};
    assert_non_null(realpath(in_folder("b", path), wanted));
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_true(run_find(in_folder(names[i], path), found, &err));
        assert_string_equal(found, wanted);
    }
}

// A file of many lines: a curve between 1 and 2 with one spike up, one down and one that is no
// number, each in a single line.
enum { LINES = 40000, UP = 12345, DOWN = 23456, STRANGE = 34567 };

static LogSeries long_series(void) {
    LogSeries s = {.points = NEW(LogPoint, LINES), .count = LINES};
    for (int i = 0; i < LINES; i++) {
        double value = 1.5 + 0.5 * sin(i / 50.0);
        if (i == UP) value = 99;
        if (i == DOWN) value = -99;
        if (i == STRANGE) value = NAN;
        s.points[i] = (LogPoint){100 * (i + 1), value};
    }
    return s;
}

static void test_thinning(void **state) {
    (void)state;
    LogSeries s = long_series();
    json_t *curve = curve_json(&s, CURVE_COLUMNS);
    const json_t *steps = at(curve, "steps"), *values = at(curve, "values");
    const size_t n = json_array_size(steps);
    holds(curve, "count", "40000");
    assert_int_equal(json_array_size(values), n);
    assert_in_range(n, 2 * CURVE_COLUMNS / 2, 4000);
    bool up = false, down = false, strange = false;
    int64_t before = 0;
    double least = INFINITY, largest = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        const int64_t step = json_integer_value(json_array_get(steps, i));
        const json_t *value = json_array_get(values, i);
        assert_true(step > before); // in order, none twice
        before = step;
        // Each is a point of the log.
        const double real = s.points[step / 100 - 1].value;
        if (isnan(real))
            assert_true(json_is_null(value));
        else
            assert_true(json_real_value(value) == real);
        up = up || step == 100 * (UP + 1);
        down = down || step == 100 * (DOWN + 1);
        strange = strange || step == 100 * (STRANGE + 1);
        if (step < 100 * UP) least = fmin(least, real), largest = fmax(largest, real);
    }
    assert_true(up && down && strange);
    assert_true(least < 1.0001); // troughs and crests stay
    assert_true(largest > 1.9999);
    holds(json_array_get(steps, 0), "", "100");
    assert_int_equal(before, 100 * LINES);
    // At the beginning, as a logarithmic axis shows it, every point.
    for (size_t i = 0; i < 40; i++)
        assert_int_equal(json_integer_value(json_array_get(steps, i)), 100 * (i + 1));
    // Means of the columns lie between, but where the spikes are.
    json_t *mean;
    size_t i;
    json_array_foreach(at(curve, "mean/values"), i, mean) {
        assert_true(json_is_real(mean));
        assert_true(fabs(json_real_value(mean) - 1.5) < 3);
    }
    assert_true(i > CURVE_COLUMNS / 2);
    json_decref(curve);
    s.count = 2 * CURVE_COLUMNS; // whole as long as it is short
    curve = curve_json(&s, CURVE_COLUMNS);
    assert_int_equal(json_array_size(at(curve, "steps")), s.count);
    assert_null(at(curve, "mean"));
    json_decref(curve);
    mem_free(s.points);
}

static void test_not_finite(void **state) {
    (void)state;
    Error err;
    put("c/metrics.jsonl", "{\"step\": 1, \"loss\": NaN, \"name\": \"NaN\"}\n"
                           "{\"step\": 2, \"loss\": -Infinity, \"lr\": null}\n"
                           "{\"step\": 3, \"loss\": 0.5}\n");
    json_t *page = described("c", &err, (const char *const[]){"c", NULL});
    assert_non_null(page);
    holds(run_of(page, 0), "curves/loss",
          "{'count': 3, 'steps': [1, 2, 3], 'values': [null, null, 0.5]}");
    holds(run_of(page, 0), "curves/lr/values", "[null]");
    holds(run_of(page, 0), "bad_lines", "0");
    json_decref(page);
}

static void test_several(void **state) {
    (void)state;
    Error err;
    put("d/x/run/metrics.jsonl", LINE(10, 2.5));
    put("d/y/run/metrics.jsonl", LINE(10, 3.5));
    put("d/y/last/metrics.jsonl", LINE(10, 4.5));
    json_t *page = described(
        "d/y", &err, (const char *const[]){"d/x/run", "d/y/run", "d/y/last", "d/y/run/", NULL});
    assert_non_null(page);
    assert_int_equal(json_array_size(at(page, "runs")), 3); // one was named twice
    // Names that are the same are told apart, and only those.
    assert_says(json_string_value(at(run_of(page, 0), "name")), "/d/x/run");
    assert_says(json_string_value(at(run_of(page, 1), "name")), "/d/y/run");
    holds(run_of(page, 2), "name", "'last'");
    // Videos are found from the page only below it.
    holds(run_of(page, 0), "base", "null");
    holds(run_of(page, 1), "base", "'run'");
    json_decref(page);
}

// Where the page of runs goes, by names below the folder.
static void goes_to(const char *a, const char *b, const char *wanted) {
    Error err;
    char one[512], two[512], path[512], dir[POLICY_PATH], real[POLICY_PATH];
    const char *list[] = {in_folder(a, one), in_folder(b, two)};
    RunList runs;
    assert_true(runs_find(list, 2, &runs, &err));
    runs_page_dir(&runs, dir);
    runs_free(&runs);
    assert_non_null(realpath(in_folder(wanted, path), real));
    assert_string_equal(dir, real);
}

static void test_place(void **state) {
    (void)state;
    put("p/x/run/metrics.jsonl", LINE(10, 2.5));
    put("p/xy/metrics.jsonl", LINE(10, 3.5));
    put("p/x/run/below/metrics.jsonl", LINE(10, 4.5));
    goes_to("p/x/run", "p/x/run/", "p/x/run"); // one run
    goes_to("p/x/run", "p/xy", "p");
    goes_to("p/x/run", "p/x/run/below", "p/x");
}

static void test_hostile_names(void **state) {
    (void)state;
    Error err;
    char path[512], *page;
    size_t size;
    put("</script><script>alert(1)<x/metrics.jsonl",
        "{\"step\": 1, \"</script><img src=x onerror=alert(1)>\": 2.0, \"@JSON@\": 1}\n");
    json_t *description =
        described("", &err, (const char *const[]){"</script><script>alert(1)<x", NULL});
    // That is two folders, of which the last one's name is the run's.
    assert_non_null(description);
    holds(run_of(description, 0), "name", "'script><script>alert(1)<x'");
    assert_true(runs_write(in_folder("report.html", path), description, &err));
    assert_true(file_read(path, &page, &size, &err));
    const char *from = strstr(page, "id=\"runs\">");
    assert_non_null(from);
    const char *end = strchr(from, '<'); // nothing of the data has one
    assert_non_null(end);
    assert_true(strncmp(end, "</script>\n<script>\n\"use strict\"", 30) == 0);
    static const char *const never[] = {"https:",    "@import", "innerHTML",      "outerHTML",
                                        "eval(",     "<link",   "insertAdjacent", "fetch(",
                                        "@page.js@", ".css@",   "document.write", "<script src"};
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (strstr(page, never[i])) fail_msg("the page has %s", never[i]);
    mem_free(page);
    json_decref(description);
}

// Each gives one line that says what to do, or a warning.
static void test_bad_input(void **state) {
    (void)state;
    Error err;
    put("e/none/readme.txt", "");
    put("e/empty/metrics.jsonl", "");
    put("e/half/metrics.jsonl", "{\"step\": 10, \"lo");
    put("e/broken/metrics.jsonl", "not a log\n\n[1]\n");
    put("e/damaged/metrics.jsonl",
        LINE(10, 2.5) "{\"step\": 20, \"loss\": 1\x01}\n" LINE(30, 1.5) "{\"loss\": 2}\n");
    static const char *const wrong[][2] = {{"e/nowhere", "no such run"},
                                           {"e/none", "has no metrics.jsonl"},
                                           {"e/empty", "no line yet"},
                                           {"e/half", "no line yet"},
                                           {"e/broken", "line 1 is no line of a log"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_null(described("", &err, (const char *const[]){wrong[i][0], NULL}));
        assert_says(err.text, wrong[i][1]);
    }
    json_t *page = described("", &err, (const char *const[]){"e/damaged", NULL});
    assert_non_null(page);
    assert_says(warned, "metrics.jsonl: line 2 is no line of a log, nor are others; left out");
    holds(run_of(page, 0), "bad_lines", "2");
    holds(run_of(page, 0), "first_bad_line", "2");
    holds(run_of(page, 0), "curves/loss/steps", "[10, 30]");
    json_decref(page);
    // Beside others what is no run is left out, but not what is not there.
    static const char *const extra[][2] = {{"e/none", "has no metrics.jsonl"},
                                           {"e/empty", "no line yet"}};
    put("e/good/metrics.jsonl", LINE(10, 2.5));
    put("e/report.html", "");
    for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
        page = described("", &err,
                         (const char *const[]){"e/good", extra[i][0], "e/report.html", NULL});
        assert_non_null(page);
        assert_says(warned, extra[i][1]);
        assert_says(warned, "; left out");
        assert_int_equal(json_array_size(at(page, "runs")), 1);
        json_decref(page);
    }
    assert_null(described("", &err, (const char *const[]){"e/good", "e/nowhere", NULL}));
    assert_says(err.text, "no such run");
    assert_null(described("", &err, (const char *const[]){"e/none", "e/empty", NULL}));
    assert_says(err.text, "no line yet");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_values),        cmocka_unit_test(test_checkpoints),
        cmocka_unit_test(test_thinning),      cmocka_unit_test(test_not_finite),
        cmocka_unit_test(test_several),       cmocka_unit_test(test_place),
        cmocka_unit_test(test_hostile_names), cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
