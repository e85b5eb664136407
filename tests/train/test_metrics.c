// SPDX-License-Identifier: Apache-2.0
// LeRobot's log line and the same figures as JSON.
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "formats/json.h"
#include "train/metrics.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "../ok.h"

static void assert_big(double value, const char *want) {
    char text[32];
    big_number(text, sizeof text, value);
    assert_string_equal(text, want);
}

static void big_numbers_are_lerobots(void **state) {
    (void)state;
    assert_big(0, "0");
    assert_big(999, "999");
    assert_big(1000, "1K");
    assert_big(1600, "2K");
    assert_big(2500, "2K"); // halves to even, as Python's format
    assert_big(51605386, "52M");
    assert_big(3.2e9, "3B");
    assert_big(1e21, "1000000Q");
}

// 200 steps of batch 8 over 2238 frames of 6 episodes; two steps since the last line.
static Metrics example(void) {
    Metrics m = {.batch_size = 8, .frames = 2238, .episodes = 6};
    metrics_add(&m, (ActLosses){.total = 7, .l1 = 1, .kld = 0.6f}, 150, 1e-5, 0.002, 0.04);
    metrics_add(&m, (ActLosses){.total = 5.12f, .l1 = 0.5f, .kld = 0.4f}, 156.426, 1e-5, 0.004,
                0.06);
    return m;
}

static void the_line_is_lerobots(void **state) {
    (void)state;
    Metrics m = example();
    char line[512];
    metrics_line(&m, 200, line, sizeof line);
    assert_string_equal(line, "step:200 smpl:2K ep:4 epch:0.71 loss:6.060 grdn:153.213 lr:1.0e-05 "
                              "updt_s:0.050 data_s:0.003 l1_loss:0.750 kld_loss:0.500");
    metrics_reset(&m);
    assert_true(metrics_mean_loss(&m) == 0);
    metrics_add(&m, (ActLosses){.total = 2}, 1, 1e-5, 0, 0);
    assert_true(metrics_mean_loss(&m) == 2);
}

static double number(const json_t *line, const char *key) {
    const json_t *v = json_object_get(line, key);
    assert_true(json_is_number(v));
    return json_number_value(v);
}

static void the_same_figures_are_appended_as_json(void **state) {
    (void)state;
    char path[] = "/tmp/tact-metrics-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    Error err;
    Metrics m = example();
    const TrainRollouts rollouts = {50, 32, 0.5, 0.75, 41.5};
    bool ok = metrics_open(&m, path, &err) && metrics_write(&m, 200, &err) &&
              metrics_write_eval(&m, 200, "eval_loss", 3.5, &err) &&
              metrics_write_rollouts(&m, 200, true, &rollouts, &err);
    if (!ok) fail_msg("%s", err.text);
    metrics_close(&m);
    if (!metrics_open(&m, path, &err) || !metrics_write(&m, 400, &err)) fail_msg("%s", err.text);
    metrics_close(&m);
    char *text;
    size_t size;
    if (!file_read(path, &text, &size, &err)) fail_msg("%s", err.text);
    json_t *lines[4];
    char *at = text;
    for (int i = 0; i < 4; i++) {
        char *end = strchr(at, '\n');
        assert_non_null(end);
        lines[i] = json_loadb(at, (size_t)(end - at), 0, NULL);
        assert_non_null(lines[i]);
        at = end + 1;
    }
    assert_int_equal(*at, 0);
    assert_true(number(lines[0], "step") == 200 && number(lines[3], "step") == 400);
    assert_true(number(lines[0], "samples") == 1600);
    assert_true(number(lines[0], "l1_loss") == 0.75);
    assert_true(number(lines[1], "eval_loss") == 3.5);
    assert_true(number(lines[2], "ema_pc_success") == 64 && number(lines[2], "n_episodes") == 50);
    const json_t *interval = json_object_get(lines[2], "ema_pc_success_95");
    assert_true(json_number_value(json_array_get(interval, 0)) == 50 &&
                json_number_value(json_array_get(interval, 1)) == 75);
    assert_true(number(lines[2], "mean_steps") == 41.5);
    for (int i = 0; i < 4; i++) json_decref(lines[i]);
    mem_free(text);
    unlink(path);
}

// Of the weights themselves the keys have no ema_ before them.
static void rollouts_of_the_weights(void **state) {
    (void)state;
    char path[] = "/tmp/tact-metrics-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    Error err;
    Metrics m = {0};
    const TrainRollouts rollouts = {
        .episodes = 8, .succeeded = 2, .low = 0.125, .high = 0.5, .mean_steps = 7};
    bool ok = metrics_open(&m, path, &err) && metrics_write_rollouts(&m, 3, false, &rollouts, &err);
    if (!ok) fail_msg("%s", err.text);
    metrics_close(&m);
    char *text;
    size_t size;
    if (!file_read(path, &text, &size, &err)) fail_msg("%s", err.text);
    json_t *got = json_loads(text, 0, NULL);
    json_t *want = json_pack("{s:i, s:f, s:[f, f], s:i, s:f}", "step", 3, "pc_success", 25.0,
                             "pc_success_95", 12.5, 50.0, "n_episodes", 8, "mean_steps", 7.0);
    if (!json_equal(got, want)) fail_msg("%s", text);
    json_decref(got);
    json_decref(want);
    mem_free(text);
    unlink(path);
}

static void assert_holds(const char *path, const char *want) {
    char *text;
    size_t size;
    Error err;
    if (!file_read(path, &text, &size, &err)) fail_msg("%s", err.text);
    assert_string_equal(text, want);
    mem_free(text);
}

// A run that goes on after step 6 writes what follows anew: later lines are removed, and so is what
// a killed process left half written.
static void later_lines_are_cut_off(void **state) {
    (void)state;
    char path[] = "/tmp/tact-metrics-XXXXXX";
    int fd = mkstemp(path);
    static const char kept[] = "{\"step\": 3, \"loss\": 1.5}\n{\"step\": 6, \"loss\": 1}\n"
                               "{\"step\": 6, \"eval_loss\": 2}\n";
    static const char later[] = "{\"step\": 9, \"loss\": 0.5}\n{\"step\": 12, \"lo";
    static const char damaged[] = "{\"step\": 3, \"lo{\"step\": 4}\nnonsense\n\n";
    Error err;
    assert_true(fd >= 0 && write(fd, kept, strlen(kept)) > 0 &&
                write(fd, later, strlen(later)) > 0);
    close(fd);
    if (!metrics_cut(path, 6, false, &err)) fail_msg("%s", err.text);
    assert_holds(path, kept);
    // The evaluation after step 6 is still to come, although a line of it was there.
    if (!metrics_cut(path, 6, true, &err)) fail_msg("%s", err.text);
    assert_holds(path, "{\"step\": 3, \"loss\": 1.5}\n{\"step\": 6, \"loss\": 1}\n");
    if (!file_write(path, damaged, strlen(damaged), &err)) fail_msg("%s", err.text);
    if (!metrics_cut(path, 6, false, &err)) fail_msg("%s", err.text);
    assert_holds(path, "");
    unlink(path);
    if (!metrics_cut(path, 6, false, &err)) fail_msg("%s", err.text); // a run that never logged
    assert_false(file_exists(path));
}

// All that can be logged has its column, and what one file cannot take is in the others all the
// same.
static void figures_reach_the_curves(void **state) {
    (void)state;
    Error err;
    char dir[1024], path[1100];
    TrainConfig c;
    RunCurves curves;
    Metrics m = example();
    const TrainRollouts rollouts = {50, 32, 0.5, 0.75, 41.5};
    train_config_default(&c);
    OK(make_temporary_dir(dir, sizeof dir, NULL, &err));
    c.output_dir = dir;
    OK(run_curves_open(&curves, &c, 0, false, &err));
    m.curves = &curves;
    OK(metrics_open(&m, "/dev/full", &err));
    assert_false(metrics_write(&m, 200, &err));
    assert_non_null(strstr(err.text, "/dev/full"));
    for (int average = 0; average <= 1; average++) {
        assert_false(metrics_write_eval(&m, 200, average ? "ema_eval_loss" : "eval_loss", 3, &err));
        assert_false(metrics_write_rollouts(&m, 200, average, &rollouts, &err));
    }
    OK(metrics_sync(&m, &err));
    metrics_close(&m);
    run_curves_close(&curves);
    char *text;
    size_t size;
    snprintf(path, sizeof path, "%s/metrics.csv", dir);
    OK(file_read(path, &text, &size, &err));
    static const char *const rows[] = {",6.059999942779541,0.75,", ",,,,,,,,,,,3,,,,,,,,,,,\n",
                                       ",,,,,,,,,,,,,64,50,75,50,41.5,,,,,\n",
                                       ",,,,,,,,,,,,3,,,,,,,,,,\n",
                                       ",,,,,,,,,,,,,,,,,,64,50,75,50,41.5\n"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (!strstr(text, rows[i])) fail_msg("\"%s\" lacks %s", text, rows[i]);
    mem_free(text);
    OK(remove_tree(dir, &err));
    train_config_free(&c);
}

static int warnings, other_lines;

static void count_line(void *user, LogLevel level, const char *line) {
    (void)user, (void)line;
    if (level == LOG_LEVEL_WARNING)
        warnings++;
    else
        other_lines++;
}

static void limit_file_size(rlim_t bytes) {
    struct rlimit now;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &now), 0);
    now.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &now), 0);
}

// The limit of a file's size stands for a disk that fills up in the middle of a line.
static void a_full_disk_leaves_whole_lines(void **state) {
    (void)state;
    Error err;
    char dir[1024], path[1100], csv[1100], *text, *line, *rest;
    TrainConfig c;
    RunCurves curves;
    Metrics m = example();
    size_t size;
    train_config_default(&c);
    OK(make_temporary_dir(dir, sizeof dir, NULL, &err));
    c.output_dir = dir;
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
    snprintf(csv, sizeof csv, "%s/metrics.csv", dir);
    OK(run_curves_open(&curves, &c, 0, false, &err));
    OK(metrics_open(&m, path, &err));
    m.curves = &curves;
    LogSink before = log_to((LogSink){count_line, NULL});
    warnings = 0;
    metrics_tell(&m, metrics_write(&m, 1, &err), &err);
    assert_int_equal(warnings, 0);
    int64_t one;
    OK(tree_bytes(dir, &one, &err));
    signal(SIGXFSZ, SIG_IGN);
    for (int lost = 0; lost < 5; lost++) {
        limit_file_size((rlim_t)one / 2 + 40); // a piece of the next line fits into one of them
        const bool written = metrics_write(&m, 2 + lost, &err);
        limit_file_size(RLIM_INFINITY);
        assert_false(written);
        metrics_tell(&m, written, &err);
    }
    assert_int_equal(warnings, 1);
    metrics_tell(&m, metrics_write(&m, 7, &err), &err);
    metrics_tell(&m, metrics_write(&m, 8, &err), &err);
    assert_int_equal(warnings, 2); // and that it is over
    log_to(before);
    metrics_close(&m);
    run_curves_close(&curves);
    OK(file_read(path, &text, &size, &err));
    static const int steps[] = {1, 7, 8};
    rest = text;
    for (int i = 0; i < 3; i++) {
        line = strsep(&rest, "\n");
        json_t *object = json_loads(line, 0, NULL);
        if (!object) fail_msg("no line: %s", line);
        assert_int_equal(json_integer_value(json_object_get(object, "step")), steps[i]);
        json_decref(object);
    }
    assert_string_equal(rest, "");
    mem_free(text);
    OK(file_read(csv, &text, &size, &err));
    int rows = 0;
    for (rest = text; (line = strsep(&rest, "\n")) && *line; rows++) {
        int commas = 0;
        for (const char *at = line; *at; at++) commas += *at == ',';
        assert_int_equal(commas, 23);
    }
    assert_in_range(rows, 4, 9); // names, and what fit of it
    mem_free(text);
    OK(remove_tree(dir, &err));
    train_config_free(&c);
}

static void a_full_disk_is_reported(void **state) {
    (void)state;
    Error err = {""};
    Metrics m = example();
    if (!metrics_open(&m, "/dev/full", &err)) fail_msg("%s", err.text);
    assert_false(metrics_write(&m, 200, &err));
    assert_non_null(strstr(err.text, "/dev/full"));
    metrics_close(&m);
    assert_false(metrics_open(&m, "/no/such/folder/metrics.jsonl", &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(big_numbers_are_lerobots),
        cmocka_unit_test(the_line_is_lerobots),
        cmocka_unit_test(the_same_figures_are_appended_as_json),
        cmocka_unit_test(rollouts_of_the_weights),
        cmocka_unit_test(later_lines_are_cut_off),
        cmocka_unit_test(figures_reach_the_curves),
        cmocka_unit_test(a_full_disk_leaves_whole_lines),
        cmocka_unit_test(a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
