// SPDX-License-Identifier: Apache-2.0
// Flags and values that are refused, each in one line that says why, and flags of LeRobot that are
// passed over.
#include "command_line.h"
#include "config/foreign.h"

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
        "--wandb.enable=true|--wandb.project=x|--wandb.log_model=all|--job.target=a10g-large|"
        "--peft.r=16|--parallelism.dp_shard=4|--eval.batch_size=50|--eval.use_async_envs=true|"
        "--env.task=AlohaInsertion-v0|--env.discover_packages_path=mine|--policy.private=true|"
        "--policy.push_to_hub=true|--policy.repo_id=me/act|--dataset.streaming=true|--multi_gpu");
    static const char *const said[] = {
        "--wandb.log_model",
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
    assert_null(strstr(c.ignored, "wandb.project")); // settings of ours
    assert_null(strstr(c.ignored, "wandb.enable"));
    assert_true(c.policy.push_to_hub && c.wandb.enable);
    train_config_free(&c);
    // A flag that asks for nothing is not mentioned.
    assert_parses(
        &c, "--wandb.enable=false|--wandb.entity=null|--job.target=None|--policy.push_to_hub=False|"
            "--peft=null|--dataset.repo_type=dataset|--accelerator.mixed_precision=no|"
            "--num_processes=1|--optimizer.type=adamw|--dataset.exclude_episodes=[]|"
            "--save_checkpoint_to_hub=false");
    assert_string_equal(c.ignored, "");
    train_config_free(&c);
    // LeRobot trains its ACT under autocast with it.
    assert_parses(&c, "--policy.use_amp=true");
    assert_string_equal(c.ignored,
                        "--policy.use_amp (--policy.dtype=bfloat16 trains in mixed precision)");
    train_config_free(&c);
    assert_parses(&c, "--policy.use_amp=true|--policy.dtype=bfloat16");
    assert_string_equal(c.ignored, "");
    train_config_free(&c);
    assert_parses(&c, "--policy.use_amp=false");
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
    assert_error("--num_processes=2", "mpirun -np N");
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
    assert_error("--policy.state_dropout=1.5", "must be between 0 and 1");
    assert_error("--policy.state_dropout=-0.1", "must be between 0 and 1");
    assert_error("--policy.use_state=no thanks", "expected true or false");
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
        {"--policy.action_down_sample_steps=1000", NULL},
        {"--policy.action_down_sample_steps=1000|--policy.chunk_size=101",
         "--policy.action_down_sample_steps=1000: with --policy.chunk_size=101 a chunk reaches "
         "over 101000 frames"},
        {"--policy.temporal_ensemble_coeff=-2|--policy.n_action_steps=1", NULL},
        {"--policy.temporal_ensemble_coeff=-2|--policy.n_action_steps=1|"
         "--policy.action_down_sample_steps=4",
         "of 400 predictions"},
        {"--policy.max_action_prefix=99", NULL},
        {"--policy.max_action_prefix=100",
         "--policy.max_action_prefix=100: must be less than --policy.chunk_size=100"},
        {"--policy.max_action_prefix=8|--policy.chunk_size=8|--policy.n_action_steps=8",
         "so that an action is left to predict"},
        {"--dataset.repeat_frame_prob=1", NULL},
        {"--dataset.repeat_frame_prob=0.5|--policy.obs_state_horizon=1",
         "there is none to repeat; add --policy.obs_state_horizon=2"},
        {"--policy.use_state=false", NULL},
        {"--policy.state_dropout=1", NULL},
        {"--policy.use_state=false|--policy.input_features={\"observation.images.a\": {}}", NULL},
        {"--policy.use_state=true|--policy.input_features={\"observation.state\": {}}", NULL},
        {"--policy.use_state=false|--policy.input_features={\"observation.state\": {}}",
         "--policy.use_state=false: --policy.input_features names observation.state; leave one"},
        {"--policy.use_state=true|--policy.input_features={\"observation.images.a\": {}}",
         "--policy.use_state=true: --policy.input_features does not name observation.state"},
        {"--policy.use_state=false|--policy.state_dropout=0.5",
         "--policy.state_dropout=0.5: the policy does not see observation.state "
         "(--policy.use_state=false)"},
        {"--policy.state_dropout=0.5|--policy.input_features={\"observation.images.a\": {}}",
         "does not see observation.state (--policy.input_features)"},
        {"--policy.dim_model=500", "divisible by --policy.n_heads=8"},
        {"--policy.n_obs_steps=2", "--policy.obs_state_horizon"},
        {"--policy.replace_final_stride_with_dilation=true", "resnet50"},
        {"--policy.replace_final_stride_with_dilation=true|--policy.vision_backbone=resnet50",
         NULL},
        {"--policy.normalization_mapping={VISUAL: IDENTITY}", NULL},
        {"--policy.normalization_mapping={VISUAL: MIN_MAX}", NULL},
        {"--policy.resize_shape=[0,100]", "[HEIGHT,WIDTH]"},
        {"--policy.resize_shape=[[240,320],[240,8]]", "[HEIGHT,WIDTH]"},
        {"--policy.crop_shape=[84,112]", NULL},
        {"--policy.crop_shape=[84,112]|--policy.resize_shape=[96,128]", NULL},
        {"--policy.crop_shape=[84,16]", "--policy.crop_shape: must be one [HEIGHT,WIDTH]"},
        {"--policy.crop_shape=[[84,84],[84,84]]", "--policy.crop_shape: must be one"},
        {"--policy.crop_ratio=0.9|--policy.resize_shape=[96,128]", NULL},
        {"--policy.crop_ratio=0.9", "--policy.crop_ratio=0.9: is a part of --policy.resize_shape"},
        {"--policy.crop_ratio=0|--policy.resize_shape=[96,128]", "must be above 0"},
        {"--policy.crop_ratio=0.9|--policy.crop_shape=[84,84]|--policy.resize_shape=[96,128]",
         "give one of them"},
        {"--policy.resize_filter=area", "nothing is resized"},
        {"--policy.resize_filter=area|--policy.resize_shape=[96,128]", NULL},
        {"--dataset.episodes=[]", "selects nothing"},
        {"--dataset.episodes=[1,-2]", "-2 is not an episode"},
        {"--dataset.episodes=[1,2,1]", "episode 1 is listed twice"},
        {"--dataset.episodes=[0,7,3,12,5,3]", "episode 3 is listed twice"},
        {"--dataset.episodes=[12,7,3,0,5]", NULL},
        {"--dataset.root=null", "no dataset given"},
        {"--eval_steps=100", "--dataset.eval_split"},
        {"--output_dir=src", "src: exists already"},
        {"--resume=true", "which run"},
        {"--config_path=x.json|--policy.path=y", "give one"},
        {"--policy.stats_from=checkpoint", "needs --policy.path"},
        {"--scheduler.type=cosine_decay_with_warmup", "num_decay_steps"},
        {"--scheduler.type=cosine_decay_with_warmup|--scheduler.num_decay_steps=9", "peak_lr"},
        {"--ema.enable=true|--ema.min_decay=0.9|--ema.max_decay=0.8", "ema.min_decay=0.9"},
        {"--ema.enable=true|--ema.decay=0.9|--ema.max_decay=0.8", "one or the other"},
        {"--ema.decay=0.9", "ema.decay: without --ema.enable=true there is no moving average"},
        {"--scheduler.num_warmup_steps=9", "without --scheduler.type the learning rates do not"},
        {"--scheduler.type=diffuser|--scheduler.peak_lr=1e-3",
         "scheduler.peak_lr: is no setting of --scheduler.type=diffuser"},
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

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_flags),
        cmocka_unit_test(flags_without_effect),
        cmocka_unit_test(wrong_values),
        cmocka_unit_test(cross_checks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
