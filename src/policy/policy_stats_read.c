// SPDX-License-Identifier: Apache-2.0
// What a checkpoint is normalised with, from wherever its age put it.
#include "policy/policy_stats.h"

#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "policy/policy_locate.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- where numbers come from --------------------------------------------------------------------

// The values of one statistic of a feature into out (at most `room`); returns how many there are, 0
// none.
typedef int64_t (*StatsSource)(const void *from, const char *feature, const char *kind, double *out,
                               int64_t room);

static int64_t entry_values(const SafetensorsEntry *e, double *out, int64_t room) {
    if (!e) return 0;
    for (int64_t i = 0; i < e->count && i < room; i++) out[i] = safetensors_value(e, i);
    return e->count;
}

static int64_t from_processor(const void *from, const char *feature, const char *kind, double *out,
                              int64_t room) {
    char name[512];
    snprintf(name, sizeof name, "%s.%s", feature, kind);
    return entry_values(safetensors_find(from, name), out, room);
}

// "normalize_inputs.buffer_observation_state.mean" and its like.
static int64_t from_buffers(const void *from, const char *feature, const char *kind, double *out,
                            int64_t room) {
    static const char *const places[] = {"normalize_inputs", "unnormalize_outputs",
                                         "normalize_targets"};
    char key[256], name[512];
    snprintf(key, sizeof key, "%s", feature);
    for (char *c = key; *c; c++)
        if (*c == '.') *c = '_';
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        snprintf(name, sizeof name, "%s.buffer_%s.%s", places[i], key, kind);
        const SafetensorsEntry *e = safetensors_find(from, name);
        if (e) return entry_values(e, out, room);
    }
    return 0;
}

// [1, 2] or, for an image's channels, [[[1]], [[2]], [[3]]].
static int64_t from_json(const void *from, const char *feature, const char *kind, double *out,
                         int64_t room) {
    const json_t *values = json_object_get(json_object_get(from, feature), kind);
    for (size_t i = 0; i < json_array_size(values) && (int64_t)i < room; i++) {
        const json_t *v = json_array_get(values, i);
        while (json_is_array(v)) v = json_array_get(v, 0);
        out[i] = json_is_number(v) ? json_number_value(v) : (double)NAN;
    }
    return (int64_t)json_array_size(values);
}

CHECKED static bool read_vector(const void *from, StatsSource source, const char *where,
                                const char *feature, int dim, Stats *out, Error *err) {
    double count = 0;
    out->dim = dim;
    for (int k = 0; k < STATS_KINDS; k++) {
        double *values = TRY_NEW(double, dim);
        if (!values) return fail_memory(err, "%s: %d values of %s", where, dim, feature);
        int64_t n = source(from, feature, stats_kinds[k], values, dim);
        if (n == dim) {
            *stats_array(out, k) = values;
            continue;
        }
        mem_free(values);
        if (n)
            return fail(err, "%s: its %s of %s has %lld values, but the policy's %s has %d", where,
                        stats_kinds[k], feature, (long long)n, feature, dim);
    }
    if (source(from, feature, "count", &count, 1) && count > 0 && count < 9e15)
        out->count = (int64_t)count;
    return true;
}

CHECKED static bool read_vectors(const void *from, StatsSource source, const char *where,
                                 const PolicyConfig *p, PolicyStats *out, Error *err) {
    if (p->state_dim &&
        !read_vector(from, source, where, "observation.state", p->state_dim, &out->state, err))
        return false;
    if (p->env_dim && !read_vector(from, source, where, "observation.environment_state", p->env_dim,
                                   &out->env, err))
        return false;
    return read_vector(from, source, where, "action", p->action_dim, &out->action, err);
}

CHECKED static bool read_cameras(const void *from, StatsSource source, const char *where,
                                 const PolicyConfig *p, PolicyStats *out, Error *err) {
    for (int i = 0; i < p->n_cameras; i++)
        if (!read_vector(from, source, where, p->cameras[i].name, CAMERA_CHANNELS, &out->cameras[i],
                         err))
            return false;
    return true;
}

CHECKED static bool read_vectors_and_cameras(const void *from, StatsSource source,
                                             const char *where, const PolicyConfig *p,
                                             PolicyStats *out, Error *err) {
    return read_vectors(from, source, where, p, out, err) &&
           read_cameras(from, source, where, p, out, err);
}

// ---- layouts ------------------------------------------------------------------------------------

// The state file of the step that normalises, or undoes it, as the pipeline names it. path "": it
// has none.
CHECKED static bool find_state_file(const char *dir, const char *pipeline, char *path, size_t size,
                                    Error *err) {
    json_t *root = NULL, *step;
    size_t i;
    bool found = false;
    path[0] = 0;
    if (!json_read(pipeline, &root, err)) return false;
    json_array_foreach(json_object_get(root, "steps"), i, step) {
        const char *name = json_string_value(json_object_get(step, "registry_name"));
        const char *file = json_string_value(json_object_get(step, "state_file"));
        bool normalizes = name && (strcmp(name, "normalizer_processor") == 0 ||
                                   strcmp(name, "unnormalizer_processor") == 0 ||
                                   strcmp(name, "temporal_normalize_processor") == 0);
        if (!normalizes || !file || strchr(file, '/') || found) continue;
        snprintf(path, size, "%s/%s", dir, file);
        found = true;
    }
    json_decref(root);
    return true;
}

static bool needs_none(const PolicyConfig *p) {
    const NormMap *m = &p->normalization_mapping;
    return (!p->state_dim || norm_mode_named(m->state) == NORM_IDENTITY) &&
           (!p->n_cameras || norm_mode_named(m->visual) == NORM_IDENTITY) &&
           norm_mode_named(m->env) == NORM_IDENTITY && norm_mode_named(m->action) == NORM_IDENTITY;
}

static bool same_numbers(const double *a, const double *b, int n) {
    return (!a && !b) || (a && b && memcmp(a, b, (size_t)n * sizeof *a) == 0);
}

// LeRobot undoes the normalisation of actions with the numbers of the postprocessor, which somebody
// may have changed there alone. tact has one set of numbers for both, so it refuses such a policy.
CHECKED static bool check_postprocessor(const char *dir, const PolicyConfig *p,
                                        const PolicyStats *s, Error *err) {
    char pipeline[POLICY_PATH + 64], path[POLICY_PATH + 256];
    Safetensors *file = NULL;
    Stats other = {0};
    snprintf(pipeline, sizeof pipeline, "%s/policy_postprocessor.json", dir);
    if (!file_exists(pipeline)) return true;
    if (!find_state_file(dir, pipeline, path, sizeof path, err)) return false;
    if (!path[0] || !file_exists(path)) return true;
    if (!safetensors_open(path, &file, err)) return false;
    bool ok = read_vector(file, from_processor, path, "action", p->action_dim, &other, err);
    bool range = norm_mode_named(p->normalization_mapping.action) == NORM_MIN_MAX;
    bool same = norm_mode_named(p->normalization_mapping.action) == NORM_IDENTITY ||
                (same_numbers(range ? s->action.min : s->action.mean,
                              range ? other.min : other.mean, p->action_dim) &&
                 same_numbers(range ? s->action.max : s->action.std, range ? other.max : other.std,
                              p->action_dim));
    if (ok && !same)
        ok = fail(err, "%s: its statistics of action are not those of the preprocessor", path);
    stats_free(&other);
    safetensors_close(file);
    return ok;
}

// Statistics of cameras, and with `vectors` of everything.
CHECKED static bool read_preprocessor(const char *dir, const char *pipeline, const PolicyConfig *p,
                                      bool vectors, PolicyStats *out, Error *err) {
    char path[POLICY_PATH + 256];
    Safetensors *s = NULL;
    if (!find_state_file(dir, pipeline, path, sizeof path, err)) return false;
    if (!path[0] && needs_none(p)) return true;
    if (!path[0]) return fail(err, "%s: no step in it normalises with statistics", pipeline);
    if (!safetensors_open(path, &s, err)) return false;
    bool ok =
        (vectors ? read_vectors_and_cameras : read_cameras)(s, from_processor, path, p, out, err);
    safetensors_close(s);
    return ok;
}

// The plugin for LeRobot keeps the statistics of relative rows in a file of their own: a
// fine-tuning in LeRobot overwrites the processors' with the dataset's, which are of the absolute
// poses.
CHECKED static bool read_rows(const char *path, const PolicyConfig *p, PolicyStats *out,
                              Error *err) {
    Safetensors *s = NULL;
    if (!safetensors_open(path, &s, err)) return false;
    bool ok = read_vectors(s, from_processor, path, p, out, err);
    safetensors_close(s);
    return ok;
}

// Old checkpoints have them among the weights. *there: whether this one does.
CHECKED static bool read_buffers(const char *dir, const PolicyConfig *p, PolicyStats *out,
                                 bool *there, Error *err) {
    char path[POLICY_PATH + 64];
    Safetensors *s = NULL;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    if (!safetensors_look(path, &s, err)) return false;
    *there = false;
    for (int i = 0; i < safetensors_count(s); i++)
        *there = *there || strstr(safetensors_entry(s, i)->name, "normalize_");
    safetensors_close(s);
    if (!*there) return true;
    if (!safetensors_open(path, &s, err)) return false;
    bool ok = read_vectors_and_cameras(s, from_buffers, path, p, out, err);
    safetensors_close(s);
    return ok;
}

CHECKED static bool read_dataset(const char *dataset, const PolicyConfig *p, PolicyStats *out,
                                 Error *err) {
    char path[POLICY_PATH + 64];
    json_t *root = NULL;
    snprintf(path, sizeof path, "%s/meta/stats.json", dataset);
    if (!json_read(path, &root, err)) return false;
    bool ok = read_vectors_and_cameras(root, from_json, path, p, out, err);
    json_decref(root);
    return ok;
}

// What normalising needs is there and finite.
CHECKED static bool check_usable(const PolicyConfig *p, PolicyStats *s, const char *dir,
                                 Error *err) {
    Normalizer state = {0}, env = {0}, action = {0};
    Error why;
    bool ok = policy_normalizers(p, s, &state, &env, &action, &why) && policy_images(p, s, &why);
    normalizer_free(&state);
    normalizer_free(&env);
    normalizer_free(&action);
    return ok || fail_because(err, &why, "%s: %.900s", dir, why.text);
}

bool policy_read_stats(const char *dir, const char *dataset, const PolicyConfig *p,
                       PolicyStats *out, Error *err) {
    char pipeline[POLICY_PATH + 64], rows[POLICY_PATH + 64];
    bool there = true, ok, piped = false, own = false;
    *out = (PolicyStats){0};
    snprintf(pipeline, sizeof pipeline, "%s/policy_preprocessor.json", dir);
    snprintf(rows, sizeof rows, "%s/stats.safetensors", dir);
    if (file_exists(pipeline)) {
        piped = true;
        own = p->arms > 0 && file_exists(rows);
        ok = (!own || read_rows(rows, p, out, err)) &&
             read_preprocessor(dir, pipeline, p, !own, out, err);
    } else {
        ok = read_buffers(dir, p, out, &there, err);
        if (ok && !there && dataset)
            ok = read_dataset(dataset, p, out, err);
        else if (ok && !there)
            ok = fail(err,
                      "%s: no statistics in it: neither policy_preprocessor.json nor buffers among "
                      "the weights; name the dataset it was trained on",
                      dir);
    }
    ok = ok && check_usable(p, out, dir, err) &&
         (!piped || own || check_postprocessor(dir, p, out, err));
    if (!ok) {
        policy_stats_free(out);
        *out = (PolicyStats){0};
    }
    return ok;
}
