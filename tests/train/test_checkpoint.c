// SPDX-License-Identifier: Apache-2.0
// A checkpoint is there whole or not at all, and what was there before stays.
#include "formats/safetensors.h"
#include "train/train.h"

#include "../dataset/fixture.h"

typedef struct Fixture {
    Arena arena;
    char *dir;
    TrainConfig config;
    Device *device;
    Params params;
    Stats stats;
    CheckpointStats all;
} Fixture;

static double numbers[3] = {0.5, 1, 2};

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    f->dir = new_folder(&f->arena);
    train_config_default(&f->config);
    f->config.output_dir = at(&f->arena, f->dir, "run");
    f->config.steps = 100;
    PolicyConfig *p = &f->config.policy;
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = p->obs_state_horizon = 2;
    p->n_encoder_layers = 1;
    p->state_dim = p->action_dim = 3;
    p->n_cameras = 1;
    p->cameras[0] = (CameraConfig){"observation.images.cam", 32, 32};
    p->image_height = p->image_width = 32;
    p->normalization_mapping = (NormMap){"MEAN_STD", "MIN_MAX", "MIN_MAX", "MIN_MAX"};
    p->pose_repr = "none";
    OK(device_open("ref", PRECISION_FLOAT32, 1, &f->device, &err));
    OK(params_init(&f->params, f->device, p, false, &err));
    params_initialize(&f->params, 4);
    f->stats = (Stats){.dim = 3, .min = numbers, .max = numbers, .mean = numbers, .std = numbers};
    static const ImageStats images[] = {{{0.5f, 0.5f, 0.5f}, {1, 1, 1}}};
    f->all = (CheckpointStats){.state = &f->stats, .action = &f->stats, .images = images};
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    Error err;
    params_free(&f->params);
    device_close(f->device);
    train_config_free(&f->config);
    if (!remove_tree(f->dir, &err)) return -1;
    arena_free(&f->arena);
    mem_free(f);
    return 0;
}

static void write_step(Fixture *f, int64_t step) {
    Error err;
    char path[4096];
    OK(checkpoint_write(&f->config, &f->params, step, &f->all, path, sizeof path, &err));
    char *want = arena_printf(&f->arena, "%s/checkpoints/%06lld", f->config.output_dir, (long long)step);
    assert_string_equal(path, want);
}

static void assert_last(Fixture *f, const char *want) {
    char target[64] = "";
    char *link = at(&f->arena, f->config.output_dir, "checkpoints/last");
    assert_true(readlink(link, target, sizeof target - 1) > 0);
    assert_string_equal(target, want);
}

// The weights of a step's model file are those of the params now.
static void assert_holds_params(Fixture *f, const char *step) {
    Error err;
    Safetensors *s;
    OK(safetensors_open(arena_printf(&f->arena, "%s/checkpoints/%s/pretrained_model/model.safetensors",
                                     f->config.output_dir, step), &s, &err));
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

static void weights_and_statistics_come_back(void **state) {
    Fixture *f = *state;
    Error err;
    Safetensors *s;
    write_step(f, 50);
    assert_last(f, "000050");
    assert_holds_params(f, "last");
    OK(safetensors_open(at(&f->arena, f->config.output_dir,
                           "checkpoints/000050/pretrained_model/stats.safetensors"), &s, &err));
    const SafetensorsEntry *e = safetensors_find(s, "observation.state.max");
    assert_non_null(e);
    for (int i = 0; i < 3; i++) assert_true(safetensors_value(e, i) == numbers[i]);
    e = safetensors_find(s, "observation.images.cam.std");
    assert_true(e && e->rank == 3 && safetensors_value(e, 0) == 1);
    assert_null(safetensors_find(s, "observation.environment_state.max"));
    safetensors_close(s);
}

static void the_link_moves_on_and_a_step_can_be_written_again(void **state) {
    Fixture *f = *state;
    write_step(f, 50);
    params_initialize(&f->params, 5);
    write_step(f, 100);
    assert_last(f, "000100");
    assert_holds_params(f, "000100");
    params_initialize(&f->params, 6);
    write_step(f, 50);
    assert_last(f, "000050");
    assert_holds_params(f, "000050");
    assert_false(dir_exists(at(&f->arena, f->config.output_dir, "checkpoints/000050.old")));
    assert_false(dir_exists(at(&f->arena, f->config.output_dir, "checkpoints/.000050.tmp")));
}

// A file stands where the folder should come: the write fails, the earlier checkpoint stays.
static void a_failed_write_leaves_what_was_there(void **state) {
    Fixture *f = *state;
    Error err;
    char path[4096] = "";
    write_step(f, 50);
    OK(file_write(at(&f->arena, f->config.output_dir, "checkpoints/000060"), "x", 1, &err));
    assert_false(checkpoint_write(&f->config, &f->params, 60, &f->all, path, sizeof path, &err));
    assert_says(&err, "checkpoints/000060", "");
    assert_last(f, "000050");
    assert_holds_params(f, "000050");
    assert_false(dir_exists(at(&f->arena, f->config.output_dir, "checkpoints/.000060.tmp")));
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
        cmocka_unit_test_setup_teardown(weights_and_statistics_come_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_link_moves_on_and_a_step_can_be_written_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_failed_write_leaves_what_was_there, set_up, tear_down),
        cmocka_unit_test(steps_have_six_digits_or_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
