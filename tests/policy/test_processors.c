// SPDX-License-Identifier: Apache-2.0
// The processor files beside a policy, as LeRobot and its users write them: each step does what it
// does in LeRobot, or is refused by its name, and a policy that is written again keeps it.
#include "policy/convert.h"
#include "policy/policy_config.h"
#include "policy/policy_load.h"
#include "policy/policy_stats.h"
#include "policy/policy_write.h"
#include "policy/processors.h"
#include "tact.h"
#include <math.h>

#include "../train/saved.h"

enum { DIM = 3, ENV = 2, CHUNK = 4, COUNT = CHUNK * DIM };
static const double tolerance = 1e-5; // relative, L2: float32 against float32

typedef struct Plain {
    Arena arena;
    char *dir, *model; // model: the policy as tact writes it, to be changed
    TrainConfig config;
    Device *device;
    Params params;
    PolicyStats stats;
} Plain;

static const double state_now[DIM] = {0.4, -0.3, 1.1}, env_now[ENV] = {0.2, 0.9};

static int plain_new(void **state) {
    Plain *f = NEW(Plain, 1);
    Error err;
    f->dir = new_folder(&f->arena);
    f->model = at(&f->arena, f->dir, "model");
    train_config_default(&f->config);
    PolicyConfig *p = &f->config.policy;
    p->dim_model = p->dim_feedforward = 16;
    p->n_heads = 2;
    p->n_encoder_layers = p->n_vae_encoder_layers = p->obs_state_horizon = 1;
    p->temporal_pos_embed = p->pose_repr = "none";
    p->chunk_size = p->n_action_steps = CHUNK;
    p->state_dim = p->action_dim = DIM;
    p->env_dim = ENV;
    p->normalization_mapping = (NormMap){"MEAN_STD", "MEAN_STD", "MEAN_STD", "MEAN_STD"};
    p->pretrained_backbone_weights = NULL;
    OK(device_open("ref", PRECISION_FLOAT32, 1, &f->device, &err));
    OK(params_init(&f->params, f->device, p, false, &err));
    params_initialize(&f->params, 4);
    f->stats = (PolicyStats){
        .state = example_stats(DIM), .action = example_stats(DIM), .env = example_stats(ENV)};
    policy_stats_round(&f->stats);
    OK(make_dirs(f->model, &err));
    OK(policy_write(f->model, p, &f->params, &f->stats, NULL, &err));
    *state = f;
    return 0;
}

static int plain_free(void **state) {
    Plain *f = *state;
    Error err;
    params_free(&f->params);
    policy_stats_free(&f->stats);
    device_close(f->device);
    train_config_free(&f->config);
    if (!remove_tree(f->dir, &err)) return -1;
    arena_free(&f->arena);
    mem_free(f);
    return 0;
}

// ---- changing a pipeline ------------------------------------------------------------------------

static char *pipeline_path(Plain *f, const char *dir, const char *name) {
    return arena_printf(&f->arena, "%s/policy_%sprocessor.json", dir, name);
}

static json_t *read_pipeline(Plain *f, const char *dir, const char *name) {
    Error err;
    json_t *root;
    OK(json_read(pipeline_path(f, dir, name), &root, &err));
    return root;
}

static size_t position(const json_t *root, const char *step) {
    const json_t *steps = json_object_get(root, "steps");
    size_t i = 0;
    while (i < json_array_size(steps) &&
           strcmp(json_string_value(json_object_get(json_array_get(steps, i), "registry_name")),
                  step) != 0)
        i++;
    return i;
}

static json_t *config_of(const json_t *root, const char *step) {
    return json_object_get(json_array_get(json_object_get(root, "steps"), position(root, step)),
                           "config");
}

static void save_pipeline(Plain *f, const char *name, json_t *root) {
    Error err;
    OK(json_write(pipeline_path(f, f->model, name), root, 2, &err));
    json_decref(root);
}

// Sets a value in a step's configuration, and takes over the reference to it.
static void set(Plain *f, const char *name, const char *step, const char *key, json_t *value) {
    json_t *root = read_pipeline(f, f->model, name);
    json_object_set_new(config_of(root, step), key, value);
    save_pipeline(f, name, root);
}

// Inserts a step, given as JSON, before or after the step called `beside`.
static void add(Plain *f, const char *name, const char *beside, bool before, const char *text) {
    json_t *root = read_pipeline(f, f->model, name), *step = json_loads(text, 0, NULL);
    assert_non_null(step);
    json_array_insert_new(json_object_get(root, "steps"), position(root, beside) + !before, step);
    save_pipeline(f, name, root);
}

static void make_relative(Plain *f, const char *options) {
    add(f, "pre", "normalizer_processor", true,
        arena_printf(&f->arena,
                     "{\"registry_name\": \"relative_actions_processor\", \"config\": "
                     "{\"enabled\": true%s}}",
                     options));
    add(f, "post", "unnormalizer_processor", false,
        "{\"registry_name\": \"absolute_actions_processor\", \"config\": {\"enabled\": true}}");
}

// ---- what comes out -----------------------------------------------------------------------------

static void chunk_of(const char *dir, const double *state, double *out) {
    tact_options o;
    tact_policy *p;
    tact_options_default(&o, sizeof o);
    o.device = "ref";
    o.threads = 1;
    if (tact_open(dir, &o, &p) != TACT_OK) fail_msg("%s", tact_message(NULL));
    tact_observation now = {.size = sizeof now};
    now.state = state;
    now.state_size = DIM;
    now.env = env_now;
    now.env_size = ENV;
    assert_int_equal(tact_observe(p, &now), TACT_OK);
    assert_int_equal(tact_predict_chunk(p, out), TACT_OK);
    tact_close(&p);
}

static double distance_of(const double *a, const double *b) {
    double diff = 0, size = 0;
    for (int i = 0; i < COUNT; i++) {
        diff += (a[i] - b[i]) * (a[i] - b[i]);
        size += b[i] * b[i];
    }
    return sqrt(diff / size);
}

static void same(const double *got, const double *wanted) {
    double d = distance_of(got, wanted);
    if (!(d <= tolerance)) fail_msg("relative distance %g", d);
}

static void other(const double *got, const double *wanted) {
    double d = distance_of(got, wanted);
    if (!(d >= 100 * tolerance)) fail_msg("relative distance only %g", d);
}

static void refused(Plain *f, const char *a, const char *b) {
    tact_policy *p;
    assert_int_equal(tact_open(f->model, NULL, &p), TACT_ERROR_POLICY);
    Error err;
    snprintf(err.text, sizeof err.text, "%s", tact_message(NULL));
    assert_says(&err, a, b);
}

// Runs `tact convert`; the policy in its output must be the same.
static char *converted(Plain *f, bool to_act, const char *name) {
    Error err;
    Policy in;
    PolicyConfig config;
    Params params;
    char *dir = at(&f->arena, f->dir, name);
    OK(policy_load(f->model, NULL, f->device, &in, &err));
    OK(policy_convert(&in, to_act, &config, &params, &err));
    OK(policy_export(dir, &config, &params, &in.stats, &err));
    params_free(&params);
    policy_free(&in);
    return dir;
}

static void converts(Plain *f) {
    double before[COUNT], after[COUNT];
    chunk_of(f->model, state_now, before);
    chunk_of(converted(f, true, "act"), state_now, after);
    same(after, before);
    chunk_of(converted(f, false, "tact"), state_now, after);
    same(after, before);
}

// ---- the tests ----------------------------------------------------------------------------------

// With a larger eps the network sees what it would see, with the usual eps, of a state nearer to
// the mean.
static void eps_is_the_steps(void **state) {
    Plain *f = *state;
    const double eps = 0.05;
    double nearer[DIM], wanted[COUNT], got[COUNT], usual[COUNT];
    for (int i = 0; i < DIM; i++) {
        double mean = f->stats.state.mean[i], std = f->stats.state.std[i];
        nearer[i] = mean + (state_now[i] - mean) * (std + 1e-8) / (std + eps);
    }
    json_t *root = read_pipeline(f, f->model, "pre");
    // The environment state is not changed.
    json_object_set_new(config_of(root, "normalizer_processor"), "normalize_observation_keys",
                        json_pack("[s]", "observation.state"));
    save_pipeline(f, "pre", root);
    chunk_of(f->model, state_now, usual);
    chunk_of(f->model, nearer, wanted);
    set(f, "pre", "normalizer_processor", "eps", json_real(eps));
    chunk_of(f->model, state_now, got);
    other(wanted, usual);
    // LeRobot's inverse of MEAN_STD has no eps, so the actions are the network's, times std.
    same(got, wanted);
    converts(f);
    set(f, "pre", "normalizer_processor", "eps", json_real(-1));
    refused(f, "policy_preprocessor.json", "eps");
}

static void modes_are_the_steps(void **state) {
    Plain *f = *state;
    Error err;
    double wanted[COUNT], got[COUNT], usual[COUNT];
    chunk_of(f->model, state_now, usual);
    json_t *map =
        json_pack("{s:s, s:s, s:s}", "STATE", "IDENTITY", "ENV", "MEAN_STD", "ACTION", "MIN_MAX");
    set(f, "pre", "normalizer_processor", "norm_map", json_incref(map));
    refused(f, "policy_postprocessor.json", "MEAN_STD here, but MIN_MAX");
    set(f, "post", "unnormalizer_processor", "norm_map", map);
    chunk_of(f->model, state_now, got);
    // config.json says so too, and nothing else does.
    f->config.policy.normalization_mapping =
        (NormMap){"MEAN_STD", "IDENTITY", "MIN_MAX", "MEAN_STD"};
    char *written = at(&f->arena, f->dir, "written");
    OK(make_dirs(written, &err));
    OK(policy_write(written, &f->config.policy, &f->params, &f->stats, NULL, &err));
    chunk_of(written, state_now, wanted);
    other(got, usual);
    same(got, wanted);
    converts(f);
    set(f, "pre", "normalizer_processor", "norm_map", json_pack("{s:s}", "ACTION", "QUANTILES"));
    refused(f, "policy_preprocessor.json", "ACTION by QUANTILES");
}

// The step leaves alone the features that it does not list, whatever its mapping says.
static void features_are_the_steps(void **state) {
    Plain *f = *state;
    double wanted[COUNT], got[COUNT], usual[COUNT];
    chunk_of(f->model, state_now, usual);
    json_t *root = read_pipeline(f, f->model, "pre");
    json_object_del(json_object_get(config_of(root, "normalizer_processor"), "features"),
                    "observation.state");
    save_pipeline(f, "pre", root);
    chunk_of(f->model, state_now, got);
    double normalised[DIM];
    for (int i = 0; i < DIM; i++)
        normalised[i] = (state_now[i] - f->stats.state.mean[i]) / (f->stats.state.std[i] + 1e-8);
    chunk_of(f->model, normalised, wanted);
    same(wanted, usual);
    other(got, usual);
    converts(f);
}

static void relative_actions(void **state) {
    Plain *f = *state;
    double plain[COUNT], got[COUNT], wanted[COUNT];
    chunk_of(f->model, state_now, plain);
    make_relative(f, ", \"exclude_joints\": [], \"action_names\": null");
    chunk_of(f->model, state_now, got);
    for (int i = 0; i < COUNT; i++) wanted[i] = plain[i] + state_now[i % DIM];
    same(got, wanted);
    converts(f);
}

// One joint is the least that a relative step can be for.
static void relative_actions_have_a_size(void **state) {
    Plain *f = *state;
    make_relative(f, "");
    static const int sizes[] = {1, 2, 65536, 0, -1, 65537};
    for (int i = 0; i < 6; i++) {
        PolicyConfig p = {0};
        Error err;
        json_t *config =
            json_pack("{s:{s:{s:[i]}}}", "output_features", "action", "shape", sizes[i]);
        bool ok = processors_read(f->model, config, true, &p, &f->arena, &err);
        assert_true(ok == (i < 3));
        if (ok) {
            assert_int_equal(p.pipeline.relative_dims, sizes[i]);
            assert_true(p.pipeline.relative[0] && p.pipeline.relative[sizes[i] - 1]);
        } else {
            assert_says(&err, "action has no size", "");
        }
        json_decref(config);
    }
}

static void excluded_joints_stay_absolute(void **state) {
    Plain *f = *state;
    double plain[COUNT], got[COUNT], wanted[COUNT];
    chunk_of(f->model, state_now, plain);
    // A word anywhere in a name, in any case; the third value has no name, and is relative.
    make_relative(
        f, ", \"exclude_joints\": [\"grip\"], \"action_names\": [\"left_Gripper.pos\", \"elbow\"]");
    chunk_of(f->model, state_now, got);
    for (int i = 0; i < COUNT; i++) wanted[i] = plain[i] + (i % DIM == 0 ? 0 : state_now[i % DIM]);
    same(got, wanted);
    converts(f);
    json_t *root = read_pipeline(f, at(&f->arena, f->dir, "act"), "pre");
    const json_t *kept = config_of(root, "relative_actions_processor");
    assert_string_equal(
        json_string_value(json_array_get(json_object_get(kept, "exclude_joints"), 0)), "grip");
    json_decref(root);
}

static void half_a_relative_pair(void **state) {
    Plain *f = *state;
    add(f, "pre", "normalizer_processor", true,
        "{\"registry_name\": \"relative_actions_processor\", \"config\": {\"enabled\": true}}");
    refused(f, "absolute_actions_processor", "not enabled");
    set(f, "pre", "relative_actions_processor", "enabled", json_false());
    double got[COUNT];
    chunk_of(f->model, state_now, got);
    add(f, "post", "unnormalizer_processor", false,
        "{\"registry_name\": \"absolute_actions_processor\", \"config\": {\"enabled\": true}}");
    refused(f, "relative_actions_processor", "not enabled");
    // Before the inverse of the normalisation this step would add a state to numbers that are no
    // actions yet.
    json_t *root = read_pipeline(f, f->model, "post");
    json_array_remove(json_object_get(root, "steps"), position(root, "absolute_actions_processor"));
    save_pipeline(f, "post", root);
    add(f, "post", "unnormalizer_processor", true,
        "{\"registry_name\": \"absolute_actions_processor\", \"config\": {\"enabled\": true}}");
    refused(f, "absolute_actions_processor", "stands where");
}

static void relative_needs_one_observation_and_a_state(void **state) {
    Plain *f = *state;
    Error err;
    make_relative(f, "");
    TrainConfig c;
    train_config_default(&c);
    OK(policy_read_config(f->model, false, &c, &err));
    c.policy.obs_state_horizon = 2;
    assert_false(pipeline_check(&c.policy, "here", &err));
    assert_says(&err, "one observation", "--policy.obs_state_horizon=2");
    c.policy.obs_state_horizon = 1;
    c.policy.state_dim = 2;
    assert_false(pipeline_check(&c.policy, "here", &err));
    assert_says(&err, "3 values", "2 of the state");
    train_config_free(&c);
}

static void unknown_steps(void **state) {
    Plain *f = *state;
    double wanted[COUNT], got[COUNT];
    chunk_of(f->model, state_now, wanted);
    add(f, "pre", "device_processor", false,
        "{\"registry_name\": \"image_crop_resize_processor\", \"config\": {\"enabled\": false, "
        "\"size\": 7}}");
    add(f, "pre", "device_processor", true,
        "{\"registry_name\": \"tokenizer_processor\", \"config\": {\"tokenizer_name\": "
        "\"words\"}}");
    chunk_of(f->model, state_now, got);
    same(got, wanted);
    converts(f);
    json_t *root = read_pipeline(f, at(&f->arena, f->dir, "act"), "pre");
    assert_int_equal(
        json_integer_value(json_object_get(config_of(root, "image_crop_resize_processor"), "size")),
        7);
    assert_non_null(config_of(root, "tokenizer_processor"));
    json_decref(root);
    set(f, "pre", "image_crop_resize_processor", "enabled", json_true());
    refused(f, "policy_preprocessor.json", "image_crop_resize_processor");
    set(f, "pre", "image_crop_resize_processor", "enabled", json_false());
    add(f, "post", "device_processor", true, "{\"class\": \"my.robot.Smoother\", \"config\": {}}");
    refused(f, "policy_postprocessor.json", "my.robot.Smoother");
}

static void devices_and_types(void **state) {
    Plain *f = *state;
    double wanted[COUNT], got[COUNT];
    chunk_of(f->model, state_now, wanted);
    set(f, "pre", "device_processor", "device", json_string("mps"));
    set(f, "pre", "device_processor", "float_dtype", json_string("float32"));
    chunk_of(f->model, state_now, got);
    same(got, wanted);
    set(f, "pre", "device_processor", "float_dtype", json_string("bfloat16"));
    refused(f, "device_processor", "bfloat16");
}

static void names_are_kept(void **state) {
    Plain *f = *state;
    set(f, "pre", "rename_observations_processor", "rename_map",
        json_pack("{s:s}", "observation.images.top", "observation.images.front"));
    converts(f);
    json_t *root = read_pipeline(f, at(&f->arena, f->dir, "act"), "pre");
    const json_t *map =
        json_object_get(config_of(root, "rename_observations_processor"), "rename_map");
    assert_string_equal(json_string_value(json_object_get(map, "observation.images.top")),
                        "observation.images.front");
    json_decref(root);
}

// Actions are brought back with the statistics of the postprocessor. Where they differ from those
// of the training, this is not the policy that was trained.
static void both_have_the_same_statistics(void **state) {
    Plain *f = *state;
    Error err;
    char *apart = at(&f->arena, f->dir, "apart");
    f->stats.action.mean[1] += 0.5;
    OK(make_dirs(apart, &err));
    OK(processors_write(apart, &f->config.policy, &f->stats, &err));
    static const char file[] = "policy_postprocessor_step_0_unnormalizer_processor.safetensors";
    assert_int_equal(rename(at(&f->arena, apart, file), at(&f->arena, f->model, file)), 0);
    refused(f, file, "not those of the preprocessor");
}

// Nothing is normalised, so no statistics are needed.
static void identity_needs_no_statistics(void **state) {
    Plain *f = *state;
    double got[COUNT];
    set(f, "pre", "normalizer_processor", "norm_map", json_object());
    set(f, "post", "unnormalizer_processor", "norm_map", json_object());
    json_t *root = read_pipeline(f, f->model, "pre");
    json_object_del(
        json_array_get(json_object_get(root, "steps"), position(root, "normalizer_processor")),
        "state_file");
    save_pipeline(f, "pre", root);
    chunk_of(f->model, state_now, got);
}

// ---- frames -------------------------------------------------------------------------------------

static void images_by_every_mode(void **state) {
    Plain *f = *state;
    Error err;
    PolicyConfig p = f->config.policy;
    p.n_cameras = 1;
    p.cameras[0] = (CameraConfig){"observation.images.front", 64, 64, 64, 64, 0, 0};
    PolicyStats s = {0};
    s.cameras[0] = example_stats(3);
    // mean 0, 0.3, 0.6; std 0.1, 1.1, 2.1; min -0.1 ...; max 0.7 ...
    OK(policy_images(&p, &s, &err));
    assert_float_equal(s.images[0].mean[1], 0.3, 1e-6);
    assert_float_equal(s.images[0].std[1], 1.1, 1e-6);
    p.pipeline.eps = 0.5;
    OK(policy_images(&p, &s, &err));
    assert_float_equal(s.images[0].std[1], 1.6, 1e-6);
    p.pipeline.eps = 1e-8;
    p.normalization_mapping.visual =
        "MIN_MAX"; // 2 (x - min) / (max - min) - 1 = (x - middle) / half
    OK(policy_images(&p, &s, &err));
    assert_float_equal(s.images[0].mean[1], (-1.1 + 1.7) / 2, 1e-6);
    assert_float_equal(s.images[0].std[1], (1.7 + 1.1) / 2, 1e-6);
    s.cameras[0].max[2] = s.cameras[0].min[2]; // one number everywhere: -1, as of vectors
    OK(policy_images(&p, &s, &err));
    assert_float_equal(s.images[0].mean[2], s.cameras[0].min[2] + 1, 1e-6);
    assert_float_equal(s.images[0].std[2], 1, 0);
    s.cameras[0].max[2] = -9;
    assert_false(policy_images(&p, &s, &err));
    assert_says(&err, "min and max", "front");
    p.normalization_mapping.visual = "IDENTITY";
    OK(policy_images(&p, &s, &err));
    assert_true(s.images[0].mean[0] == 0 && s.images[0].std[0] == 1);
    policy_stats_free(&s);
}

int main(void) {
#define TEST(f) cmocka_unit_test_setup_teardown(f, plain_new, plain_free)
    const struct CMUnitTest tests[] = {
        TEST(eps_is_the_steps),
        TEST(modes_are_the_steps),
        TEST(features_are_the_steps),
        TEST(relative_actions),
        TEST(relative_actions_have_a_size),
        TEST(excluded_joints_stay_absolute),
        TEST(half_a_relative_pair),
        TEST(relative_needs_one_observation_and_a_state),
        TEST(unknown_steps),
        TEST(devices_and_types),
        TEST(names_are_kept),
        TEST(both_have_the_same_statistics),
        TEST(identity_needs_no_statistics),
        TEST(images_by_every_mode),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
