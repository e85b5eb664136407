// SPDX-License-Identifier: Apache-2.0
// A checkpoint is there whole or not at all, and what was there before stays.
#include "saved.h"

static void assert_last(Saved *f, const char *want) {
    char target[64] = "";
    char *link = at(&f->arena, f->config.output_dir, "checkpoints/last");
    assert_true(readlink(link, target, sizeof target - 1) > 0);
    assert_string_equal(target, want);
}

// The model file of a step holds the weights that the params have now.
static void assert_holds_params(Saved *f, const char *step) {
    Error err;
    Safetensors *s;
    OK(safetensors_open(arena_printf(&f->arena,
                                     "%s/checkpoints/%s/pretrained_model/model.safetensors",
                                     f->config.output_dir, step),
                        &s, &err));
    assert_int_equal(safetensors_count(s), f->params.count);
    for (int i = 0; i < f->params.count; i++) {
        const Param *q = &f->params.list[i];
        const SafetensorsEntry *e = safetensors_find(s, q->name);
        if (!e) fail_msg("%s is missing", q->name);
        assert_int_equal(e->rank, q->rank);
        assert_int_equal(e->count, q->count);
        float *values = NEW(float, q->count);
        param_get(&f->params, q, values);
        assert_memory_equal(values, e->data, (size_t)q->count * sizeof *values);
        mem_free(values);
    }
    safetensors_close(s);
}

static void everything_of_lerobots_is_there(void **state) {
    Saved *f = *state;
    static const char *const files[] = {
        "pretrained_model/config.json",
        "pretrained_model/model.safetensors",
        "pretrained_model/train_config.json",
        "pretrained_model/tact.json",
        "pretrained_model/policy_preprocessor.json",
        "pretrained_model/policy_postprocessor.json",
        "pretrained_model/policy_preprocessor_step_3_normalizer_processor.safetensors",
        "pretrained_model/policy_postprocessor_step_0_unnormalizer_processor.safetensors",
        "pretrained_model_ema/model.safetensors",
        "training_state/training_step.json",
        "training_state/rng_state.safetensors",
        "training_state/optimizer_state.safetensors",
        "training_state/optimizer_param_groups.json",
        "training_state/tact_state.json"};
    save_at(f, 50);
    assert_last(f, "000050");
    assert_holds_params(f, "last");
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        const char *path =
            arena_printf(&f->arena, "%s/checkpoints/000050/%s", f->config.output_dir, files[i]);
        if (!file_exists(path)) fail_msg("%s is missing", path);
    }
    assert_false(file_exists(checkpoint_file(f, "000050/training_state/scheduler_state.json")));
    f->config.scheduler.type = "diffuser";
    save_at(f, 60);
    assert_true(file_exists(checkpoint_file(f, "000060/training_state/scheduler_state.json")));
}

static void the_link_moves_on_and_a_step_can_be_written_again(void **state) {
    Saved *f = *state;
    save_at(f, 50);
    params_initialize(&f->params, 5);
    save_at(f, 100);
    assert_last(f, "000100");
    assert_holds_params(f, "000100");
    params_initialize(&f->params, 6);
    save_at(f, 50);
    assert_last(f, "000050");
    assert_holds_params(f, "000050");
    assert_false(dir_exists(at(&f->arena, f->config.output_dir, "checkpoints/000050.old")));
    assert_false(dir_exists(at(&f->arena, f->config.output_dir, "checkpoints/.000050.tmp")));
}

// A file stands where the folder should be: writing fails, and the earlier checkpoint stays.
static void a_failed_write_leaves_what_was_there(void **state) {
    Saved *f = *state;
    Error err;
    char path[4096] = "";
    save_at(f, 50);
    OK(file_write(at(&f->arena, f->config.output_dir, "checkpoints/000060"), "x", 1, &err));
    f->state.step = 60;
    assert_false(checkpoint_write(&f->parts, path, sizeof path, &err));
    assert_says(&err, "checkpoints/000060", "");
    assert_last(f, "000050");
    assert_holds_params(f, "000050");
    assert_false(dir_exists(at(&f->arena, f->config.output_dir, "checkpoints/.000060.tmp")));
}

// Removes a key of a file of the checkpoint and looks whether that is noticed.
static void assert_missed(Saved *f, const char *folder_name, const char *file, const char *key) {
    Error err;
    json_t *root;
    const char *dir = checkpoint_file(f, folder_name);
    const char *path = arena_printf(&f->arena, "%s/%s", dir, file);
    const bool of_state = strstr(folder_name, "training_state") != NULL;
    OK(json_read(path, &root, &err));
    json_t *whole = json_deep_copy(root);
    assert_int_equal(json_object_del(root, key), 0);
    OK(json_write(path, root, 4, &err));
    const bool found = of_state ? checkpoint_check_state(dir, &f->parts, &err)
                                : checkpoint_check_policy(dir, &f->parts, &f->params, &err);
    if (found) fail_msg("%s: \"%s\" is not missed", path, key);
    OK(json_write(path, whole, 4, &err));
    json_decref(root);
    json_decref(whole);
}

static void what_is_missing_is_noticed_before_it_is_published(void **state) {
    Saved *f = *state;
    Error err;
    save_at(f, 50);
    const char *policy = checkpoint_file(f, "000050/pretrained_model");
    const char *training = checkpoint_file(f, "000050/training_state");
    OK(checkpoint_check_policy(policy, &f->parts, &f->params, &err));
    OK(checkpoint_check_state(training, &f->parts, &err));
    assert_missed(f, "000050/pretrained_model", "config.json", "dropout");
    assert_missed(f, "000050/pretrained_model", "tact.json", "fps");
    assert_missed(f, "000050/pretrained_model", "train_config.json", "seed");
    assert_missed(f, "000050/pretrained_model", "policy_preprocessor.json", "steps");
    assert_missed(f, "000050/training_state", "tact_state.json", "next_batch");
    OK(checkpoint_check_policy(policy, &f->parts, &f->params, &err));

    // Another state, other statistics, and fewer tensors than there are.
    f->state.next_step++;
    assert_false(checkpoint_check_state(training, &f->parts, &err));
    assert_says(&err, training, "state");
    f->state.next_step--;
    double *mean = f->stats.action.mean, was = mean[0];
    mean[0] += 1;
    assert_false(checkpoint_check_policy(policy, &f->parts, &f->params, &err));
    assert_says(&err, policy, "statistics");
    mean[0] = was;
    Params more = f->params;
    more.count--;
    assert_false(checkpoint_check_policy(policy, &f->parts, &more, &err));
    assert_says(&err, policy, "weights");
}

static void make(Saved *f, const char *name) {
    Error err;
    OK(make_dirs(checkpoint_file(f, name), &err));
}

static bool is_there(Saved *f, const char *name) {
    return dir_exists(checkpoint_file(f, name));
}

static void old_ones_are_removed(void **state) {
    Saved *f = *state;
    Error err;
    static const char *const names[] = {"000010", "000020", "0000030", "000040",
                                        "000050", "000060", "best"};
    for (int i = 0; i < 7; i++) make(f, names[i]);
    char *dir = at(&f->arena, f->config.output_dir, "checkpoints");
    OK(checkpoint_point_last(dir, "000020", &err));
    OK(checkpoints_prune(dir, 50, 0, &err));
    assert_true(is_there(f, "000010"));
    OK(checkpoints_prune(dir, 50, 2, &err));
    assert_false(is_there(f, "000010"));
    assert_true(is_there(f, "000020")); // last
    assert_false(is_there(f, "0000030"));
    assert_true(is_there(f, "000040") && is_there(f, "000050"));
    assert_true(is_there(f, "000060") && is_there(f, "best")); // later, and no checkpoint
    OK(checkpoints_prune(dir, 50, 1, &err));
    assert_true(is_there(f, "000050") && is_there(f, "000020"));
    assert_false(is_there(f, "000040"));
}

static void what_a_killed_run_left_is_cleaned(void **state) {
    Saved *f = *state;
    Error err;
    static const char *const names[] = {"000010", "000010.old", "000020.old", ".000030.tmp/x",
                                        "own.old"};
    for (int i = 0; i < 5; i++) make(f, names[i]);
    char *dir = at(&f->arena, f->config.output_dir, "checkpoints");
    assert_int_equal(symlink("000010", at(&f->arena, dir, ".last.tmp")), 0);
    OK(checkpoints_clean(dir, &err));
    assert_true(is_there(f, "000010") && is_there(f, "own.old"));
    assert_false(is_there(f, "000010.old"));
    assert_true(is_there(f, "000020")); // killed while it was being replaced
    assert_false(is_there(f, "000020.old"));
    assert_false(is_there(f, ".000030.tmp") || is_there(f, ".last.tmp"));
}

static void steps_have_six_digits_or_more(void **state) {
    (void)state;
    char name[32];
    checkpoint_step_name(name, sizeof name, 7, 100);
    assert_string_equal(name, "000007");
    checkpoint_step_name(name, sizeof name, 7, 12345678);
    assert_string_equal(name, "00000007");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(everything_of_lerobots_is_there, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(old_ones_are_removed, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(what_is_missing_is_noticed_before_it_is_published,
                                        saved_new, saved_free),
        cmocka_unit_test_setup_teardown(what_a_killed_run_left_is_cleaned, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(the_link_moves_on_and_a_step_can_be_written_again,
                                        saved_new, saved_free),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_what_was_there, saved_new,
                                        saved_free),
        cmocka_unit_test(steps_have_six_digits_or_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
