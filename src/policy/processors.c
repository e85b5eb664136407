// SPDX-License-Identifier: Apache-2.0
// LeRobot's policy_preprocessor and policy_postprocessor: what it does to a batch before and after
// the policy, and the statistics it does it with.
#include "policy/policy.h"

#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include <stdio.h>
#include <string.h>

enum { MAX_TENSORS = 3 * 5 + 2 * MAX_CAMERAS };

#define STATE_FILE_PRE "policy_preprocessor_step_3_normalizer_processor.safetensors"
#define STATE_FILE_POST "policy_postprocessor_step_0_unnormalizer_processor.safetensors"

typedef struct Tensors {
    SafetensorsEntry entries[MAX_TENSORS];
    int n;
    Arena arena; // names and values
} Tensors;

// LeRobot keeps everything as float32.
static void add(Tensors *t, const char *feature, const char *kind, const double *values, int count,
                bool image) {
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

static void add_vector(Tensors *t, const char *feature, const Stats *s) {
    double count = (double)s->count;
    add(t, feature, "min", s->min, s->dim, false);
    add(t, feature, "max", s->max, s->dim, false);
    add(t, feature, "mean", s->mean, s->dim, false);
    add(t, feature, "std", s->std, s->dim, false);
    add(t, feature, "count", s->dim && s->count ? &count : NULL, 1, false);
}

static void add_camera(Tensors *t, const char *camera, const ImageStats *s) {
    double mean[3], std[3];
    for (int k = 0; k < 3; k++) {
        mean[k] = (double)s->mean[k];
        std[k] = (double)s->std[k];
    }
    add(t, camera, "mean", mean, 3, true);
    add(t, camera, "std", std, 3, true);
}

// Both processors hold the statistics of everything.
CHECKED static bool write_states(const char *dir, const PolicyConfig *p, const PolicyStats *stats,
                                 Error *err) {
    static const char *const files[] = {STATE_FILE_PRE, STATE_FILE_POST};
    Tensors t = {.n = 0};
    add_vector(&t, "observation.state", &stats->state);
    add_vector(&t, "observation.environment_state", &stats->env);
    add_vector(&t, "action", &stats->action);
    for (int i = 0; i < p->n_cameras; i++) add_camera(&t, p->cameras[i].name, &stats->images[i]);
    bool ok = true;
    for (int i = 0; ok && i < 2; i++) {
        char path[POLICY_PATH + 128];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        ok = safetensors_write(path, t.entries, t.n, false, err);
    }
    arena_free(&t.arena);
    return ok;
}

static json_t *step(const char *name, json_t *config, const char *state_file) {
    json_t *object = json_pack("{s:s, s:o}", "registry_name", name, "config", config);
    if (state_file) json_object_set_new(object, "state_file", json_string(state_file));
    return object;
}

static json_t *device_step(const char *device) {
    return step("device_processor", json_pack("{s:s, s:n}", "device", device, "float_dtype"), NULL);
}

// In LeRobot a policy of type tact makes and normalises rows of relative poses itself: what LeRobot's step
// sees are the recorded ones, which are not to be scaled with statistics of the others. Plain ACT (type
// act) is given the 10-value rows, and has them normalised.
static json_t *normalizer(const char *name, json_t *features, const json_t *policy, bool own_rows,
                          const char *file) {
    json_t *map = json_deep_copy(json_object_get(policy, "normalization_mapping"));
    if (own_rows) {
        json_object_set_new(map, "STATE", json_string("IDENTITY"));
        json_object_set_new(map, "ACTION", json_string("IDENTITY"));
    }
    return step(name,
                json_pack("{s:f, s:o, s:o}", "eps", 1e-8, "features", features, "norm_map", map),
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

const char *processors_rename_map(const char *dir, Arena *arena) {
    char path[POLICY_PATH + 64];
    json_t *root = NULL, *step;
    size_t i;
    Error ignored;
    const char *map = NULL;
    snprintf(path, sizeof path, "%s/policy_preprocessor.json", dir);
    if (!file_exists(path) || !json_read(path, &root, &ignored)) return NULL;
    json_array_foreach(json_object_get(root, "steps"), i, step) {
        const char *name = json_string_value(json_object_get(step, "registry_name"));
        const json_t *names = json_object_get(json_object_get(step, "config"), "rename_map");
        if (!name || strcmp(name, "rename_observations_processor") != 0) continue;
        if (!json_object_size(names)) continue;
        char *text = json_text(names, 0);
        map = arena_strdup(arena, text);
        mem_free(text);
    }
    json_decref(root);
    return map;
}

bool processors_write(const char *dir, const PolicyConfig *p, const PolicyStats *stats,
                      Error *err) {
    json_t *policy = policy_to_json(p);
    const json_t *inputs = json_object_get(policy, "input_features");
    const json_t *outputs = json_object_get(policy, "output_features");
    json_t *all = json_deep_copy(inputs), *before = json_array(), *after = json_array();
    bool own_rows = p->arms > 0 && strcmp(json_string_value(json_object_get(policy, "type")), "tact") == 0;
    json_object_update(all, (json_t *)outputs);
    json_t *names = p->rename_map ? json_loads(p->rename_map, 0, NULL) : json_object();
    json_array_append_new(before, step("rename_observations_processor",
                                       json_pack("{s:o}", "rename_map", names), NULL));
    json_array_append_new(before, step("to_batch_processor", json_object(), NULL));
    json_array_append_new(before, device_step(p->device ? p->device : "cpu"));
    json_array_append_new(before, normalizer("normalizer_processor", all, policy, own_rows, STATE_FILE_PRE));
    json_array_append_new(after, normalizer("unnormalizer_processor", json_deep_copy(outputs),
                                            policy, own_rows, STATE_FILE_POST));
    json_array_append_new(after, device_step("cpu"));
    json_decref(policy);
    // Both pipelines are given away, so both are written or freed.
    bool ok = write_pipeline(dir, "policy_preprocessor", before, err);
    if (!ok) json_decref(after);
    return ok && write_pipeline(dir, "policy_postprocessor", after, err) &&
           write_states(dir, p, stats, err);
}
