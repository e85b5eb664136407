// SPDX-License-Identifier: Apache-2.0
// What is in the page of tact check beside the report, for datasets in memory of which nothing is
// decoded: that it stays small with many episodes, and that nothing which stands out is lost.
#include "check/check.h"

#include <stdio.h>
#include <string.h>

#include "../ok.h"
#include "../scratch.h"

enum { DIM = 3 };

typedef struct Recording {
    Dataset ds;
    Feature state, action;
    Episode *episodes;
    float *states, *actions;
    double *times;
    WindowSpec window;
    CheckReport report;
} Recording;

static void record(Recording *r, int64_t episodes, int64_t length) {
    static const char *names[DIM] = {"base", "elbow", "wrist"};
    const int64_t rows = episodes * length;
    *r = (Recording){
        .episodes = NEW(Episode, episodes),
        .states = NEW(float, rows *DIM),
        .actions = NEW(float, rows *DIM),
        .times = NEW(double, rows),
        .window = {.horizon = 1, .down_sample = 1, .chunk_size = 2, .action_down_sample = 1}};
    r->state = (Feature){.name = "observation.state",
                         .kind = FEATURE_STATE,
                         .size = DIM,
                         .names = names,
                         .n_names = DIM};
    r->action = (Feature){
        .name = "action", .kind = FEATURE_ACTION, .size = DIM, .names = names, .n_names = DIM};
    r->ds = (Dataset){.root = "memory",
                      .repo_id = "memory",
                      .version = "v3.0",
                      .fps = 10,
                      .total_episodes = episodes,
                      .total_frames = rows,
                      .state = &r->state,
                      .action = &r->action,
                      .n_episodes = episodes,
                      .episodes = r->episodes,
                      .rows = rows,
                      .state_data = r->states,
                      .action_data = r->actions,
                      .timestamp = r->times};
    for (int64_t e = 0; e < episodes; e++)
        r->episodes[e] =
            (Episode){.index = e, .first_row = e * length, .length = length, .task = "reach"};
    for (int64_t row = 0; row < rows; row++) {
        r->times[row] = (double)(row % length) / 10;
        for (int d = 0; d < DIM; d++)
            r->states[row * DIM + d] = r->actions[row * DIM + d] = (float)(row % length);
    }
}

static void release(Recording *r) {
    check_report_free(&r->report);
    mem_free(r->episodes);
    mem_free(r->states);
    mem_free(r->actions);
    mem_free(r->times);
}

static void put(Recording *r, CheckRuleId rule, int64_t episode, int64_t frame) {
    check_add(&r->report, rule, "something");
    CheckFinding *f = &r->report.findings[r->report.count - 1];
    f->episode = episode;
    f->frame = frame;
}

// Writes the page, and gives back the numbers in it.
static json_t *page_of(Recording *r) {
    char path[300], *text;
    size_t size;
    Error err;
    const CheckOptions options = {.window = &r->window};
    snprintf(path, sizeof path, "%s/page.html", folder);
    r->report.episodes = r->ds.n_episodes;
    r->report.rows = r->ds.rows;
    OK(check_write_page(&r->ds, &options, &r->report, path, &err));
    OK(file_read(path, &text, &size, &err));
    char *from = strstr(text, "id=\"check\">"), *to = from ? strstr(from, "</script>") : NULL;
    assert_non_null(to);
    from += strlen("id=\"check\">");
    json_t *page = json_parse(from, (size_t)(to - from), 0, NULL);
    assert_non_null(page);
    mem_free(text);
    return page;
}

static json_t *at(json_t *o, const char *key) {
    json_t *value = json_object_get(o, key);
    assert_non_null(value);
    return value;
}

static json_t *cell_of(json_t *page, int64_t index) {
    size_t i;
    json_t *cell;
    json_array_foreach(at(page, "cells"), i, cell) {
        if (json_integer_value(at(cell, "index")) == index) return cell;
    }
    return NULL;
}

// Of more episodes than can be drawn those with findings are drawn, and the worst come first.
static void test_thinned(void **state) {
    (void)state;
    Recording r;
    record(&r, 7000, 4);
    put(&r, RULE_value_jump, 3001, 2);
    put(&r, RULE_length_outlier, 5003, -1);
    put(&r, RULE_value_jump, 5003, 1);
    for (int i = 0; i < 3; i++) put(&r, RULE_hesitation, 6005, i); // notes weigh little
    json_t *page = page_of(&r);
    size_t cells = json_array_size(at(page, "cells"));
    assert_in_range(cells, 900, 1100);
    assert_string_equal(json_string_value(at(cell_of(page, 5003), "worst")), "warning");
    assert_int_equal(json_integer_value(at(cell_of(page, 5003), "findings")), 2);
    assert_string_equal(json_string_value(at(cell_of(page, 6005), "worst")), "note");
    assert_true(json_is_null(at(cell_of(page, 0), "worst")));
    assert_null(cell_of(page, 3004)); // nothing about it, and not one of the evenly spaced
    json_t *worst = at(page, "worst");
    assert_int_equal(json_array_size(worst), 3);
    static const int64_t order[] = {5003, 3001, 6005};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(json_integer_value(at(json_array_get(worst, i), "index")), order[i]);
    assert_int_equal(json_integer_value(at(page, "touched")), 2);
    assert_in_range(json_array_size(at(at(page, "ends"), "index")), 2000, 2600);
    assert_in_range(json_array_size(at(at(page, "lengths"), "index")), 3000, 5100);
    json_decref(page);
    release(&r);
}

// Many findings: the page lists a thousand of a rule, and counts and advises by all of them.
static void test_many_findings(void **state) {
    (void)state;
    Recording r;
    record(&r, 4000, 4);
    for (int64_t e = 0; e < 3000; e++) put(&r, RULE_timestamp_gap, e, 1);
    put(&r, RULE_value_jump, 3500, 1);
    json_t *page = page_of(&r), *report = at(page, "report");
    assert_int_equal(json_array_size(at(report, "findings")), 1001);
    assert_int_equal(json_array_size(at(report, "drop")), 3001);
    assert_int_equal(json_integer_value(at(page, "touched")), 3001);
    assert_in_range(json_array_size(at(page, "cells")), 1000, 1500);
    assert_string_equal(json_string_value(at(cell_of(page, 0), "worst")), "warning");
    json_decref(page);
    release(&r);
}

// A slip of one row is on the curve of an episode that is far longer than the curve has points.
static void test_curve_keeps_a_slip(void **state) {
    (void)state;
    Recording r;
    record(&r, 2, 20011);
    r.states[(20011 + 13337) * DIM + 1] = -5e4f;
    put(&r, RULE_value_jump, 1, 13337);
    json_t *page = page_of(&r), *number;
    json_t *curves = at(json_array_get(at(page, "worst"), 0), "curves");
    json_t *slipped = at(json_array_get(curves, 1), "state");
    size_t i, found = 0;
    assert_int_equal(json_array_size(slipped), 480);
    json_array_foreach(slipped, i, number) {
        if (json_number_value(number) != -5e4) continue;
        found++;
        assert_int_equal(i / 2, 13337 * 240 / 20011); // where it was
    }
    assert_int_equal(found, 1);
    json_decref(page);
    release(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_thinned),
        cmocka_unit_test(test_many_findings),
        cmocka_unit_test(test_curve_keeps_a_slip),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
