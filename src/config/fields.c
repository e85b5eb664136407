// SPDX-License-Identifier: Apache-2.0
// The table of settings. Rows of one home are in the order of that home's JSON file.
#include "config/fields.h"

#include "base/text.h"
#include "config/foreign.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define AT(member) offsetof(TrainConfig, member)
#define ANY 0, 0, NULL // neither range nor choices
#define INT_TOP 2147483647.0
#define LONG_TOP 9007199254740992.0

_Static_assert(AT(adam_beta2) == AT(adam_beta1) + sizeof(double), "betas are stored as a pair");

const Field train_fields[] = {
    // dataset
    {"dataset.repo_id", FIELD_STRING, HOME_DATASET, true, AT(dataset.repo_id), "null", ANY,
     "its name; without dataset.root looked for where LeRobot and `hf download` put it"},
    {"dataset.root", FIELD_FOLDER, HOME_DATASET, true, AT(dataset.root), "null", ANY,
     "directory of the dataset (the one that holds meta/)"},
    {"dataset.episodes", FIELD_INT_LIST, HOME_DATASET, true, AT(dataset.episodes), "null", ANY,
     "episodes to use, as [0,1,5]; null: all"},
    {"dataset.revision", FIELD_STRING, HOME_DATASET, true, AT(dataset.revision), "null", ANY,
     "branch, tag or commit of the copies on this machine that dataset.repo_id finds"},
    {"dataset.use_imagenet_stats", FIELD_BOOL, HOME_DATASET, false, AT(dataset.use_imagenet_stats),
     "true", ANY, "normalise images with ImageNet's mean and standard deviation"},
    {"dataset.streaming", FIELD_BOOL, HOME_DATASET, false, AT(dataset.streaming), "false", ANY,
     "accepted and ignored: the copy on this machine is read"},
    {"dataset.video_backend", FIELD_STRING, HOME_NONE, true, AT(dataset.video_backend), "null", ANY,
     "accepted and ignored: videos are always read with FFmpeg"},
    {"dataset.eval_split", FIELD_NUMBER, HOME_TACT_TRAIN, false, AT(dataset.eval_split), "0.0", 0,
     0.99, NULL,
     "part of every task's episodes held out from training, the last ones, but never all of a "
     "task"},
    {"dataset.image_transforms.enable", FIELD_BOOL, HOME_TRANSFORMS, false,
     AT(dataset.image_transforms.enable), "false", ANY,
     "augment training frames: colours, sharpness, small rotations and shifts, all T frames alike"},
    {"dataset.image_transforms.max_num_transforms", FIELD_INT, HOME_TRANSFORMS, false,
     AT(dataset.image_transforms.max_num_transforms), "3", 1, 16, NULL,
     "transforms that a sample gets, drawn by weight"},
    {"dataset.image_transforms.random_order", FIELD_BOOL, HOME_TRANSFORMS, false,
     AT(dataset.image_transforms.random_order), "false", ANY,
     "apply them in a random order, else in that of the list"},
    {"dataset.image_transforms.tfs", FIELD_STRING, HOME_TRANSFORMS, true,
     AT(dataset.image_transforms.tfs), "null", ANY,
     "the list, as LeRobot's: {\"NAME\": {\"weight\": 1, \"type\": ..., \"kwargs\": {...}}}; null: "
     "its six"},
    {"dataset.repeat_frame_prob", FIELD_NUMBER, HOME_TACT_TRAIN, false,
     AT(dataset.repeat_frame_prob), "0.0", 0, 1, NULL,
     "UMI's: part of the samples before an episode's first grasp (gripper below 0.08) that see the "
     "newest observation T times"},
    {"dataset.frame_cache", FIELD_STRING, HOME_TACT_TRAIN, false, AT(dataset.frame_cache), "auto",
     0, 0, "auto|file|memory|none",
     "keep decoded frames: in files that later runs reuse, or in memory; auto: files if they fit"},
    {"dataset.frame_cache_gb", FIELD_NUMBER, HOME_TACT_TRAIN, true, AT(dataset.frame_cache_gb),
     "null", 0, 1e6, NULL,
     "most GB of all cache files, or of memory; null: half the free disk, a quarter of the memory"},
    {"dataset.frame_cache_dir", FIELD_FOLDER, HOME_TACT_TRAIN, true, AT(dataset.frame_cache_dir),
     "null", ANY, "where the files lie; null: tact_frame_cache beside output_dir"},
    // policy: the order of config.json
    {"policy.type", FIELD_STRING, HOME_NONE, false, AT(policy.type), "tact", 0, 0, "act|tact",
     "tact: temporal, as below; act without obs_state_horizon and pose_repr: LeRobot's plain ACT"},
    {"policy.path", FIELD_FOLDER, HOME_NONE, true, AT(policy.path), "null", ANY,
     "checkpoint to fine-tune: its settings and weights are the start, other flags override"},
    {"policy.stats_from", FIELD_STRING, HOME_NONE, false, AT(policy.stats_from), "dataset", 0, 0,
     "dataset|checkpoint",
     "with --policy.path: whose statistics normalise; dataset is what LeRobot does"},
    {"policy.n_obs_steps", FIELD_INT, HOME_POLICY, false, AT(policy.n_obs_steps), "1", 0, INT_TOP,
     NULL, "always 1 for ACT; the number of observations is policy.obs_state_horizon"},
    {"policy.device", FIELD_STRING, HOME_POLICY, true, AT(policy.device), "null", 0, 0,
     "cpu|cpu:blas|cuda|...", "what computes; null: cpu"},
    {"policy.use_amp", FIELD_BOOL, HOME_POLICY, false, AT(policy.use_amp), "false", ANY,
     "accepted; no effect here: policy.dtype=bfloat16 is what LeRobot means by it"},
    {"policy.push_to_hub", FIELD_BOOL, HOME_POLICY, false, AT(policy.push_to_hub), "false", ANY,
     "accepted; tact uploads nothing, `hf upload` does (LeRobot's default is true)"},
    {"policy.repo_id", FIELD_STRING, HOME_POLICY, true, AT(policy.repo_id), "null", ANY,
     "name of the policy on the Hub; stored in config.json only"},
    {"policy.license", FIELD_STRING, HOME_POLICY, true, AT(policy.license), "null", ANY,
     "licence of the policy; stored in config.json only"},
    {"policy.input_features", FIELD_STRING, HOME_NONE, true, AT(policy.input_features), "null", ANY,
     "inputs to use, as in config.json, {\"observation.state\": {\"type\": \"STATE\", \"shape\": "
     "[7]}, ...}; null: all that the dataset has"},
    {"policy.chunk_size", FIELD_INT, HOME_POLICY, false, AT(policy.chunk_size), "100", 1, 10000,
     NULL, "actions predicted at once"},
    {"policy.n_action_steps", FIELD_INT, HOME_POLICY, false, AT(policy.n_action_steps), "100", 1,
     10000, NULL, "actions of a chunk that are carried out; at most policy.chunk_size"},
    {"policy.normalization_mapping", FIELD_NORM_MAP, HOME_POLICY, true,
     AT(policy.normalization_mapping), "null", ANY,
     "as {VISUAL: MEAN_STD, STATE: MIN_MAX, ACTION: IDENTITY}, what is left out being IDENTITY; "
     "null: MIN_MAX for relative poses, else MEAN_STD"},
    {"policy.vision_backbone", FIELD_STRING, HOME_POLICY, false, AT(policy.vision_backbone),
     "resnet18", 0, 0, "resnet18|resnet34|resnet50|resnet101|resnet152", "network for the images"},
    {"policy.pretrained_backbone_weights", FIELD_FILE, HOME_POLICY, true,
     AT(policy.pretrained_backbone_weights), "ResNet18_Weights.IMAGENET1K_V1", ANY,
     "weights to start the backbone from: torchvision's name, or a .pth or .safetensors file; "
     "null: from scratch"},
    {"policy.replace_final_stride_with_dilation", FIELD_BOOL, HOME_POLICY, false,
     AT(policy.replace_final_stride_with_dilation), "false", ANY,
     "dilate the backbone's last stage instead of striding (resnet50 and up)"},
    {"policy.pre_norm", FIELD_BOOL, HOME_POLICY, false, AT(policy.pre_norm), "false", ANY,
     "normalise before each transformer block instead of after it"},
    {"policy.dim_model", FIELD_INT, HOME_POLICY, false, AT(policy.dim_model), "512", 4, 65536, NULL,
     "width of the transformer; divisible by 4 and by policy.n_heads"},
    {"policy.n_heads", FIELD_INT, HOME_POLICY, false, AT(policy.n_heads), "8", 1, 1024, NULL,
     "attention heads"},
    {"policy.dim_feedforward", FIELD_INT, HOME_POLICY, false, AT(policy.dim_feedforward), "3200", 1,
     1048576, NULL, "width of the feed-forward layers"},
    {"policy.feedforward_activation", FIELD_STRING, HOME_POLICY, false,
     AT(policy.feedforward_activation), "relu", 0, 0, "relu|gelu",
     "activation of the feed-forward layers"},
    {"policy.n_encoder_layers", FIELD_INT, HOME_POLICY, false, AT(policy.n_encoder_layers), "4", 1,
     256, NULL, "layers of the encoder"},
    {"policy.n_decoder_layers", FIELD_INT, HOME_POLICY, false, AT(policy.n_decoder_layers), "1", 1,
     256, NULL, "layers of the decoder"},
    {"policy.use_vae", FIELD_BOOL, HOME_POLICY, false, AT(policy.use_vae), "true", ANY,
     "train with the variational encoder of the actions"},
    {"policy.latent_dim", FIELD_INT, HOME_POLICY, false, AT(policy.latent_dim), "32", 1, 65536,
     NULL, "width of the variational latent"},
    {"policy.n_vae_encoder_layers", FIELD_INT, HOME_POLICY, false, AT(policy.n_vae_encoder_layers),
     "4", 1, 256, NULL, "layers of the variational encoder"},
    {"policy.temporal_ensemble_coeff", FIELD_NUMBER, HOME_POLICY, true,
     AT(policy.temporal_ensemble_coeff), "null", -1000, 1000, NULL,
     "weight decay over overlapping chunks at run time; needs policy.n_action_steps=1"},
    {"policy.dropout", FIELD_NUMBER, HOME_POLICY, false, AT(policy.dropout), "0.1", 0, 0.99, NULL,
     "dropout in the transformer"},
    {"policy.kl_weight", FIELD_NUMBER, HOME_POLICY, false, AT(policy.kl_weight), "10.0", 0, 1e9,
     NULL, "weight of the KL divergence in the loss"},
    {"policy.optimizer_lr", FIELD_NUMBER, HOME_POLICY, false, AT(policy.optimizer_lr), "1e-5", 0,
     10, NULL, "learning rate"},
    {"policy.optimizer_weight_decay", FIELD_NUMBER, HOME_POLICY, false,
     AT(policy.optimizer_weight_decay), "1e-4", 0, 10, NULL, "AdamW's weight decay"},
    {"policy.optimizer_lr_backbone", FIELD_NUMBER, HOME_POLICY, false,
     AT(policy.optimizer_lr_backbone), "1e-5", 0, 10, NULL, "learning rate of the backbone"},
    // policy: our own
    {"policy.dtype", FIELD_STRING, HOME_TACT, true, AT(policy.dtype), "null", 0, 0,
     "float32|tf32|bfloat16|int8",
     "arithmetic; weights stay float32; null: tf32 on cuda, float32 on cpu; int8 trains nothing, "
     "it "
     "is for policies that run"},
    {"policy.obs_state_horizon", FIELD_INT, HOME_TACT, false, AT(policy.obs_state_horizon), "2", 1,
     256, NULL,
     "observations (states and frames) a decision sees; 1 with pose_repr=none is plain ACT, as is "
     "--policy.type=act alone"},
    {"policy.obs_down_sample_steps", FIELD_INT, HOME_TACT, false, AT(policy.obs_down_sample_steps),
     "1", 1, 100000, NULL, "frames of the dataset between two observations"},
    {"policy.action_down_sample_steps", FIELD_INT, HOME_TACT, false,
     AT(policy.action_down_sample_steps), "1", 1, 1000, NULL,
     "frames of the dataset from one action of a chunk to the next (UMI: 3); the runtime fills in "
     "the steps between them"},
    {"policy.temporal_pos_embed", FIELD_STRING, HOME_TACT, false, AT(policy.temporal_pos_embed),
     "all", 0, 0, "none|state|all",
     "tokens that get a learned embedding of their timestep; none where the horizon is 1"},
    {"policy.pose_repr", FIELD_STRING, HOME_TACT, true, AT(policy.pose_repr), "null", 0, 0,
     "none|relative",
     "relative: poses relative to the current one; null: relative where state and action are "
     "poses"},
    {"policy.resize_shape", FIELD_SIZES, HOME_TACT, true, AT(policy.resize_shape), "null", ANY,
     "size to resize frames to: [H,W], or [[H,W],[H,W]] with one a camera; null: as recorded"},
    {"policy.use_state", FIELD_BOOL, HOME_TACT, false, AT(policy.use_state), "true", ANY,
     "whether the model sees observation.state; relative poses start from it all the same, so "
     "robot and dataset still give it"},
    {"policy.state_dropout", FIELD_NUMBER, HOME_TACT, false, AT(policy.state_dropout), "0.0", 0, 1,
     NULL,
     "share of the training's samples whose normalised state is zeros; evaluations and robots show "
     "it whole"},
    {"policy.n_past_actions", FIELD_INT, HOME_TACT, false, AT(policy.n_past_actions), "0", 0, 10000,
     NULL,
     "actions before the newest observation that training predicts too, so that a history is "
     "learnt from; none is carried out"},
    {"policy.max_action_prefix", FIELD_INT, HOME_TACT, false, AT(policy.max_action_prefix), "0", 0,
     9999, NULL,
     "most first actions of a chunk that are given in training, for chunks that go on from those "
     "carried out meanwhile; 0: none"},
    {"policy.backbone_norm_frames", FIELD_INT, HOME_TACT, false, AT(policy.backbone_norm_frames),
     "0", 0, 1024, NULL,
     "from scratch: frames of the dataset whose mean and variance the backbone's frozen norms get; "
     "0: mean 0 and variance 1, as LeRobot's"},
    {"policy.resize_filter", FIELD_STRING, HOME_TACT, true, AT(policy.resize_filter), "null", 0, 0,
     "area|bilinear",
     "how frames shrink: by means of boxes or as in LeRobot; null: area, but bilinear for one "
     "observation"},
    {"policy.crop_shape", FIELD_SIZES, HOME_TACT, true, AT(policy.crop_shape), "null", ANY,
     "[H,W] to cut out of frames that were resized: in training at a random place, else in the "
     "middle; null: nothing is cut off"},
    {"policy.crop_ratio", FIELD_NUMBER, HOME_TACT, false, AT(policy.crop_ratio), "1.0", 0, 1, NULL,
     "of each side of policy.resize_shape, instead of policy.crop_shape; 1: nothing is cut off"},
    {"policy.crop_is_random", FIELD_BOOL, HOME_TACT, false, AT(policy.crop_is_random), "true", ANY,
     "crop at a random place in training, one for all frames of a sample and camera; else in the "
     "middle there too"},
    // training: the order of train_config.json
    {"output_dir", FIELD_FOLDER, HOME_TRAIN, true, AT(output_dir), "null", ANY,
     "directory of the run, must not exist; null: outputs/train/DATE/TIME_JOB; a resumed run has "
     "its own"},
    {"job_name", FIELD_STRING, HOME_TRAIN, true, AT(job_name), "null", ANY,
     "name of the run; null: the policy's type"},
    {"seed", FIELD_INT64, HOME_TRAIN, false, AT(seed), "1000", 0, LONG_TOP, NULL,
     "same seed and thread count: same losses"},
    {"num_workers", FIELD_INT, HOME_TRAIN, false, AT(num_workers), "4", 0, 1024, NULL,
     "threads that prepare batches; 0: prepared between the steps"},
    {"batch_size", FIELD_INT, HOME_TRAIN, false, AT(batch_size), "8", 1, 1048576, NULL,
     "samples of a batch, and of a training step unless gradients are accumulated"},
    {"gradient_accumulation_steps", FIELD_INT, HOME_TACT_TRAIN, false,
     AT(gradient_accumulation_steps), "1", 1, 1048576, NULL,
     "batches of a training step, which is as one of so many times --batch_size samples"},
    {"steps", FIELD_INT64, HOME_TRAIN, false, AT(steps), "100000", 1, LONG_TOP, NULL,
     "training steps"},
    {"log_freq", FIELD_EVERY, HOME_TRAIN, false, AT(log_freq), "200", 0, LONG_TOP, NULL,
     "steps between two log lines; 0: none"},
    {"tensorboard", FIELD_BOOL, HOME_TACT_TRAIN, false, AT(tensorboard), "false", ANY,
     "write event files for TensorBoard into OUTPUT_DIR/tensorboard"},
    {"save_checkpoint", FIELD_BOOL, HOME_TRAIN, false, AT(save_checkpoint), "true", ANY,
     "write checkpoints"},
    {"save_freq", FIELD_EVERY, HOME_TRAIN, false, AT(save_freq), "20000", 0, LONG_TOP, NULL,
     "steps between two checkpoints; 0: only the last"},
    {"keep_last", FIELD_INT64, HOME_TACT_TRAIN, false, AT(keep_last), "0", 0, LONG_TOP, NULL,
     "checkpoints to keep: after a save, older ones are removed; 0: all"},
    {"eval_freq", FIELD_EVERY, HOME_TACT_TRAIN, false, AT(eval_freq), "20000", 0, LONG_TOP, NULL,
     "steps between two evaluations: in --env.type, and on the held-out episodes, if there are any "
     "(also --env_eval_freq)"},
    {"eval_steps", FIELD_EVERY, HOME_TACT_TRAIN, false, AT(eval_steps), "0", 0, LONG_TOP, NULL,
     "LeRobot's, of the held-out episodes: counts for them instead of eval_freq where it is not 0"},
    {"max_eval_samples", FIELD_EVERY, HOME_TACT_TRAIN, false, AT(max_eval_samples), "0", 0,
     LONG_TOP, NULL, "held-out samples that go into that loss; 0: all"},
    {"num_stat_samples", FIELD_INT64, HOME_TACT_TRAIN, false, AT(num_stat_samples), "1000", 0,
     LONG_TOP, NULL, "random frames the statistics of relative poses are computed from; 0: all"},
    {"prefetch_factor", FIELD_INT, HOME_TACT_TRAIN, false, AT(prefetch_factor), "4", 1, 1024, NULL,
     "batches a worker prepares ahead"},
    {"tolerance_s", FIELD_NUMBER, HOME_TACT_TRAIN, true, AT(tolerance_s), "null", 1e-9, 1e9, NULL,
     "most seconds between a row and its video frame, as LeRobot's (whose 1e-4 joined videos "
     "break); null: a "
     "quarter of a frame"},
    {"threads", FIELD_INT, HOME_TACT_TRAIN, false, AT(threads), "0", 0, 1024, NULL,
     "threads that compute; 0: all processors"},
    {"loader_warn_s", FIELD_NUMBER, HOME_NONE, false, AT(loader_warn_s), "60", 0, 1e6, NULL,
     "seconds without a batch after which the file that a worker waits for is named; 0: never"},
    {"dist.backend", FIELD_STRING, HOME_NONE, false, AT(dist_backend), "auto", 0, 0, "auto|mpi|tcp",
     "what adds up the gradients of several processes on CPUs; auto: MPI where it started them"},
    {"dist.timeout_s", FIELD_NUMBER, HOME_NONE, false, AT(dist_timeout_s), "600", 0.1, 1e6, NULL,
     "seconds that processes wait for one that does not come, before the run ends everywhere"},
    {"use_policy_training_preset", FIELD_BOOL, HOME_TACT_TRAIN, false,
     AT(use_policy_training_preset), "true", ANY,
     "false: --optimizer.lr (1e-3), for the backbone too, and weight_decay (1e-2) count, and "
     "policy.optimizer_* do not"},
    {"rename_map", FIELD_NAMES, HOME_TRAIN, true, AT(policy.rename_map), "null", ANY,
     "other names for what the dataset has: {\"actions\": \"action\", \"image\": "
     "\"observation.images.front\"}"},
    {"resume", FIELD_BOOL, HOME_NONE, false, AT(resume), "false", ANY,
     "continue the run of --config_path from its checkpoint; other flags override (steps, "
     "log_freq, ...)"},
    {"config_path", FIELD_FILE, HOME_NONE, true, AT(config_path), "null", ANY,
     "YAML or JSON file of settings, or a checkpoint to take them from; with --resume=true: goes "
     "on there"},
    {"env.type", FIELD_STRING, HOME_TACT_ENV, true, AT(env_type), "null", ANY,
     "simulated task in which the policy acts, every eval_freq steps and at the end (`tact sim` "
     "lists them)"},
    {"eval.n_episodes", FIELD_INT64, HOME_TACT_ENV, false, AT(eval_n_episodes), "50", 1, 1000000,
     NULL,
     "episodes of one such evaluation, of seeds 100000, 100001, ..., as in `tact eval`, whatever "
     "--seed"},
    {"eval.max_videos", FIELD_INT64, HOME_TACT_ENV, false, AT(eval_max_videos), "4", 0, 1000, NULL,
     "of its first episodes, in OUTPUT_DIR/eval/videos_step_NNNNNN"},
    {"optimizer.lr", FIELD_NUMBER, HOME_NONE, true, AT(optimizer_lr), "null", 0, 10, NULL,
     "learning rate where policy.optimizer_lr is not given; see use_policy_training_preset"},
    {"optimizer.weight_decay", FIELD_NUMBER, HOME_NONE, true, AT(optimizer_weight_decay), "null", 0,
     10, NULL, "the same for policy.optimizer_weight_decay"},
    {"optimizer.grad_clip_norm", FIELD_NUMBER, HOME_OPTIMIZER, false, AT(grad_clip_norm), "10.0", 0,
     1e30, NULL, "gradients are scaled down to this global norm; 0: never"},
    {"optimizer.betas", FIELD_NUMBER_PAIR, HOME_OPTIMIZER, false, AT(adam_beta1), "[0.9, 0.999]", 0,
     0.9999999, NULL, "AdamW's averaging of gradients and of their squares"},
    {"optimizer.eps", FIELD_NUMBER, HOME_OPTIMIZER, false, AT(adam_eps), "1e-8", 1e-30, 1, NULL,
     "AdamW's epsilon"},
    {"scheduler.type", FIELD_STRING, HOME_SCHEDULER, true, AT(scheduler.type), "null", 0, 0,
     "diffuser|cosine_decay_with_warmup|vqbet",
     "how the learning rates change with the steps; null: not at all"},
    {"scheduler.num_warmup_steps", FIELD_INT64, HOME_SCHEDULER, false,
     AT(scheduler.num_warmup_steps), "0", 0, LONG_TOP, NULL,
     "steps in which the learning rates rise to their full value"},
    {"scheduler.name", FIELD_STRING, HOME_SCHEDULER, false, AT(scheduler.name), "cosine", 0, 0,
     "cosine|linear|constant|constant_with_warmup", "diffuser: how they fall until the last step"},
    {"scheduler.num_decay_steps", FIELD_INT64, HOME_SCHEDULER, false, AT(scheduler.num_decay_steps),
     "0", 0, LONG_TOP, NULL,
     "cosine_decay_with_warmup: step at which the lowest rate is reached; a shorter run scales it "
     "down"},
    {"scheduler.peak_lr", FIELD_NUMBER, HOME_SCHEDULER, true, AT(scheduler.peak_lr), "null", 0, 10,
     NULL, "cosine_decay_with_warmup: only decay_lr/peak_lr counts, as in LeRobot"},
    {"scheduler.decay_lr", FIELD_NUMBER, HOME_SCHEDULER, true, AT(scheduler.decay_lr), "null", 0,
     10, NULL, "cosine_decay_with_warmup: lowest rate, where the learning rate is peak_lr"},
    {"scheduler.num_vqvae_training_steps", FIELD_INT64, HOME_SCHEDULER, false,
     AT(scheduler.num_vqvae_training_steps), "0", 0, LONG_TOP, NULL,
     "vqbet: steps at the full rate before the warm-up"},
    {"scheduler.num_cycles", FIELD_NUMBER, HOME_SCHEDULER, false, AT(scheduler.num_cycles), "0.5",
     0, 1e6, NULL, "vqbet: cosine periods of the decay"},
    {"ema.enable", FIELD_BOOL, HOME_EMA, false, AT(ema.enable), "false", ANY,
     "keep a moving average of the weights, saved in pretrained_model_ema"},
    {"ema.decay", FIELD_NUMBER, HOME_EMA, true, AT(ema.decay), "null", 0, 1, NULL,
     "share of the average that a step keeps; null: 1 - (1 + n/inv_gamma)^-power after n steps"},
    {"ema.update_after_step", FIELD_INT64, HOME_EMA, false, AT(ema.update_after_step), "0", 0,
     LONG_TOP, NULL, "steps in which the average is a copy of the weights"},
    {"ema.inv_gamma", FIELD_NUMBER, HOME_EMA, false, AT(ema.inv_gamma), "1.0", 1e-9, 1e9, NULL,
     "see ema.decay"},
    {"ema.power", FIELD_NUMBER, HOME_EMA, false, AT(ema.power), "0.75", 1e-9, 1e3, NULL,
     "see ema.decay"},
    {"ema.min_decay", FIELD_NUMBER, HOME_EMA, false, AT(ema.min_decay), "0.0", 0, 1, NULL,
     "lower bound of the share that grows"},
    {"ema.max_decay", FIELD_NUMBER, HOME_EMA, false, AT(ema.max_decay), "0.9999", 0, 1, NULL,
     "upper bound of the share that grows"},
    {"ema.use_for_eval", FIELD_BOOL, HOME_EMA, false, AT(ema.use_for_eval), "true", ANY,
     "also evaluate the average (ema_eval_loss, ema_pc_success)"},
    {"wandb.enable", FIELD_BOOL, HOME_WANDB, false, AT(wandb.enable), "false", ANY,
     "write OUTPUT_DIR/track.json, with which `python -m libtact.track OUTPUT_DIR` sends the run "
     "to "
     "Weights & Biases, along with it or afterwards"},
    {"wandb.disable_artifact", FIELD_BOOL, HOME_WANDB, false, AT(wandb.disable_artifact), "false",
     ANY, "do not send checkpoints"},
    {"wandb.project", FIELD_STRING, HOME_WANDB, true, AT(wandb.project), "lerobot", ANY,
     "project that the run goes to"},
    {"wandb.entity", FIELD_STRING, HOME_WANDB, true, AT(wandb.entity), "null", ANY,
     "user or team whose project it is; null: the account's own"},
    {"wandb.notes", FIELD_STRING, HOME_WANDB, true, AT(wandb.notes), "null", ANY,
     "text that goes with the run"},
    {"wandb.run_id", FIELD_STRING, HOME_WANDB, true, AT(wandb.run_id), "null", ANY,
     "run there to go on with; null: a new one, and the same again when this run goes on"},
    {"wandb.mode", FIELD_STRING, HOME_WANDB, true, AT(wandb.mode), "null", 0, 0,
     "online|offline|disabled",
     "offline: for `wandb sync` later; disabled: nothing is sent; null: "
     "online"},
    {"wandb.add_tags", FIELD_BOOL, HOME_WANDB, false, AT(wandb.add_tags), "true", ANY,
     "tags of the run: policy, seed, dataset, simulation"},
};
const int train_field_count = sizeof(train_fields) / sizeof(train_fields[0]);
_Static_assert(sizeof(train_fields) / sizeof(train_fields[0]) <= MAX_FIELDS, "TrainConfig.given");

static const struct {
    const char *other, *flag;
} spellings[] = {
    {"env_eval_freq", "eval_freq"}, // LeRobot 0.6.0 and later
    {"accelerator.gradient_accumulation.steps", "gradient_accumulation_steps"}, // after LeRobot 0.6
};

const Field *field_find(const char *flag) {
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++)
        if (strcmp(flag, spellings[i].other) == 0) flag = spellings[i].flag;
    for (int i = 0; i < train_field_count; i++)
        if (strcmp(flag, train_fields[i].flag) == 0) return &train_fields[i];
    return NULL;
}

bool field_given(const TrainConfig *c, const char *flag) {
    const Field *f = field_find(flag);
    return f && c->given[f - train_fields];
}

// The better of two candidates for `flag`.
static void consider_name(const char *flag, const char *name, const char **nearest, int *least) {
    int whole = edit_distance(flag, name);
    // A forgotten prefix ("chunk_size") counts as one mistake.
    int last = edit_distance(flag, after_last(name, '.')) + 1;
    int distance = whole < last ? whole : last;
    if (distance < *least) {
        *least = distance;
        *nearest = name;
    }
}

const char *field_nearest(const char *flag) {
    const char *nearest = NULL;
    int least = 1 << 30;
    for (int i = 0; i < train_field_count; i++)
        consider_name(flag, train_fields[i].flag, &nearest, &least);
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++)
        consider_name(flag, spellings[i].other, &nearest, &least);
    for (int i = 0; i < foreign_flag_count; i++)
        consider_name(flag, foreign_flags[i].flag, &nearest, &least);
    return is_near(least, flag) ? nearest : NULL;
}

bool scheduler_has(const char *type, const Field *f) {
    static const struct {
        const char *type, *flags;
    } keys[] = {{"diffuser", " num_warmup_steps name "},
                {"cosine_decay_with_warmup", " num_warmup_steps num_decay_steps peak_lr decay_lr "},
                {"vqbet", " num_warmup_steps num_vqvae_training_steps num_cycles "}};
    char word[64];
    snprintf(word, sizeof word, " %s ", after_last(f->flag, '.'));
    for (size_t i = 0; type && i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(keys[i].type, type) == 0 && strstr(keys[i].flags, word)) return true;
    return strcmp(f->flag, "scheduler.type") == 0;
}
