// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "config/backbone_weights.h"
#include "config/config.h"
#include "config/fields.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// First, so that a command that goes on from a checkpoint is not asked for a dataset.
static CHECKED bool check_start(const TrainConfig *c, Error *err) {
    if (c->resume && !c->config_path) {
        return fail(err, "--resume=true: which run? pass --config_path=RUN/checkpoints/last/"
                         "pretrained_model/train_config.json");
    }
    if (c->policy.path && c->config_path) {
        return fail(
            err, "--policy.path and --config_path: give one; --policy.path starts a new run from "
                 "a checkpoint's weights, --config_path with --resume=true goes on with a run");
    }
    if (strcmp(c->policy.stats_from, "checkpoint") == 0 && !c->policy.path)
        return fail(err, "--policy.stats_from=checkpoint: needs --policy.path");
    return true;
}

static CHECKED bool check_dtype(const char *dtype, Error *err) {
    if (!dtype || strcmp(dtype, "int8") != 0) return true;
    return fail(err, "--policy.dtype=int8: is for policies that run (tact eval, tact serve, "
                     "libtact), after `tact calibrate`; train at float32, tf32 or bfloat16");
}

// A flag that would do nothing, unless what it belongs to is put off in so many words.
static CHECKED bool check_idle_flags(const TrainConfig *c, Error *err) {
    const char *type = c->scheduler.type;
    const bool no_schedule = !type && field_given(c, "scheduler.type"),
               no_average = !c->ema.enable && field_given(c, "ema.enable");
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        if (!c->given[i]) continue;
        if (f->home == HOME_SCHEDULER && !no_schedule && !scheduler_has(type, f))
            return fail(err,
                        "--%s: %s%s; leave it out, or give the --scheduler.type that has it (see "
                        "`tact train --help`)",
                        f->flag,
                        type ? "is no setting of --scheduler.type="
                             : "without --scheduler.type the learning rates do not change",
                        type ? type : "");
        if (f->home == HOME_EMA && !c->ema.enable && !no_average)
            return fail(err,
                        "--%s: without --ema.enable=true there is no moving average; add it, or "
                        "leave this out",
                        f->flag);
    }
    return true;
}

static CHECKED bool check_scheduler(const SchedulerConfig *s, Error *err) {
    if (!s->type || strcmp(s->type, "cosine_decay_with_warmup") != 0) return true;
    if (s->num_decay_steps < 1)
        return fail(err, "--scheduler.type=%s: needs --scheduler.num_decay_steps", s->type);
    if (!(s->peak_lr > 0) || !(s->decay_lr >= 0)) {
        return fail(err,
                    "--scheduler.type=%s: needs --scheduler.peak_lr above 0 and "
                    "--scheduler.decay_lr",
                    s->type);
    }
    return true;
}

static CHECKED bool check_ema(const EmaConfig *e, Error *err) {
    if (e->min_decay > e->max_decay) {
        return fail(err, "--ema.min_decay=%g: more than --ema.max_decay=%g", e->min_decay,
                    e->max_decay);
    }
    if (e->decay != CONFIG_NULL_NUMBER && (e->min_decay != 0 || e->max_decay != 0.9999)) {
        return fail(
            err, "--ema.decay: fixes what --ema.min_decay and --ema.max_decay bound; give one or "
                 "the other");
    }
    return true;
}

bool policy_config_check(const PolicyConfig *p, Error *err) {
    enum { LONGEST_CHUNK = 100000 }; // frames: the runtime fills them all in
    if ((int64_t)p->chunk_size * p->action_down_sample_steps > LONGEST_CHUNK) {
        return fail(err,
                    "--policy.action_down_sample_steps=%d: with --policy.chunk_size=%d a chunk "
                    "reaches over %lld frames; at most %d are possible",
                    p->action_down_sample_steps, p->chunk_size,
                    (long long)p->chunk_size * p->action_down_sample_steps, LONGEST_CHUNK);
    }
    if (p->max_action_prefix >= p->chunk_size) {
        return fail(err,
                    "--policy.max_action_prefix=%d: must be less than --policy.chunk_size=%d, so "
                    "that an action is left to predict",
                    p->max_action_prefix, p->chunk_size);
    }
    if (p->dim_model % 4 != 0) {
        return fail(err,
                    "--policy.dim_model=%d: must be divisible by 4 (the image positions need it)",
                    p->dim_model);
    }
    if (p->dim_model % p->n_heads != 0) {
        return fail(err, "--policy.dim_model=%d: must be divisible by --policy.n_heads=%d",
                    p->dim_model, p->n_heads);
    }
    bool small =
        strcmp(p->vision_backbone, "resnet18") == 0 || strcmp(p->vision_backbone, "resnet34") == 0;
    if (p->replace_final_stride_with_dilation && small) {
        return fail(err,
                    "--policy.replace_final_stride_with_dilation=true: not possible with "
                    "--policy.vision_backbone=%s; use resnet50 or leave it false",
                    p->vision_backbone);
    }
    return true;
}

static CHECKED bool check_backbone_weights(const TrainConfig *c, Error *err) {
    const PolicyConfig *p = &c->policy;
    if (p->path && p->backbone_norm_frames > 0 && field_given(c, "policy.backbone_norm_frames"))
        return fail(err,
                    "--policy.backbone_norm_frames=%d: is for a backbone from scratch, and "
                    "--policy.path brings one with its norms; leave it out",
                    p->backbone_norm_frames);
    if (p->path || c->resume) return true;
    const char *spec = p->pretrained_backbone_weights;
    const BackboneWeights *weights = NULL;
    if (spec && !backbone_weights_find(spec, p->vision_backbone, &weights, err)) return false;
    if (spec && !weights && !file_exists(spec))
        return fail(err, "--policy.pretrained_backbone_weights=%s: there is no such file", spec);
    if (spec && p->backbone_norm_frames > 0)
        return fail(err,
                    "--policy.backbone_norm_frames=%d: the weights of "
                    "--policy.pretrained_backbone_weights=%s come with their norms; give null "
                    "there, or 0 here",
                    p->backbone_norm_frames, spec);
    return true;
}

static CHECKED bool check_actions(const PolicyConfig *p, Error *err) {
    if (p->n_obs_steps != 1) {
        return fail(err,
                    "--policy.n_obs_steps=%d: ACT's is always 1; the number of observations is "
                    "--policy.obs_state_horizon",
                    p->n_obs_steps);
    }
    if (p->n_action_steps > p->chunk_size) {
        return fail(err, "--policy.n_action_steps=%d: at most --policy.chunk_size=%d",
                    p->n_action_steps, p->chunk_size);
    }
    if (p->temporal_ensemble_coeff != CONFIG_NULL_NUMBER && p->n_action_steps != 1) {
        return fail(err,
                    "--policy.temporal_ensemble_coeff: needs --policy.n_action_steps=1 (it is %d), "
                    "since every step asks for a new chunk",
                    p->n_action_steps);
    }
    // The weight of the last of the predictions of a moment, of which every frame of a chunk brings
    // one, must be a number, and so must the sum of all.
    const int predictions = policy_chunk_steps(p);
    double weight = exp(-p->temporal_ensemble_coeff * (predictions - 1));
    if (p->temporal_ensemble_coeff != CONFIG_NULL_NUMBER && !isfinite(weight * predictions)) {
        return fail(
            err,
            "--policy.temporal_ensemble_coeff=%g: the weights exp(-coeff * i) of %d predictions "
            "are beyond all numbers; LeRobot's is 0.01",
            p->temporal_ensemble_coeff, predictions);
    }
    return true;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// The least value that a list has twice, or -1. None is negative.
static int64_t value_listed_twice(const IntList *list) {
    int64_t *sorted = NEW(int64_t, list->count), twice = -1;
    if (list->count) memcpy(sorted, list->values, sizeof *sorted * (size_t)list->count);
    qsort(sorted, (size_t)list->count, sizeof *sorted, by_value);
    for (int64_t i = 1; i < list->count && twice < 0; i++)
        if (sorted[i] == sorted[i - 1]) twice = sorted[i];
    mem_free(sorted);
    return twice;
}

static CHECKED bool check_episodes(const IntList *episodes, Error *err) {
    if (episodes->values && episodes->count == 0)
        return fail(err, "--dataset.episodes=[]: selects nothing; leave it out for all episodes");
    for (int64_t i = 0; i < episodes->count; i++) {
        if (episodes->values[i] < 0) {
            return fail(err, "--dataset.episodes: %lld is not an episode; they count from 0",
                        (long long)episodes->values[i]);
        }
    }
    int64_t twice = value_listed_twice(episodes);
    return twice < 0 ||
           fail(err, "--dataset.episodes: episode %lld is listed twice", (long long)twice);
}

static CHECKED bool check_run(const TrainConfig *c, Error *err) {
    if (c->dataset.repeat_frame_prob > 0 && c->policy.obs_state_horizon == 1) {
        return fail(err,
                    "--dataset.repeat_frame_prob=%g: with one observation there is none to repeat; "
                    "add --policy.obs_state_horizon=2 or leave it out",
                    c->dataset.repeat_frame_prob);
    }
    if (c->eval_steps > 0 && c->dataset.eval_split == 0) {
        return fail(err,
                    "--eval_steps=%lld: needs held-out episodes; pass --dataset.eval_split=0.1",
                    (long long)c->eval_steps);
    }
    PathKind there = AT_NONE;
    if (c->output_dir && !path_look(c->output_dir, &there, err)) return false;
    if ((there == AT_DIR || there == AT_FILE) && !c->resume) {
        return fail(err, "%s: exists already; choose another --output_dir or remove it",
                    c->output_dir);
    }
    return true;
}

enum { SMALLEST = 32, LARGEST = 8192 }; // sides of a frame that a policy sees

static CHECKED bool check_crop(const PolicyConfig *p, Error *err) {
    const IntList *crop = &p->crop_shape;
    bool good = !crop->values || crop->count == 2;
    for (int64_t i = 0; good && i < crop->count; i++)
        good = crop->values[i] >= SMALLEST && crop->values[i] <= LARGEST;
    if (!good)
        return fail(err, "--policy.crop_shape: must be one [HEIGHT,WIDTH], each between %d and %d",
                    SMALLEST, LARGEST);
    if (!(p->crop_ratio > 0))
        return fail(err, "--policy.crop_ratio=%g: must be above 0 and at most 1", p->crop_ratio);
    if (p->crop_ratio < 1 && !p->resize_shape.values)
        return fail(err,
                    "--policy.crop_ratio=%g: is a part of --policy.resize_shape, which is not "
                    "given (LeRobot passes it over then); add it, or give --policy.crop_shape",
                    p->crop_ratio);
    if (p->crop_ratio < 1 && crop->values)
        return fail(err,
                    "--policy.crop_shape and --policy.crop_ratio=%g: both say what is cut out; "
                    "give one of them (crop_ratio=1 and crop_shape=null are none)",
                    p->crop_ratio);
    return true;
}

static CHECKED bool check_resize(const IntList *resize, Error *err) {
    bool good = !resize->values || resize->count >= 2;
    for (int64_t i = 0; good && i < resize->count; i++)
        good = resize->values[i] >= SMALLEST && resize->values[i] <= LARGEST;
    return good || fail(err,
                        "--policy.resize_shape: must be [HEIGHT,WIDTH], or one of these a camera, "
                        "each between %d and %d",
                        SMALLEST, LARGEST);
}

static CHECKED bool check_state(const TrainConfig *c, Error *err) {
    const PolicyConfig *p = &c->policy;
    const bool named = inputs_name_state(p->input_features);
    if (!p->use_state && named)
        return fail(err, "--policy.use_state=false: --policy.input_features names "
                         "observation.state; leave one of the two flags out");
    if (p->use_state && field_given(c, "policy.use_state") && p->input_features && !named)
        return fail(err, "--policy.use_state=true: --policy.input_features does not name "
                         "observation.state; leave one of the two flags out");
    if (p->state_dropout > 0 && (!p->use_state || (p->input_features && !named)))
        return fail(err,
                    "--policy.state_dropout=%g: the policy does not see observation.state%s; leave "
                    "the flag out",
                    p->state_dropout,
                    p->use_state ? " (--policy.input_features)" : " (--policy.use_state=false)");
    return true;
}

bool train_config_check_data(const TrainConfig *c, Error *err) {
    if (!c->dataset.repo_id && !c->dataset.root)
        return fail(err, "no dataset given; pass --dataset.root=DIR or --dataset.repo_id=NAME");
    const PolicyConfig *p = &c->policy;
    if (field_given(c, "policy.resize_filter") && p->resize_filter && !p->resize_shape.values)
        return fail(err,
                    "--policy.resize_filter=%s: nothing is resized without --policy.resize_shape",
                    p->resize_filter);
    return check_resize(&p->resize_shape, err) && check_crop(p, err) &&
           check_episodes(&c->dataset.episodes, err) && check_state(c, err);
}

bool train_config_check(const TrainConfig *c, Error *err) {
    return check_start(c, err) && check_dtype(c->policy.dtype, err) &&
           train_config_check_data(c, err) && policy_config_check(&c->policy, err) &&
           check_actions(&c->policy, err) && check_backbone_weights(c, err) &&
           check_idle_flags(c, err) && check_scheduler(&c->scheduler, err) &&
           check_ema(&c->ema, err) && check_run(c, err);
}
