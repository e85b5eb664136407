// SPDX-License-Identifier: Apache-2.0
// The settings -> JSON, through the table.
#include "base/text.h"
#include "config/backbone_weights.h"
#include "config/config_json.h"
#include "config/fields.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static void set_field(json_t *object, const Field *f, const void *slot) {
    json_object_set_new(object, after_last(f->flag, '.'), field_json(f, slot));
}

// Whether a setting is at its default and came after the first release of tact.json, or is not in
// every LeRobot's train_config.json. Such a one is left out, so that a checkpoint which does
// without it is the same to the byte, and an older program, for which it is an unknown key, reads
// it.
static bool is_later_default(const Field *f, const void *slot) {
    static const char *const wandb[] = {"wandb.entity", "wandb.notes", "wandb.run_id",
                                        "wandb.mode"};
    if (strcmp(f->flag, "policy.action_down_sample_steps") == 0) return *(const int *)slot == 1;
    if (strcmp(f->flag, "policy.resize_filter") == 0) {
        const char *filter = *(const char *const *)slot;
        return !filter || strcmp(filter, "area") == 0;
    }
    if (strcmp(f->flag, "policy.crop_shape") == 0) return !((const IntList *)slot)->values;
    if (strcmp(f->flag, "policy.crop_ratio") == 0) return *(const double *)slot == 1;
    if (strcmp(f->flag, "policy.crop_is_random") == 0) return *(const bool *)slot;
    if (strcmp(f->flag, "policy.n_past_actions") == 0 ||
        strcmp(f->flag, "policy.max_action_prefix") == 0 ||
        strcmp(f->flag, "policy.backbone_norm_frames") == 0)
        return *(const int *)slot == 0;
    if (strcmp(f->flag, "tensorboard") == 0 || strcmp(f->flag, "wandb.disable_artifact") == 0)
        return !*(const bool *)slot;
    if (strcmp(f->flag, "wandb.add_tags") == 0 || strcmp(f->flag, "policy.use_state") == 0)
        return *(const bool *)slot;
    for (size_t i = 0; i < sizeof wandb / sizeof wandb[0]; i++)
        if (strcmp(f->flag, wandb[i]) == 0) return !*(const char *const *)slot;
    bool share = strcmp(f->flag, "dataset.repeat_frame_prob") == 0 ||
                 strcmp(f->flag, "policy.state_dropout") == 0;
    return share && *(const double *)slot == 0;
}

// Adds every setting of one home. `base` is the struct the offsets count from once `shift` is taken
// off them.
static void set_home(json_t *object, FieldHome home, const void *base, size_t shift) {
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        const char *slot = (const char *)base + f->offset - shift;
        if (f->home == home && !is_later_default(f, slot)) set_field(object, f, slot);
    }
}

static void set_vector(json_t *features, const char *name, const char *type, int size) {
    if (size > 0)
        json_object_set_new(features, name, json_pack("{s:s, s:[i]}", "type", type, "shape", size));
}

static bool is_resized(const CameraConfig *c) {
    return camera_resized_height(c) != c->height || camera_resized_width(c) != c->width;
}

bool policy_changes_frames(const PolicyConfig *p) {
    bool changes = false;
    for (int i = 0; i < p->n_cameras; i++)
        changes = changes || is_resized(&p->cameras[i]) || camera_is_cropped(&p->cameras[i]);
    return changes && policy_is_plain(p);
}

bool policy_frames_can_be_told(const PolicyConfig *p, const char **why) {
    const CameraConfig *first = &p->cameras[0];
    bool resized = false, alike = true, named = true;
    for (int i = 0; i < p->n_cameras; i++) {
        const CameraConfig *c = &p->cameras[i];
        resized = resized || is_resized(c);
        alike = alike && camera_resized_height(c) == camera_resized_height(first) &&
                camera_resized_width(c) == camera_resized_width(first);
        named = named && strstr(c->name, "image");
    }
    *why = !named ? "its step changes only what has \"image\" in its name"
                  : "its step gives all cameras one size";
    return named && (alike || !resized);
}

// Whether config.json has the sizes that were recorded.
static bool has_recorded_sizes(const PolicyConfig *p) {
    const char *why;
    return policy_changes_frames(p) && policy_frames_can_be_told(p, &why);
}

// The order of the cameras in input_features is the order of their tokens.
static json_t *input_features(const PolicyConfig *p) {
    const bool recorded = has_recorded_sizes(p);
    json_t *features = json_object();
    set_vector(features, "observation.state", "STATE", p->state_dim);
    set_vector(features, "observation.environment_state", "ENV", p->env_dim);
    for (int i = 0; i < p->n_cameras; i++) {
        const CameraConfig *c = &p->cameras[i];
        json_object_set_new_nocheck(features, c->name,
                                    json_pack("{s:s, s:[i,i,i]}", "type", "VISUAL", "shape", 3,
                                              recorded ? c->height : c->image_height,
                                              recorded ? c->width : c->image_width));
    }
    return features;
}

bool policy_is_plain(const PolicyConfig *p) {
    return p->obs_state_horizon == 1 && strcmp(p->temporal_pos_embed, "none") == 0 &&
           p->action_down_sample_steps == 1 && p->n_past_actions == 0 &&
           p->max_action_prefix == 0 && !policy_hides_pose(p);
}

const char *policy_torch_device(const PolicyConfig *p) {
    const bool cpu =
        !p->device || strncmp(p->device, "cpu:", 4) == 0 || strcmp(p->device, "ref") == 0;
    return cpu ? "cpu" : p->device;
}

json_t *policy_to_json(const PolicyConfig *p) {
    const size_t shift = offsetof(TrainConfig, policy);
    json_t *object = json_object();
    json_t *outputs = json_object();
    set_vector(outputs, "action", "ACTION", p->action_dim);
    json_object_set_new(object, "type", json_string(policy_is_plain(p) ? "act" : "tact"));
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        if (f->home != HOME_POLICY) continue;
        set_field(object, f, (const char *)p + f->offset - shift);
        // LeRobot knows names only, and the weights themselves are in the checkpoint.
        if (strcmp(f->flag, "policy.pretrained_backbone_weights") == 0 &&
            p->pretrained_backbone_weights &&
            backbone_weights_is_path(p->pretrained_backbone_weights))
            json_object_set_new(object, after_last(f->flag, '.'), json_null());
        if (strcmp(f->flag, "policy.device") == 0 && p->device)
            json_object_set_new(object, "device", json_bytes(policy_torch_device(p)));
        if (strcmp(f->flag, "policy.n_obs_steps") == 0) {
            json_object_set_new(object, "input_features", input_features(p));
            json_object_set_new(object, "output_features", outputs);
        } else if (strcmp(f->flag, "policy.repo_id") == 0) {
            json_object_set_new(object, "private", json_null());
            json_object_set_new(object, "tags", json_null());
        }
    }
    return object;
}

json_t *policy_to_tact_json(const PolicyConfig *p) {
    json_t *object = json_object(), *cameras = json_array();
    int version = p->action_down_sample_steps > 1 ? TACT_JSON_VERSION_STEPS : TACT_JSON_VERSION;
    if (p->n_past_actions > 0 || p->max_action_prefix > 0 || policy_hides_pose(p))
        version = TACT_JSON_VERSION_PAST;
    if (policy_crops(p) || (p->resize_filter && strcmp(p->resize_filter, "area") != 0) ||
        has_recorded_sizes(p))
        version = TACT_JSON_VERSION_FRAMES;
    json_object_set_new(object, "version", json_integer(version));
    set_home(object, HOME_TACT, p, offsetof(TrainConfig, policy));
    // A run that goes on computes with the same library.
    if (p->device && strcmp(p->device, policy_torch_device(p)) != 0)
        json_object_set_new(object, "device", json_bytes(p->device));
    json_object_set_new(object, "arms", json_integer(p->arms));
    json_object_set_new(object, "fps", json_real(p->fps));
    for (int i = 0; i < p->n_cameras; i++) {
        const CameraConfig *camera = &p->cameras[i];
        json_t *one = json_pack("{s:o, s:i, s:i, s:[i,i]}", "name", json_bytes(camera->name),
                                "height", camera->height, "width", camera->width, "image_size",
                                camera->image_height, camera->image_width);
        if (camera->resized_height)
            json_object_set_new(one, "resized_to",
                                json_pack("[i,i]", camera->resized_height, camera->resized_width));
        json_array_append_new(cameras, one);
    }
    json_object_set_new(object, "cameras", cameras);
    return object;
}

static json_t *scheduler_json(const SchedulerConfig *s) {
    if (!s->type) return json_null();
    json_t *object = json_object();
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        if (f->home == HOME_SCHEDULER && scheduler_has(s->type, f))
            set_field(object, f, (const char *)s + f->offset - offsetof(TrainConfig, scheduler));
    }
    return object;
}

// The list of transforms stands in it as an object, and only where it is not LeRobot's own.
static json_t *transforms_json(const TrainConfig *c) {
    json_t *object = json_object();
    set_home(object, HOME_TRANSFORMS, c, 0);
    const char *tfs = c->dataset.image_transforms.tfs;
    json_t *list = tfs ? json_parse_argument(tfs, 0, NULL) : NULL;
    if (list)
        json_object_set_new(object, "tfs", list);
    else
        json_object_del(object, "tfs");
    return object;
}

json_t *train_config_to_json(const TrainConfig *c) {
    json_t *object = json_object(), *dataset = json_object(), *wandb = json_object();
    json_t *optimizer = json_pack("{s:s, s:f, s:f}", "type", "adamw", "lr", c->policy.optimizer_lr,
                                  "weight_decay", c->policy.optimizer_weight_decay);
    set_home(dataset, HOME_DATASET, c, 0);
    set_home(optimizer, HOME_OPTIMIZER, c, 0);
    set_home(wandb, HOME_WANDB, c, 0);
    if (c->dataset.image_transforms.enable)
        json_object_set_new(dataset, "image_transforms", transforms_json(c));
    json_object_set_new(object, "dataset", dataset);
    json_object_set_new(object, "policy", policy_to_json(&c->policy));
    set_home(object, HOME_TRAIN, c, 0);
    if (!c->policy.rename_map)
        json_object_del(object, "rename_map"); // LeRobot 0.3 does not know it
    json_object_set_new(object, "optimizer", optimizer);
    json_object_set_new(object, "scheduler", scheduler_json(&c->scheduler));
    if (c->ema.enable) { // a key that only the newest LeRobot knows
        json_t *ema = json_object();
        set_home(ema, HOME_EMA, c, 0);
        json_object_set_new(object, "ema", ema);
    }
    json_object_set_new(object, "wandb", wandb);
    return object;
}

// "env.type" -> {"env": {"type": ...}}. It is not in train_config.json, because LeRobot would
// have to know the simulation that its env names.
static void set_env(json_t *object, const TrainConfig *c) {
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        char group[64];
        if (f->home != HOME_TACT_ENV) continue;
        snprintf(group, sizeof group, "%.*s", (int)strcspn(f->flag, "."), f->flag);
        if (!json_object_get(object, group)) json_object_set_new(object, group, json_object());
        set_field(json_object_get(object, group), f, (const char *)c + f->offset);
    }
}

json_t *train_config_to_tact_json(const TrainConfig *c) {
    json_t *object = json_object();
    set_home(object, HOME_TACT_TRAIN, c, 0);
    set_env(object, c);
    // So `tact eval` finds the training's own data, wherever it is called from.
    if (c->dataset.found) json_object_set_new(object, "dataset_root", json_bytes(c->dataset.found));
    return object;
}
