// SPDX-License-Identifier: Apache-2.0
#include "train/policy_from_dataset.h"

#include "base/log.h"
#include "dataset/arms.h"
#include "policy/processors.h"
#include <stdio.h>
#include <string.h>

WindowSpec policy_window(const PolicyConfig *p) {
    return (WindowSpec){.horizon = p->obs_state_horizon,
                        .down_sample = p->obs_down_sample_steps,
                        .chunk_size = p->chunk_size,
                        .action_down_sample = p->action_down_sample_steps,
                        .past = p->n_past_actions,
                        .relative = p->arms > 0,
                        .arms = p->arms,
                        .minus_state = p->pipeline.relative};
}

static bool resolve_poses(PolicyConfig *p, const Dataset *ds, Error *err) {
    bool wanted = p->pose_repr && strcmp(p->pose_repr, "relative") == 0;
    bool refused = p->pose_repr && strcmp(p->pose_repr, "none") == 0;
    p->arms = 0;
    if (!refused && !arms_detect(ds, wanted, &p->arms, err)) return false;
    if (p->arms && !arms_check_poses(ds, p->arms, err)) return false;
    p->pose_repr = p->arms > 0 ? "relative" : "none";
    return true;
}

// Fills in the modes that the user has not given. As in LeRobot, what the user's own mapping leaves
// out is not normalised.
static void resolve_normalization(PolicyConfig *p) {
    NormMap *n = &p->normalization_mapping;
    bool given = n->visual || n->state || n->action || n->env;
    const char *vectors = given ? "IDENTITY" : p->arms > 0 ? "MIN_MAX" : "MEAN_STD";
    if (!n->visual) n->visual = given ? "IDENTITY" : "MEAN_STD";
    if (!n->state) n->state = vectors;
    if (!n->action) n->action = vectors;
    if (!n->env && p->env_dim) n->env = given ? "IDENTITY" : "MEAN_STD";
}

static const Feature *find_feature(const Dataset *ds, const char *name) {
    for (int i = 0; i < ds->n_features; i++)
        if (strcmp(ds->features[i].name, name) == 0) return &ds->features[i];
    return NULL;
}

// Which vectors the policy sees.
typedef struct Inputs {
    bool state, env;
} Inputs;

// A vector's shape is as recorded (7 for a pose), or as the policy sees it (10).
static bool check_shape(const Dataset *ds, const Feature *f, const json_t *wanted, int seen,
                        Error *err) {
    const json_t *shape = json_object_get(wanted, "shape");
    int64_t size = json_integer_value(json_array_get(shape, 0));
    if (!shape || (json_array_size(shape) == 1 && (size == f->size || size == seen))) return true;
    return fail(err,
                "%s: --policy.input_features wants %s with %lld values, but the dataset's has "
                "%lld",
                ds->root, f->name, (long long)size, (long long)f->size);
}

// Follows --policy.input_features, which names the cameras, in their order, and the vectors.
static bool choose_inputs(PolicyConfig *p, const Dataset *ds, Inputs *in, Error *err) {
    json_error_t problem;
    json_t *features = json_parse_argument(p->input_features, 0, &problem);
    const char *name;
    json_t *wanted;
    bool ok = json_is_object(features) ||
              fail(err, "--policy.input_features: not a JSON object: %s", problem.text);
    WindowSpec w = policy_window(p);
    json_object_foreach(features, name, wanted) {
        const Feature *f = find_feature(ds, name);
        if (!ok) break;
        if (!f) {
            ok = fail(err,
                      "%s: --policy.input_features names %s, which the dataset does not have; if "
                      "it is there under another name: --rename_map='{\"THAT NAME\": \"%s\"}'",
                      ds->root, name, name);
        } else if (f->kind == FEATURE_STATE) {
            in->state = true;
            ok = check_shape(ds, f, wanted, window_state_dim(ds, &w), err);
        } else if (f->kind == FEATURE_ENV) {
            in->env = true;
            ok = check_shape(ds, f, wanted, (int)f->size, err);
        } else if (f->kind == FEATURE_VISUAL && !f->depth && p->n_cameras < MAX_CAMERAS) {
            p->cameras[p->n_cameras++].name = f->name;
        } else {
            ok = fail(err, "%s: --policy.input_features: %s cannot be an input", ds->root, name);
        }
    }
    json_decref(features);
    return ok;
}

static const Feature *find_camera(const Dataset *ds, const char *name) {
    const Feature *f = find_feature(ds, name);
    return f && f->kind == FEATURE_VISUAL && !f->depth ? f : NULL;
}

// Whether a feature is a vector of floats that no policy sees, and not one of the columns in which
// LeRobot keeps times and rewards.
static bool is_unused_vector(const Feature *f) {
    bool floats = strcmp(f->dtype, "float32") == 0 || strcmp(f->dtype, "float64") == 0;
    return f->kind == FEATURE_OTHER && floats && f->rank == 1 && f->size > 0 &&
           strcmp(f->name, "timestamp") != 0 && strncmp(f->name, "next.", 5) != 0;
}

void policy_warn_unused(const Dataset *ds) {
    char names[2000] = "";
    size_t used = 0;
    for (int i = 0; i < ds->n_features; i++) {
        const Feature *f = &ds->features[i];
        if (!is_unused_vector(f) || used + 120 > sizeof names) continue;
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%.80s (%lld)",
                                 used ? ", " : "", f->name, (long long)f->size);
    }
    if (used)
        log_warn("%s: no policy sees %s; a policy sees cameras, observation.state and "
                 "observation.environment_state (--rename_map gives a vector one of these names)",
                 ds->root, names);
}

// A recorder that splits the state, or gives it another name, would leave the policy blind to the
// robot's own position. That is refused unless --policy.input_features or --policy.use_state asks
// for it.
static bool check_state(const PolicyConfig *p, const Dataset *ds, Error *err) {
    for (int i = 0; i < ds->n_features && !ds->state && p->use_state; i++) {
        const Feature *f = &ds->features[i];
        if (!is_unused_vector(f) || !(strncmp(f->name, "observation", 11) == 0 ||
                                      strstr(f->name, "state") || strstr(f->name, "qpos")))
            continue;
        return fail(
            err,
            "%s: there is no observation.state, but %s with %lld values; if that is the state: "
            "--rename_map='{\"%s\": \"observation.state\"}', and to train without a state: "
            "--policy.use_state=false",
            ds->root, f->name, (long long)f->size, f->name);
    }
    return true;
}

// Finds the inputs: all that the dataset has, or exactly those that the policy names.
static bool resolve_inputs(PolicyConfig *p, const Dataset *ds, Inputs *in, Error *err) {
    const bool all = !p->input_features;
    *in = (Inputs){.state = ds->state && all && p->use_state, .env = ds->env && all};
    if (p->input_features) {
        p->n_cameras = 0;
        if (!choose_inputs(p, ds, in, err)) return false;
    } else if (!check_state(p, ds, err)) {
        return false;
    } else if (p->n_cameras == 0) {
        if (ds->n_cameras > MAX_CAMERAS)
            return fail(err, "%s: %d cameras; at most %d are supported", ds->root, ds->n_cameras,
                        MAX_CAMERAS);
        p->n_cameras = ds->n_cameras;
        for (int i = 0; i < ds->n_cameras; i++) p->cameras[i].name = ds->cameras[i]->name;
    }
    for (int i = 0; i < p->n_cameras; i++) {
        const Feature *f = find_camera(ds, p->cameras[i].name);
        if (!f)
            return fail(err,
                        "%s: the policy wants camera %s, which the dataset does not have; if it "
                        "is there under another name: --rename_map='{\"THAT NAME\": \"%s\"}'",
                        ds->root, p->cameras[i].name, p->cameras[i].name);
        p->cameras[i].height = f->height;
        p->cameras[i].width = f->width;
    }
    return true;
}

// What of a camera's resized frames the model sees. crop_ratio is cut short as LeRobot does it.
static bool crop_camera(const PolicyConfig *p, CameraConfig *c, const char *root, Error *err) {
    const int64_t *crop = p->crop_shape.values;
    const int height = c->image_height, width = c->image_width;
    c->resized_height = c->resized_width = 0;
    if (!policy_crops(p)) return true;
    c->resized_height = height;
    c->resized_width = width;
    c->image_height = crop ? (int)crop[0] : (int)(height * p->crop_ratio);
    c->image_width = crop ? (int)crop[1] : (int)(width * p->crop_ratio);
    if (c->image_height > height || c->image_width > width)
        return fail(
            err,
            "%s: --policy.crop_shape=[%d,%d] is larger than the frames of %s, which are "
            "%dx%d where they are cropped; make it smaller, or --policy.resize_shape larger",
            root, c->image_height, c->image_width, c->name, height, width);
    enum { SMALLEST = 32 }; // as that of crop_shape
    return (c->image_height >= SMALLEST && c->image_width >= SMALLEST) ||
           fail(err,
                "%s: --policy.crop_ratio=%g leaves %dx%d of the frames of %s; at least %dx%d are "
                "needed",
                root, p->crop_ratio, c->image_height, c->image_width, c->name, SMALLEST, SMALLEST);
}

// Finds the size of each camera's images: as recorded, one size for all, or one for each, and of
// that what is cut out. LeRobot's ACT is to see what a policy of one observation sees, so that one
// is trained with LeRobot's filter.
static bool resolve_image_sizes(PolicyConfig *p, const Dataset *ds, Error *err) {
    const IntList *resize = &p->resize_shape;
    const int64_t given = resize->values ? resize->count / 2 : 0;
    if (given > 1 && given != p->n_cameras) {
        char names[600];
        size_t n = 0;
        for (int i = 0; i < p->n_cameras && n < sizeof names; i++)
            n += (size_t)snprintf(names + n, sizeof names - n, "%s%s", i ? ", " : "",
                                  p->cameras[i].name);
        return fail(err,
                    "%s: --policy.resize_shape has %lld sizes, but the policy sees %d camera%s "
                    "(%s); give one size for all, or one for each in this order",
                    ds->root, (long long)given, p->n_cameras, p->n_cameras == 1 ? "" : "s",
                    p->n_cameras ? names : "none");
    }
    for (int i = 0; i < p->n_cameras; i++) {
        CameraConfig *camera = &p->cameras[i];
        const int64_t *size = given ? resize->values + (given > 1 ? 2 * i : 0) : NULL;
        camera->image_height = size ? (int)size[0] : camera->height;
        camera->image_width = size ? (int)size[1] : camera->width;
        if (!crop_camera(p, camera, ds->root, err)) return false;
    }
    if (given && !p->resize_filter)
        p->resize_filter =
            p->obs_state_horizon == 1 && p->action_down_sample_steps == 1 ? "bilinear" : "area";
    return true;
}

void policy_image_sizes(const PolicyConfig *p, char *out, size_t size) {
    size_t n = 0;
    bool alike = true;
    *out = 0;
    for (int i = 1; i < p->n_cameras; i++)
        alike = alike && p->cameras[i].image_height == p->cameras[0].image_height &&
                p->cameras[i].image_width == p->cameras[0].image_width;
    for (int i = 0; i < (alike && p->n_cameras ? 1 : p->n_cameras) && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%dx%d", i ? ", " : "",
                              p->cameras[i].image_height, p->cameras[i].image_width);
}

void policy_find_cameras(const PolicyConfig *p, const Dataset *ds, int *cameras, FrameSize *sizes,
                         FrameCrop *crops) {
    const ImageFilter filter = image_filter_named(p->resize_filter);
    for (int i = 0; i < p->n_cameras; i++) {
        for (int k = 0; k < ds->n_cameras; k++)
            if (strcmp(ds->cameras[k]->name, p->cameras[i].name) == 0) cameras[i] = k;
        const CameraConfig *c = &p->cameras[i];
        sizes[i] = (FrameSize){camera_resized_height(c), camera_resized_width(c), filter};
        crops[i] = (FrameCrop){c->image_height, c->image_width};
    }
}

LoaderOptions loader_options_of(const TrainConfig *c, const Normalizer *state,
                                const Normalizer *env, const Normalizer *action) {
    const PolicyConfig *p = &c->policy;
    return (LoaderOptions){.window = policy_window(p),
                           .state = p->state_dim ? state : NULL,
                           .env = p->env_dim ? env : NULL,
                           .action = action,
                           .n_cameras = p->n_cameras,
                           .batch_size = c->batch_size,
                           .pieces = c->gradient_accumulation_steps,
                           .processes = c->processes,
                           .process = c->process,
                           .num_workers = c->num_workers,
                           .warn_s = c->loader_warn_s,
                           .prefetch = c->prefetch_factor,
                           .random_crops = p->crop_is_random,
                           .shuffle = true,
                           .drop_last = true,
                           .max_action_prefix = p->max_action_prefix,
                           .seed = (uint64_t)c->seed,
                           .state_dropout = {p->state_dropout, (uint64_t)c->seed}};
}

bool image_transforms_of(const TrainConfig *config, ImageTransforms *out, Error *err) {
    const TransformsConfig *c = &config->dataset.image_transforms;
    if (!image_transforms_parse(out, c->tfs, err)) return false;
    out->max_num_transforms = c->max_num_transforms;
    out->random_order = c->random_order;
    out->seed = (uint64_t)config->seed;
    return true;
}

DatasetOptions dataset_options_of(const TrainConfig *c, bool need_videos) {
    return (DatasetOptions){.repo_id = c->dataset.repo_id,
                            .root = c->dataset.root,
                            .revision = c->dataset.revision,
                            .need_videos = need_videos,
                            .episodes = c->dataset.episodes.values,
                            .n_episodes = c->dataset.episodes.count,
                            .rename = c->policy.rename_map,
                            .tolerance_s = train_config_tolerance(c)};
}

// What goes with the state, or with none.
CHECKED static bool check_inputs(const PolicyConfig *p, const Dataset *ds, Error *err) {
    if (p->n_cameras == 0 && p->env_dim == 0)
        return fail(err,
                    "%s: neither a camera nor observation.environment_state%s; ACT needs one of "
                    "them",
                    ds->root, p->use_state ? "" : ", and no state (--policy.use_state=false)");
    if (p->state_dim) return true;
    if (p->obs_state_horizon > 1 && p->temporal_pos_embed &&
        strcmp(p->temporal_pos_embed, "state") == 0)
        return fail(err,
                    "%s: --policy.temporal_pos_embed=state tells the times of states, of which the "
                    "policy sees none; use all",
                    ds->root);
    return p->state_dropout == 0 ||
           fail(err,
                "%s: --policy.state_dropout=%g: the policy sees no observation.state; leave the "
                "flag out",
                ds->root, p->state_dropout);
}

bool policy_from_dataset(PolicyConfig *p, const Dataset *ds, Error *err) {
    if (!ds->action)
        return fail(err,
                    "%s: no feature 'action'; there is nothing to learn; if it has "
                    "another name: --rename_map='{\"THAT NAME\": \"action\"}'",
                    ds->root);
    if (!resolve_poses(p, ds, err)) return false;
    Inputs in;
    if (!resolve_inputs(p, ds, &in, err) || !resolve_image_sizes(p, ds, err)) return false;
    WindowSpec w = policy_window(p);
    p->state_dim = in.state ? window_state_dim(ds, &w) : 0;
    p->action_dim = window_action_dim(ds, &w);
    p->env_dim = in.env ? (int)ds->env->size : 0;
    p->use_state = in.state || !ds->state;
    resolve_normalization(p);
    p->fps = ds->fps;
    return check_inputs(p, ds, err) && pipeline_check(p, ds->root, err);
}
