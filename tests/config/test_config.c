// SPDX-License-Identifier: Apache-2.0
#include "config/backbone_weights.h"
#include "config/config.h"
#include "config/config_json.h"
#include "config/fields.h"
#include "config/foreign.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { MAX_ARGUMENTS = 24 };

// Splits at '|', so that values may hold spaces. The text must outlive the call.
static int split(char *text, char **argv) {
    int n = 0;
    for (char *word = strtok(text, "|"); word; word = strtok(NULL, "|")) {
        assert_true(n < MAX_ARGUMENTS);
        argv[n++] = word;
    }
    return n;
}

static bool parse(TrainConfig *c, const char *line, Error *err) {
    char text[1024], *argv[MAX_ARGUMENTS];
    strcpy(text, line);
    train_config_default(c);
    return train_config_parse(c, split(text, argv), argv, err);
}

static void assert_parses(TrainConfig *c, const char *line) {
    Error err;
    if (!parse(c, line, &err)) fail_msg("%s: %s", line, err.text);
}

static void assert_error(const char *line, const char *what) {
    TrainConfig c;
    Error err = {""};
    if (parse(&c, line, &err)) fail_msg("%s: was accepted", line);
    if (!strstr(err.text, what) || strchr(err.text, '\n'))
        fail_msg("%s: \"%s\" does not say \"%s\"", line, err.text, what);
    train_config_free(&c);
}

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
    assert_string_equal(c.policy.temporal_pos_embed, "all");
    assert_null(c.policy.pose_repr);
    assert_null(c.policy.resize_shape.values);
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
            "--policy.pretrained_backbone_weights=null|--optimizer.lr=2e-4");
    assert_false(c.policy.use_vae);
    assert_true(c.policy.pre_norm); // a bare boolean flag
    assert_int_equal(c.batch_size, 16);
    assert_int_equal(c.steps, 200000);
    assert_true(c.policy.optimizer_lr == 2e-4); // the last one counts
    assert_string_equal(c.dataset.root, "/data/set");
    assert_int_equal(c.dataset.episodes.count, 3);
    assert_int_equal(c.dataset.episodes.values[2], 7);
    assert_null(c.policy.device);
    assert_int_equal(c.policy.resize_shape.values[1], 320);
    assert_true(c.policy.temporal_ensemble_coeff == -0.01);
    assert_string_equal(c.policy.normalization_mapping.state, "MIN_MAX");
    assert_null(c.policy.normalization_mapping.action);
    assert_true(c.adam_beta1 == 0.95 && c.adam_beta2 == 0.99);
    assert_int_equal(c.eval_freq, 7);
    assert_null(c.policy.pretrained_backbone_weights);
    train_config_free(&c);
    assert_parses(&c,
                  "--policy.pre_norm|--batch_size=1|--dataset.episodes|[]|--policy.use_vae|true");
    assert_non_null(c.dataset.episodes.values);
    assert_int_equal(c.dataset.episodes.count, 0);
    train_config_free(&c);
}

static void wrong_flags(void **state) {
    (void)state;
    assert_error("--policy.chunksize=5", "did you mean --policy.chunk_size?");
    assert_error("--polcy.dim_model=5", "did you mean --policy.dim_model?");
    assert_error("--chunk_size=5", "did you mean --policy.chunk_size?");
    assert_error("--batch-size=5", "did you mean --batch_size?");
    assert_error("--horizon=5", "--horizon: no such flag (");
    assert_error("--frobnicate=5", "--frobnicate: no such flag (");
    assert_error("--device=cpu", "did you mean --policy.device?");
    assert_error("--lr=1e-4", "did you mean --optimizer.lr?");
    assert_error("--batch_size", "--batch_size: no value given");
    assert_error("--batch_size|--steps=4", "--batch_size: no value given");
    assert_error("--output_dir=", "--output_dir: no value given");
    assert_error("batch_size=4", "batch_size=4: not a flag");
    assert_error("-b", "-b: not a flag");
    assert_error("--=4", "not a flag");
    assert_error("--policy.use_peft=true", "--policy.use_peft=true: tact does not do this");
    assert_error("--ema.decay", "--ema.decay: no value");
    char line[600] = "--";
    memset(line + 2, 'a', 500);
    assert_error(line, "no such flag");
    TrainConfig c;
    assert_parses(&c, "--policy.use_peft=False|--policy.private=None|--eval.batch_size=50");
    train_config_free(&c);
}

// A flag of LeRobot that cannot change the trained policy is named once and stops nothing.
static void flags_without_effect(void **state) {
    (void)state;
    TrainConfig c;
    assert_parses(
        &c,
        "--wandb.enable=true|--wandb.project=x|--wandb.entity=me|--job.target=a10g-large|"
        "--peft.r=16|--parallelism.dp_shard=4|--eval.batch_size=50|--eval.use_async_envs=true|"
        "--env.task=AlohaInsertion-v0|--env.discover_packages_path=mine|--policy.private=true|"
        "--policy.push_to_hub=true|--policy.repo_id=me/act|--dataset.streaming=true|--multi_gpu");
    static const char *const said[] = {
        "--wandb.enable (the curves are in OUTPUT_DIR/metrics.jsonl)",
        "--wandb.entity",
        "--job.target",
        "--peft.r (all weights are trained)",
        "--parallelism.dp_shard",
        "--eval.batch_size",
        "--eval.use_async_envs",
        "--env.task",
        "--env.discover_packages_path",
        "--policy.private",
        "hf upload me/act OUTPUT_DIR/checkpoints/last/pretrained_model",
        "--dataset.streaming",
        "--multi_gpu"};
    for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
        if (!strstr(c.ignored, said[i])) fail_msg("\"%s\" lacks %s", c.ignored, said[i]);
    assert_null(strstr(c.ignored, "wandb.project")); // a setting of ours, stored
    assert_true(c.policy.push_to_hub && c.wandb_enable);
    train_config_free(&c);
    // A flag that asks for nothing is not mentioned.
    assert_parses(
        &c, "--wandb.enable=false|--wandb.entity=null|--job.target=None|--policy.push_to_hub=False|"
            "--peft=null|--dataset.repo_type=dataset|--accelerator.mixed_precision=no|"
            "--num_processes=1|--optimizer.type=adamw|--dataset.exclude_episodes=[]|"
            "--save_checkpoint_to_hub=false");
    assert_string_equal(c.ignored, "");
    train_config_free(&c);
    // LeRobot's simulations only evaluate, so their flags are passed over. A name that no program
    // knows is left to the code that looks for the simulation.
    assert_parses(&c, "--env.type=aloha|--env.task=AlohaInsertion-v0");
    assert_non_null(strstr(c.ignored, "--env.type (a simulation of LeRobot's"));
    assert_null(c.env_type);
    train_config_free(&c);
    assert_parses(&c, "--env.type=strawbery");
    assert_string_equal(c.env_type, "strawbery");
    train_config_free(&c);
    // A flag that would change the policy is not passed over.
    assert_error("--accelerator.mixed_precision=bf16", "--policy.dtype=bfloat16");
    assert_error("--mixed_precision=fp16", "--policy.dtype=bfloat16");
    assert_error("--accelerator.gradient_accumulation.steps=4", "--batch_size");
    assert_error("--num_processes=2", "--batch_size");
    assert_error("--policy.pretrained_path=me/act", "--policy.path=CHECKPOINT");
    assert_error("--dataset.exclude_episodes=[3]", "--dataset.episodes=");
    assert_error("--env.typ=strawberry", "did you mean --env.type?");
    assert_error("--eval.n_episode=3", "did you mean --eval.n_episodes?");
    assert_error("--sample_weighting.type=rabc",
                 "--sample_weighting.type=rabc: tact does not do this");
    assert_error("--robot.type=so101_follower", "libtact");
}

static void wrong_values(void **state) {
    (void)state;
    assert_error("--batch_size=abc", "--batch_size=abc: expected a whole number");
    assert_error("--batch_size=1.5", "expected a whole number");
    assert_error("--batch_size=8x", "expected a whole number");
    assert_error("--steps=1e5",
                 "--steps=1e5: expected a whole number, as 100000"); // so does LeRobot
    assert_error("--steps=_5", "expected a whole number");
    assert_error("--steps=5_", "expected a whole number");
    assert_error("--steps=0x", "expected a whole number");
    assert_error("--policy.dropout=0._1", "expected a number");
    TrainConfig c;
    assert_parses(&c,
                  "--policy.use_vae=FALSE|--policy.pre_norm=YES|--steps=100_000|--batch_size=0x10|"
                  "--seed=010|--policy.kl_weight=1_0.5|--policy.optimizer_lr=1e-4|--save_freq=08|"
                  "--policy.device=Null|--dataset.episodes=[1_0, 2]|--log_freq=0");
    assert_true(!c.policy.use_vae && c.policy.pre_norm && c.steps == 100000 && c.batch_size == 16);
    assert_true(c.seed == 8 && c.policy.kl_weight == 10.5 &&
                c.policy.optimizer_lr == 1e-4); // as in YAML
    assert_true(c.save_freq == 8 && c.dataset.episodes.values[0] == 10 && c.log_freq == 0);
    assert_null(c.policy.device);
    train_config_free(&c);
    assert_error("--steps=99999999999999999999", "expected a whole number");
    assert_error("--batch_size=0", "--batch_size=0: must be between 1 and");
    assert_error("--eval.n_episodes=0", "--eval.n_episodes=0: must be between 1 and");
    assert_error("--batch_size=-4", "must be between");
    assert_error("--batch_size=null", "null is not possible");
    assert_error("--policy.dropout=1.5", "must be between 0 and 0.99");
    assert_error("--policy.dropout=nan", "expected a number");
    assert_error("--policy.dropout=1e-", "expected a number");
    assert_error("--policy.dropout=0x0", "expected a number");
    assert_error("--policy.kl_weight=1e999", "expected a number");
    assert_error("--policy.use_vae=1", "expected true or false");
    assert_error("--policy.use_vae|maybe", "expected true or false");
    assert_error("--policy.type=diffusion", "must be one of act|tact");
    assert_error("--policy.vision_backbone=resnet", "must be one of resnet18|");
    assert_error("--dataset.episodes=0,1", "expected a list");
    assert_error("--dataset.episodes=[0,1", "expected a list");
    assert_error("--dataset.episodes=[0,,1]", "expected a list");
    assert_error("--dataset.episodes=[0 1]", "expected a list");
    assert_error("--dataset.episodes=[0.5]", "expected a list");
    assert_error("--dataset.episodes=[0]]", "expected a list");
    assert_error("--policy.resize_shape=[240]", "expected [HEIGHT,WIDTH]");
    assert_error("--policy.resize_shape=[240,320,240]", "expected [HEIGHT,WIDTH]");
    assert_error("--policy.resize_shape=[[240,320],[240]]", "expected [HEIGHT,WIDTH]");
    assert_error("--policy.resize_shape=[[240,320],240,320]", "expected [HEIGHT,WIDTH]");
    assert_error("--policy.resize_shape=[[240,320],]", "expected [HEIGHT,WIDTH]");
    assert_error("--policy.resize_shape=[[240,320]", "expected [HEIGHT,WIDTH]");
    assert_error("--policy.resize_shape=[[240,320]]]", "expected [HEIGHT,WIDTH]");
    assert_error("--policy.resize_shape=[]", "expected [HEIGHT,WIDTH]");
    assert_error("--optimizer.betas=[0.9]", "expected two numbers");
    assert_error("--optimizer.betas=[0.9,1.0]", "must be between");
    assert_error("--policy.normalization_mapping=MIN_MAX", "expected {VISUAL");
    assert_error("--policy.normalization_mapping={STATES: MIN_MAX}", "the keys are");
    assert_error("--policy.normalization_mapping={STATE: QUANTILES}", "the modes are");
    assert_error("--policy.normalization_mapping={STATE: MIN_MAX", "expected {VISUAL");
    assert_error("--policy.normalization_mapping={STATE: MIN_MAX} x", "expected {VISUAL");
}

static void cross_checks(void **state) {
    (void)state;
    static const struct {
        const char *line, *what; // what NULL: passes
    } cases[] = {
        {"--seed=1", NULL},
        {"--policy.n_action_steps=101", "--policy.n_action_steps=101: at most"},
        {"--policy.chunk_size=50", "--policy.n_action_steps=100: at most --policy.chunk_size=50"},
        {"--policy.temporal_ensemble_coeff=0.01", "needs --policy.n_action_steps=1"},
        {"--policy.temporal_ensemble_coeff=0.01|--policy.n_action_steps=1", NULL},
        {"--policy.dim_model=510", "divisible by 4"},
        {"--policy.dim_model=500", "divisible by --policy.n_heads=8"},
        {"--policy.n_obs_steps=2", "--policy.obs_state_horizon"},
        {"--policy.replace_final_stride_with_dilation=true", "resnet50"},
        {"--policy.replace_final_stride_with_dilation=true|--policy.vision_backbone=resnet50",
         NULL},
        {"--policy.normalization_mapping={VISUAL: IDENTITY}", NULL},
        {"--policy.normalization_mapping={VISUAL: MIN_MAX}", NULL},
        {"--policy.resize_shape=[0,100]", "[HEIGHT,WIDTH]"},
        {"--policy.resize_shape=[[240,320],[240,8]]", "[HEIGHT,WIDTH]"},
        {"--dataset.episodes=[]", "selects nothing"},
        {"--dataset.episodes=[1,-2]", "-2 is not an episode"},
        {"--dataset.episodes=[1,2,1]", "listed twice"},
        {"--dataset.root=null", "no dataset given"},
        {"--eval_steps=100", "--dataset.eval_split"},
        {"--output_dir=src", "src: exists already"},
        {"--resume=true", "which run"},
        {"--config_path=x.json|--policy.path=y", "give one"},
        {"--policy.stats_from=checkpoint", "needs --policy.path"},
        {"--scheduler.type=cosine_decay_with_warmup", "num_decay_steps"},
        {"--scheduler.type=cosine_decay_with_warmup|--scheduler.num_decay_steps=9", "peak_lr"},
        {"--ema.min_decay=0.9|--ema.max_decay=0.8", "ema.min_decay=0.9"},
        {"--ema.decay=0.9|--ema.max_decay=0.8", "one or the other"},
        {"--policy.path=x|--policy.pretrained_backbone_weights=X",
         NULL}, // it brings its own backbone
        {"--env.type=strawberry|--eval.n_episodes=2|--eval.batch_size=50", NULL},
        {"--dataset.streaming=true", NULL},
        {"--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V1", NULL},
        {"--policy.pretrained_backbone_weights=IMAGENET1K_V1", NULL},
        {"--policy.pretrained_backbone_weights=X", "null trains from scratch"},
        {"--policy.pretrained_backbone_weights=ResNet18_Weights.IMAGENET1K_V2",
         "did you mean ResNet18_Weights.IMAGENET1K_V1?"},
        {"--policy.pretrained_backbone_weights=Resnet50_Weights.DEFAULT", "did you mean ResNet"},
        {"--policy.pretrained_backbone_weights=ResNet50_Weights.DEFAULT",
         "of a resnet50, but --policy.vision_backbone=resnet18; use "
         "ResNet18_Weights.IMAGENET1K_V1"},
        {"--policy.pretrained_backbone_weights=IMAGENET1K_V2|--policy.vision_backbone=resnet50",
         NULL},
        {"--policy.pretrained_backbone_weights=none/such.pth", "there is no such file"},
        {"--policy.pretrained_backbone_weights=tests/formats/data/torch/zip.pth", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[512];
        TrainConfig c;
        Error err = {""};
        snprintf(line, sizeof line, "--policy.pretrained_backbone_weights=null|--dataset.root=d|%s",
                 cases[i].line);
        assert_parses(&c, line);
        bool ok = train_config_check(&c, &err);
        if (ok != !cases[i].what || (!ok && !strstr(err.text, cases[i].what)))
            fail_msg("%s: \"%s\"", line, err.text);
        train_config_free(&c);
    }
    TrainConfig c; // LeRobot's default starts from pretrained weights
    Error err;
    assert_parses(&c, "--dataset.root=d");
    assert_true(train_config_check(&c, &err));
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
    p->cameras[0] = (CameraConfig){"observation.images.wrist", 480, 640, 240, 320};
    p->cameras[1] = (CameraConfig){"observation.images.front", 640, 480, 320, 240};
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
    assert_parses(&c, "--dataset.repo_id=me/ds|--output_dir=out|--policy.device=cpu|--job_name=act|"
                      "--policy.pretrained_backbone_weights=null|--policy.obs_state_horizon=1|"
                      "--policy.normalization_mapping={STATE: MIN_MAX}|"
                      "--policy.resize_shape=[[240,320],[320,240]]|"
                      "--dataset.episodes=[4,2]|--policy.pose_repr=relative");
    fill_dataset(&c.policy);
    assert_json(policy_to_json(&c.policy), "{\"type\": \"tact\", " CONFIG_AFTER_TYPE);
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
    assert_json(
        train_config_to_tact_json(&c),
        "{\"eval_split\": 0.0, \"frame_cache\": \"auto\", \"frame_cache_gb\": null, "
        "\"frame_cache_dir\": null, \"keep_last\": 0, \"eval_freq\": 20000, \"eval_steps\": 0, "
        "\"max_eval_samples\": 0, "
        "\"num_stat_samples\": 1000, \"prefetch_factor\": 4, \"tolerance_s\": null, "
        "\"threads\": 0, \"use_policy_training_preset\": true, \"env\": {\"type\": null}, "
        "\"eval\": {\"n_episodes\": 50, \"max_videos\": 4}}");
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
    json_decref(object);
    train_config_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(defaults),
        cmocka_unit_test(two_kinds),
        cmocka_unit_test(flags_without_effect),
        cmocka_unit_test(every_type_both_spellings),
        cmocka_unit_test(wrong_flags),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(cross_checks),
        cmocka_unit_test(weights_names),
        cmocka_unit_test(filled_in),
        cmocka_unit_test(json_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
