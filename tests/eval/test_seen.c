// SPDX-License-Identifier: Apache-2.0
// Which episodes a checkpoint says it was trained on, by the list that its training was given.
#include "eval/training.h"

#include "base/file.h"
#include "base/rng.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../ok.h" // last: cmocka defines `fail` as a macro

enum { MOST = 400, EPISODES = 500 };

// What stands in a checkpoint's train_config.json of a training on the dataset at `dir`.
static void write_config(const char *dir, const int64_t *chosen, int64_t n) {
    char path[4200];
    Error err;
    json_t *list = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(list, json_integer(chosen[i]));
    json_t *root = json_pack("{s:{s:s, s:o}}", "dataset", "root", dir, "episodes", list);
    snprintf(path, sizeof path, "%s/train_config.json", dir);
    OK(json_write(path, root, 2, &err));
    json_decref(root);
}

static void chosen_episodes_are_found_in_any_order(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/tact-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    RngStream rng = {.key = {.seed = 5}};
    for (int round = 0; round < 20; round++) {
        int64_t chosen[MOST], n = (int64_t)rng_below(&rng, MOST);
        for (int64_t i = 0; i < n; i++) chosen[i] = (int64_t)rng_below(&rng, EPISODES);
        write_config(dir, chosen, n);
        EvalTraining t;
        eval_training_read(dir, dir, NULL, &t);
        assert_true(t.known && t.same_dataset);
        for (int64_t e = -1; e <= EPISODES; e++) {
            EvalSeen wanted = SEEN_HELD_OUT;
            for (int64_t i = 0; i < n; i++)
                if (chosen[i] == e) wanted = SEEN_TRAINED;
            assert_int_equal(eval_seen(&t, e), wanted);
        }
        eval_training_free(&t);
    }
    Error err;
    OK(remove_tree(dir, &err));
}

// Writes a file below dir; what stands in it is JSON with ' for ".
static void put(const char *dir, const char *name, const char *text) {
    char path[4200], json[1000];
    Error err;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    snprintf(json, sizeof json, "%s", text);
    for (char *c = json; *c; c++)
        if (*c == '\'') *c = '"';
    OK(file_write(path, json, strlen(json), &err));
}

static EvalSeen seen(const char *dir, const char *root, const char *repo_id) {
    EvalTraining t;
    eval_training_read(dir, root, repo_id, &t);
    EvalSeen of = eval_seen(&t, 3);
    eval_training_free(&t);
    return of;
}

// By the place that tact stored, else by the one that was given, else by the name; and where that
// is another one, nothing is known.
static void which_dataset_it_was(void **state) {
    (void)state;
    const char *tmp = getenv("TMPDIR");
    char dir[4096], other[4200], text[9000];
    Error err;
    snprintf(dir, sizeof dir, "%s/tact-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    assert_non_null(mkdtemp(dir));
    snprintf(other, sizeof other, "%s/other", dir);
    OK(make_dirs(other, &err));
    assert_int_equal(seen(dir, dir, "me/set"), SEEN_UNKNOWN); // no train_config.json
    put(dir, "train_config.json", "{'dataset': 5}");
    assert_int_equal(seen(dir, dir, "me/set"), SEEN_UNKNOWN);
    put(dir, "train_config.json", "{'dataset': {'repo_id': 'me/set', 'episodes': null}}");
    assert_int_equal(seen(dir, dir, "me/set"), SEEN_TRAINED);
    assert_int_equal(seen(dir, dir, "me/other"), SEEN_UNKNOWN);
    assert_int_equal(seen(dir, dir, NULL), SEEN_UNKNOWN);
    put(dir, "train_config.json", "{'dataset': {'repo_id': 'me/set', 'root': '/no/where'}}");
    assert_int_equal(seen(dir, dir, "me/set"), SEEN_TRAINED); // it is not there any more
    snprintf(text, sizeof text, "{'dataset': {'repo_id': 'me/set', 'root': '%s'}}", dir);
    put(dir, "train_config.json", text);
    assert_int_equal(seen(dir, dir, NULL), SEEN_TRAINED);
    assert_int_equal(seen(dir, other, "me/set"), SEEN_UNKNOWN);
    assert_int_equal(seen(dir, "/no/where", "me/set"), SEEN_UNKNOWN);
    snprintf(text, sizeof text, "{'train': {'dataset_root': '%s'}}", other);
    put(dir, "tact.json", text);
    assert_int_equal(seen(dir, other, NULL), SEEN_TRAINED);
    assert_int_equal(seen(dir, dir, "me/set"), SEEN_UNKNOWN);
    put(dir, "tact.json", "{'train': {'dataset_root': '/no/where'}}");
    assert_int_equal(seen(dir, dir, NULL), SEEN_TRAINED); // by the other one
    // A split of a dataset that cannot be read: who knows.
    put(dir, "tact.json", "{'train': {'eval_split': 0.5}}");
    assert_int_equal(seen(dir, dir, NULL), SEEN_UNKNOWN);
    put(dir, "tact.json", "{'train': {'eval_split': 0}}");
    assert_int_equal(seen(dir, dir, NULL), SEEN_TRAINED);
    assert_string_equal(eval_seen_name(SEEN_TRAINED), "trained on");
    assert_string_equal(eval_seen_name(SEEN_HELD_OUT), "held out");
    assert_string_equal(eval_seen_name(SEEN_UNKNOWN), "unknown");
    OK(remove_tree(dir, &err));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chosen_episodes_are_found_in_any_order),
                                       cmocka_unit_test(which_dataset_it_was)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
