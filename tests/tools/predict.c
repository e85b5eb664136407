// SPDX-License-Identifier: Apache-2.0
// predict CHECKPOINT INPUTS OUTPUT [EXPECTED]: the action chunks of a checkpoint for given observations, so
// that another program's can be held against them (tests/interop). CHECKPOINT is a pretrained_model
// directory; INPUTS a safetensors file: observation.state (N, T, D), observation.environment_state (N, E),
// each camera (N, T, h, w, 3) uint8. OUTPUT gets action (N, S, A). With EXPECTED, which has action too, the
// exit code says whether they agree to 1e-5 (relative, L2).
//
// Vectors are as a robot has them, and so are the actions; poses that the checkpoint wants relative
// (tact.json) may come absolute (7 values an arm), then the actions are absolute too. Statistics are those
// of stats.safetensors, else of the preprocessor's state file, else among the weights as LeRobot had them
// before 0.4; without any, vectors pass as they are and images get ImageNet's.
#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "model/act.h"
#include "normalize/normalize.h"
#include "pose/pose.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct Predict {
    const char *dir;
    json_t *config, *tact;
    PolicyConfig policy;
    Safetensors *stats, *processor, *weights, *inputs;
    Normalizer state_norm, env_norm, action_norm;
    ImageStats images[MAX_CAMERAS];
    Device *device;
    Params params;
    Act *act;
} Predict;

static char *path_of(char *out, size_t size, const char *dir, const char *name) {
    snprintf(out, size, "%s/%s", dir, name);
    return out;
}

// ---- configuration ----------------------------------------------------------------------------

static int integer(const json_t *object, const char *key, int fallback) {
    const json_t *v = json_object_get(object, key);
    return json_is_integer(v) ? (int)json_integer_value(v) : fallback;
}

// LeRobot writes some of them as 0 and 1; a key that is missing is false.
static bool truth(const json_t *object, const char *key) {
    const json_t *v = json_object_get(object, key);
    return json_is_true(v) || (json_is_integer(v) && json_integer_value(v) != 0);
}

static const char *text(const json_t *object, const char *key, const char *fallback) {
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : fallback;
}

static void read_features(PolicyConfig *p, const json_t *config) {
    const char *name;
    json_t *feature;
    json_object_foreach(json_object_get(config, "input_features"), name, feature) {
        const char *type = text(feature, "type", "");
        const json_t *shape = json_object_get(feature, "shape");
        int first = (int)json_integer_value(json_array_get(shape, 0));
        if (strcmp(type, "VISUAL") == 0 && p->n_cameras < MAX_CAMERAS) {
            p->image_height = (int)json_integer_value(json_array_get(shape, 1));
            p->image_width = (int)json_integer_value(json_array_get(shape, 2));
            p->cameras[p->n_cameras++].name = name;
        } else if (strcmp(type, "ENV") == 0) {
            p->env_dim = first;
        } else if (strcmp(name, "observation.state") == 0) {
            p->state_dim = first;
        }
    }
    const json_t *action = json_object_get(json_object_get(config, "output_features"), "action");
    p->action_dim = (int)json_integer_value(json_array_get(json_object_get(action, "shape"), 0));
}

// `tact` NULL: a policy of LeRobot's, one observation and no temporal table.
static void read_config(PolicyConfig *p, const json_t *config, const json_t *tact) {
    p->chunk_size = integer(config, "chunk_size", 100);
    p->vision_backbone = text(config, "vision_backbone", "resnet18");
    p->replace_final_stride_with_dilation = truth(config, "replace_final_stride_with_dilation");
    p->pre_norm = truth(config, "pre_norm");
    p->dim_model = integer(config, "dim_model", 512);
    p->n_heads = integer(config, "n_heads", 8);
    p->dim_feedforward = integer(config, "dim_feedforward", 3200);
    p->feedforward_activation = text(config, "feedforward_activation", "relu");
    p->n_encoder_layers = integer(config, "n_encoder_layers", 4);
    p->n_decoder_layers = integer(config, "n_decoder_layers", 1);
    p->use_vae = !json_object_get(config, "use_vae") || truth(config, "use_vae");
    p->latent_dim = integer(config, "latent_dim", 32);
    p->n_vae_encoder_layers = integer(config, "n_vae_encoder_layers", 4);
    p->obs_state_horizon = integer(tact, "obs_state_horizon", 1);
    p->temporal_pos_embed = text(tact, "temporal_pos_embed", "none");
    p->arms = integer(tact, "arms", 0);
    read_features(p, config);
}

// ---- statistics -------------------------------------------------------------------------------

// stats.safetensors, and the state file that policy_preprocessor.json names.
CHECKED static bool open_stats(Predict *r, Error *err) {
    char path[4096];
    if (file_exists(path_of(path, sizeof path, r->dir, "stats.safetensors")) &&
        !safetensors_open(path, &r->stats, err))
        return false;
    if (!file_exists(path_of(path, sizeof path, r->dir, "policy_preprocessor.json"))) return true;
    json_t *pipeline = NULL, *step;
    size_t i;
    bool ok = json_read(path, &pipeline, err);
    json_array_foreach(json_object_get(pipeline, "steps"), i, step) {
        const char *file = text(step, "state_file", NULL);
        if (file && !r->processor)
            ok = safetensors_open(path_of(path, sizeof path, r->dir, file), &r->processor, err);
    }
    json_decref(pipeline);
    return ok;
}

// "normalize_inputs.buffer_observation_state.mean" and its like.
static const SafetensorsEntry *buffer(const Predict *r, const char *feature, const char *kind) {
    char key[256], name[512];
    snprintf(key, sizeof key, "%s", feature);
    for (char *c = key; *c; c++)
        if (*c == '.') *c = '_';
    const char *module = strcmp(feature, "action") == 0 ? "unnormalize_outputs" : "normalize_inputs";
    snprintf(name, sizeof name, "%s.buffer_%s.%s", module, key, kind);
    return safetensors_find(r->weights, name);
}

static bool has_stats(const Predict *r) {
    return r->stats || r->processor || buffer(r, "action", "mean") || buffer(r, "action", "min");
}

// NULL where there is no such statistic of exactly `dim` values. To be freed.
static double *stat(const Predict *r, const char *feature, const char *kind, int dim) {
    char name[512];
    snprintf(name, sizeof name, "%s.%s", feature, kind);
    const SafetensorsEntry *e = r->stats ? safetensors_find(r->stats, name) : NULL;
    if (!e && r->processor) e = safetensors_find(r->processor, name);
    if (!e) e = buffer(r, feature, kind);
    if (!e || e->count != dim) return NULL;
    double *out = NEW(double, dim);
    for (int i = 0; i < dim; i++) out[i] = safetensors_value(e, i);
    return out;
}

CHECKED static bool set_normalizer(Predict *r, Normalizer *n, const char *feature, const char *type,
                                   int dim, Error *err) {
    const char *mode = text(json_object_get(r->config, "normalization_mapping"), type, "IDENTITY");
    NormMode kind = !has_stats(r)                   ? NORM_IDENTITY
                    : strcmp(mode, "MIN_MAX") == 0  ? NORM_MIN_MAX
                    : strcmp(mode, "MEAN_STD") == 0 ? NORM_MEAN_STD
                                                    : NORM_IDENTITY;
    if (dim == 0) return true;
    Stats s = {.dim = dim, .min = stat(r, feature, "min", dim), .max = stat(r, feature, "max", dim),
               .mean = stat(r, feature, "mean", dim), .std = stat(r, feature, "std", dim)};
    bool ok = normalizer_init(n, feature, kind, &s, dim, err);
    double *owned[] = {s.min, s.max, s.mean, s.std};
    for (int i = 0; i < 4; i++) mem_free(owned[i]);
    return ok;
}

static void set_image_stats(Predict *r) {
    for (int i = 0; i < r->policy.n_cameras; i++) {
        double *mean = stat(r, r->policy.cameras[i].name, "mean", 3);
        double *std = stat(r, r->policy.cameras[i].name, "std", 3);
        r->images[i] = image_stats_imagenet;
        for (int k = 0; mean && std && k < 3; k++) {
            r->images[i].mean[k] = (float)mean[k];
            r->images[i].std[k] = (float)std[k];
        }
        mem_free(mean);
        mem_free(std);
    }
}

CHECKED static bool set_statistics(Predict *r, Error *err) {
    const PolicyConfig *p = &r->policy;
    if (!open_stats(r, err)) return false;
    set_image_stats(r);
    return set_normalizer(r, &r->state_norm, "observation.state", "STATE", p->state_dim, err) &&
           set_normalizer(r, &r->env_norm, "observation.environment_state", "ENV", p->env_dim, err) &&
           set_normalizer(r, &r->action_norm, "action", "ACTION", p->action_dim, err);
}

// ---- weights ----------------------------------------------------------------------------------

// Strict in what is missing; normalisation buffers of old LeRobots may stand beside the weights.
CHECKED static bool load_weights(Predict *r, Error *err) {
    bool ok = true;
    for (int i = 0; ok && i < r->params.count; i++) {
        const Param *q = &r->params.list[i];
        const SafetensorsEntry *e = safetensors_find(r->weights, q->name);
        float *values = NEW(float, q->count);
        ok = e ? safetensors_copy_f32(e, values, q->count, err)
               : fail(err, "%s: tensor %s is missing", r->dir, q->name);
        if (ok) param_set(&r->params, q, values);
        mem_free(values);
    }
    return ok;
}

CHECKED static bool open_checkpoint(Predict *r, Error *err) {
    char path[4096];
    if (!json_read(path_of(path, sizeof path, r->dir, "config.json"), &r->config, err)) return false;
    if (file_exists(path_of(path, sizeof path, r->dir, "tact.json")) &&
        !json_read(path, &r->tact, err))
        return false;
    read_config(&r->policy, r->config, r->tact);
    path_of(path, sizeof path, r->dir, "model.safetensors");
    return safetensors_open(path, &r->weights, err) && set_statistics(r, err) &&
           device_open("cpu", PRECISION_FLOAT32, 0, &r->device, err) &&
           params_init(&r->params, r->device, &r->policy, false, err) && load_weights(r, err) &&
           act_new(r->device, &r->policy, &r->params, 1, false, r->images, &r->act, err);
}

static void close_checkpoint(Predict *r) {
    act_free(r->act);
    params_free(&r->params);
    if (r->device) device_close(r->device);
    normalizer_free(&r->state_norm);
    normalizer_free(&r->env_norm);
    normalizer_free(&r->action_norm);
    safetensors_close(r->stats);
    safetensors_close(r->processor);
    safetensors_close(r->weights);
    safetensors_close(r->inputs);
    json_decref(r->config);
    json_decref(r->tact);
}

// ---- predicting -------------------------------------------------------------------------------

// The input `name`, which must hold n values of its type for each observation.
CHECKED static bool input(const Predict *r, const char *name, int64_t n, const SafetensorsEntry **out,
                          int64_t *count, Error *err) {
    const SafetensorsEntry *e = *out = safetensors_find(r->inputs, name);
    if (!e || e->rank == 0 || e->count != e->shape[0] * n || (*count && *count != e->shape[0]))
        return fail(err, "inputs: %s is missing or has not %lld values an observation", name,
                    (long long)n);
    *count = e->shape[0];
    return true;
}

static double *rows_of(const SafetensorsEntry *e, int64_t observation) {
    int64_t n = e->count / e->shape[0];
    double *out = NEW(double, n);
    for (int64_t i = 0; i < n; i++) out[i] = safetensors_value(e, observation * n + i);
    return out;
}

typedef struct Inputs {
    const SafetensorsEntry *state, *env, *cameras[MAX_CAMERAS];
    int64_t count;
    bool absolute; // poses come as the robot has them
} Inputs;

CHECKED static bool find_inputs(const Predict *r, Inputs *in, Error *err) {
    const PolicyConfig *p = &r->policy;
    int64_t T = p->obs_state_horizon;
    const SafetensorsEntry *state = safetensors_find(r->inputs, "observation.state");
    in->absolute = p->arms && state && state->rank == 3 && state->shape[2] == POSE_ROW * p->arms;
    int64_t width = in->absolute ? POSE_ROW * p->arms : p->state_dim;
    if (p->state_dim && !input(r, "observation.state", T * width, &in->state, &in->count, err))
        return false;
    if (p->env_dim && !input(r, "observation.environment_state", p->env_dim, &in->env, &in->count, err))
        return false;
    for (int i = 0; i < p->n_cameras; i++) {
        int64_t n = T * p->image_height * p->image_width * 3;
        if (!input(r, p->cameras[i].name, n, &in->cameras[i], &in->count, err)) return false;
        if (in->cameras[i]->type != ST_U8) return fail(err, "inputs: images must be uint8");
    }
    return true;
}

// States of one observation, normalised (T, state_dim); *base gets the recorded row of now, or NULL.
static float *states(const Predict *r, const Inputs *in, int64_t observation, double **base) {
    const PolicyConfig *p = &r->policy;
    int64_t T = p->obs_state_horizon, width = POSE_ROW * p->arms;
    double *rows = rows_of(in->state, observation);
    *base = NULL;
    if (in->absolute) {
        double *seen = NEW(double, T * p->state_dim);
        *base = NEW(double, width);
        memcpy(*base, rows + (T - 1) * width, (size_t)width * sizeof **base);
        for (int64_t t = 0; t < T; t++)
            pose_row_to_policy(rows + t * width, *base, p->arms, seen + t * p->state_dim);
        mem_free(rows);
        rows = seen;
    }
    float *out = NEW(float, T * p->state_dim);
    normalizer_apply(&r->state_norm, rows, out, T);
    mem_free(rows);
    return out;
}

CHECKED static bool predict_one(const Predict *r, const Inputs *in, int64_t i, double *out, int width,
                                Error *err) {
    const PolicyConfig *p = &r->policy;
    const uint8_t *images[MAX_CAMERAS];
    double *base = NULL, *env_rows = in->env ? rows_of(in->env, i) : NULL;
    float *state = in->state ? states(r, in, i, &base) : NULL, *env = NEW(float, p->env_dim + 1);
    if (env_rows) normalizer_apply(&r->env_norm, env_rows, env, 1);
    for (int k = 0; k < p->n_cameras; k++) {
        const SafetensorsEntry *e = in->cameras[k];
        images[k] = (const uint8_t *)e->data + i * (e->count / e->shape[0]);
    }
    ActInput input = {.batch = 1, .state = state, .env = env_rows ? env : NULL, .images = images};
    int64_t S = p->chunk_size;
    float *chunk = NEW(float, S * p->action_dim);
    double *rows = NEW(double, S * p->action_dim);
    bool ok = act_predict(r->act, &input, chunk, NULL, err);
    normalizer_invert(&r->action_norm, chunk, rows, S);
    for (int64_t s = 0; s < S; s++) {
        const double *row = rows + s * p->action_dim;
        if (base) pose_row_from_policy(row, base, p->arms, out + s * width);
        else memcpy(out + s * width, row, (size_t)width * sizeof *out);
    }
    void *owned[] = {base, env_rows, state, env, chunk, rows};
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++) mem_free(owned[k]);
    return ok;
}

CHECKED static bool predict(Predict *r, const char *inputs, const char *output, Error *err) {
    Inputs in = {.count = 0};
    if (!safetensors_open(inputs, &r->inputs, err) || !find_inputs(r, &in, err)) return false;
    int64_t S = r->policy.chunk_size;
    int width = in.absolute ? POSE_ROW * r->policy.arms : r->policy.action_dim;
    double *actions = NEW(double, in.count * S * width);
    bool ok = true;
    for (int64_t i = 0; ok && i < in.count; i++)
        ok = predict_one(r, &in, i, actions + i * S * width, width, err);
    SafetensorsEntry e = {.name = "action", .type = ST_F64, .rank = 3, .shape = {in.count, S, width},
                          .count = in.count * S * width, .data = actions};
    e.bytes = (size_t)e.count * sizeof *actions;
    ok = ok && safetensors_write(output, &e, 1, false, err);
    mem_free(actions);
    return ok;
}

CHECKED static bool compare(const char *output, const char *expected, Error *err) {
    Safetensors *got = NULL, *want = NULL;
    double diff = 0, norm = 0;
    bool ok = safetensors_open(output, &got, err) && safetensors_open(expected, &want, err);
    const SafetensorsEntry *a = ok ? safetensors_find(got, "action") : NULL;
    const SafetensorsEntry *b = ok ? safetensors_find(want, "action") : NULL;
    if (ok && !(b && a->count == b->count)) ok = fail(err, "%s: no action of that size", expected);
    for (int64_t i = 0; ok && i < a->count; i++) {
        double w = safetensors_value(b, i), d = safetensors_value(a, i) - w;
        diff += d * d;
        norm += w * w;
    }
    double error = sqrt(diff) / sqrt(norm);
    if (ok) printf("relative error %.1e\n", error);
    if (ok && !(error <= 1e-5)) ok = fail(err, "%s: the actions differ", expected); // NaN too
    safetensors_close(got);
    safetensors_close(want);
    return ok;
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: predict CHECKPOINT INPUTS OUTPUT [EXPECTED]\n");
        return 2;
    }
    Predict r = {.dir = argv[1]};
    Error err;
    bool ok = open_checkpoint(&r, &err) && predict(&r, argv[2], argv[3], &err) &&
              (argc == 4 || compare(argv[3], argv[4], &err));
    if (!ok) fprintf(stderr, "predict: %s\n", err.text);
    close_checkpoint(&r);
    return ok ? 0 : 1;
}
