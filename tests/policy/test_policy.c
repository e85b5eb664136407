// SPDX-License-Identifier: Apache-2.0
// Policies on disk: today's layout, LeRobot's older ones, and everything that must be refused.
#include "base/log.h"
#include "policy/convert.h"
#include "policy/policy_load.h"
#include "policy/policy_stats.h"
#include "policy/processors.h"

#include "../train/saved.h"

static const char state_file[] = "policy_preprocessor_step_3_normalizer_processor.safetensors";

static char *model_dir(Saved *f) {
    return checkpoint_file(f, "000050/pretrained_model");
}

static char *model_file(Saved *f, const char *name) {
    return at(&f->arena, model_dir(f), name);
}

static void put(const char *path, const char *text) {
    Error err;
    OK(file_write(path, text, strlen(text), &err));
}

static void refuse(Saved *f, const char *dataset, const char *a, const char *b) {
    Error err = {""};
    Policy p;
    assert_false(policy_load(model_dir(f), dataset, f->device, &p, &err));
    assert_null(strchr(err.text, '\n'));
    assert_says(&err, a, b);
}

static void assert_loads_params(Saved *f, const char *path, const char *dataset) {
    Error err;
    Policy p;
    OK(policy_load(path, dataset, f->device, &p, &err));
    assert_int_equal(p.params.trainable, f->params.trainable);
    assert_int_equal(p.params.count, f->params.count);
    for (int i = 0; i < f->params.count; i++) {
        const Param *wanted = &f->params.list[i], *got = params_find(&p.params, wanted->name);
        assert_non_null(got);
        assert_memory_equal(param_value(&p.params, got).data, param_value(&f->params, wanted).data,
                            (size_t)wanted->count * sizeof(float));
        const Tensor *all = got->kind == PARAM_BUFFER ? &p.params.buffer_values : &p.params.values;
        assert_true(got->offset >= 0 && got->offset + got->count <= all->shape[0]);
    }
    policy_free(&p);
}

static void a_policy_comes_back_whole(void **state) {
    Saved *f = *state;
    Error err;
    Policy p;
    save_at(f, 50);
    OK(policy_load(model_dir(f), NULL, f->device, &p, &err));
    const PolicyConfig *a = &f->config.policy, *b = &p.config.policy;
    assert_true(b->state_dim == 3 && b->action_dim == 3 && b->env_dim == 2 && b->n_cameras == 0);
    assert_true(b->obs_state_horizon == 2 && b->chunk_size == a->chunk_size && b->fps == 10);
    assert_string_equal(b->temporal_pos_embed, "all");
    assert_string_equal(b->normalization_mapping.state, "MIN_MAX");
    assert_string_equal(b->normalization_mapping.env, "MEAN_STD");
    assert_int_equal(p.stats.action.count, 321);
    for (int i = 0; i < 3; i++) {
        assert_true(p.stats.state.min[i] == f->stats.state.min[i]);
        assert_true(p.stats.action.max[i] == f->stats.action.max[i]);
    }
    char *again = at(&f->arena, f->dir, "again");
    OK(policy_export(again, b, &p.params, &p.stats, &err));
    static const char *const files[] = {"config.json", "model.safetensors",
                                        "policy_preprocessor.json", "policy_postprocessor.json",
                                        state_file};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        assert_same_file(model_file(f, files[i]), at(&f->arena, again, files[i]));
    policy_free(&p);
    // Loads a policy by the names that a user may give it.
    assert_loads_params(f, model_file(f, "config.json"), NULL);
    assert_loads_params(f, model_file(f, "train_config.json"), NULL);
    assert_loads_params(f, checkpoint_file(f, "000050"), NULL);
    assert_loads_params(f, f->config.output_dir, NULL);
    assert_false(policy_load(f->dir, NULL, f->device, &p, &err));
    assert_says(&err, f->dir, "no checkpoint");
}

static void processors_are_lerobots(void **state) {
    Saved *f = *state;
    Error err;
    json_t *root;
    static const char *const names[] = {"rename_observations_processor", "to_batch_processor",
                                        "device_processor", "normalizer_processor"};
    save_at(f, 50);
    OK(json_read(model_file(f, "policy_preprocessor.json"), &root, &err));
    const json_t *steps = json_object_get(root, "steps");
    assert_int_equal(json_array_size(steps), 4);
    for (size_t i = 0; i < 4; i++)
        assert_string_equal(
            json_string_value(json_object_get(json_array_get(steps, i), "registry_name")),
            names[i]);
    const json_t *last = json_array_get(steps, 3), *config = json_object_get(last, "config");
    assert_int_equal(json_object_size(config), 3); // LeRobot passes them on as arguments
    assert_int_equal(json_object_size(json_object_get(config, "features")), 3);
    assert_string_equal(json_string_value(json_object_get(last, "state_file")), state_file);
    json_decref(root);
    Safetensors *s;
    OK(safetensors_open(model_file(f, state_file), &s, &err));
    assert_int_equal(safetensors_count(s), 15);
    const SafetensorsEntry *e = safetensors_find(s, "observation.state.max");
    assert_true(e && e->type == ST_F32 && e->rank == 1 && e->count == 3);
    e = safetensors_find(s, "action.count");
    assert_true(e && e->type == ST_F32 && safetensors_value(e, 0) == 321);
    safetensors_close(s);
}

static const char *norm_mode(const char *dir, const char *pipeline, size_t step, const char *key) {
    static char mode[40];
    char path[4200];
    json_t *root;
    Error err;
    snprintf(path, sizeof path, "%s/policy_%sprocessor.json", dir, pipeline);
    OK(json_read(path, &root, &err));
    const json_t *of = json_array_get(json_object_get(root, "steps"), step);
    const json_t *map = json_object_get(json_object_get(of, "config"), "norm_map");
    snprintf(mode, sizeof mode, "%s", json_string_value(json_object_get(map, key)));
    json_decref(root);
    return mode;
}

// A policy of type tact makes its rows of relative poses itself: LeRobot's step leaves state and
// action as they are recorded. Plain ACT is given those rows, and they are normalised for it.
static void recorded_poses_are_left_to_the_policy(void **state) {
    Saved *f = *state;
    Error err;
    for (int i = 0; i < 3; i++) {
        char *dir = at(&f->arena, f->dir, i == 0 ? "tact" : i == 1 ? "act" : "joints");
        PolicyConfig p = f->config.policy;
        p.type = i == 1 ? "act" : "tact";
        p.obs_state_horizon = i == 1 ? 1 : 2;
        if (i == 1) p.temporal_pos_embed = "none";
        p.arms = i < 2;
        OK(make_dirs(dir, &err));
        OK(processors_write(dir, &p, &f->stats, &err));
        const char *recorded = i == 0 ? "IDENTITY" : "MIN_MAX";
        assert_string_equal(norm_mode(dir, "pre", 3, "STATE"), recorded);
        assert_string_equal(norm_mode(dir, "pre", 3, "ACTION"), recorded);
        assert_string_equal(norm_mode(dir, "pre", 3, "ENV"), "MEAN_STD");
        assert_string_equal(norm_mode(dir, "post", 0, "ACTION"), recorded);
    }
}

// ---- changed files ------------------------------------------------------------------------------

// Writes a file of weights anew, without the tensor `drop` and with the n tensors `extra`.
static void rewrite(const char *path, const char *drop, const SafetensorsEntry *extra, int n) {
    Error err;
    Safetensors *s;
    OK(safetensors_open(path, &s, &err));
    int count = 0;
    SafetensorsEntry *entries = NEW(SafetensorsEntry, safetensors_count(s) + n);
    for (int i = 0; i < safetensors_count(s); i++)
        if (!drop || strcmp(safetensors_entry(s, i)->name, drop) != 0)
            entries[count++] = *safetensors_entry(s, i);
    for (int i = 0; i < n; i++) entries[count++] = extra[i];
    OK(safetensors_write(path, entries, count, false, &err));
    safetensors_close(s);
    mem_free(entries);
}

static SafetensorsEntry vector(const char *name, const float *values, int n) {
    return (SafetensorsEntry){.name = name,
                              .type = ST_F32,
                              .rank = 1,
                              .shape = {n},
                              .count = n,
                              .data = values,
                              .bytes = (size_t)n * sizeof *values};
}

static const char cls[] = "model.vae_encoder_cls_embed.weight"; // (1, 16)

static void weights_are_taken_strictly(void **state) {
    Saved *f = *state;
    float values[16] = {0};
    SafetensorsEntry row = vector(cls, values, 16);
    save_at(f, 50);
    rewrite(model_file(f, "model.safetensors"), cls, NULL, 0);
    refuse(f, NULL, cls, "missing");
    save_at(f, 50);
    rewrite(model_file(f, "model.safetensors"), cls, &row, 1);
    refuse(f, NULL, cls, "[16], but this policy's is [1, 16]");
    row.rank = 2, row.shape[0] = 16, row.shape[1] = 1;
    save_at(f, 50);
    rewrite(model_file(f, "model.safetensors"), cls, &row, 1);
    refuse(f, NULL, cls, "[16, 1], but this policy's is [1, 16]");
    row.rank = 2, row.shape[0] = 1, row.shape[1] = 16;
    values[5] = INFINITY;
    save_at(f, 50);
    rewrite(model_file(f, "model.safetensors"), cls, &row, 1);
    refuse(f, NULL, "value 5", cls);
    row.type = ST_I32;
    save_at(f, 50);
    rewrite(model_file(f, "model.safetensors"), cls, &row, 1);
    refuse(f, NULL, "I32", cls);
    save_at(f, 50);
    SafetensorsEntry unknown = vector("model.fc.weight", values, 2);
    rewrite(model_file(f, "model.safetensors"), NULL, &unknown, 1);
    refuse(f, NULL, "model.fc.weight", "none of this policy's");
    save_at(f, 50);
    unknown.name = "model.backbone.bn1.num_batches_tracked";
    rewrite(model_file(f, "model.safetensors"), NULL, &unknown, 1);
    assert_loads_params(f, model_dir(f), NULL);
}

static void other_float_types_are_converted(void **state) {
    Saved *f = *state;
    Error err;
    Policy p;
    double values[16];
    for (int i = 0; i < 16; i++) values[i] = 0.25 * i;
    SafetensorsEntry row = {.name = cls,
                            .type = ST_F64,
                            .rank = 2,
                            .shape = {1, 16},
                            .count = 16,
                            .data = values,
                            .bytes = sizeof values};
    save_at(f, 50);
    rewrite(model_file(f, "model.safetensors"), cls, &row, 1);
    OK(policy_load(model_dir(f), NULL, f->device, &p, &err));
    float got[16];
    param_get(&p.params, params_find(&p.params, cls), got);
    assert_true(got[15] == 3.75f && got[1] == 0.25f);
    policy_free(&p);
}

// Replaces bytes of the file, and cuts it to `size` when that is positive.
static void damage(const char *path, size_t at_byte, const void *bytes, size_t n, int64_t size) {
    Error err;
    char *text;
    size_t length;
    OK(file_read(path, &text, &length, &err));
    memcpy(text + at_byte, bytes, n);
    OK(file_write(path, text, size > 0 ? (size_t)size : length, &err));
    mem_free(text);
}

static void damaged_files_are_refused(void **state) {
    Saved *f = *state;
    static const uint8_t huge[8] = {255, 255, 255, 255, 255, 255, 255, 127};
    char *path = model_file(f, "model.safetensors");
    save_at(f, 50);
    damage(path, 0, huge, 8, 0);
    refuse(f, NULL, "model.safetensors", "header");
    save_at(f, 50);
    damage(path, 0, "", 0, 5000);
    refuse(f, NULL, "model.safetensors", "");
    save_at(f, 50);
    damage(path, 12, "\xff", 1, 0);
    refuse(f, NULL, "model.safetensors", "JSON");
    save_at(f, 50);
    put(path, "\x50\0\0\0\0\0\0\0");
    refuse(f, NULL, "model.safetensors", "");
    save_at(f, 50);
    // Two tensors over the same bytes.
    static const char overlap[] =
        "P\0\0\0\0\0\0\0{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},"
        "\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}abcd";
    char copy[sizeof overlap];
    memcpy(copy, overlap, sizeof overlap);
    copy[0] = (char)(sizeof overlap - 1 - 8 - 4);
    Error err;
    OK(file_write(path, copy, sizeof copy - 1, &err));
    refuse(f, NULL, "model.safetensors", "overlaps");
    save_at(f, 50);
    put(model_file(f, "config.json"), "{\"type\": \"tact\", ");
    refuse(f, NULL, "config.json", "JSON");
    save_at(f, 50);
    put(model_file(f, "policy_preprocessor.json"), "{\"steps\": []}");
    refuse(f, NULL, "policy_preprocessor.json", "normalises");
    save_at(f, 50);
    put(model_file(f, "policy_preprocessor.json"),
        "{\"steps\": [{\"registry_name\": \"normalizer_processor\", \"config\": {\"norm_map\": "
        "{\"ACTION\": \"MIN_MAX\"}}, \"state_file\": \"../../x\"}]}");
    refuse(f, NULL, "policy_preprocessor.json", "normalises");
    save_at(f, 50);
    unlink(model_file(f, "tact.json"));
    refuse(f, NULL, "config.json", "tact.json");
}

// Puts one text in the place of another in config.json.
static void edit(Saved *f, const char *file, const char *from, const char *to) {
    Error err;
    char *text;
    size_t size;
    OK(file_read(model_file(f, file), &text, &size, &err));
    char *where = strstr(text, from);
    if (!where) fail_msg("%s has no %s", file, from);
    char *changed =
        arena_printf(&f->arena, "%.*s%s%s", (int)(where - text), text, to, where + strlen(from));
    put(model_file(f, file), changed);
    mem_free(text);
}

static void refuse_edit(Saved *f, const char *file, const char *from, const char *to,
                        const char *says) {
    save_at(f, 50);
    edit(f, file, from, to);
    refuse(f, NULL, file, says);
}

static void impossible_settings_are_refused(void **state) {
    Saved *f = *state;
    refuse_edit(f, "config.json", "\"type\": \"tact\"", "\"type\": \"pi0\"", "pi0");
    refuse_edit(f, "config.json", "\"dim_model\": 16", "\"dim_model\": \"wide\"", "dim_model");
    refuse_edit(f, "config.json", "\"dim_model\": 16", "\"dim_model\": -16", "dim_model");
    refuse_edit(f, "config.json", "\"chunk_size\": 4", "\"chunk_size\": 4.0", "chunk_size");
    refuse_edit(f, "config.json", "\"STATE\": \"MIN_MAX\"", "\"STATE\": \"QUANTILES\"", "MIN_MAX");
    refuse_edit(f, "config.json", "\"shape\": [\n                3",
                "\"shape\": [\n                -3", "");
    save_at(f, 50);
    edit(f, "config.json", "\"dim_feedforward\": 16", "\"dim_feedforward\": 1048576");
    refuse(f, NULL, "too few", "model.safetensors");
    save_at(f, 50);
    edit(f, "tact.json", "\"version\": 1", "\"version\": 99");
    refuse(f, NULL, "tact.json", "version");
    save_at(f, 50);
    edit(f, "config.json", "\"chunk_size\": 4", "\"chunk_size\": 5, \"of_the_future\": [1]");
    refuse(f, NULL, "decoder_pos_embed", ""); // read on, until a shape does not fit
}

// ---- statistics ---------------------------------------------------------------------------------

static void keep_warning(void *user, LogLevel level, const char *line) {
    if (level == LOG_LEVEL_WARNING) snprintf(user, 1000, "%s", line);
}

// A key that nobody knows changes nothing that is known; it is named.
static void an_unknown_key_is_named(void **state) {
    Saved *f = *state;
    Error err;
    Policy p;
    char line[1000] = "";
    save_at(f, 50);
    edit(f, "config.json", "\"dim_model\": 16", "\"dim_model\": 16, \"n_fingers\": 5");
    LogSink before = log_to((LogSink){keep_warning, line});
    OK(policy_load(model_dir(f), NULL, f->device, &p, &err));
    log_to(before);
    assert_non_null(strstr(line, model_file(f, "config.json")));
    assert_non_null(strstr(line, "n_fingers"));
    policy_free(&p);
}

static void bad_statistics_are_refused(void **state) {
    Saved *f = *state;
    float values[4] = {0, 1, 2, 3};
    save_at(f, 50);
    SafetensorsEntry four = vector("action.max", values, 4);
    rewrite(model_file(f, state_file), "action.max", &four, 1);
    refuse(f, NULL, "max of action has 4 values", "has 3");
    values[1] = NAN;
    SafetensorsEntry three = vector("action.max", values, 3);
    save_at(f, 50);
    rewrite(model_file(f, state_file), "action.max", &three, 1);
    refuse(f, NULL, "action", "not finite");
    save_at(f, 50);
    rewrite(model_file(f, state_file), "observation.state.min", NULL, 0);
    refuse(f, NULL, "observation.state", "no min");
    save_at(f, 50);
    unlink(model_file(f, state_file));
    refuse(f, NULL, state_file, "");
}

// A policy as LeRobot before 0.4 wrote it: no processor files, statistics as buffers among the
// weights, and none of our keys.
static void make_old(Saved *f, bool with_buffers) {
    Error err;
    static const float low[] = {1, 2, 3}, high[] = {4, 5, 6};
    const SafetensorsEntry buffers[] = {
        vector("normalize_inputs.buffer_observation_state.min", low, 3),
        vector("normalize_inputs.buffer_observation_state.max", high, 3),
        vector("normalize_inputs.buffer_observation_environment_state.mean", low, 2),
        vector("normalize_inputs.buffer_observation_environment_state.std", high, 2),
        vector("normalize_targets.buffer_action.min", low, 3),
        vector("normalize_targets.buffer_action.max", high, 3),
        vector("unnormalize_outputs.buffer_action.min", low, 3),
        vector("unnormalize_outputs.buffer_action.max", high, 3)};
    PolicyConfig *p = &f->config.policy;
    p->obs_state_horizon = 1;
    p->temporal_pos_embed = "none";
    params_free(&f->params);
    OK(params_init(&f->params, f->device, p, false, &err));
    params_initialize(&f->params, 9);
    f->parts.optimizer = NULL;
    f->parts.average = NULL;
    save_at(f, 50);
    static const char *const files[] = {"tact.json", "policy_preprocessor.json",
                                        "policy_postprocessor.json"};
    for (int i = 0; i < 3; i++) unlink(model_file(f, files[i]));
    if (with_buffers) rewrite(model_file(f, "model.safetensors"), NULL, buffers, 8);
}

static void lerobots_old_layout_loads(void **state) {
    Saved *f = *state;
    Error err;
    Policy p;
    make_old(f, true);
    assert_loads_params(f, model_dir(f), NULL);
    OK(policy_load(model_dir(f), NULL, f->device, &p, &err));
    assert_true(p.config.policy.obs_state_horizon == 1 && p.stats.action.max[2] == 6);
    assert_true(p.stats.env.std[1] == 5 && p.stats.state.min[0] == 1 && !p.stats.state.mean);
    policy_free(&p);
}

static void a_dataset_can_lend_its_statistics(void **state) {
    Saved *f = *state;
    Error err;
    Policy p;
    char *data = at(&f->arena, f->dir, "data");
    make_old(f, false);
    refuse(f, NULL, "no statistics", "dataset");
    OK(make_dirs(at(&f->arena, data, "meta"), &err));
    refuse(f, data, "stats.json", "");
    put(at(&f->arena, data, "meta/stats.json"),
        "{\"observation.state\": {\"min\": [0, 0, 0], \"max\": [1, 2, 3]}, \"action\": {\"min\": "
        "[-1, -1, -1], "
        "\"max\": [1, 1, 1]}, \"observation.environment_state\": {\"mean\": [0, 0], \"std\": [1, "
        "2.5]}}");
    OK(policy_load(model_dir(f), data, f->device, &p, &err));
    assert_true(p.stats.state.max[2] == 3 && p.stats.env.std[1] == 2.5);
    policy_free(&p);
    put(at(&f->arena, data, "meta/stats.json"),
        "{\"observation.state\": {\"min\": [0, 0, 0], \"max\": [1, 2, 3]}, \"action\": {\"min\": "
        "[-1, \"x\", -1], "
        "\"max\": [1, 1, 1]}, \"observation.environment_state\": {\"mean\": [0, 0], \"std\": [1, "
        "2.5]}}");
    refuse(f, data, "action", "not finite");
    for (int n = 2; n <= 302; n += 300) { // of another robot, of fewer values and of many more
        char list[2000] = "-1";
        for (int i = 1; i < n; i++) strcat(list, ", -1");
        put(at(&f->arena, data, "meta/stats.json"),
            arena_printf(&f->arena,
                         "{\"observation.state\": {\"min\": [0, 0, 0], \"max\": [1, 2, 3]}, "
                         "\"action\": {\"min\": [%s], \"max\": [1, 1, 1]}}",
                         list));
        refuse(f, data, n == 2 ? "has 2 values" : "has 302 values", "action has 3");
    }
}

// Two cameras, written and read without the weights of a backbone.
static void each_camera_has_its_own(void **state) {
    Saved *f = *state;
    Error err;
    PolicyConfig p = f->config.policy;
    PolicyStats back;
    char *dir = at(&f->arena, f->dir, "cameras");
    p.n_cameras = 2;
    p.cameras[0] = (CameraConfig){"observation.images.top.left", 64, 64, 64, 64, 0, 0};
    p.cameras[1] = (CameraConfig){"observation.images.wrist", 64, 64, 64, 64, 0, 0};
    OK(policy_camera_imagenet(&f->stats.cameras[0], &err));
    OK(policy_camera_imagenet(&f->stats.cameras[1], &err));
    for (int k = 0; k < 3; k++) {
        f->stats.cameras[1].mean[k] = 0.1 * (k + 1);
        f->stats.cameras[1].std[k] = 0.1 * (k + 4);
    }
    OK(policy_images(&p, &f->stats, &err));
    OK(make_dirs(dir, &err));
    OK(processors_write(dir, &p, &f->stats, &err));
    OK(policy_read_stats(dir, NULL, &p, &back, &err));
    assert_memory_equal(back.images, f->stats.images, 2 * sizeof(ImageStats));
    policy_stats_free(&back);
    Safetensors *s;
    OK(safetensors_open(at(&f->arena, dir, state_file), &s, &err));
    const SafetensorsEntry *e = safetensors_find(s, "observation.images.top.left.mean");
    assert_true(e && e->rank == 3 && e->shape[0] == 3 && e->shape[1] == 1 && e->shape[2] == 1);
    safetensors_close(s);
    f->stats.cameras[1].std[1] = 0; // a mask: the channel is one number everywhere
    OK(processors_write(dir, &p, &f->stats, &err));
    OK(policy_read_stats(dir, NULL, &p, &back, &err));
    assert_true(back.images[1].std[1] == 1 && back.images[1].mean[1] == 0.2f);
    policy_stats_free(&back);
    f->stats.cameras[1].std[1] = -0.5;
    OK(processors_write(dir, &p, &f->stats, &err));
    assert_false(policy_read_stats(dir, NULL, &p, &back, &err));
    assert_says(&err, "observation.images.wrist", "std");
    p.cameras[1].name = "observation.images.absent";
    assert_false(policy_read_stats(dir, NULL, &p, &back, &err));
    assert_says(&err, "observation.images.absent", "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, saved_new, saved_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(a_policy_comes_back_whole),
        CASE(processors_are_lerobots),
        CASE(recorded_poses_are_left_to_the_policy),
        CASE(weights_are_taken_strictly),
        CASE(other_float_types_are_converted),
        CASE(damaged_files_are_refused),
        CASE(impossible_settings_are_refused),
        CASE(bad_statistics_are_refused),
        CASE(an_unknown_key_is_named),
        CASE(lerobots_old_layout_loads),
        CASE(a_dataset_can_lend_its_statistics),
        CASE(each_camera_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
