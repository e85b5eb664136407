// SPDX-License-Identifier: Apache-2.0
// LeRobot's policy_preprocessor.json and policy_postprocessor.json, step by step. What such a
// pipeline does is part of the policy, so each step is known here, idle, or refused by its name:
// none is passed over.
#include "policy/processors.h"

#include "base/file.h"
#include "formats/json.h"
#include "policy/policy_locate.h"
#include "policy/processors_frames.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct PipelineReader {
    PolicyConfig *policy;
    Arena *arena; // of the policy
    const json_t *config;
    bool own_rows; // state and action are normalised by the policy itself, not by the steps
    char path[POLICY_PATH + 64];
    bool before;                                    // of the two pipelines
    const json_t *normalizer, *relative, *absolute; // configurations of the steps, or NULL
    json_t *idle;                                   // steps that do nothing for ACT
    json_t *frames;                                 // steps that resize and crop
    bool alone;                                     // there is no tact.json
} PipelineReader;

static const char *step_name(const json_t *step) {
    const char *name = json_string_value(json_object_get(step, "registry_name"));
    if (!name) name = json_string_value(json_object_get(step, "class"));
    return name ? name : "a step without a name";
}

static bool step_is(const json_t *step, const char *name) {
    return strcmp(step_name(step), name) == 0;
}

// ---- steps that change nothing ------------------------------------------------------------------

// Words for the task, which ACT does not see.
static bool step_is_for_words(const json_t *step) {
    return step_is(step, "tokenizer_processor") || step_is(step, "smolvla_new_line_processor");
}

CHECKED static bool read_device_step(const PipelineReader *r, const json_t *step, Error *err) {
    const json_t *type = json_object_get(json_object_get(step, "config"), "float_dtype");
    const char *name = json_string_value(type);
    bool single = name && (strcmp(name, "float32") == 0 || strcmp(name, "float") == 0);
    if (!type || json_is_null(type) || single) return true;
    return fail(
        err,
        "%s: its device_processor has float_dtype %s; tact keeps observations and actions as they "
        "are (null)",
        r->path, name ? name : "of another kind");
}

CHECKED static bool keep_idle_step(PipelineReader *r, const json_t *step, Error *err) {
    // Its numbers would have to be kept as well.
    if (json_string_value(json_object_get(step, "state_file")))
        return fail(err, "%s: its step %s has a file of its own, which tact does not read", r->path,
                    step_name(step));
    return json_array_append(r->idle, (json_t *)step) == 0 ||
           fail_memory(err, "%s: its step %s", r->path, step_name(step));
}

// A value as text, in the policy's memory.
CHECKED static bool keep_text(const PipelineReader *r, const json_t *value, const char **out,
                              Error *err) {
    char *text = json_text(value, 0);
    *out = text ? arena_try_strdup(r->arena, text) : NULL;
    mem_free(text);
    return *out || fail_memory(err, "%s: its text", r->path);
}

// ---- names --------------------------------------------------------------------------------------

CHECKED static bool read_rename_step(PipelineReader *r, const json_t *step, Error *err) {
    json_t *map = json_object_get(json_object_get(step, "config"), "rename_map"), *to;
    const char *from;
    json_object_foreach(map, from, to) {
        if (!json_is_string(to)) return fail(err, "%s: rename_map: %s has no name", r->path, from);
    }
    if (json_object_size(map) == 0) return true;
    if (!r->before) return fail(err, "%s: renames observations after the policy", r->path);
    return keep_text(r, map, &r->policy->rename_map, err);
}

// ---- actions that are differences to the state --------------------------------------------------

// A joint is left absolute when its name has one of the excluded words in it, in any case of
// letters; without names, or beyond them, all are relative.
static bool joint_is_relative(const json_t *config, size_t joint) {
    const json_t *excluded = json_object_get(config, "exclude_joints"), *word;
    const char *name =
        json_string_value(json_array_get(json_object_get(config, "action_names"), joint));
    size_t i;
    json_array_foreach((json_t *)excluded, i, word) {
        const char *text = json_string_value(word);
        if (name && text && text[0] && strcasestr(name, text)) return false;
    }
    return true;
}

CHECKED static bool apply_relative_steps(PipelineReader *r, Error *err) {
    PipelineConfig *p = &r->policy->pipeline;
    const json_t *outputs = json_object_get(r->config, "output_features");
    const json_t *shape = json_object_get(json_object_get(outputs, "action"), "shape");
    json_int_t dims = json_integer_value(json_array_get(shape, 0));
    bool wanted = json_is_true(json_object_get(r->config, "use_relative_actions"));
    if (!r->relative && !r->absolute)
        return !wanted ||
               fail(err,
                    "%s: use_relative_actions is true in config.json, but there is no enabled "
                    "relative_actions_processor",
                    r->path);
    if (!r->relative || !r->absolute)
        return fail(
            err,
            "%s: relative_actions_processor is %s before the policy and absolute_actions_processor "
            "%s after it; the two belong together",
            r->path, r->relative ? "enabled" : "not enabled",
            r->absolute ? "enabled" : "not enabled");
    if (dims < 1 || dims > 65536) return fail(err, "%s: action has no size", r->path);
    bool *relative = arena_try(r->arena, (size_t)dims * sizeof *relative);
    if (!relative) return fail_memory(err, "%s: %lld joints", r->path, (long long)dims);
    for (json_int_t i = 0; i < dims; i++) relative[i] = joint_is_relative(r->relative, (size_t)i);
    p->relative = relative;
    p->relative_dims = (int)dims;
    return keep_text(r, r->relative, &p->relative_step, err);
}

bool pipeline_check(const PolicyConfig *p, const char *where, Error *err) {
    const PipelineConfig *l = &p->pipeline;
    if (!l->relative) return true;
    if (p->obs_state_horizon != 1)
        return fail(err,
                    "%s: its relative_actions_processor takes the state of one observation off the "
                    "actions; --policy.obs_state_horizon=%d is not possible with it",
                    where, p->obs_state_horizon);
    if (p->action_down_sample_steps != 1)
        return fail(err,
                    "%s: its relative_actions_processor belongs to a policy of LeRobot's, which "
                    "gives an action a frame; --policy.action_down_sample_steps=%d is not possible "
                    "with it",
                    where, p->action_down_sample_steps);
    if (p->n_past_actions)
        return fail(err,
                    "%s: its relative_actions_processor belongs to a policy of LeRobot's, which "
                    "predicts no past actions; --policy.n_past_actions=%d is not possible with it",
                    where, p->n_past_actions);
    if (p->arms)
        return fail(err,
                    "%s: its relative_actions_processor makes actions relative already; pass "
                    "--policy.pose_repr=none",
                    where);
    if (l->relative_dims != p->action_dim || p->state_dim < p->action_dim)
        return fail(
            err,
            "%s: its relative_actions_processor takes the state off %d values of an action, but "
            "there are %d, and %d of the state",
            where, l->relative_dims, p->action_dim, p->state_dim);
    return true;
}

// ---- normalisation ------------------------------------------------------------------------------

CHECKED static bool read_eps(const PipelineReader *r, double *out, Error *err) {
    const json_t *eps = json_object_get(r->normalizer, "eps");
    if (!eps) return true;
    *out = json_number_value(eps);
    return (json_is_number(eps) && isfinite(*out) && *out >= 0) ||
           fail(err, "%s: eps of its normalisation is not a number of at least 0", r->path);
}

// The mode of a type of feature; what the step does not name it leaves as it is.
CHECKED static bool mode_of(const PipelineReader *r, const char *type, const char **out,
                            Error *err) {
    static const char *const modes[] = {"IDENTITY", "MEAN_STD", "MIN_MAX"};
    const json_t *value = json_object_get(json_object_get(r->normalizer, "norm_map"), type);
    const char *mode = value ? json_string_value(value) : modes[0];
    for (size_t i = 0; mode && i < sizeof modes / sizeof modes[0]; i++) {
        if (strcmp(mode, modes[i]) != 0) continue;
        *out = modes[i];
        return true;
    }
    return fail(err, "%s: normalises %s by %s; tact has MEAN_STD, MIN_MAX and IDENTITY", r->path,
                type, mode ? mode : "something else");
}

static bool list_has(const json_t *names, const char *name) {
    const json_t *one;
    size_t i;
    json_array_foreach((json_t *)names, i, one) {
        const char *text = json_string_value(one);
        if (text && strcmp(text, name) == 0) return true;
    }
    return false;
}

// Of an observation: only features that the step lists, and of those only the chosen ones.
CHECKED static bool mode_of_feature(const PipelineReader *r, const char *name, const char **out,
                                    Error *err) {
    const json_t *feature = json_object_get(json_object_get(r->normalizer, "features"), name);
    const json_t *chosen = json_object_get(r->normalizer, "normalize_observation_keys");
    const char *type = json_string_value(json_object_get(feature, "type"));
    *out = "IDENTITY";
    if (!type || (json_is_array(chosen) && !list_has(chosen, name))) return true;
    return mode_of(r, type, out, err);
}

CHECKED static bool apply_camera_mode(const PipelineReader *r, Error *err) {
    const char **visual = &r->policy->normalization_mapping.visual, *first = NULL, *name;
    json_t *feature;
    json_object_foreach(json_object_get(r->config, "input_features"), name, feature) {
        const char *type = json_string_value(json_object_get(feature, "type")), *mode;
        if (!type || strcmp(type, "VISUAL") != 0) continue;
        if (!mode_of_feature(r, name, &mode, err)) return false;
        if (first && strcmp(first, mode) != 0)
            return fail(err,
                        "%s: normalises %s by %s and another camera by %s; tact takes all alike",
                        r->path, name, mode, first);
        *visual = first = mode;
    }
    return true;
}

CHECKED static bool apply_normalizer(const PipelineReader *r, Error *err) {
    NormMap *m = &r->policy->normalization_mapping;
    const json_t *inputs = json_object_get(r->config, "input_features");
    if (!r->normalizer) return fail(err, "%s: no step in it normalises with statistics", r->path);
    if (!read_eps(r, &r->policy->pipeline.eps, err) || !apply_camera_mode(r, err)) return false;
    bool env = json_object_get(inputs, "observation.environment_state") != NULL;
    bool state = json_object_get(inputs, "observation.state") != NULL;
    if (env && !mode_of_feature(r, "observation.environment_state", &m->env, err)) return false;
    if (r->own_rows) return true;
    // The mode of a state that the policy does not see stays what the configuration says.
    return (!state || mode_of_feature(r, "observation.state", &m->state, err)) &&
           mode_of(r, "ACTION", &m->action, err);
}

CHECKED static bool apply_inverse_normalizer(const PipelineReader *r, Error *err) {
    const char *mode = NULL, *before = r->policy->normalization_mapping.action;
    if (!r->normalizer)
        return fail(err, "%s: no step in it undoes the normalisation of actions", r->path);
    if (!read_eps(r, &r->policy->pipeline.inverse_eps, err)) return false;
    if (r->own_rows) return true;
    if (!mode_of(r, "ACTION", &mode, err)) return false;
    return strcmp(mode, before) == 0 ||
           fail(err, "%s: actions are %s here, but %s in policy_preprocessor.json", r->path, mode,
                before);
}

// ---- a pipeline ---------------------------------------------------------------------------------

CHECKED static bool read_normalizer_step(PipelineReader *r, const json_t *step, Error *err) {
    if (r->normalizer) return fail(err, "%s: normalises twice", r->path);
    r->normalizer = json_object_get(step, "config");
    return json_is_object(r->normalizer) ||
           fail(err, "%s: its %s has no configuration", r->path, step_name(step));
}

// One of the two steps of actions that are differences to the state.
CHECKED static bool read_relative_step(PipelineReader *r, const json_t *step, Error *err) {
    const json_t *config = json_object_get(step, "config");
    bool enabled = json_is_true(json_object_get(config, "enabled"));
    if (!enabled) return keep_idle_step(r, step, err); // LeRobot's default
    bool here = r->before
                    ? step_is(step, "relative_actions_processor") && !r->normalizer && !r->relative
                    : step_is(step, "absolute_actions_processor") && r->normalizer && !r->absolute;
    if (r->before)
        r->relative = config;
    else
        r->absolute = config;
    return here || fail(err,
                        "%s: %s stands where tact does not know it: LeRobot has "
                        "relative_actions_processor once, before the normaliser, and "
                        "absolute_actions_processor once, after its inverse",
                        r->path, step_name(step));
}

// What they do is looked at when all are known.
CHECKED static bool read_frame_step(PipelineReader *r, const json_t *step, Error *err) {
    if (r->normalizer || !r->before)
        return fail(err,
                    "%s: its step %s stands after the normalisation; tact changes frames before",
                    r->path, step_name(step));
    return json_array_append(r->frames, (json_t *)step) == 0 ||
           fail_memory(err, "%s: its step %s", r->path, step_name(step));
}

CHECKED static bool apply_frame_steps(PipelineReader *r, Error *err) {
    if (!json_array_size(r->frames)) return true;
    if (r->alone) return frame_steps_apply(r->frames, r->config, r->policy, r->arena, r->path, err);
    return keep_text(r, r->frames, &r->policy->pipeline.frame_steps, err);
}

CHECKED static bool read_step(PipelineReader *r, const json_t *step, Error *err) {
    const json_t *config = json_object_get(step, "config");
    bool normalizes = r->before ? step_is(step, "normalizer_processor") ||
                                      step_is(step, "temporal_normalize_processor")
                                : step_is(step, "unnormalizer_processor");
    if (json_is_false(json_object_get(config, "enabled"))) return keep_idle_step(r, step, err);
    if (normalizes) return read_normalizer_step(r, step, err);
    if (step_is(step, "rename_observations_processor")) return read_rename_step(r, step, err);
    if (step_is(step, "to_batch_processor")) return true;
    if (step_is(step, "device_processor")) return read_device_step(r, step, err);
    if (r->before && step_is_for_words(step)) return keep_idle_step(r, step, err);
    if (frame_step_is(step_name(step))) return read_frame_step(r, step, err);
    if (step_is(step, "relative_actions_processor") || step_is(step, "absolute_actions_processor"))
        return read_relative_step(r, step, err);
    return fail(
        err,
        "%s: its step %s is none that tact knows, and would be left out; disable it (\"enabled\": "
        "false) or take it away if the policy does not need it",
        r->path, step_name(step));
}

CHECKED static bool read_pipeline(PipelineReader *r, const char *dir, bool before, json_t **root,
                                  Error *err) {
    const json_t *step;
    size_t i;
    r->before = before;
    r->normalizer = NULL;
    snprintf(r->path, sizeof r->path, "%s/policy_%sprocessor.json", dir, before ? "pre" : "post");
    // LeRobot opens none without it, but there is nothing that it alone would say.
    if (!before && !file_exists(r->path)) return apply_relative_steps(r, err);
    if (!json_read(r->path, root, err)) return false;
    const json_t *steps = json_object_get(*root, "steps");
    if (!json_is_array(steps)) return fail(err, "%s: no list of steps in it", r->path);
    r->idle = (json_array)();
    r->frames = (json_array)();
    bool ok = (r->idle && r->frames) || fail_memory(err, "%s: its steps", r->path);
    json_array_foreach((json_t *)steps, i, step) {
        ok = ok && read_step(r, step, err);
    }
    const char **kept = before ? &r->policy->pipeline.idle_before : &r->policy->pipeline.idle_after;
    *kept = NULL;
    ok = ok && (!json_array_size(r->idle) || keep_text(r, r->idle, kept, err));
    ok = ok && apply_frame_steps(r, err);
    json_decref(r->idle);
    json_decref(r->frames);
    return ok && (before ? apply_normalizer(r, err)
                         : apply_inverse_normalizer(r, err) && apply_relative_steps(r, err));
}

bool processors_read(const char *dir, const json_t *config, bool alone, PolicyConfig *p,
                     Arena *arena, Error *err) {
    const char *type = json_string_value(json_object_get(config, "type"));
    json_t *before = NULL, *after = NULL;
    PipelineReader r = {.policy = p, .arena = arena, .config = config, .alone = alone};
    // A policy of type tact with relative poses makes and normalises its rows itself
    // (processors_write.c).
    r.own_rows =
        type && strcmp(type, "tact") == 0 && p->pose_repr && strcmp(p->pose_repr, "relative") == 0;
    snprintf(r.path, sizeof r.path, "%s/policy_preprocessor.json", dir);
    if (!file_exists(r.path)) return true; // LeRobot before 0.4
    bool ok =
        read_pipeline(&r, dir, true, &before, err) && read_pipeline(&r, dir, false, &after, err);
    json_decref(before);
    json_decref(after);
    return ok;
}
