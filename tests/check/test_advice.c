// SPDX-License-Identifier: Apache-2.0
// What tact check advises: which episodes to leave out, and the command for it.
#include "check/advice.h"

#include <string.h>

#include "../ok.h"

enum { EPISODES = 6 };

typedef struct Set {
    Dataset ds;
    Episode episodes[EPISODES];
    CheckReport report;
} Set;

static void set_up(Set *s) {
    *s = (Set){.ds = {.root = "outputs/set", .n_episodes = EPISODES, .episodes = s->episodes}};
    for (int e = 0; e < EPISODES; e++) s->episodes[e].index = 10 + e;
}

// A finding of an episode, by its index.
static void put(Set *s, CheckRuleId rule, int64_t episode) {
    check_add(&s->report, rule, "something");
    s->report.findings[s->report.count - 1].episode = episode;
}

static bool says_leave_out(const char *fix) {
    return strstr(fix, "leave the episode out") || strstr(fix, "leave it out") ||
           strstr(fix, "without the episode");
}

// The list in advice.c and what the rules say of themselves are the same.
static void test_rules_say_so(void **state) {
    (void)state;
    int wrong = 0;
    for (int i = 0; i < CHECK_RULES; i++) {
        const CheckRule *rule = &check_rules[i];
        // Of the whole dataset, which has no episode to be left out.
        if (rule->severity == CHECK_NOTE || i == RULE_far_outlier) continue;
        if (check_leaves_out((CheckRuleId)i) == says_leave_out(rule->fix)) continue;
        print_message("%s: its fix and leaves_out of advice.c do not agree\n", rule->name);
        wrong++;
    }
    assert_int_equal(wrong, 0);
}

static void test_nothing(void **state) {
    (void)state;
    Set s;
    set_up(&s);
    put(&s, RULE_value_jump, -1);    // of the whole dataset
    put(&s, RULE_hesitation, 11);    // a note
    put(&s, RULE_start_outlier, 12); // to be looked at
    CheckAdvice a = check_advice(&s.ds, &s.report);
    assert_int_equal(a.n_drop, 0);
    assert_int_equal(a.n_keep, EPISODES);
    assert_false(a.trim);
    assert_null(a.command);
    assert_null(a.flag);
    check_advice_free(&a);
    check_report_free(&s.report);
}

static void test_dropped(void **state) {
    (void)state;
    Set s;
    set_up(&s);
    put(&s, RULE_picture_frozen, 14);
    put(&s, RULE_value_jump, 11);
    put(&s, RULE_value_jump, 14);
    put(&s, RULE_unreadable, 99); // one that could not be opened is in no list of the dataset's
    CheckAdvice a = check_advice(&s.ds, &s.report);
    assert_int_equal(a.n_drop, 3);
    assert_string_equal(a.command, "tact edit outputs/set --root=NEW --drop=[11,14,99]");
    assert_string_equal(a.flag, "--dataset.episodes=[10,12,13,15]");
    check_advice_free(&a);
    put(&s, RULE_idle_tail, 12);
    s.ds.root = "my set's";
    a = check_advice(&s.ds, &s.report);
    assert_string_equal(a.command,
                        "tact edit 'my set'\\''s' --root=NEW --drop=[11,14,99] --trim=idle");
    check_advice_free(&a);
    check_report_free(&s.report);
}

static void test_trimmed(void **state) {
    (void)state;
    Set s;
    set_up(&s);
    put(&s, RULE_idle_head, 12);
    CheckAdvice a = check_advice(&s.ds, &s.report);
    assert_true(a.trim);
    assert_string_equal(a.command, "tact edit outputs/set --root=NEW --trim=idle");
    assert_null(a.flag);
    check_advice_free(&a);
    check_report_free(&s.report);
}

// Nothing would be left, and nothing could be opened.
static void test_all_of_them(void **state) {
    (void)state;
    Set s;
    set_up(&s);
    for (int e = 0; e < EPISODES; e++) put(&s, RULE_picture_dark, 10 + e);
    CheckAdvice a = check_advice(&s.ds, &s.report);
    assert_int_equal(a.n_drop, EPISODES);
    assert_int_equal(a.n_keep, 0);
    assert_null(a.command);
    assert_null(a.flag);
    check_advice_free(&a);
    a = check_advice(NULL, &s.report);
    assert_null(a.command);
    check_advice_free(&a);
    check_report_free(&s.report);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules_say_so), cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_dropped),      cmocka_unit_test(test_trimmed),
        cmocka_unit_test(test_all_of_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
