// SPDX-License-Identifier: Apache-2.0
// The state from which a run goes on: it is written under LeRobot's names and types, read back bit
// for bit, and refused when it is damaged.
#include "saved.h"

#include "policy/policy_stats.h"
#include "policy/policy_weights.h"

static const char moments[] = "optimizer_state.safetensors";

static char *state_dir(Saved *f) {
    return checkpoint_file(f, "000050/training_state");
}

static void assert_flat(Saved *f, Tensor t, float scale) {
    const Params *p = &f->params;
    for (int i = 0; i < p->count; i++) {
        const Param *q = &p->list[i];
        for (int64_t k = q->offset; q->kind != PARAM_BUFFER && k < q->offset + q->count; k++)
            assert_true(f32(t)[k] == scale * (float)(k % 1013 + 1));
    }
}

static void saved_read_and_saved_again_is_the_same(void **state) {
    Saved *f = *state;
    static const char *const files[] = {
        "training_state/optimizer_state.safetensors",
        "training_state/tact_state.json",
        "training_state/training_step.json",
        "training_state/rng_state.safetensors",
        "training_state/optimizer_param_groups.json",
        "pretrained_model/model.safetensors",
        "pretrained_model/policy_preprocessor_step_3_normalizer_processor.safetensors",
        "pretrained_model/policy_postprocessor_step_0_unnormalizer_processor.safetensors",
        "pretrained_model/policy_preprocessor.json",
        "pretrained_model_ema/model.safetensors"};
    Error err;
    f->state.eval_due = true;
    save_at(f, 50);
    TrainingState read;
    PolicyStats stats = f->stats;
    const char *model = checkpoint_file(f, "000050/pretrained_model");
    fill_flat(f, f->optimizer.m, 7);
    fill_flat(f, f->optimizer.v, 7);
    params_initialize(&f->params, 77);
    params_initialize(&f->average, 78);
    f->optimizer.step = 0;
    OK(training_state_read(state_dir(f), &read, &err));
    assert_memory_equal(&read.sums, &f->state.sums, sizeof read.sums);
    assert_true(read.ours && read.eval_due);
    OK(optimizer_state_read(state_dir(f), read.step, false, &f->optimizer, &err));
    assert_int_equal(f->optimizer.step, 50);
    assert_flat(f, f->optimizer.m, -1e-3f);
    assert_flat(f, f->optimizer.v, 1e-6f);
    OK(policy_read_weights(model, &f->params, (WeightsOptions){0}, &err));
    OK(policy_read_weights(checkpoint_file(f, "000050/pretrained_model_ema"), &f->average,
                           (WeightsOptions){0}, &err));
    OK(policy_read_stats(model, NULL, &f->config.policy, &f->stats, &err));
    policy_stats_free(&stats);
    f->state = read;
    const char *first = f->config.output_dir;
    f->config.output_dir = at(&f->arena, f->dir, "again");
    save_at(f, 50);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_same_file(
            arena_printf(&f->arena, "%s/checkpoints/000050/%s", first, files[i]),
            arena_printf(&f->arena, "%s/checkpoints/000050/%s", f->config.output_dir, files[i]));
}

static json_t *read_json(Saved *f, const char *name) {
    Error err;
    json_t *root = NULL;
    OK(json_read(at(&f->arena, state_dir(f), name), &root, &err));
    return root;
}

// PyTorch numbers the tensors group by group; LeRobot compares keys and types.
static void groups_are_pytorchs(void **state) {
    Saved *f = *state;
    save_at(f, 50);
    json_t *groups = read_json(f, "optimizer_param_groups.json");
    assert_int_equal(json_array_size(groups), 2);
    const json_t *first = json_array_get(groups, 0), *second = json_array_get(groups, 1);
    assert_int_equal(json_object_size(first), 12);
    assert_true(json_is_real(json_object_get(first, "lr")) &&
                json_is_null(json_object_get(first, "fused")));
    assert_true(json_is_true(json_object_get(first, "decoupled_weight_decay")));
    assert_int_equal(json_array_size(json_object_get(second, "params")),
                     0); // no images, no backbone
    int trained = 0;
    for (int i = 0; i < f->params.count; i++) trained += f->params.list[i].kind != PARAM_BUFFER;
    const json_t *numbers = json_object_get(first, "params");
    assert_int_equal(json_array_size(numbers), trained);
    assert_int_equal(json_integer_value(json_array_get(numbers, (size_t)trained - 1)), trained - 1);
    json_decref(groups);
}

static void assert_number(const Safetensors *s, int number, int rank, int64_t first, int64_t last) {
    char name[64];
    snprintf(name, sizeof name, "state/%d/exp_avg", number);
    const SafetensorsEntry *e = safetensors_find(s, name);
    if (!e || e->rank != rank || e->shape[0] != first || e->shape[rank - 1] != last)
        fail_msg("%s is another tensor", name);
}

// The depth of LeRobot's default ACT, with a camera.
static void make_deep(Saved *f) {
    Error err;
    PolicyConfig *p = &f->config.policy;
    optimizer_free(&f->optimizer);
    params_free(&f->params);
    p->obs_state_horizon = 1;
    p->temporal_pos_embed = "none";
    p->n_encoder_layers = p->n_vae_encoder_layers = 4;
    p->env_dim = 0;
    p->n_cameras = 1;
    p->cameras[0] = (CameraConfig){"observation.images.cam", 64, 64, 64, 64, 0, 0};
    OK(params_init(&f->params, f->device, p, true, &err));
    OK(optimizer_init(&f->optimizer, &f->params, &f->config, &err));
    OK(make_dirs(state_dir(f), &err));
}

// There are 153 tensors, in the order in which LeRobot registers them, the backbone last.
static void tensors_are_numbered_as_in_lerobot(void **state) {
    Saved *f = *state;
    Error err;
    Safetensors *s;
    make_deep(f);
    OK(training_state_write(state_dir(f), &f->config, &f->optimizer, &f->state, &err));
    json_t *groups = read_json(f, "optimizer_param_groups.json");
    for (size_t i = 0; i < 2; i++) {
        const json_t *numbers = json_object_get(json_array_get(groups, i), "params");
        assert_int_equal(json_array_size(numbers), i ? 20 : 133);
        assert_int_equal(json_integer_value(json_array_get(numbers, 0)), i ? 133 : 0);
    }
    json_decref(groups);
    OK(safetensors_open(at(&f->arena, state_dir(f), moments), &s, &err));
    assert_int_equal(safetensors_count(s), 459);
    assert_number(s, 0, 2, 48, 16);   // vae_encoder.layers.0.self_attn.in_proj_weight
    assert_number(s, 48, 2, 1, 16);   // vae_encoder_cls_embed
    assert_number(s, 53, 2, 64, 16);  // vae_encoder_latent_output_proj
    assert_number(s, 127, 4, 16, 1);  // encoder_img_feat_input_proj
    assert_number(s, 129, 2, 2, 16);  // encoder_1d_feature_pos_embed
    assert_number(s, 131, 2, 3, 16);  // action_head
    assert_number(s, 133, 4, 64, 7);  // backbone.conv1
    assert_number(s, 140, 4, 128, 1); // backbone.layer2.0.downsample.0
    const SafetensorsEntry *e = safetensors_find(s, "state/152/step");
    assert_true(e && e->rank == 0 && e->type == ST_F32 && safetensors_value(e, 0) == 50);
    safetensors_close(s);
}

// With use_policy_training_preset=false LeRobot's optimiser has one group, counted as its ACT is
// made: 55 tensors of the VAE, 20 of the backbone, the other 78.
static void one_group_is_read(void **state) {
    Saved *f = *state;
    Error err;
    enum { VAE = 55, BACKBONE = 20, ALL = 153 };
    make_deep(f);
    fill_flat(f, f->optimizer.m, -1e-3f);
    fill_flat(f, f->optimizer.v, 1e-6f);
    OK(training_state_write(state_dir(f), &f->config, &f->optimizer, &f->state, &err));
    char *path = at(&f->arena, state_dir(f), moments);
    Safetensors *s;
    OK(safetensors_open(path, &s, &err));
    int n = safetensors_count(s);
    SafetensorsEntry *entries = NEW(SafetensorsEntry, n);
    for (int i = 0; i < n; i++) {
        entries[i] = *safetensors_entry(s, i);
        char kind[32];
        int number;
        assert_int_equal(sscanf(entries[i].name, "state/%d/%31s", &number, kind), 2);
        int counted = number < VAE              ? number
                      : number < ALL - BACKBONE ? number + BACKBONE
                                                : number - (ALL - BACKBONE) + VAE;
        entries[i].name = arena_printf(&f->arena, "state/%d/%s", counted, kind);
    }
    char *renamed = at(&f->arena, f->dir, "renamed");
    OK(safetensors_write(renamed, entries, n, false, &err));
    safetensors_close(s);
    mem_free(entries);
    assert_int_equal(rename(renamed, path), 0);
    fill_flat(f, f->optimizer.m, 7);
    fill_flat(f, f->optimizer.v, 7);
    // Read as two groups the tensors do not have the shapes that they should have.
    assert_false(optimizer_state_read(state_dir(f), 50, false, &f->optimizer, &err));
    assert_says(&err, "shape", "");
    char *groups = at(&f->arena, state_dir(f), "optimizer_param_groups.json");
    OK(file_write(groups, "[{\"lr\": 1e-5}]", 14, &err));
    OK(optimizer_state_read(state_dir(f), 50, false, &f->optimizer, &err));
    assert_flat(f, f->optimizer.m, -1e-3f);
    assert_flat(f, f->optimizer.v, 1e-6f);
    OK(file_write(groups, "[{}, {}, {}]", 12, &err));
    assert_false(optimizer_state_read(state_dir(f), 50, false, &f->optimizer, &err));
    assert_says(&err, "3 groups", "");
}

static void a_schedule_has_its_state(void **state) {
    Saved *f = *state;
    f->config.scheduler =
        (SchedulerConfig){.type = "diffuser", .name = "linear", .num_warmup_steps = 100};
    save_at(f, 50);
    json_t *groups = read_json(f, "optimizer_param_groups.json"),
           *s = read_json(f, "scheduler_state.json");
    const json_t *first = json_array_get(groups, 0);
    assert_within(json_number_value(json_object_get(first, "initial_lr")), 1e-5, 0);
    assert_within(json_number_value(json_object_get(first, "lr")), 0.5e-5, 1e-18);
    assert_int_equal(json_integer_value(json_object_get(s, "last_epoch")), 50);
    assert_int_equal(json_integer_value(json_object_get(s, "_step_count")), 51);
    json_decref(groups);
    json_decref(s);
}

// The first number of MT19937 seeded with 5489 is 3499211612, as every description of it says.
static void the_random_state_is_mt19937(void **state) {
    Saved *f = *state;
    Error err;
    Safetensors *s;
    OK(make_dirs(state_dir(f), &err));
    OK(rng_state_write(state_dir(f), 5489, &err));
    OK(safetensors_open(at(&f->arena, state_dir(f), "rng_state.safetensors"), &s, &err));
    const SafetensorsEntry *e = safetensors_find(s, "np_rng_state_values");
    assert_true(e && e->count == 624 && e->type == ST_I64);
    uint32_t a = (uint32_t)safetensors_value(e, 0), b = (uint32_t)safetensors_value(e, 1);
    uint32_t y = (a & 0x80000000u) | (b & 0x7fffffffu);
    y = (uint32_t)safetensors_value(e, 397) ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    y ^= y >> 18;
    assert_true(y == 3499211612u);
    e = safetensors_find(s, "torch_rng_state");
    assert_true(e && e->count == 5056 && e->type == ST_U8);
    const uint8_t *torch = e->data;
    assert_true(torch[0] == 5489 % 256 && torch[1] == 5489 / 256 && torch[8] == 1 &&
                torch[12] == 1);
    assert_true(torch[24] == torch[0] && torch[16] == 0);
    safetensors_close(s);
}

// ---- damage -------------------------------------------------------------------------------------

static void refuse_moments(Saved *f, const char *a, const char *b) {
    Error err = {""};
    assert_false(optimizer_state_read(state_dir(f), 50, false, &f->optimizer, &err));
    assert_says(&err, a, b);
}

// Writes the moments anew with one tensor changed by the caller.
static void rewrite(Saved *f, int drop, const char *name, SafetensorsEntry with) {
    Error err;
    Safetensors *s;
    char *path = at(&f->arena, state_dir(f), moments);
    OK(safetensors_open(path, &s, &err));
    int n = 0;
    SafetensorsEntry *entries = NEW(SafetensorsEntry, safetensors_count(s) + 1);
    for (int i = 0; i < safetensors_count(s); i++) {
        const SafetensorsEntry *e = safetensors_entry(s, i);
        if (strcmp(e->name, name) != 0)
            entries[n++] = *e;
        else if (!drop) {
            with.name = e->name;
            entries[n++] = with;
        }
    }
    OK(safetensors_write(path, entries, n, false, &err));
    safetensors_close(s);
    mem_free(entries);
}

static void add_tensor(Saved *f, const char *name) {
    Error err;
    Safetensors *s;
    char *path = at(&f->arena, state_dir(f), moments);
    OK(safetensors_open(path, &s, &err));
    int n = safetensors_count(s);
    SafetensorsEntry *entries = NEW(SafetensorsEntry, n + 1);
    for (int i = 0; i < n; i++) entries[i] = *safetensors_entry(s, i);
    entries[n] = entries[0];
    entries[n].name = name;
    OK(safetensors_write(path, entries, n + 1, false, &err));
    safetensors_close(s);
    mem_free(entries);
}

static void damaged_moments_are_refused(void **state) {
    Saved *f = *state;
    Error err;
    float bad[16];
    for (int i = 0; i < 16; i++) bad[i] = 1;
    SafetensorsEntry row = {
        .type = ST_F32, .rank = 1, .shape = {16}, .count = 16, .data = bad, .bytes = sizeof bad};
    save_at(f, 50);
    // Number 12 is the VAE's class embedding, (1, 16).
    rewrite(f, 0, "state/12/exp_avg", row);
    refuse_moments(f, "state/12/exp_avg", "shape");
    row.rank = 2, row.shape[0] = 1, row.shape[1] = 16;
    bad[3] = -1;
    save_at(f, 50);
    rewrite(f, 0, "state/12/exp_avg_sq", row);
    refuse_moments(f, "value 3", "state/12/exp_avg_sq");
    bad[3] = NAN;
    save_at(f, 50);
    rewrite(f, 0, "state/12/exp_avg", row);
    refuse_moments(f, "value 3", "state/12/exp_avg");
    save_at(f, 50);
    rewrite(f, 1, "state/12/exp_avg", row);
    refuse_moments(f, "state/12/exp_avg", "missing");
    save_at(f, 50);
    add_tensor(f, "state/99/exp_avg");
    refuse_moments(f, "tensors, but this policy's optimiser has", "");
    save_at(f, 50);
    assert_false(optimizer_state_read(state_dir(f), 51, false, &f->optimizer, &err));
    assert_says(&err, "state/0/step", "51");
    OK(optimizer_state_read(state_dir(f), 50, false, &f->optimizer, &err));
    char *text;
    size_t size;
    char *path = at(&f->arena, state_dir(f), moments);
    OK(file_read(path, &text, &size, &err));
    OK(file_write(path, text, size - 9, &err));
    mem_free(text);
    refuse_moments(f, moments, "");
}

static void refuse_state(Saved *f, const char *file, const char *text, const char *a,
                         const char *b) {
    Error err = {""};
    TrainingState s;
    save_at(f, 50);
    OK(file_write(at(&f->arena, state_dir(f), file), text, strlen(text), &err));
    assert_false(training_state_read(state_dir(f), &s, &err));
    assert_says(&err, a, b);
}

static void a_damaged_state_is_refused(void **state) {
    Saved *f = *state;
    refuse_state(f, "training_step.json", "{\"step\": 50", "training_step.json", "JSON");
    refuse_state(f, "training_step.json", "{\"step\": -3}", "training_step.json", "step");
    refuse_state(f, "training_step.json", "{\"step\": 49}", "tact_state.json", "49");
    refuse_state(f, "tact_state.json", "{}", "tact_state.json", "version");
    refuse_state(f, "tact_state.json", "{\"version\": 9}", "version 9", "");
    refuse_state(f, "tact_state.json", "{\"version\": 1, \"step\": 50, \"next_batch\": 1e9}",
                 "next_batch", "");
    Error err;
    TrainingState s;
    assert_false(training_state_read("/nowhere/training_state", &s, &err));
    assert_says(&err, "/nowhere", "--policy.path");
}

// LeRobot's own checkpoint has no tact_state.json.
static void lerobots_state_is_enough(void **state) {
    Saved *f = *state;
    Error err;
    TrainingState s;
    save_at(f, 50);
    unlink(at(&f->arena, state_dir(f), "tact_state.json"));
    OK(training_state_read(state_dir(f), &s, &err));
    assert_true(s.step == 50 && s.next_step == 50 && !s.ours && s.ema_updates == -1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(saved_read_and_saved_again_is_the_same, saved_new,
                                        saved_free),
        cmocka_unit_test_setup_teardown(groups_are_pytorchs, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(tensors_are_numbered_as_in_lerobot, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(one_group_is_read, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(a_schedule_has_its_state, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(the_random_state_is_mt19937, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(damaged_moments_are_refused, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(a_damaged_state_is_refused, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(lerobots_state_is_enough, saved_new, saved_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
