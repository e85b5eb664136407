// SPDX-License-Identifier: Apache-2.0
// The typed configuration of a run: what it holds, how flags and defaults fill it in, and what is
// checked. One table (fields.h) lists every setting with its flag, type, default and meaning;
// flags, help and the JSON files (config_json.h) are all made from it.
#ifndef TACT_CONFIG_CONFIG_H
#define TACT_CONFIG_CONFIG_H

#include "base/error.h"
#include "base/memory.h"
#include <stdint.h>
#include <time.h>

// "null" as a number or a string of the configuration.
#define CONFIG_NULL_NUMBER (-1e300)

enum { MAX_CAMERAS = 16, MAX_FIELDS = 128 };

// Values of --dataset.episodes and other lists.
typedef struct IntList {
    int64_t *values; // NULL: null (nothing given)
    int64_t count;
} IntList;

// Mode names are LeRobot's NormalizationMode: "MEAN_STD", "MIN_MAX", "IDENTITY".
typedef struct NormMap {
    const char *visual, *state, *action, *env;
} NormMap;

typedef struct CameraConfig {
    const char *name;              // "observation.images.front"
    int height, width;             // as recorded
    int image_height, image_width; // of the frames the model sees: each camera has its own size
    // Of a policy that crops, what a frame is resized to before the part that the model sees is cut
    // out of it; else 0.
    int resized_height, resized_width;
} CameraConfig;

// What the camera's frames are resized to, whether they are then cropped or not.
static inline int camera_resized_height(const CameraConfig *c) {
    return c->resized_height ? c->resized_height : c->image_height;
}
static inline int camera_resized_width(const CameraConfig *c) {
    return c->resized_width ? c->resized_width : c->image_width;
}

// What LeRobot's processor pipelines around a policy do, where that is more than LeRobot's own ACT
// has: read from policy_preprocessor.json and policy_postprocessor.json, written there again.
typedef struct PipelineConfig {
    double eps, inverse_eps; // of the step that normalises, and of the one that undoes it
    // The model's actions are differences to the newest state, in the dimensions that are true here
    // (relative_dims of them); NULL: none are. relative_step is that step's configuration, JSON.
    const bool *relative;
    int relative_dims;
    const char *relative_step;
    const char *idle_before,
        *idle_after;         // JSON lists of steps that do nothing for ACT, kept; or NULL
    const char *frame_steps; // JSON list of the steps that resize and crop, as read; or NULL
    bool changes_frames;     // they say so alone: there is no tact.json
} PipelineConfig;

// Whether the model does not see all of a resized frame.
static inline bool camera_is_cropped(const CameraConfig *c) {
    return camera_resized_height(c) != c->image_height || camera_resized_width(c) != c->image_width;
}

// --policy.*: LeRobot's ACTConfig and our own settings (marked tact; they live in tact.json).
// Strings are NULL for null. Owned by the arena of the TrainConfig or PolicyConfig they came with.
typedef struct PolicyConfig {
    const char *type;       // act: LeRobot's plain ACT, tact: temporal
    const char *path;       // --policy.path: checkpoint to fine-tune from
    const char *stats_from; // with path: dataset or checkpoint
    const char *device;     // NULL: cpu
    const char *dtype;      // float32, tf32, bfloat16, int8; NULL: tf32 on cuda, else float32
    bool use_amp, push_to_hub;
    const char *repo_id, *license;
    const char *rename_map; // --rename_map: {"dataset's name": "policy's name"} as JSON, or NULL
    const char *input_features; // JSON as in config.json: the inputs to use; NULL: all there are
    int n_obs_steps;            // always 1 for ACT; our horizon is obs_state_horizon
    int chunk_size, n_action_steps;
    // NULL members: decided from the data (docs/architecture.md, "Windows, poses, statistics").
    NormMap normalization_mapping;
    const char *vision_backbone; // resnet18, 34, 50, 101, 152
    const char *pretrained_backbone_weights;
    bool replace_final_stride_with_dilation;
    bool pre_norm;
    int dim_model, n_heads, dim_feedforward;
    const char *feedforward_activation; // relu, gelu
    int n_encoder_layers, n_decoder_layers;
    bool use_vae;
    int latent_dim, n_vae_encoder_layers;
    double temporal_ensemble_coeff; // or CONFIG_NULL_NUMBER
    double dropout, kl_weight;
    double optimizer_lr, optimizer_weight_decay, optimizer_lr_backbone;
    // tact
    int obs_state_horizon;          // T
    int obs_down_sample_steps;      // s
    int action_down_sample_steps;   // K: frames from one action of a chunk to the next
    const char *temporal_pos_embed; // none, state, all
    const char *pose_repr;          // NULL (auto), none, relative; resolved to none or relative
    IntList resize_shape;           // null, H and W of all cameras, or H and W of each in order
    const char *resize_filter;      // area, bilinear; NULL: nothing is resized, or not decided yet
    IntList crop_shape;             // null, or H and W: what is cut out of a resized frame
    double crop_ratio;              // below 1 (and above 0): that part of resize_shape is
    bool crop_is_random;            // in training; else the middle is, as elsewhere
    // Whether the model sees observation.state where there is one. Relative poses need it anyhow,
    // from the dataset and from every observation, to be made relative and absolute again.
    bool use_state;
    double state_dropout;     // share of the training's samples whose state is zeros
    int n_past_actions;       // N: actions before the newest observation, also predicted
    int max_action_prefix;    // most of a chunk's first actions that are given; 0: none ever
    int backbone_norm_frames; // that fill the norms of a backbone from scratch; 0: as LeRobot's
    // Filled from the dataset (config.json: input_features, output_features).
    int state_dim, action_dim, env_dim; // as the MODEL sees them (10k when relative); 0: none
    int arms;                           // k when relative
    int n_cameras;
    CameraConfig cameras[MAX_CAMERAS];
    double fps;
    PipelineConfig pipeline;
} PolicyConfig;

// Whether poses are relative to a current one that the model itself does not see.
static inline bool policy_hides_pose(const PolicyConfig *p) {
    return p->arms > 0 && p->state_dim == 0;
}

// Frames of the dataset that a chunk is for, each of its actions standing for K of them.
static inline int policy_chunk_steps(const PolicyConfig *p) {
    return p->chunk_size * p->action_down_sample_steps;
}

static inline bool policy_crops(const PolicyConfig *p) {
    return p->crop_shape.values || (p->crop_ratio > 0 && p->crop_ratio < 1);
}
// Whether inputs as --policy.input_features has them name observation.state. False for NULL and for
// text that is no JSON object.
bool inputs_name_state(const char *input_features);
// Actions that the decoder predicts: those of the chunk, and behind them, newest first, those of
// the past, which teach the policy what led to its observations and are never carried out.
static inline int policy_action_rows(const PolicyConfig *p) {
    return p->chunk_size + p->n_past_actions;
}

// --dataset.image_transforms.*: LeRobot's augmentation (loader/image_transforms.h).
typedef struct TransformsConfig {
    bool enable;
    int max_num_transforms;
    bool random_order;
    const char *tfs; // JSON, or NULL: LeRobot's six
} TransformsConfig;

typedef struct DatasetConfig {
    const char *repo_id, *root, *revision;
    const char *found; // the folder that was opened, absolute; NULL before
    IntList episodes;
    bool use_imagenet_stats;
    bool streaming;
    const char *video_backend;
    double eval_split;
    TransformsConfig image_transforms;
    // tact: loader/frame_cache.h
    const char *frame_cache, *frame_cache_dir;
    double frame_cache_gb;    // or CONFIG_NULL_NUMBER
    double repeat_frame_prob; // tact: loader/repeat_frames.h
} DatasetConfig;

// --scheduler.*: LeRobot's learning-rate schedules (train/schedule.h).
typedef struct SchedulerConfig {
    const char *type; // diffuser, cosine_decay_with_warmup, vqbet; NULL: constant
    const char *name; // of diffuser: constant, constant_with_warmup, linear, cosine
    int64_t num_warmup_steps, num_decay_steps, num_vqvae_training_steps;
    double num_cycles, peak_lr, decay_lr;
} SchedulerConfig;

// --ema.*: LeRobot's moving average of the weights (train/ema.h).
typedef struct EmaConfig {
    bool enable;
    double decay; // of every step, or CONFIG_NULL_NUMBER: grows with the steps
    int64_t update_after_step;
    double inv_gamma, power, min_decay, max_decay;
    bool use_for_eval;
} EmaConfig;

// --wandb.*: what python/libtact/track.py does with a run.
typedef struct WandbConfig {
    bool enable, disable_artifact, add_tags;
    const char *project, *entity, *notes, *run_id, *mode; // or NULL
} WandbConfig;

typedef struct TrainConfig {
    DatasetConfig dataset;
    PolicyConfig policy;
    const char *env_type; // --env.type: the simulated task to evaluate in, or NULL
    int64_t eval_n_episodes, eval_max_videos; // --eval.*: of one evaluation in it
    const char *output_dir, *job_name, *config_path;
    bool resume;
    int64_t seed;
    int num_workers, prefetch_factor;
    int batch_size;
    int gradient_accumulation_steps; // batches of a training step
    int64_t steps;
    int64_t eval_freq; // also --env_eval_freq
    int64_t log_freq;
    bool save_checkpoint;
    int64_t save_freq;
    int64_t keep_last; // checkpoints to keep, 0: all (tact)
    int64_t eval_steps, max_eval_samples;
    double tolerance_s; // or CONFIG_NULL_NUMBER: tact's own (DatasetOptions.tolerance_s)
    int64_t num_stat_samples;
    bool use_policy_training_preset;
    // --optimizer.*, or CONFIG_NULL_NUMBER. What the training takes is policy.optimizer_*, which
    // train_config_parse makes of both.
    double optimizer_lr, optimizer_weight_decay;
    double grad_clip_norm, adam_beta1, adam_beta2, adam_eps; // --optimizer.*
    SchedulerConfig scheduler;
    EmaConfig ema;
    WandbConfig wandb;
    bool tensorboard; // event files for it (tact)
    // With resume: the checkpoint's pretrained_model and the run it belongs to, both resolved.
    const char *resume_from;
    const char
        *trained_on; // the device that the checkpoint was trained on, where no flag gives one
    bool new_times;  // more observations than the checkpoint's one: its temporal table starts here
    int past_added;  // past actions more than the checkpoint's (fewer: below 0)
    int threads;     // compute threads, 0: all processors (tact)
    double loader_warn_s;     // LoaderOptions.warn_s
    const char *dist_backend; // --dist.*: of a training in several processes (ranks/)
    double dist_timeout_s;
    int processes, process; // that train together, and which of them this is; 1, 0: it is alone
    char ignored[800]; // flags that ask for what tact does not do and need not: for one warning
    bool given[MAX_FIELDS]; // which settings flags have set, by their place in train_fields
    Arena arena;            // owns strings and lists
} TrainConfig;

// ---- train_config.c ---------------------------------------------------------------------------
// Sets every setting to its default in the table. Fails for want of memory; train_config_free then
// too. The second is the program's: it ends with a line on stderr instead.
CHECKED bool train_config_defaults(TrainConfig *c, Error *err);
void train_config_default(TrainConfig *c);
void train_config_free(TrainConfig *c);
// Flags: --a=b, --a b, and a bare --a for a boolean that becomes true. argv without the program and
// the command. --policy.type=act without --policy.obs_state_horizon and --policy.pose_repr is
// LeRobot's own ACT: one observation, poses as recorded, its normalisation; where a checkpoint or a
// file of settings is named (policy.path, config_path), that says what the policy is.
// train_config_take checks each flag by itself only, for when more flags are to come.
CHECKED bool train_config_take(TrainConfig *c, int argc, char **argv, Error *err);
CHECKED bool train_config_parse(TrainConfig *c, int argc, char **argv, Error *err);
// Fills in what was not given and follows from the rest: job_name (the policy's type), output_dir
// (outputs/train/DATE/TIME_JOB at local time `now`, as LeRobot), dataset.repo_id (last part of
// root). With one observation temporal_pos_embed becomes "none": there are no times to tell apart,
// and the policy is plain ACT, parameter for parameter; what goes on from a checkpoint keeps that
// one's.
void train_config_fill(TrainConfig *c, time_t now);
// Whether a flag set it, rather than a default or a checkpoint.
bool field_given(const TrainConfig *c, const char *flag);
// Samples of a training step.
int64_t train_step_samples(const TrainConfig *c);
// What DatasetOptions.tolerance_s takes: 0 where none was asked for.
double train_config_tolerance(const TrainConfig *c);
// Cross-field checks that need no data: batch_size > 0, n_action_steps <= chunk_size, dim_model
// divisible by n_heads (and by 4: the 2-D sinusoid), temporal_ensemble_coeff only with
// n_action_steps 1, n_obs_steps 1, push_to_hub false (with what to do instead), type act, device
// known, dilation only with resnet50 and up, output_dir not existing, ... Settings this version
// cannot act on are refused here, with what to do instead.
CHECKED bool train_config_check(const TrainConfig *c, Error *err);
// The part of these checks that concerns the network alone.
CHECKED bool policy_config_check(const PolicyConfig *p, Error *err);
// The part of these checks that concerns what a policy sees: windows, image size, pose_repr,
// episodes.
CHECKED bool train_config_check_data(const TrainConfig *c, Error *err);

#endif
