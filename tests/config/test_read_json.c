// SPDX-License-Identifier: Apache-2.0
// Settings come back from the files they are written to, and from LeRobot's.
#include "config/config.h"
#include "config/config_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text) {
    json_error_t problem;
    json_t *value = json_loads(text, JSON_REJECT_DUPLICATES, &problem);
    if (!value) fail_msg("line %d: %s", problem.line, problem.text);
    return value;
}

static char *spelled(json_t *value) {
    char *text = json_text(value, 0);
    json_decref(value);
    return text;
}

// Both of a configuration's files, as text.
static void assert_same(const TrainConfig *a, const TrainConfig *b) {
    char *texts[] = {
        spelled(train_config_to_json(a)),         spelled(train_config_to_json(b)),
        spelled(policy_to_tact_json(&a->policy)), spelled(policy_to_tact_json(&b->policy)),
        spelled(train_config_to_tact_json(a)),    spelled(train_config_to_tact_json(b))};
    for (int i = 0; i < 6; i += 2) assert_string_equal(texts[i], texts[i + 1]);
    for (int i = 0; i < 6; i++) mem_free(texts[i]);
}

static void what_is_written_is_read(void **state) {
    (void)state;
    char *flags[] = {
        "--dataset.root=/data/x",
        "--dataset.episodes=[1,2]",
        "--policy.dim_model=64",
        "--policy.obs_state_horizon=3",
        "--policy.action_down_sample_steps=4",
        "--policy.n_past_actions=6",
        "--policy.max_action_prefix=9",
        "--dataset.repeat_frame_prob=0.75",
        "--policy.state_dropout=0.25",
        "--policy.pose_repr=relative",
        "--policy.temporal_ensemble_coeff=0.01",
        "--policy.n_action_steps=1",
        "--policy.optimizer_lr=3e-5",
        "--steps=777",
        "--eval_freq=5",
        "--env.type=strawberry",
        "--eval.n_episodes=7",
        "--eval.max_videos=0",
        "--keep_last=4",
        "--num_workers=0",
        "--dataset.eval_split=0.25",
        "--tolerance_s=0.002",
        "--optimizer.betas=[0.8,0.9]",
        "--scheduler.type=cosine_decay_with_warmup",
        "--scheduler.num_decay_steps=50",
        "--scheduler.num_warmup_steps=7",
        "--scheduler.peak_lr=1e-4",
        "--scheduler.decay_lr=1e-5",
        "--ema.enable=true",
        "--ema.decay=0.99",
        "--policy.normalization_mapping={VISUAL: MEAN_STD, STATE: MIN_MAX, ACTION: MIN_MAX}",
        "--policy.resize_shape=[[64,96],[96,64]]",
        "--policy.device=cpu",
        "--policy.pretrained_backbone_weights=null"};
    TrainConfig a, b;
    Error err;
    train_config_default(&a);
    if (!train_config_parse(&a, sizeof flags / sizeof flags[0], flags, &err))
        fail_msg("%s", err.text);
    train_config_fill(&a, 0);
    PolicyConfig *p = &a.policy;
    p->state_dim = p->action_dim = 20;
    p->arms = 2;
    p->n_cameras = 2;
    p->cameras[0] = (CameraConfig){"observation.images.b", 480, 640, 64, 96, 0, 0};
    p->cameras[1] = (CameraConfig){"observation.images.a", 240, 320, 96, 64, 0, 0};
    p->fps = 12.5;
    json_t *root = train_config_to_json(&a), *tact = policy_to_tact_json(p);
    json_object_set_new(tact, "train", train_config_to_tact_json(&a));
    train_config_default(&b);
    const json_t *policy = json_object_get(root, "policy");
    if (!train_config_from_json(&b, root, tact, "file", &err) ||
        !policy_shapes_from_json(&b, policy, tact, "file", &err))
        fail_msg("%s", err.text);
    assert_same(&a, &b);
    assert_int_equal(b.policy.n_past_actions, 6);
    assert_true(b.policy.action_down_sample_steps == 4 && b.dataset.repeat_frame_prob == 0.75);
    assert_true(b.policy.use_state && b.policy.state_dropout == 0.25);
    assert_int_equal(b.policy.max_action_prefix, 9);
    assert_true(b.ema.enable && b.ema.decay == 0.99 && b.scheduler.num_warmup_steps == 7);
    assert_true(b.policy.arms == 2 && b.policy.cameras[0].width == 640 && b.policy.fps == 12.5);
    assert_string_equal(b.policy.cameras[0].name, "observation.images.b"); // their order counts
    assert_true(b.policy.cameras[0].image_height == 64 && b.policy.cameras[0].image_width == 96);
    assert_true(b.policy.cameras[1].image_height == 96 && b.policy.cameras[1].image_width == 64);
    assert_true(b.policy.resize_shape.count == 4 && b.policy.resize_shape.values[2] == 96);
    assert_string_equal(b.env_type, "strawberry");
    assert_true(b.eval_n_episodes == 7 && b.eval_max_videos == 0);
    assert_null(json_object_get(root, "env")); // LeRobot would want to know the type
    json_decref(root);
    json_decref(tact);
    train_config_free(&a);
    train_config_free(&b);
}

// A policy that crops: LeRobot's config.json has the sizes that were recorded, where its ACT runs
// it with a step that crops, and tact.json those that the model sees, under a version of its own.
static void crops_are_read(void **state) {
    (void)state;
    static const char *const both[] = {"--policy.resize_shape=[64,96]",
                                       "--policy.crop_shape=[48,90]",
                                       "--policy.crop_is_random=false"};
    for (int horizon = 1; horizon <= 2; horizon++) {
        char first[] = "--policy.obs_state_horizon=1";
        char *flags[] = {first, (char *)both[0], (char *)both[1], (char *)both[2]};
        TrainConfig a, b;
        Error err;
        first[sizeof first - 2] = (char)('0' + horizon);
        train_config_default(&a);
        if (!train_config_parse(&a, 4, flags, &err)) fail_msg("%s", err.text);
        train_config_fill(&a, 0);
        PolicyConfig *p = &a.policy;
        p->state_dim = p->action_dim = 6;
        p->pose_repr = "none";
        p->resize_filter = "bilinear";
        p->n_cameras = 1;
        p->cameras[0] = (CameraConfig){"observation.images.b", 480, 640, 48, 90, 64, 96};
        json_t *policy = policy_to_json(p), *tact = policy_to_tact_json(p);
        const json_t *shape = json_object_get(
            json_object_get(json_object_get(policy, "input_features"), "observation.images.b"),
            "shape");
        assert_int_equal(json_integer_value(json_array_get(shape, 1)), horizon == 1 ? 480 : 48);
        assert_int_equal(json_integer_value(json_object_get(tact, "version")), 4);
        train_config_default(&b);
        if (!policy_from_json(&b, policy, tact, "file", &err) ||
            !policy_shapes_from_json(&b, policy, tact, "file", &err))
            fail_msg("%s", err.text);
        const CameraConfig *c = &b.policy.cameras[0];
        assert_true(c->height == 480 && c->width == 640);
        assert_true(c->image_height == 48 && c->image_width == 90);
        assert_true(c->resized_height == 64 && c->resized_width == 96);
        assert_true(!b.policy.crop_is_random && b.policy.crop_shape.values[1] == 90);
        assert_string_equal(b.policy.resize_filter, "bilinear");
        // Half of what it says would be another picture.
        json_t *camera = json_array_get(json_object_get(tact, "cameras"), 0);
        json_object_set_new(camera, "resized_to", json_pack("[i,i]", 64, 80));
        assert_false(policy_shapes_from_json(&b, policy, tact, "file", &err));
        assert_non_null(strstr(err.text, "crop of observation.images.b is larger"));
        if (horizon == 1) {
            json_object_set_new(camera, "resized_to", json_pack("[i,i]", 64, 31));
            json_object_set_new(camera, "image_size", json_pack("[i,i]", 48, 31));
            assert_false(policy_shapes_from_json(&b, policy, tact, "file", &err));
            assert_non_null(strstr(err.text, "shrink to 64x31; each side must be at least 32"));
        }
        json_object_del(camera, "resized_to");
        json_object_set_new(camera, "image_size", json_pack("[i,i]", 48, 90));
        assert_false(policy_shapes_from_json(&b, policy, tact, "file", &err));
        assert_non_null(strstr(err.text, "does not say what frames are cropped from"));
        json_decref(policy);
        json_decref(tact);
        train_config_free(&a);
        train_config_free(&b);
    }
}

// A policy that does not see the state, of relative poses. Files of two policies do not go
// together.
static void a_state_that_is_not_seen(void **state) {
    (void)state;
    TrainConfig a, b;
    Error err = {""};
    train_config_default(&a);
    a.dataset.root = "/data/x";
    PolicyConfig *p = &a.policy;
    p->use_state = false;
    p->pose_repr = "relative";
    p->arms = 1;
    p->action_dim = 10;
    p->n_cameras = 1;
    p->cameras[0] = (CameraConfig){"observation.images.b", 480, 640, 64, 96, 0, 0};
    json_t *root = train_config_to_json(&a), *tact = policy_to_tact_json(p);
    const json_t *policy = json_object_get(root, "policy");
    train_config_default(&b);
    if (!train_config_from_json(&b, root, tact, "file", &err) ||
        !policy_shapes_from_json(&b, policy, tact, "file", &err))
        fail_msg("%s", err.text);
    assert_false(b.policy.use_state);
    assert_false(inputs_name_state(b.policy.input_features));
    assert_true(b.policy.arms == 1 && b.policy.state_dim == 0);
    train_config_free(&b);
    json_object_set_new(json_object_get(policy, "input_features"), "observation.state",
                        json_pack("{s:s, s:[i]}", "type", "STATE", "shape", 10));
    train_config_default(&b);
    assert_true(train_config_from_json(&b, root, tact, "file", &err));
    assert_true(inputs_name_state(b.policy.input_features));
    assert_false(policy_shapes_from_json(&b, policy, tact, "file", &err));
    assert_non_null(strstr(err.text, "file: observation.state is among its input_features, but"));
    train_config_free(&b);
    json_decref(root);
    json_decref(tact);
    train_config_free(&a);
    assert_false(inputs_name_state(NULL));
    assert_false(inputs_name_state("[\"observation.state\"]"));
    assert_false(inputs_name_state("{"));
}

// The keys of LeRobot 0.6: a key that tact does not know is passed over, a setting that it cannot
// follow is refused.
static const char lerobot[] =
    "{\"dataset\": {\"repo_id\": \"me/ds\", \"repo_type\": \"dataset\", \"root\": null, "
    "\"episodes\": null,"
    " \"image_transforms\": {\"enable\": false, \"max_num_transforms\": 3, \"tfs\": {\"hue\": "
    "{\"weight\": 1.0}}},"
    " \"use_imagenet_stats\": true, \"video_backend\": \"torchcodec\", \"streaming\": false, "
    "\"eval_split\": 0.5},"
    " \"env\": null, \"policy\": {\"type\": \"act\", \"n_obs_steps\": 1, \"input_features\": {"
    "\"observation.images.cam\": {\"type\": \"VISUAL\", \"shape\": [3, 48, 64]},"
    " \"observation.effort\": {\"type\": \"STATE\", \"shape\": [6]},"
    " \"observation.state\": {\"type\": \"STATE\", \"shape\": [6]}},"
    " \"output_features\": {\"action\": {\"type\": \"ACTION\", \"shape\": [6]}}, \"device\": "
    "\"cpu\","
    " \"use_peft\": false, \"push_to_hub\": false, \"pretrained_path\": \"some/where\", \"tags\": "
    "[\"x\"],"
    " \"replace_final_stride_with_dilation\": 0, \"dim_model\": 256, \"optimizer_lr\": 2e-05,"
    " \"temporal_ensemble_coeff\": null, \"normalization_mapping\":"
    " {\"VISUAL\": \"MEAN_STD\", \"STATE\": \"MEAN_STD\", \"ACTION\": \"MEAN_STD\"}},"
    " \"output_dir\": \"outputs/x\", \"job_name\": \"act\", \"resume\": false, \"seed\": 5, "
    "\"batch_size\": 16,"
    " \"steps\": 5000, \"env_eval_freq\": 30, \"eval_steps\": 0, \"log_freq\": 20, "
    "\"checkpoint_format\":"
    " \"safetensors\", \"scheduler\": null, \"optimizer\": {\"type\": \"adamw\", \"lr\": 2e-05, "
    "\"eps\": 1e-07,"
    " \"betas\": [0.9, 0.99]}, \"ema\": {\"enable\": true, \"decay\": null, \"power\": 0.5},"
    " \"accelerator\": {\"mixed_precision\": \"no\"}, \"peft\": null, \"job\": {\"target\": null}, "
    "\"rename_map\": {}, \"tolerance_s\": 0.0001}";

static void lerobots_file_is_read(void **state) {
    (void)state;
    TrainConfig c;
    Error err;
    json_t *root = parse(lerobot);
    train_config_default(&c);
    if (!train_config_from_json(&c, root, NULL, "file", &err)) fail_msg("%s", err.text);
    assert_true(c.policy.dim_model == 256 && c.policy.optimizer_lr == 2e-5 && c.batch_size == 16);
    assert_true(c.steps == 5000 && c.seed == 5 && c.eval_freq == 30 && c.dataset.eval_split == 0.5);
    assert_true(c.adam_beta2 == 0.99 && c.adam_eps == 1e-7);
    assert_true(c.ema.enable && c.ema.decay == CONFIG_NULL_NUMBER && c.ema.power == 0.5);
    assert_true(c.policy.obs_state_horizon == 1); // tact's default is 2, LeRobot's ACT sees one
    assert_string_equal(c.policy.temporal_pos_embed, "none");
    assert_string_equal(c.policy.pose_repr, "none");
    assert_false(c.policy.replace_final_stride_with_dilation || c.resume);
    assert_true(c.tolerance_s == CONFIG_NULL_NUMBER); // LeRobot's default is nobody's wish
    assert_null(c.policy.path);
    assert_non_null(strstr(c.policy.input_features, "observation.images.cam"));
    assert_null(strstr(c.policy.input_features, "effort")); // its ACT does not use it either
    if (!policy_shapes_from_json(&c, json_object_get(root, "policy"), NULL, "file", &err))
        fail_msg("%s", err.text);
    assert_true(c.policy.state_dim == 6 && c.policy.action_dim == 6 && c.policy.n_cameras == 1);
    assert_true(c.policy.cameras[0].image_height == 48 && c.policy.cameras[0].width == 64 &&
                c.policy.arms == 0);
    json_decref(root);
    train_config_free(&c);
}

// A checkpoint from before there were two filters, and crops: its frames shrink by area.
static void older_checkpoints_are_read(void **state) {
    (void)state;
    TrainConfig c;
    Error err;
    json_t *tact = parse("{\"version\": 1, \"resize_shape\": [48, 64], \"obs_state_horizon\": 1}");
    json_t *root = parse(lerobot);
    train_config_default(&c);
    if (!policy_from_json(&c, json_object_get(root, "policy"), tact, "file", &err))
        fail_msg("%s", err.text);
    assert_string_equal(c.policy.resize_filter, "area");
    assert_false(policy_crops(&c.policy));
    json_t *again = policy_to_tact_json(&c.policy);
    assert_int_equal(json_integer_value(json_object_get(again, "version")), 1);
    static const char *const later[] = {"resize_filter", "crop_shape", "crop_ratio",
                                        "crop_is_random"};
    for (int i = 0; i < 4; i++) assert_null(json_object_get(again, later[i]));
    json_decref(again);
    json_decref(tact);
    json_decref(root);
    train_config_free(&c);
}

static void refuse(const char *path, const char *value, const char *says) {
    TrainConfig c;
    Error err = {""};
    json_t *root = parse(lerobot), *object = root;
    char first[64];
    const char *dot = strchr(path, '.');
    if (dot) {
        snprintf(first, sizeof first, "%.*s", (int)(dot - path), path);
        object = json_object_get(root, first);
    }
    json_object_set_new(object, dot ? dot + 1 : path, json_loads(value, JSON_DECODE_ANY, NULL));
    train_config_default(&c);
    bool ok = train_config_from_json(&c, root, NULL, "file.json", &err);
    if (ok || !strstr(err.text, says) || !strstr(err.text, "file.json"))
        fail_msg("%s=%s: \"%s\"", path, value, err.text);
    json_decref(root);
    train_config_free(&c);
}

static void what_tact_cannot_do_is_refused(void **state) {
    (void)state;
    refuse("policy", "null", "no policy");
    refuse("policy.type", "\"diffusion\"", "diffusion");
    refuse("policy.type", "\"tact\"", "tact.json");
    refuse("policy.use_peft", "true", "use_peft");
    refuse("policy.n_obs_steps", "2", "n_obs_steps is 2");
    refuse("policy.n_obs_steps", "\"1\"", "n_obs_steps");
    refuse("policy.use_relative_ee", "true", "use_relative_ee is set");
    refuse("policy.normalization_mapping", "{\"STATE\": \"QUANTILES\"}",
           "MEAN_STD, MIN_MAX and IDENTITY");
    refuse("policy.normalization_mapping", "[]", "normalization_mapping");
    refuse("policy.chunk_size", "100.5", "chunk_size");
    refuse("policy.n_heads", "[8]", "n_heads");
    refuse("peft", "{\"r\": 16}", "peft");
    refuse("sample_weighting", "{\"type\": \"x\"}", "sample_weighting");
    refuse("accelerator.mixed_precision", "\"bf16\"", "mixed_precision");
    refuse("scheduler", "{\"type\": \"cosine_annealing_with_warmup\"}", "scheduler.type");
    refuse("steps", "0", "steps");
    refuse("optimizer.type", "\"sgd\"", "optimizer.type");
}

static void assert_modes(const char *mapping, const char *visual, const char *state,
                         const char *action, const char *env) {
    TrainConfig c;
    Error err;
    json_t *root = parse(lerobot), *policy = json_object_get(root, "policy");
    if (mapping)
        json_object_set_new(policy, "normalization_mapping", parse(mapping));
    else
        json_object_del(policy, "normalization_mapping");
    train_config_default(&c);
    if (!train_config_from_json(&c, root, NULL, "file", &err)) fail_msg("%s", err.text);
    const NormMap *n = &c.policy.normalization_mapping;
    assert_string_equal(n->visual, visual);
    assert_string_equal(n->state, state);
    assert_string_equal(n->action, action);
    assert_string_equal(n->env ? n->env : "none", env);
    json_decref(root);
    train_config_free(&c);
}

// LeRobot does not normalise what a mapping leaves out; without a mapping the default counts.
static void modes_are_lerobots(void **state) {
    (void)state;
    assert_modes("{\"STATE\": \"MIN_MAX\", \"ACTION\": \"MEAN_STD\"}", "IDENTITY", "MIN_MAX",
                 "MEAN_STD", "none");
    assert_modes("{}", "IDENTITY", "IDENTITY", "IDENTITY", "none");
    assert_modes("{\"VISUAL\": \"MIN_MAX\", \"ENV\": \"MIN_MAX\", \"LANGUAGE\": \"IDENTITY\"}",
                 "MIN_MAX", "IDENTITY", "IDENTITY", "MIN_MAX");
    assert_modes(NULL, "MEAN_STD", "MEAN_STD", "MEAN_STD", "none");
}

static void unknown_keys_are_named(void **state) {
    (void)state;
    char keys[64];
    json_t *root = parse(lerobot), *policy = json_object_get(root, "policy");
    assert_false(policy_unknown_keys(policy, keys, sizeof keys));
    assert_string_equal(keys, "");
    json_object_set_new(policy, "use_relative_ee", json_false());
    json_object_set_new(policy, "my_key", json_integer(1));
    assert_true(policy_unknown_keys(policy, keys, sizeof keys));
    assert_string_equal(keys, "my_key");
    // More names than there is room for.
    for (char name[8] = "key_a"; name[4] <= 'z'; name[4]++)
        json_object_set_new(policy, name, json_null());
    assert_true(policy_unknown_keys(policy, keys, sizeof keys));
    assert_true(strlen(keys) == sizeof keys - 1);
    json_decref(root);
}

// Without the preset all parameters have one rate.
static void lerobots_own_optimizer(void **state) {
    (void)state;
    TrainConfig c;
    Error err;
    json_t *root = parse(lerobot);
    json_object_set_new(root, "use_policy_training_preset", json_false());
    json_object_set_new(root, "optimizer",
                        parse("{\"type\": \"adamw\", \"lr\": 0.003, \"weight_decay\": 0.02}"));
    train_config_default(&c);
    if (!train_config_from_json(&c, root, NULL, "file", &err)) fail_msg("%s", err.text);
    assert_true(c.policy.optimizer_lr == 0.003 && c.policy.optimizer_lr_backbone == 0.003);
    assert_true(c.policy.optimizer_weight_decay == 0.02);
    json_decref(root);
    train_config_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_lerobots),
        cmocka_unit_test(unknown_keys_are_named),
        cmocka_unit_test(lerobots_own_optimizer),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(a_state_that_is_not_seen),
        cmocka_unit_test(lerobots_file_is_read),
        cmocka_unit_test(what_tact_cannot_do_is_refused),
        cmocka_unit_test(crops_are_read),
        cmocka_unit_test(older_checkpoints_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
