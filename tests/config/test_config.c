// SPDX-License-Identifier: Apache-2.0
// The table of settings, flags that are accepted, and the files that settings are written to.
// test_refused_flags.c has what is refused or passed over.
#include "command_line.h"
#include "config/backbone_weights.h"
#include "config/config_json.h"
#include "config/fields.h"
#include "config/foreign.h"

static void table_is_sound(void **state) {
    (void)state;
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        assert_ptr_equal(field_find(f->flag), f); // no flag twice
        assert_true(f->offset < sizeof(TrainConfig));
        assert_true(strlen(f->help) > 10);
        if (strlen(f->help) > 140 || strchr(f->help, '\n'))
            fail_msg("%s: help is too long", f->flag);
        for (int k = 0; k < i; k++)
            if (train_fields[k].offset == f->offset)
                fail_msg("%s and %s are stored in one place", train_fields[k].flag, f->flag);
        TrainConfig c;
        Error err;
        train_config_default(&c);
        if (!field_set(&c, f, f->fallback, &err)) fail_msg("default of %s: %s", f->flag, err.text);
        train_config_free(&c);
    }
    for (int i = 0; i < foreign_flag_count; i++) assert_null(field_find(foreign_flags[i].flag));
}

static void defaults(void **state) {
    (void)state;
    TrainConfig c;
    train_config_default(&c);
    assert_int_equal(c.policy.chunk_size, 100);
    assert_int_equal(c.policy.dim_feedforward, 3200);
    assert_true(c.policy.optimizer_lr == 1e-5 && c.policy.kl_weight == 10.0);
    assert_true(c.policy.temporal_ensemble_coeff == CONFIG_NULL_NUMBER);
    assert_string_equal(c.policy.pretrained_backbone_weights, "ResNet18_Weights.IMAGENET1K_V1");
    assert_false(c.policy.push_to_hub);
    assert_int_equal(c.policy.obs_state_horizon, 2);
    assert_int_equal(c.policy.obs_down_sample_steps, 1);
    assert_int_equal(c.policy.action_down_sample_steps, 1);
    assert_int_equal(c.policy.n_past_actions, 0);
    assert_int_equal(c.policy.max_action_prefix, 0);
    assert_true(c.dataset.repeat_frame_prob == 0);
    assert_string_equal(c.policy.temporal_pos_embed, "all");
    assert_null(c.policy.pose_repr);
    assert_null(c.policy.resize_shape.values);
    assert_true(!c.policy.resize_filter && !c.policy.crop_shape.values && c.policy.crop_is_random);
    assert_true(c.policy.crop_ratio == 1 && !policy_crops(&c.policy));
    assert_null(c.policy.normalization_mapping.state);
    assert_int_equal(c.seed, 1000);
    assert_int_equal(c.steps, 100000);
    assert_int_equal(c.save_freq, 20000);
    assert_int_equal(c.eval_freq, 20000);
    assert_int_equal(c.num_stat_samples, 1000);
    assert_int_equal(c.num_workers, 4);
    assert_true(c.adam_beta1 == 0.9 && c.adam_beta2 == 0.999 && c.adam_eps == 1e-8);
    assert_true(c.dataset.use_imagenet_stats && c.save_checkpoint && !c.resume);
    train_config_free(&c);
}

// --policy.type=act alone is LeRobot's ACT.
static void two_kinds(void **state) {
    (void)state;
    TrainConfig c;
    assert_parses(&c, "--policy.type=act|--policy.chunk_size=50");
    assert_int_equal(c.policy.obs_state_horizon, 1);
    assert_string_equal(c.policy.temporal_pos_embed, "none");
    assert_string_equal(c.policy.pose_repr, "none");
    assert_string_equal(c.policy.normalization_mapping.action, "MEAN_STD");
    assert_string_equal(c.policy.normalization_mapping.state, "MEAN_STD");
    assert_null(c.policy.normalization_mapping.env); // left as it is, as in LeRobot
    train_config_free(&c);
    assert_parses(&c, "--policy.type=act|--policy.normalization_mapping={STATE: MIN_MAX}");
    assert_string_equal(c.policy.normalization_mapping.state, "MIN_MAX");
    train_config_free(&c);
    static const char *const temporal[] = {"--policy.type=tact", "--policy.chunk_size=50",
                                           "--policy.type=act|--policy.obs_state_horizon=2",
                                           "--policy.obs_state_horizon=2|--policy.type=act",
                                           "--policy.type=act|--policy.pose_repr=null"};
    for (size_t i = 0; i < sizeof temporal / sizeof temporal[0]; i++) {
        assert_parses(&c, temporal[i]);
        assert_int_equal(c.policy.obs_state_horizon, 2);
        assert_string_equal(c.policy.temporal_pos_embed, "all");
        assert_null(c.policy.pose_repr);
        assert_null(c.policy.normalization_mapping.state);
        train_config_free(&c);
    }
    // A checkpoint says itself which kind of policy it is.
    assert_parses(&c, "--policy.type=act|--policy.path=run");
    assert_int_equal(c.policy.obs_state_horizon, 2);
    assert_true(field_given(&c, "policy.type") && !field_given(&c, "policy.chunk_size"));
    train_config_free(&c);
    assert_error("--policy.type=act|--policy.obs_down_sample_steps=3",
                 "add --policy.obs_state_horizon=2");
    assert_error("--policy.type=act|--policy.temporal_pos_embed=all", "one observation");
    assert_error("--policy.type=act|--policy.action_down_sample_steps=3",
                 "--policy.action_down_sample_steps: --policy.type=act alone is LeRobot's ACT");
    assert_error("--policy.type=act|--policy.n_past_actions=3",
                 "--policy.n_past_actions=3: --policy.type=act alone is LeRobot's ACT, which "
                 "predicts no past actions");
    assert_parses(&c, "--policy.type=act|--policy.n_past_actions=0");
    train_config_free(&c);
    assert_error("--policy.type=act|--policy.max_action_prefix=5",
                 "--policy.max_action_prefix=5: --policy.type=act alone is LeRobot's ACT, which is "
                 "never given actions; leave out --policy.type");
    assert_parses(&c,
                  "--policy.type=act|--policy.obs_state_horizon=2|--policy.max_action_prefix=5");
    assert_int_equal(c.policy.max_action_prefix, 5);
    train_config_free(&c);
    assert_parses(&c, "--policy.type=act|--policy.max_action_prefix=0");
    train_config_free(&c);
    assert_parses(&c, "--policy.type=act|--policy.temporal_pos_embed=none");
    train_config_free(&c);
}

static void every_type_both_spellings(void **state) {
    (void)state;
    TrainConfig c;
    assert_parses(
        &c, "--policy.use_vae=False|--batch_size|16|--steps=200000|--policy.optimizer_lr|1e-4|"
            "--dataset.root|/data/set|--dataset.episodes=[0, 3,7]|--policy.device=None|"
            "--policy.resize_shape|[240,320]|--policy.temporal_ensemble_coeff=-0.01|"
            "--policy.normalization_mapping={\"VISUAL\": \"MEAN_STD\", STATE: MIN_MAX}|"
            "--optimizer.betas=[0.95,0.99]|--env_eval_freq=7|--policy.pre_norm|--seed|-0|"
            "--policy.pretrained_backbone_weights=null|--optimizer.eps=2e-4");
    assert_false(c.policy.use_vae);
    assert_true(c.policy.pre_norm); // a bare boolean flag
    assert_int_equal(c.batch_size, 16);
    assert_int_equal(train_step_samples(&c), 16);
    assert_int_equal(c.steps, 200000);
    assert_true(c.policy.optimizer_lr == 1e-4 && c.adam_eps == 2e-4);
    assert_string_equal(c.dataset.root, "/data/set");
    assert_int_equal(c.dataset.episodes.count, 3);
    assert_int_equal(c.dataset.episodes.values[2], 7);
    assert_null(c.policy.device);
    assert_int_equal(c.policy.resize_shape.values[1], 320);
    assert_true(c.policy.temporal_ensemble_coeff == -0.01);
    assert_string_equal(c.policy.normalization_mapping.state, "MIN_MAX");
    assert_string_equal(c.policy.normalization_mapping.action, "IDENTITY"); // left out
    assert_true(c.adam_beta1 == 0.95 && c.adam_beta2 == 0.99);
    assert_int_equal(c.eval_freq, 7);
    assert_null(c.policy.pretrained_backbone_weights);
    train_config_free(&c);
    assert_parses(&c, "--batch_size=3|--accelerator.gradient_accumulation.steps=4");
    assert_int_equal(train_step_samples(&c), 12);
    train_config_free(&c);
    assert_parses(&c,
                  "--policy.pre_norm|--batch_size=1|--dataset.episodes|[]|--policy.use_vae|true");
    assert_non_null(c.dataset.episodes.values);
    assert_int_equal(c.dataset.episodes.count, 0);
    train_config_free(&c);
}

// A mapping that is given is the whole of it, an empty one too; null is none.
static void modes_that_are_left_out(void **state) {
    (void)state;
    static const char *const types[] = {"--policy.type=act", "--policy.type=tact"};
    for (int i = 0; i < 2; i++) {
        TrainConfig c;
        char line[128];
        const NormMap *n = &c.policy.normalization_mapping;
        snprintf(line, sizeof line, "%s|--policy.normalization_mapping={}", types[i]);
        assert_parses(&c, line);
        assert_string_equal(n->visual, "IDENTITY");
        assert_string_equal(n->state, "IDENTITY");
        assert_string_equal(n->action, "IDENTITY");
        assert_null(n->env); // which LeRobot's mapping does not have
        train_config_free(&c);
        snprintf(line, sizeof line, "%s|--policy.normalization_mapping=null", types[i]);
        assert_parses(&c, line);
        assert_true(i == 0 ? strcmp(n->state, "MEAN_STD") == 0 : !n->state);
        train_config_free(&c);
    }
}

static void assert_rates(const char *line, double rate, double backbone, double decay,
                         const char *said) {
    TrainConfig c;
    assert_parses(&c, line);
    const PolicyConfig *p = &c.policy;
    if (p->optimizer_lr != rate || p->optimizer_lr_backbone != backbone ||
        p->optimizer_weight_decay != decay)
        fail_msg("%s: %g, backbone %g, decay %g", line, p->optimizer_lr, p->optimizer_lr_backbone,
                 p->optimizer_weight_decay);
    if (!strstr(c.ignored, said) || !*said != !*c.ignored) fail_msg("%s: \"%s\"", line, c.ignored);
    train_config_free(&c);
}

// The policy's numbers and the optimiser's, with LeRobot's preset and without.
static void rates_of_the_optimizer(void **state) {
    (void)state;
    static const char both[] = "--policy.optimizer_lr=1e-4|--optimizer.lr=2e-4";
    char line[512];
    assert_rates("--optimizer.lr=2e-4|--optimizer.weight_decay=0", 2e-4, 1e-5, 0, "");
    assert_rates(both, 1e-4, 1e-5, 1e-4,
                 "--optimizer.lr (policy.optimizer_lr counts, as in LeRobot with "
                 "use_policy_training_preset=true)");
    assert_rates("--policy.optimizer_lr=1e-4|--optimizer.lr=1e-4", 1e-4, 1e-5, 1e-4, "");
    // Without it there is one group, with AdamW's own defaults.
    assert_rates("--use_policy_training_preset=false|--optimizer.type=adamw|--optimizer.lr=2e-3",
                 2e-3, 2e-3, 1e-2, "");
    assert_rates("--optimizer.weight_decay=0.5|--use_policy_training_preset=false", 1e-3, 1e-3, 0.5,
                 "");
    assert_rates("--use_policy_training_preset=false|--optimizer.lr=null", 1e-3, 1e-3, 1e-2, "");
    snprintf(line, sizeof line, "--use_policy_training_preset=false|%s", both);
    assert_rates(line, 2e-4, 2e-4, 1e-2, "--policy.optimizer_lr (optimizer.lr counts");
    assert_rates("--use_policy_training_preset=false|--optimizer.lr=2e-3|"
                 "--policy.optimizer_lr_backbone=1e-6",
                 2e-3, 1e-6, 1e-2, "");
    // What a checkpoint was trained with stays as it is where no flag says otherwise.
    char flag[] = "--steps=5", *argv[] = {flag};
    TrainConfig c;
    Error err;
    train_config_default(&c);
    c.use_policy_training_preset = false;
    c.policy.optimizer_lr = c.policy.optimizer_lr_backbone = c.optimizer_lr = 0.25;
    assert_true(train_config_parse(&c, 1, argv, &err));
    assert_true(c.policy.optimizer_lr == 0.25 && c.policy.optimizer_weight_decay == 1e-4);
    train_config_free(&c);
}

// What LeRobot writes, or takes, for "no such thing" is that here too.
static void lerobots_ways_of_saying_nothing(void **state) {
    (void)state;
    TrainConfig c;
    assert_parses(&c, "--save_freq=-1|--log_freq|-1|--env_eval_freq=-20|--eval_steps=-1|"
                      "--max_eval_samples=-1|--policy.input_features={ }|"
                      "--policy.output_features={}");
    assert_true(c.save_freq == 0 && c.log_freq == 0 && c.eval_freq == 0);
    assert_true(c.eval_steps == 0 && c.max_eval_samples == 0);
    assert_null(c.policy.input_features);
    assert_false(field_given(&c, "policy.input_features"));
    assert_string_equal(c.ignored, "");
    train_config_free(&c);
    // What is no empty object is left to what reads it.
    assert_parses(&c, "--policy.input_features={}?");
    assert_string_equal(c.policy.input_features, "{}?");
    train_config_free(&c);
}

static void weights_names(void **state) {
    (void)state;
    static const struct {
        const char *spec, *backbone, *file;
    } cases[] = {
        {"ResNet18_Weights.DEFAULT", "resnet18", "resnet18-f37072fd.pth"},
        {"DEFAULT", "resnet34", "resnet34-b627a593.pth"},
        {"ResNet50_Weights.IMAGENET1K_V1", "resnet50", "resnet50-0676ba61.pth"},
        {"ResNet50_Weights.DEFAULT", "resnet50", "resnet50-11ad3fa6.pth"},
        {"IMAGENET1K_V1", "resnet101", "resnet101-63fe2227.pth"},
        {"ResNet101_Weights.IMAGENET1K_V2", "resnet101", "resnet101-cd907fc2.pth"},
        {"ResNet152_Weights.IMAGENET1K_V1", "resnet152", "resnet152-394f9c45.pth"},
        {"DEFAULT", "resnet152", "resnet152-f82ba261.pth"},
        {"./IMAGENET1K_V1", "resnet18", NULL},
        {"mine.safetensors", "resnet18", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const BackboneWeights *w = NULL;
        Error err = {""};
        if (!backbone_weights_find(cases[i].spec, cases[i].backbone, &w, &err))
            fail_msg("%s", err.text);
        if (cases[i].file)
            assert_string_equal(w->file, cases[i].file);
        else
            assert_null(w);
    }
}

static void filled_in(void **state) {
    (void)state;
    TrainConfig c;
    assert_parses(&c, "--dataset.root=/data/bottle/");
    setenv("TZ", "UTC", 1);
    train_config_fill(&c, 1764500000);
    assert_string_equal(c.dataset.repo_id, "bottle");
    assert_string_equal(c.job_name, "tact");
    assert_string_equal(c.output_dir, "outputs/train/2025-11-30/10-53-20_tact");
    train_config_free(&c);
    assert_parses(&c, "--dataset.root=/d|--dataset.repo_id=me/ds|--job_name=j|--output_dir=o");
    train_config_fill(&c, 0);
    assert_string_equal(c.dataset.repo_id, "me/ds");
    assert_string_equal(c.job_name, "j");
    assert_string_equal(c.output_dir, "o");
    train_config_free(&c);
}

static void assert_json(json_t *value, const char *expected) {
    char *text = json_text(value, 0);
    assert_string_equal(text, expected);
    mem_free(text);
    json_decref(value);
}

static void fill_dataset(PolicyConfig *p) {
    p->state_dim = p->action_dim = 10;
    p->arms = 1;
    p->fps = 30;
    p->n_cameras = 2;
    p->cameras[0] = (CameraConfig){"observation.images.wrist", 480, 640, 240, 320, 0, 0};
    p->cameras[1] = (CameraConfig){"observation.images.front", 640, 480, 320, 240, 0, 0};
}

#define CONFIG_AFTER_TYPE                                                                          \
    "\"n_obs_steps\": 1, \"input_features\": {\"observation.state\": "                             \
    "{\"type\": \"STATE\", \"shape\": [10]}, \"observation.images.wrist\": {\"type\": "            \
    "\"VISUAL\", "                                                                                 \
    "\"shape\": [3, 240, 320]}, \"observation.images.front\": {\"type\": \"VISUAL\", \"shape\": "  \
    "[3, 320, 240]}}, \"output_features\": {\"action\": {\"type\": \"ACTION\", \"shape\": "        \
    "[10]}}, "                                                                                     \
    "\"device\": \"cpu\", \"use_amp\": false, \"push_to_hub\": false, \"repo_id\": null, "         \
    "\"private\": null, \"tags\": null, \"license\": null, \"chunk_size\": 100, "                  \
    "\"n_action_steps\": 100, \"normalization_mapping\": {\"VISUAL\": \"MEAN_STD\", \"STATE\": "   \
    "\"MIN_MAX\", \"ACTION\": \"MEAN_STD\"}, \"vision_backbone\": \"resnet18\", "                  \
    "\"pretrained_backbone_weights\": null, \"replace_final_stride_with_dilation\": false, "       \
    "\"pre_norm\": false, \"dim_model\": 512, \"n_heads\": 8, \"dim_feedforward\": 3200, "         \
    "\"feedforward_activation\": \"relu\", \"n_encoder_layers\": 4, \"n_decoder_layers\": 1, "     \
    "\"use_vae\": true, \"latent_dim\": 32, \"n_vae_encoder_layers\": 4, "                         \
    "\"temporal_ensemble_coeff\": null, \"dropout\": 0.1, \"kl_weight\": 10.0, \"optimizer_lr\": " \
    "1e-05, \"optimizer_weight_decay\": 0.0001, \"optimizer_lr_backbone\": 1e-05}"

static void json_files(void **state) {
    (void)state;
    TrainConfig c;
    assert_parses(
        &c, "--dataset.repo_id=me/ds|--output_dir=out|--policy.device=cpu|--job_name=act|"
            "--policy.pretrained_backbone_weights=null|--policy.obs_state_horizon=1|"
            "--policy.normalization_mapping={VISUAL: MEAN_STD, STATE: MIN_MAX, ACTION: MEAN_STD}|"
            "--policy.resize_shape=[[240,320],[320,240]]|"
            "--dataset.episodes=[4,2]|--policy.pose_repr=relative");
    fill_dataset(&c.policy);
    assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
    // Which library computes means nothing to PyTorch, which refuses the name; tact.json has it.
    const char *ours[] = {"cpu:blas", "ref"};
    for (int i = 0; i < 2; i++) {
        c.policy.device = ours[i];
        assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
        json_t *own = policy_to_tact_json(&c.policy);
        assert_string_equal(json_string_value(json_object_get(own, "device")), ours[i]);
        json_decref(own);
    }
    c.policy.device = "cpu";
    // The path of a file on this machine means nothing to LeRobot; torchvision's name for the
    // weights does.
    c.policy.pretrained_backbone_weights = "my/weights.pth";
    assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
    c.policy.pretrained_backbone_weights = "ResNet18_Weights.IMAGENET1K_V1";
    json_t *named = policy_to_json(&c.policy);
    assert_string_equal(json_string_value(json_object_get(named, "pretrained_backbone_weights")),
                        "ResNet18_Weights.IMAGENET1K_V1");
    json_decref(named);
    c.policy.pretrained_backbone_weights = NULL;
    train_config_fill(&c, 0); // takes the temporal embedding away: one observation
    assert_json(policy_to_json(&c.policy), "{\"type\": \"act\", " CONFIG_AFTER_TYPE);
    c.policy.obs_state_horizon = 2;
    assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
    c.policy.obs_state_horizon = 3;
    c.policy.temporal_pos_embed = "all";
    assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
    assert_json(
        policy_to_tact_json(&c.policy),
        "{\"version\": 1, \"dtype\": null, \"obs_state_horizon\": 3, \"obs_down_sample_steps\": 1, "
        "\"temporal_pos_embed\": \"all\", \"pose_repr\": \"relative\", \"resize_shape\": [[240, "
        "320], [320, 240]], \"arms\": 1, \"fps\": 30.0, \"cameras\": [{\"name\": "
        "\"observation.images.wrist\", "
        "\"height\": 480, \"width\": 640, \"image_size\": [240, 320]}, {\"name\": "
        "\"observation.images.front\", \"height\": 640, \"width\": 480, \"image_size\": "
        "[320, 240]}]}");
    assert_json(
        train_config_to_json(&c),
        "{\"dataset\": {\"repo_id\": \"me/ds\", \"root\": null, \"episodes\": [4, 2], "
        "\"revision\": null, \"use_imagenet_stats\": true, \"streaming\": false}, \"policy\": "
        "{\"type\": \"tact\", " CONFIG_AFTER_TYPE
        ", \"output_dir\": \"out\", \"job_name\": \"act\", \"seed\": 1000, \"num_workers\": 4, "
        "\"batch_size\": 8, \"steps\": 100000, \"log_freq\": 200, \"save_checkpoint\": true, "
        "\"save_freq\": 20000, \"optimizer\": {\"type\": \"adamw\", \"lr\": 1e-05, "
        "\"weight_decay\": 0.0001, \"grad_clip_norm\": 10.0, \"betas\": [0.9, 0.999], "
        "\"eps\": 1e-08}, \"scheduler\": null, \"wandb\": {\"enable\": false, \"project\": "
        "\"lerobot\"}}");
    assert_json(train_config_to_tact_json(&c),
                "{\"eval_split\": 0.0, \"frame_cache\": \"auto\", \"frame_cache_gb\": null, "
                "\"frame_cache_dir\": null, \"gradient_accumulation_steps\": 1, \"keep_last\": 0, "
                "\"eval_freq\": 20000, \"eval_steps\": 0, "
                "\"max_eval_samples\": 0, "
                "\"num_stat_samples\": 1000, \"prefetch_factor\": 4, \"tolerance_s\": null, "
                "\"threads\": 0, \"use_policy_training_preset\": true, \"env\": {\"type\": null}, "
                "\"eval\": {\"n_episodes\": 50, \"max_videos\": 4}}");
    // Keys of their own that a tact without them would not miss, and a version that it refuses.
    c.policy.action_down_sample_steps = 3;
    c.dataset.repeat_frame_prob = 0.5;
    json_t *tact = policy_to_tact_json(&c.policy), *train = train_config_to_tact_json(&c);
    assert_int_equal(json_integer_value(json_object_get(tact, "version")), 2);
    assert_int_equal(json_integer_value(json_object_get(tact, "action_down_sample_steps")), 3);
    assert_true(json_number_value(json_object_get(train, "repeat_frame_prob")) == 0.5);
    assert_null(json_object_get(tact, "use_state"));
    assert_null(json_object_get(tact, "state_dropout"));
    assert_null(json_object_get(tact, "n_past_actions"));
    json_decref(tact);
    json_decref(train);
    c.policy.use_state = false;
    c.policy.state_dropout = 0.25;
    tact = policy_to_tact_json(&c.policy);
    assert_true(json_is_false(json_object_get(tact, "use_state")));
    assert_true(json_number_value(json_object_get(tact, "state_dropout")) == 0.25);
    json_decref(tact);
    c.policy.use_state = true;
    c.policy.state_dropout = 0;
    c.policy.n_past_actions = 5;
    tact = policy_to_tact_json(&c.policy);
    assert_int_equal(json_integer_value(json_object_get(tact, "version")), 3);
    assert_int_equal(json_integer_value(json_object_get(tact, "n_past_actions")), 5);
    json_decref(tact);
    // Where curves go is written only as far as it was asked for.
    static const char *const asked[] = {"--wandb.disable_artifact=true",
                                        "--wandb.entity=us",
                                        "--wandb.notes=n",
                                        "--wandb.run_id=r",
                                        "--wandb.mode=offline",
                                        "--wandb.add_tags=false",
                                        "--tensorboard"};
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        Error why;
        char *flag = arena_strdup(&c.arena, asked[i]);
        assert_true(train_config_take(&c, 1, &flag, &why));
    }
    train = train_config_to_tact_json(&c);
    assert_true(json_is_true(json_object_get(train, "tensorboard")));
    json_decref(train);
    train = train_config_to_json(&c);
    assert_json(json_incref(json_object_get(train, "wandb")),
                "{\"enable\": false, \"disable_artifact\": true, \"project\": \"lerobot\", "
                "\"entity\": \"us\", \"notes\": \"n\", \"run_id\": \"r\", \"mode\": \"offline\", "
                "\"add_tags\": false}");
    json_decref(train);
    // LeRobot's ACT would play these actions too fast.
    c.policy.obs_state_horizon = 1;
    c.policy.temporal_pos_embed = "none";
    assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
    c.policy.action_down_sample_steps = 1;
    assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
    c.policy.n_past_actions = 0;
    assert_json(policy_to_json(&c.policy), "{\"type\": \"act\", " CONFIG_AFTER_TYPE);
    // It would miss the projection of actions that are given. A key that is there where it says so.
    tact = policy_to_tact_json(&c.policy);
    assert_null(json_object_get(tact, "max_action_prefix"));
    json_decref(tact);
    c.policy.max_action_prefix = 5;
    assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
    tact = policy_to_tact_json(&c.policy);
    assert_int_equal(json_integer_value(json_object_get(tact, "max_action_prefix")), 5);
    assert_int_equal(json_integer_value(json_object_get(tact, "version")), 3);
    json_decref(tact);
    c.policy.max_action_prefix = 0;
    c.policy.env_dim = 5;
    c.policy.state_dim = 0;
    c.policy.normalization_mapping.env = "MEAN_STD";
    json_t *object = policy_to_json(&c.policy),
           *features = json_object_get(object, "input_features");
    assert_null(json_object_get(features, "observation.state"));
    json_t *shape =
        json_object_get(json_object_get(features, "observation.environment_state"), "shape");
    assert_int_equal(json_integer_value(json_array_get(shape, 0)), 5);
    assert_non_null(json_object_get(json_object_get(object, "normalization_mapping"), "ENV"));
    // Nor may it take poses for absolute that are relative to one which the policy does not see.
    c.policy.arms = 0;
    assert_true(policy_is_plain(&c.policy));
    c.policy.arms = 1;
    assert_false(policy_is_plain(&c.policy));
    c.policy.state_dim = 10;
    assert_true(policy_is_plain(&c.policy));
    json_decref(object);
    train_config_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(defaults),
        cmocka_unit_test(two_kinds),
        cmocka_unit_test(every_type_both_spellings),
        cmocka_unit_test(weights_names),
        cmocka_unit_test(filled_in),
        cmocka_unit_test(json_files),
        cmocka_unit_test(rates_of_the_optimizer),
        cmocka_unit_test(modes_that_are_left_out),
        cmocka_unit_test(lerobots_ways_of_saying_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
