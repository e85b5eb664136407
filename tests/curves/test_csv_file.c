// SPDX-License-Identifier: Apache-2.0
// metrics.csv: rows, cuts, what a full disk leaves.
#include "base/file.h"
#include "base/memory.h"
#include "curves/run_curves.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "../ok.h"

static const char *const columns[] = {"loss", "lr", "eval_loss"};
#define NAMES "step,timestamp,loss,lr,eval_loss\n"

static char dir[1024], path[1100];

static int make_dir(void **state) {
    Error err;
    (void)state;
    if (!make_temporary_dir(dir, sizeof dir, NULL, &err)) return 1;
    snprintf(path, sizeof path, "%s/metrics.csv", dir);
    return 0;
}

static int remove_dir(void **state) {
    Error err;
    (void)state;
    return remove_tree(dir, &err) ? 0 : 1;
}

// The file with every time replaced by T.
static void assert_rows(const char *want) {
    char *text, seen[4096];
    size_t size, used = 0;
    Error err;
    OK(file_read(path, &text, &size, &err));
    for (const char *p = text; *p && used + 1 < sizeof seen;) {
        int year, month, day, hour, minute, second, n = 0;
        if (sscanf(p, "%4d-%2d-%2dT%2d:%2d:%2d+00:00%n", &year, &month, &day, &hour, &minute,
                   &second, &n) == 6 &&
            n == 25) {
            seen[used++] = 'T';
            p += n;
        } else
            seen[used++] = *p++;
    }
    seen[used] = 0;
    mem_free(text);
    assert_string_equal(seen, want);
}

static void rows_have_the_columns_of_the_beginning(void **state) {
    (void)state;
    Error err;
    CsvFile f;
    const CurvePoint log[] = {{"lr", 1e-5}, {"loss", 0.1}}, eval[] = {{"eval_loss", 2}};
    OK(csv_open(&f, path, columns, 3, &err));
    OK(csv_write(&f, 200, log, 2, &err));
    OK(csv_write(&f, 200, eval, 1, &err));
    append_close(&f.file);
    assert_rows(NAMES "200,T,0.1,1e-05,\n200,T,,,2\n");
    OK(csv_open(&f, path, columns, 3, &err)); // goes on behind them
    OK(csv_write(&f, 400, log, 2, &err));
    CurvePoint last[3];
    assert_int_equal(csv_last_row(&f, 200, last), 0);
    assert_int_equal(csv_last_row(&f, 400, last), 2);
    assert_string_equal(last[0].name, "loss");
    assert_true(last[0].value == 0.1 && last[1].value == 1e-5);
    append_close(&f.file);
    assert_rows(NAMES "200,T,0.1,1e-05,\n200,T,,,2\n400,T,0.1,1e-05,\n");
    static const char *const others[] = {"loss", "speed"};
    assert_false(csv_open(&f, path, others, 2, &err));
    assert_non_null(strstr(err.text, "metrics.csv: its columns are not those that this tact"));
}

static void a_run_that_goes_on_cuts_later_rows(void **state) {
    (void)state;
    static const char text[] = NAMES "3,T,1,1,\n6,T,1,1,\n6,T,,,2\n9,T,1,1,\n12,T,,";
    Error err;
    OK(csv_cut(path, 6, NULL, &err)); // not there
    assert_false(file_exists(path));
    OK(file_write(path, text, strlen(text), &err));
    OK(csv_cut(path, 9, NULL, &err));
    assert_rows(NAMES "3,T,1,1,\n6,T,1,1,\n6,T,,,2\n9,T,1,1,\n");
    OK(csv_cut(path, 6, NULL, &err));
    assert_rows(NAMES "3,T,1,1,\n6,T,1,1,\n6,T,,,2\n");
    OK(csv_cut(path, 6, "loss", &err)); // its evaluations come again
    assert_rows(NAMES "3,T,1,1,\n6,T,1,1,\n");
    static const char damaged[] = NAMES "3\nx,T,1,1,\n\n3,T\n 3,T\n6,T\n";
    OK(file_write(path, damaged, strlen(damaged), &err));
    OK(csv_cut(path, 6, "loss", &err));
    assert_rows(NAMES "3,T\n");
    OK(file_write(path, "", 0, &err));
    OK(csv_cut(path, 6, "loss", &err));
}

// When there is no more room a row is not there at all, and the next one is whole again.
static void half_a_row_is_taken_out(void **state) {
    (void)state;
    Error err = {""};
    CsvFile f;
    const CurvePoint log[] = {{"loss", 0.5}};
    struct rlimit before, small;
    OK(csv_open(&f, path, columns, 3, &err));
    OK(csv_write(&f, 1, log, 1, &err));
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){strlen(NAMES "1,2026-01-01T00:00:00+00:00,0.5,,\n2,"), before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool written = csv_write(&f, 2, log, 1, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_false(written);
    assert_non_null(strstr(err.text, "metrics.csv: cannot write"));
    OK(csv_write(&f, 3, log, 1, &err));
    append_close(&f.file);
    assert_rows(NAMES "1,T,0.5,,\n3,T,0.5,,\n");
}

// A run that was stopped before an evaluation, went on, evaluated, and was killed: whoever goes on
// from the same checkpoint evaluates once more, and in no file it is there twice.
static void an_evaluation_comes_once(void **state) {
    (void)state;
    Error err;
    TrainConfig c;
    RunCurves r;
    const CurvePoint log[] = {{"loss", 0.5}}, eval[] = {{"eval_loss", 2}};
    train_config_default(&c);
    c.output_dir = dir;
    OK(run_curves_open(&r, &c, 0, false, &err));
    OK(run_curves_log(&r, 6, log, 1, &err));
    OK(run_curves_evaluation(&r, 6, eval, 1, &err));
    OK(run_curves_log(&r, 9, log, 1, &err));
    OK(run_curves_sync(&r, &err));
    run_curves_close(&r);
    char folder[1100];
    snprintf(folder, sizeof folder, "%s/tensorboard", dir);
    assert_false(dir_exists(folder)); // not asked for
    snprintf(folder, sizeof folder, "%s/track.json", dir);
    assert_false(file_exists(folder));
    OK(run_curves_open(&r, &c, 6, true, &err));
    CurvePoint last[CSV_MAX_COLUMNS];
    assert_int_equal(csv_last_row(&r.csv, 6, last), 1);
    assert_string_equal(last[0].name, "loss");
    OK(run_curves_videos(&r, 6, "", dir, &err)); // no event file: nothing
    run_curves_close(&r);
    run_curves_close(&r);
    train_config_free(&c);
}

int main(void) {
#define IN_A_FOLDER(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
    const struct CMUnitTest tests[] = {
        IN_A_FOLDER(rows_have_the_columns_of_the_beginning),
        IN_A_FOLDER(a_run_that_goes_on_cuts_later_rows),
        IN_A_FOLDER(half_a_row_is_taken_out),
        IN_A_FOLDER(an_evaluation_comes_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
