// SPDX-License-Identifier: Apache-2.0
// The settings of a checkpoint: JSON -> text of a flag -> value, through the same table and checks
// as the command line.
#include "config/config_json.h"

#include "base/text.h"
#include "config/fields.h"
#include "config/foreign.h"
#include "pose/pose.h"
#include <stdio.h>
#include <string.h>

// The member a dotted path names, or NULL.
static const json_t *config_member(const json_t *object, const char *path) {
    char key[128];
    while (object && path) {
        size_t n = strcspn(path, ".");
        snprintf(key, sizeof key, "%.*s", (int)n, path);
        object = json_object_get(object, key);
        path = path[n] ? path + n + 1 : NULL;
    }
    return object;
}

// A JSON value spelled as on the command line, NULL for want of memory. Free with mem_free.
static char *flag_text(const Field *f, const json_t *value) {
    if (json_is_string(value)) return mem_try_strdup(json_string_value(value));
    // A configuration that LeRobot has loaded once has 0 or 1 where it is declared as a number.
    if (f->type == FIELD_BOOL && json_is_integer(value) && json_integer_value(value) >> 1 == 0)
        return mem_try_strdup(json_integer_value(value) ? "true" : "false");
    return json_text(value, 0);
}

static CHECKED bool set_from_json(TrainConfig *c, const Field *f, const json_t *value,
                                  const char *path, Error *err) {
    if (!value || (json_is_null(value) && !f->nullable)) return true;
    char *text = flag_text(f, value);
    Error why;
    bool ok = text ? field_set(c, f, text, &why) : fail_memory(&why, "--%s: its text", f->flag);
    mem_free(text);
    return ok || fail_because(err, &why, "%s: %.900s", path, why.text);
}

// Settings that only the command line of this run decides, not the checkpoint.
static bool is_flag_only(const Field *f) {
    static const char *const own[] = {"policy.type",           "policy.path", "policy.stats_from",
                                      "policy.input_features", "resume",      "config_path",
                                      "dataset.video_backend"};
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (strcmp(f->flag, own[i]) == 0) return true;
    return false;
}

// Refuses settings that ask LeRobot for something that tact does not do, by the same list as for
// flags. It does not matter any more where a policy was once fine-tuned from, nor how it is kept
// on the Hub.
static CHECKED bool check_foreign(const json_t *root, bool policy, const char *path, Error *err) {
    static const char *const harmless[] = {"policy.pretrained_path", "policy.pretrained_revision",
                                           "policy.private", "policy.tags",
                                           "policy.disable_temporal_wrapper"};
    for (int i = 0; i < foreign_flag_count; i++) {
        const ForeignFlag *f = &foreign_flags[i];
        bool of_policy = strncmp(f->flag, "policy.", 7) == 0, passed = false;
        for (size_t k = 0; k < sizeof harmless / sizeof harmless[0]; k++)
            passed = passed || strcmp(harmless[k], f->flag) == 0;
        if (of_policy != policy || passed || strcmp(f->flag, "scheduler") == 0) continue;
        const json_t *value = config_member(root, policy ? f->flag + 7 : f->flag);
        if (!value) continue;
        char *text =
            json_is_string(value) ? mem_try_strdup(json_string_value(value)) : json_text(value, 0);
        Error why;
        bool ok = text ? foreign_check(f, text, &why) : fail_memory(&why, "%s: its text", f->flag);
        mem_free(text);
        if (!ok) return fail_because(err, &why, "%s: %.900s", path, why.text);
    }
    const json_t *adapter = policy ? NULL : config_member(root, "peft");
    if (adapter && !json_is_null(adapter))
        return fail(err,
                    "%s: peft: the run trained an adapter, not the policy itself; merge the two in "
                    "LeRobot first",
                    path);
    return true;
}

// ---- keys ---------------------------------------------------------------------------------------

// Whether a key is one of some version, fork or plugin of LeRobot's, and nothing that tact would
// have to act on.
static bool is_passed(const char *key) {
    static const char *const passed[] = {
        "type", "input_features", "output_features",      "arms",           "cameras", "image_size",
        "fps",  "version",        "use_relative_actions", "use_relative_ee"};
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        if (strcmp(passed[i], key) == 0) return true;
    for (int i = 0; i < foreign_flag_count; i++) {
        const char *flag = foreign_flags[i].flag;
        if (strncmp(flag, "policy.", 7) == 0 && strcmp(flag + 7, key) == 0) return true;
    }
    for (int i = 0; i < train_field_count; i++) {
        const char *flag = train_fields[i].flag;
        if (strncmp(flag, "policy.", 7) == 0 && strcmp(flag + 7, key) == 0) return true;
    }
    return false;
}

bool policy_unknown_keys(const json_t *policy, char *out, size_t size) {
    const char *key;
    json_t *value;
    size_t used = 0;
    out[0] = 0;
    json_object_foreach((json_t *)policy, key, value) {
        if (is_passed(key) || used >= size) continue;
        used += (size_t)snprintf(out + used, size - used, "%s%s", used ? ", " : "", key);
    }
    return used > 0;
}

// Settings of forks that make another model of the same weights.
static CHECKED bool check_model(const json_t *policy, const char *path, Error *err) {
    static const char *const keys[] = {"use_relative_ee"};
    const json_t *steps = json_object_get(policy, "n_obs_steps");
    if (steps && !json_is_null(steps) && json_integer_value(steps) != 1) {
        char *text = json_text(steps, 0);
        if (!text) return fail_memory(err, "%s: the text of n_obs_steps", path);
        (void)!fail(err,
                    "%s: n_obs_steps is %.40s, but ACT sees one observation; what tact calls "
                    "obs_state_horizon is another model",
                    path, text);
        mem_free(text);
        return false;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const json_t *value = json_object_get(policy, keys[i]);
        if (value && !json_is_false(value) && !json_is_null(value))
            return fail(err,
                        "%s: %s is set, which changes what the policy sees and does; tact does not "
                        "know how, so it does not run it",
                        path, keys[i]);
    }
    return true;
}

// The mode of each type of feature. Where there is a mapping, types that it does not name are
// not normalised, and types that ACT does not have are passed over. Where there is none:
// LeRobot's default.
static CHECKED bool read_norm_map(TrainConfig *c, const json_t *policy, const char *path,
                                  Error *err) {
    static const char *const types[] = {"VISUAL", "STATE", "ACTION", "ENV"};
    const json_t *map = json_object_get(policy, "normalization_mapping");
    c->policy.normalization_mapping =
        (NormMap){.visual = "MEAN_STD", .state = "MEAN_STD", .action = "MEAN_STD"};
    if (!map || json_is_null(map)) return true;
    json_t *ours = (json_object)();
    bool ok = ours != NULL;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        json_t *mode = json_object_get(map, types[i]);
        if (mode) ok = ok && json_object_set(ours, types[i], mode) == 0;
    }
    if (!ok) (void)!fail_memory(err, "%s: normalization_mapping", path);
    bool object = json_is_object(map);
    ok = ok && set_from_json(c, field_find("policy.normalization_mapping"), object ? ours : map,
                             path, err);
    json_decref(ours);
    return ok;
}

// The inputs a policy uses, as --policy.input_features takes them. LeRobot lists further vectors,
// which its ACT does not use.
static CHECKED bool read_inputs(TrainConfig *c, const json_t *features, const char *path,
                                Error *err) {
    json_t *used = (json_object)(), *value;
    const char *name;
    bool ok = used != NULL;
    json_object_foreach((json_t *)features, name, value) {
        const char *type = json_string_value(json_object_get(value, "type"));
        bool vector = strcmp(name, "observation.state") == 0 ||
                      strcmp(name, "observation.environment_state") == 0;
        if (type && (vector || strcmp(type, "VISUAL") == 0))
            ok = ok && json_object_set(used, name, value) == 0;
    }
    char *text = ok ? json_text(used, 0) : NULL;
    c->policy.input_features = text ? arena_try_strdup(&c->arena, text) : NULL;
    mem_free(text);
    json_decref(used);
    return c->policy.input_features || fail_memory(err, "%s: its input_features", path);
}

static bool is_arm(const json_t *features, const char *name) {
    const json_t *shape = json_object_get(json_object_get(features, name), "shape");
    return json_array_size(shape) == 1 &&
           json_integer_value(json_array_get(shape, 0)) == POSE_POLICY_ROW;
}

// The relative-pose fork of LeRobot has the horizon in every config.json, also where it trained on
// plain data. Its relative poses are one arm's and always MIN_MAX.
static bool is_relative(const json_t *policy) {
    const json_t *modes = json_object_get(policy, "normalization_mapping");
    const char *state = json_string_value(json_object_get(modes, "STATE"));
    const char *action = json_string_value(json_object_get(modes, "ACTION"));
    return json_object_get(policy, "obs_state_horizon") && state && action &&
           strcmp(state, "MIN_MAX") == 0 && strcmp(action, "MIN_MAX") == 0 &&
           is_arm(json_object_get(policy, "input_features"), "observation.state") &&
           is_arm(json_object_get(policy, "output_features"), "action");
}

// A policy without tact.json is plain ACT, or one of the relative-pose fork.
static void assume_no_tact_json(TrainConfig *c, const json_t *policy) {
    PolicyConfig *p = &c->policy;
    const json_t *horizon = json_object_get(policy, "obs_state_horizon");
    p->obs_state_horizon = p->obs_down_sample_steps = p->action_down_sample_steps = 1;
    p->n_past_actions = 0;
    p->temporal_pos_embed = json_integer_value(horizon) > 1 ? "state" : "none";
    p->pose_repr = is_relative(policy) ? "relative" : "none";
    p->resize_shape = p->crop_shape = (IntList){0};
    p->resize_filter = NULL;
    p->crop_ratio = 1;
    p->crop_is_random = true;
    p->max_action_prefix = 0;
    p->backbone_norm_frames = 0;
}

// Without its wrapper the fork's policy is plain ACT, whatever horizon stands beside the key.
// With relative poses that horizon would be real, and plain ACT does not run with it.
static CHECKED bool undo_wrapper(TrainConfig *c, const json_t *policy, const char *path,
                                 Error *err) {
    PolicyConfig *p = &c->policy;
    if (!json_is_true(json_object_get(policy, "disable_temporal_wrapper"))) return true;
    if (p->obs_state_horizon > 1 && is_relative(policy))
        return fail(err,
                    "%s: disable_temporal_wrapper is true and obs_state_horizon is %d; no policy "
                    "runs with both",
                    path, p->obs_state_horizon);
    p->obs_state_horizon = p->obs_down_sample_steps = 1;
    p->temporal_pos_embed = "none";
    return true;
}

// tact.json has tact's own name of a device of which config.json has PyTorch's. Another device that
// somebody has written there counts.
static CHECKED bool read_device(TrainConfig *c, const json_t *tact, const char *path, Error *err) {
    const json_t *own = json_object_get(tact, "device");
    const PolicyConfig named = {.device = json_string_value(own)};
    if (!named.device || !c->policy.device ||
        strcmp(policy_torch_device(&named), c->policy.device) != 0)
        return true;
    return set_from_json(c, field_find("policy.device"), own, path, err);
}

bool policy_from_json(TrainConfig *c, const json_t *policy, const json_t *tact, const char *path,
                      Error *err) {
    const char *type = json_string_value(json_object_get(policy, "type"));
    if (!type || (strcmp(type, "act") != 0 && strcmp(type, "tact") != 0))
        return fail(err, "%s: the policy's type is %s; tact reads act and tact", path,
                    type ? type : "missing");
    if (!tact && strcmp(type, "tact") == 0)
        return fail(err,
                    "%s: its tact.json, with what the policy sees, is missing; copy the whole "
                    "directory",
                    path);
    json_int_t version = json_integer_value(json_object_get(tact, "version"));
    if (tact && (version < TACT_JSON_VERSION || version > TACT_JSON_VERSION_FRAMES))
        return fail(err,
                    "%s: its tact.json is of a version that this tact does not know; use the tact "
                    "that wrote it",
                    path);
    if (!check_foreign(policy, true, path, err) || !check_model(policy, path, err) ||
        !read_norm_map(c, policy, path, err))
        return false;
    if (!tact) assume_no_tact_json(c, policy);
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        if (strncmp(f->flag, "policy.", 7) != 0 || is_flag_only(f) || f->type == FIELD_NORM_MAP)
            continue;
        const json_t *home = f->home == HOME_TACT && tact ? tact : policy;
        if (!set_from_json(c, f, json_object_get(home, after_last(f->flag, '.')), path, err))
            return false;
    }
    if (!tact && !undo_wrapper(c, policy, path, err)) return false;
    if (!read_device(c, tact, path, err)) return false;
    // Before there were two filters.
    if (tact && c->policy.resize_shape.values && !json_object_get(tact, "resize_filter"))
        c->policy.resize_filter = "area";
    c->policy.type = arena_try_strdup(&c->arena, type);
    if (!c->policy.type) return fail_memory(err, "%s: its type", path);
    const json_t *features = json_object_get(policy, "input_features");
    return !json_object_size(features) || read_inputs(c, features, path, err);
}

// LeRobot writes its default of tolerance_s into every file, and tact 0.1 did the same. Nobody
// asked for that value, and videos that were joined from several do not keep to it.
static bool is_no_wish(const Field *f, const json_t *value) {
    return strcmp(f->flag, "tolerance_s") == 0 && json_number_value(value) == 1e-4;
}

bool train_config_from_json(TrainConfig *c, const json_t *root, const json_t *tact,
                            const char *path, Error *err) {
    const json_t *policy = json_object_get(root, "policy"), *ours = json_object_get(tact, "train");
    if (!json_is_object(policy))
        return fail(err, "%s: no policy in it; this is not a train_config.json", path);
    if (!policy_from_json(c, policy, tact, path, err) || !check_foreign(root, false, path, err))
        return false;
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        if (strncmp(f->flag, "policy.", 7) == 0 || is_flag_only(f)) continue;
        const json_t *value = f->home == HOME_TACT_TRAIN
                                  ? json_object_get(ours, after_last(f->flag, '.'))
                              : f->home == HOME_TACT_ENV ? config_member(ours, f->flag)
                                                         : NULL;
        if (!value) value = config_member(root, f->flag);
        if (is_no_wish(f, value)) continue;
        if (!set_from_json(c, f, value, path, err)) return false;
    }
    // Without the policy's preset LeRobot's optimiser has one group, with its own numbers for
    // everything.
    const json_t *preset = json_object_get(root, "use_policy_training_preset");
    static const char *const rates[][2] = {
        {"policy.optimizer_lr", "optimizer.lr"},
        {"policy.optimizer_lr_backbone", "optimizer.lr"},
        {"policy.optimizer_weight_decay", "optimizer.weight_decay"}};
    for (size_t i = 0; json_is_false(preset) && !ours && i < sizeof rates / sizeof rates[0]; i++)
        if (!set_from_json(c, field_find(rates[i][0]), config_member(root, rates[i][1]), path, err))
            return false;
    // Its names in the newest LeRobot.
    const json_t *eval = config_member(root, "env_eval_freq");
    return json_object_get(ours, "eval_freq") ||
           set_from_json(c, field_find("eval_freq"), eval, path, err);
}
