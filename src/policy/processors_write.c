// SPDX-License-Identifier: Apache-2.0
// LeRobot's policy_preprocessor and policy_postprocessor: what it does to a batch before and after
// the policy, and the statistics it does it with.
#include "policy/processors.h"

#include "base/file.h"
#include "config/config_json.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "policy/policy_locate.h"
#include "policy/processors_frames.h"
#include <stdio.h>
#include <string.h>

enum { MAX_TENSORS = (3 + MAX_CAMERAS) * 5 };

// Of the steps that normalise: LeRobot numbers them by their place in the pipeline.
typedef struct StateFiles {
    char before[96], after[96];
} StateFiles;

typedef struct Tensors {
    SafetensorsEntry entries[MAX_TENSORS];
    int n;
    Arena arena; // names and values
} Tensors;

// LeRobot keeps everything as float32.
static void add_tensor(Tensors *t, const char *feature, const char *kind, const double *values,
                       int count, bool image) {
    if (!values || count == 0) return;
    float *data = arena_alloc(&t->arena, (size_t)count * sizeof *data);
    for (int i = 0; i < count; i++) data[i] = (float)values[i];
    t->entries[t->n++] = (SafetensorsEntry){.name = arena_printf(&t->arena, "%s.%s", feature, kind),
                                            .type = ST_F32,
                                            .rank = image ? 3 : 1,
                                            .shape = {count, 1, 1},
                                            .count = count,
                                            .data = data,
                                            .bytes = (size_t)count * sizeof *data};
}

static void add_stats(Tensors *t, const char *feature, const Stats *s, bool image) {
    double count = (double)s->count;
    add_tensor(t, feature, "min", s->min, s->dim, image);
    add_tensor(t, feature, "max", s->max, s->dim, image);
    add_tensor(t, feature, "mean", s->mean, s->dim, image);
    add_tensor(t, feature, "std", s->std, s->dim, image);
    add_tensor(t, feature, "count", s->dim && s->count ? &count : NULL, 1, false);
}

// Both processors hold the statistics of everything.
CHECKED static bool write_states(const char *dir, const PolicyConfig *p, const PolicyStats *stats,
                                 const StateFiles *names, Error *err) {
    const char *const files[] = {names->before, names->after};
    Tensors t = {.n = 0};
    add_stats(&t, "observation.state", &stats->state, false);
    add_stats(&t, "observation.environment_state", &stats->env, false);
    add_stats(&t, "action", &stats->action, false);
    for (int i = 0; i < p->n_cameras; i++)
        add_stats(&t, p->cameras[i].name, &stats->cameras[i], true);
    bool ok = true;
    for (int i = 0; ok && i < 2; i++) {
        char path[POLICY_PATH + 128];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        ok = safetensors_write(path, t.entries, t.n, false, err);
    }
    arena_free(&t.arena);
    return ok;
}

static json_t *new_step(const char *name, json_t *config, const char *state_file) {
    json_t *object = json_pack("{s:s, s:o}", "registry_name", name, "config", config);
    if (state_file) json_object_set_new(object, "state_file", json_string(state_file));
    return object;
}

static json_t *new_device_step(const char *device) {
    return new_step("device_processor", json_pack("{s:s, s:n}", "device", device, "float_dtype"),
                    NULL);
}

// In LeRobot a policy of type tact makes and normalises rows of relative poses itself: what
// LeRobot's step sees are the recorded ones, which are not to be scaled with statistics of the
// others. Plain ACT (type act) is given the 10-value rows, and has them normalised.
static json_t *new_normalizer_step(const char *name, json_t *features, const json_t *policy,
                                   bool own_rows, double eps, const char *file) {
    json_t *map = json_deep_copy(json_object_get(policy, "normalization_mapping"));
    if (own_rows) {
        json_object_set_new(map, "STATE", json_string("IDENTITY"));
        json_object_set_new(map, "ACTION", json_string("IDENTITY"));
    }
    return new_step(name,
                    json_pack("{s:f, s:o, s:o}", "eps", eps, "features", features, "norm_map", map),
                    file);
}

CHECKED static bool write_pipeline(const char *dir, const char *name, json_t *steps, Error *err) {
    char path[POLICY_PATH + 128];
    json_t *object = json_pack("{s:s, s:o}", "name", name, "steps", steps);
    snprintf(path, sizeof path, "%s/%s.json", dir, name);
    bool ok = json_write(path, object, 2, err);
    json_decref(object);
    return ok;
}

// JSON that was kept as text; `or_else` where there was none.
static json_t *parse_kept(const char *text, json_t *or_else) {
    json_t *value = text ? json_parse_argument(text, 0, NULL) : NULL;
    if (!value) return or_else;
    json_decref(or_else);
    return value;
}

static void append_kept_steps(json_t *steps, const char *idle) {
    json_t *list = parse_kept(idle, json_array());
    json_array_extend(steps, list);
    json_decref(list);
}

// The steps as LeRobot's own pipelines have them, with what a checkpoint had more in its place:
// what does nothing before the normalisation and after its inverse, the differences to the state
// around both. Frames are changed where they are computed on, and before their values are.
static json_t *steps_before(const PolicyConfig *p, const json_t *policy, bool own_rows,
                            StateFiles *names) {
    json_t *steps = json_array();
    json_t *features = json_deep_copy(json_object_get(policy, "input_features"));
    json_object_update(features, json_object_get(policy, "output_features"));
    json_t *map = parse_kept(p->rename_map, json_object());
    json_array_append_new(steps, new_step("rename_observations_processor",
                                          json_pack("{s:o}", "rename_map", map), NULL));
    json_array_append_new(steps, new_step("to_batch_processor", json_object(), NULL));
    append_kept_steps(steps, p->pipeline.idle_before);
    json_array_append_new(steps, new_device_step(policy_torch_device(p)));
    json_t *frames = frame_steps(p);
    json_array_extend(steps, frames);
    json_decref(frames);
    if (p->pipeline.relative)
        json_array_append_new(steps,
                              new_step("relative_actions_processor",
                                       parse_kept(p->pipeline.relative_step, json_object()), NULL));
    snprintf(names->before, sizeof names->before,
             "policy_preprocessor_step_%zu_normalizer_processor.safetensors",
             json_array_size(steps));
    json_array_append_new(steps, new_normalizer_step("normalizer_processor", features, policy,
                                                     own_rows, p->pipeline.eps, names->before));
    return steps;
}

static json_t *steps_after(const PolicyConfig *p, const json_t *policy, bool own_rows,
                           StateFiles *names) {
    json_t *steps = json_array();
    json_t *features = json_deep_copy(json_object_get(policy, "output_features"));
    snprintf(names->after, sizeof names->after,
             "policy_postprocessor_step_0_unnormalizer_processor.safetensors");
    json_array_append_new(steps,
                          new_normalizer_step("unnormalizer_processor", features, policy, own_rows,
                                              p->pipeline.inverse_eps, names->after));
    if (p->pipeline.relative)
        json_array_append_new(
            steps, new_step("absolute_actions_processor", json_pack("{s:b}", "enabled", 1), NULL));
    append_kept_steps(steps, p->pipeline.idle_after);
    json_array_append_new(steps, new_device_step("cpu"));
    return steps;
}

bool processors_write(const char *dir, const PolicyConfig *p, const PolicyStats *stats,
                      Error *err) {
    json_t *policy = policy_to_json(p);
    StateFiles names;
    frame_steps_warn(dir, p);
    bool own_rows =
        p->arms > 0 && strcmp(json_string_value(json_object_get(policy, "type")), "tact") == 0;
    json_t *before = steps_before(p, policy, own_rows, &names);
    json_t *after = steps_after(p, policy, own_rows, &names);
    json_decref(policy);
    // Both pipelines are given away, so both are written or freed.
    bool ok = write_pipeline(dir, "policy_preprocessor", before, err);
    if (!ok) json_decref(after);
    return ok && write_pipeline(dir, "policy_postprocessor", after, err) &&
           write_states(dir, p, stats, &names, err);
}
