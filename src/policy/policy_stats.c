// SPDX-License-Identifier: Apache-2.0
#include "policy/policy_stats.h"

#include "base/memory.h"
#include <math.h>
#include <string.h>

const char *const stats_kinds[STATS_KINDS] = {"min", "max", "mean", "std"};

double **stats_array(Stats *s, int kind) {
    double **arrays[STATS_KINDS] = {&s->min, &s->max, &s->mean, &s->std};
    return arrays[kind];
}

void policy_stats_free(PolicyStats *s) {
    stats_free(&s->state);
    stats_free(&s->action);
    stats_free(&s->env);
    for (int i = 0; i < MAX_CAMERAS; i++) stats_free(&s->cameras[i]);
}

void policy_stats_round(PolicyStats *s) {
    for (int v = -3; v < MAX_CAMERAS; v++) {
        Stats *vector = v == -3   ? &s->state
                        : v == -2 ? &s->action
                        : v == -1 ? &s->env
                                  : &s->cameras[v];
        for (int k = 0; k < STATS_KINDS; k++) {
            double *values = *stats_array(vector, k);
            for (int i = 0; values && i < vector->dim; i++) values[i] = (double)(float)values[i];
        }
    }
}

NormMode norm_mode_named(const char *name) {
    if (!name) return NORM_IDENTITY;
    if (strcmp(name, "MIN_MAX") == 0) return NORM_MIN_MAX;
    return strcmp(name, "MEAN_STD") == 0 ? NORM_MEAN_STD : NORM_IDENTITY;
}

bool policy_normalizers(const PolicyConfig *p, const PolicyStats *s, Normalizer *state,
                        Normalizer *env, Normalizer *action, Error *err) {
    const NormMap *modes = &p->normalization_mapping;
    const NormEps eps = {p->pipeline.eps, p->pipeline.inverse_eps};
    if (p->state_dim &&
        !normalizer_init_eps(state, "observation.state", norm_mode_named(modes->state), &s->state,
                             p->state_dim, eps, err))
        return false;
    if (p->env_dim &&
        !normalizer_init_eps(env, "observation.environment_state", norm_mode_named(modes->env),
                             &s->env, p->env_dim, eps, err))
        return false;
    return normalizer_init_eps(action, "action", norm_mode_named(modes->action), &s->action,
                               p->action_dim, eps, err);
}

// ---- cameras ------------------------------------------------------------------------------------

// The op that normalises frames adds LeRobot's eps to the deviation.
CHECKED static bool image_channel(const PolicyConfig *p, const char *camera, const Stats *s, int k,
                                  ImageStats *out, Error *err) {
    NormMode mode = norm_mode_named(p->normalization_mapping.visual);
    bool range = mode == NORM_MIN_MAX;
    const double *low = range ? s->min : s->mean, *high = range ? s->max : s->std;
    double eps = p->pipeline.eps, mean = 0, std = 1;
    if (mode != NORM_IDENTITY) {
        mean = low ? low[k] : (double)NAN;
        std = high ? high[k] : (double)NAN;
        if (range) {
            // 2 (x - min) / (max - min) - 1; where all are one number, as of vectors, x - min - 1.
            double half = std > mean ? (std - mean) / 2 : eps > NORM_EPS_DEFAULT ? eps / 2 : 1;
            std = std < mean ? -1 : half;
            mean += half;
        } else if (eps > NORM_EPS_DEFAULT) {
            std = std >= 0 ? std + eps : -1;
        } else if (std >= 0 && std < NORM_EPS_DEFAULT) {
            std = 1; // a channel that is one number everywhere
        }
    }
    out->mean[k] = (float)mean;
    out->std[k] = (float)std;
    return (isfinite(out->mean[k]) && isfinite(out->std[k]) && out->std[k] > 0) ||
           fail(err, "no usable %s and %s of %s", range ? "min" : "mean", range ? "max" : "std",
                camera);
}

bool policy_images(const PolicyConfig *p, PolicyStats *s, Error *err) {
    for (int i = 0; i < p->n_cameras; i++)
        for (int k = 0; k < CAMERA_CHANNELS; k++)
            if (!image_channel(p, p->cameras[i].name, &s->cameras[i], k, &s->images[i], err))
                return false;
    return true;
}

bool policy_camera_imagenet(Stats *camera, Error *err) {
    mem_free(camera->mean);
    mem_free(camera->std);
    camera->dim = CAMERA_CHANNELS;
    camera->mean = TRY_NEW(double, CAMERA_CHANNELS);
    camera->std = TRY_NEW(double, CAMERA_CHANNELS);
    if (!camera->mean || !camera->std) return fail_memory(err, "statistics of a camera");
    for (int k = 0; k < CAMERA_CHANNELS; k++) {
        camera->mean[k] = (double)image_stats_imagenet.mean[k];
        camera->std[k] = (double)image_stats_imagenet.std[k];
    }
    return true;
}
