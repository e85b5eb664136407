// SPDX-License-Identifier: Apache-2.0
// predict CHECKPOINT INPUTS OUTPUT [EXPECTED]: the action chunks of a checkpoint for given
// observations, so that another program's can be held against them (tests/interop). CHECKPOINT is a
// pretrained_model directory; INPUTS a safetensors file: observation.state (N, T, D),
// observation.environment_state (N, E), each camera (N, T, h, w, 3) uint8, of the size that the
// model sees or, to be resized and cropped, of the recorded one. OUTPUT gets action (N, S, A). With
// EXPECTED, which has action too, the exit code says whether they agree to 1e-5 (relative, L2).
//
// Vectors and actions are those of the robot, not normalised. Where the checkpoint wants relative
// poses (tact.json) they may come as absolute ones (7 values an arm), also where its model sees no
// state; then the actions are absolute too. Settings, processor steps and statistics are read as
// libtact reads them. Where there are no statistics, vectors pass as they are and images get
// ImageNet's.
#include "base/file.h"
#include "base/memory.h"
#include "formats/safetensors.h"
#include "policy/camera_fit.h"
#include "policy/policy_config.h"
#include "policy/policy_stats.h"
#include "pose/pose.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct Predict {
    const char *dir;
    TrainConfig config;
    const PolicyConfig *policy; // of config
    PolicyStats stats;
    Safetensors *weights, *inputs;
    Normalizer state_norm, env_norm, action_norm;
    Device *device;
    Params params;
    Act *act;
} Predict;

// ---- configuration and statistics -------------------------------------------------------------

CHECKED static bool open_weights(Predict *r, Error *err) {
    char path[4096];
    snprintf(path, sizeof path, "%s/model.safetensors", r->dir);
    return safetensors_open(path, &r->weights, err);
}

static bool has_stats(const Predict *r) {
    char path[4096];
    snprintf(path, sizeof path, "%s/policy_preprocessor.json", r->dir);
    bool found = file_exists(path);
    for (int i = 0; i < safetensors_count(r->weights); i++)
        found = found || strstr(safetensors_entry(r->weights, i)->name, "normalize_");
    return found;
}

CHECKED static bool set_statistics(Predict *r, Error *err) {
    PolicyConfig *p = &r->config.policy;
    if (has_stats(r)) {
        if (!policy_read_stats(r->dir, NULL, p, &r->stats, err)) return false;
    } else {
        p->normalization_mapping = (NormMap){"MEAN_STD", "IDENTITY", "IDENTITY", "IDENTITY"};
        for (int i = 0; i < p->n_cameras; i++)
            if (!policy_camera_imagenet(&r->stats.cameras[i], err)) return false;
        if (!policy_images(p, &r->stats, err)) return false;
    }
    return policy_normalizers(p, &r->stats, &r->state_norm, &r->env_norm, &r->action_norm, err);
}

// ---- weights ----------------------------------------------------------------------------------

// Every weight has to be there; normalisation buffers of old LeRobots may stand beside the weights.
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
    train_config_default(&r->config);
    r->policy = &r->config.policy;
    return policy_read_config(r->dir, false, &r->config, err) && open_weights(r, err) &&
           set_statistics(r, err) && device_open("cpu", PRECISION_FLOAT32, 0, &r->device, err) &&
           params_init(&r->params, r->device, r->policy, false, err) && load_weights(r, err) &&
           act_new(r->device, r->policy, &r->params, 1, false, r->stats.images, &r->act, err);
}

static void close_checkpoint(Predict *r) {
    act_free(r->act);
    params_free(&r->params);
    if (r->device) device_close(r->device);
    normalizer_free(&r->state_norm);
    normalizer_free(&r->env_norm);
    normalizer_free(&r->action_norm);
    safetensors_close(r->weights);
    safetensors_close(r->inputs);
    policy_stats_free(&r->stats);
    train_config_free(&r->config);
}

// ---- predicting -------------------------------------------------------------------------------

// The input `name`, which must hold n values of its type for each observation.
CHECKED static bool input(const Predict *r, const char *name, int64_t n,
                          const SafetensorsEntry **out, int64_t *count, Error *err) {
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
    bool absolute;              // poses come as the robot has them
    bool recorded[MAX_CAMERAS]; // frames come as they were recorded
} Inputs;

CHECKED static bool find_inputs(const Predict *r, Inputs *in, Error *err) {
    const PolicyConfig *p = r->policy;
    int64_t T = p->obs_state_horizon;
    const SafetensorsEntry *state = safetensors_find(r->inputs, "observation.state");
    in->absolute = p->arms && state && state->rank == 3 && state->shape[2] == POSE_ROW * p->arms;
    int64_t width = in->absolute ? POSE_ROW * p->arms : p->state_dim;
    if ((p->state_dim || in->absolute) &&
        !input(r, "observation.state", T * width, &in->state, &in->count, err))
        return false;
    if (p->env_dim &&
        !input(r, "observation.environment_state", p->env_dim, &in->env, &in->count, err))
        return false;
    for (int i = 0; i < p->n_cameras; i++) {
        const CameraConfig *c = &p->cameras[i];
        const SafetensorsEntry *e = safetensors_find(r->inputs, c->name);
        int64_t n = T * c->image_height * c->image_width * 3;
        in->recorded[i] = e && e->rank > 3 && e->shape[e->rank - 3] == c->height &&
                          e->shape[e->rank - 2] == c->width;
        if (in->recorded[i]) n = T * c->height * c->width * 3;
        if (!input(r, p->cameras[i].name, n, &in->cameras[i], &in->count, err)) return false;
        if (in->cameras[i]->type != ST_U8) return fail(err, "inputs: images must be uint8");
    }
    return true;
}

// States of one observation, normalised (T, state_dim), NULL where the model sees none; *base gets
// the recorded row of now.
static float *states(const Predict *r, const Inputs *in, int64_t observation, double **base) {
    const PolicyConfig *p = r->policy;
    int64_t T = p->obs_state_horizon, width = in->absolute ? POSE_ROW * p->arms : p->state_dim;
    double *rows = rows_of(in->state, observation);
    *base = NEW(double, width);
    memcpy(*base, rows + (T - 1) * width, (size_t)width * sizeof **base);
    if (!p->state_dim) { // poses that the model does not see
        mem_free(rows);
        return NULL;
    }
    if (in->absolute) {
        double *seen = NEW(double, T * p->state_dim);
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

// The T frames of a camera as the model sees them; the caller frees.
static uint8_t *fit_frames(const PolicyConfig *p, const CameraConfig *c, const uint8_t *frames) {
    const ImageFit fit = camera_fit(p, c);
    const size_t made = image_rgb_bytes(fit.rows, fit.columns),
                 given = image_rgb_bytes(c->height, c->width);
    uint8_t *out = NEW(uint8_t, made * (size_t)p->obs_state_horizon);
    for (int t = 0; t < p->obs_state_horizon; t++)
        image_fit(out + (size_t)t * made, &fit, frames + (size_t)t * given, (size_t)c->width * 3,
                  c->height, c->width, NULL);
    return out;
}

CHECKED static bool predict_one(const Predict *r, const Inputs *in, int64_t i, double *out,
                                int width, Error *err) {
    const PolicyConfig *p = r->policy;
    const uint8_t *images[MAX_CAMERAS];
    uint8_t *made[MAX_CAMERAS] = {NULL};
    double *base = NULL, *env_rows = in->env ? rows_of(in->env, i) : NULL;
    float *state = in->state ? states(r, in, i, &base) : NULL, *env = NEW(float, p->env_dim + 1);
    if (env_rows) normalizer_apply(&r->env_norm, env_rows, env, 1);
    for (int k = 0; k < p->n_cameras; k++) {
        const SafetensorsEntry *e = in->cameras[k];
        images[k] = (const uint8_t *)e->data + i * (e->count / e->shape[0]);
        if (in->recorded[k]) images[k] = made[k] = fit_frames(p, &p->cameras[k], images[k]);
    }
    ActInput input = {.batch = 1, .state = state, .env = env_rows ? env : NULL, .images = images};
    int64_t S = p->chunk_size;
    float *chunk = NEW(float, S * p->action_dim);
    double *rows = NEW(double, S * p->action_dim);
    bool ok = act_predict(r->act, &input, chunk, NULL, err);
    normalizer_invert(&r->action_norm, chunk, rows, S);
    for (int64_t s = 0; s < S; s++) {
        const double *row = rows + s * p->action_dim;
        if (in->absolute)
            pose_row_from_policy(row, base, p->arms, out + s * width);
        else
            memcpy(out + s * width, row, (size_t)width * sizeof *out);
        for (int k = 0; p->pipeline.relative && k < width; k++)
            if (p->pipeline.relative[k]) out[s * width + k] += base[k];
    }
    void *owned[] = {base, env_rows, state, env, chunk, rows};
    for (size_t k = 0; k < sizeof owned / sizeof *owned; k++) mem_free(owned[k]);
    for (int k = 0; k < p->n_cameras; k++) mem_free(made[k]);
    return ok;
}

CHECKED static bool predict(Predict *r, const char *inputs, const char *output, Error *err) {
    Inputs in = {.count = 0};
    if (!safetensors_open(inputs, &r->inputs, err) || !find_inputs(r, &in, err)) return false;
    int64_t S = r->policy->chunk_size;
    int width = in.absolute ? POSE_ROW * r->policy->arms : r->policy->action_dim;
    double *actions = NEW(double, in.count *S *width);
    bool ok = true;
    for (int64_t i = 0; ok && i < in.count; i++)
        ok = predict_one(r, &in, i, actions + i * S * width, width, err);
    SafetensorsEntry e = {.name = "action",
                          .type = ST_F64,
                          .rank = 3,
                          .shape = {in.count, S, width},
                          .count = in.count * S * width,
                          .data = actions};
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
