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

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(chosen_episodes_are_found_in_any_order)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
