// SPDX-License-Identifier: Apache-2.0
#include "train/statistics.h"

#include "base/log.h"
#include "normalize/floor.h"
#include "policy/policy_stats.h"
#include "train/policy_from_dataset.h"
#include <math.h>

// Relative vectors get statistics of the windows at `from`, all others those of the whole dataset.
CHECKED static bool find_vector_stats(const PolicyConfig *p, const Dataset *ds, StatsRows from,
                                      PolicyStats *out, Error *err) {
    const WindowSpec w = policy_window(p);
    bool computed[3] = {false};
    if (w.relative && !window_stats(ds, &w, from.rows, from.count, from.samples, from.seed,
                                    p->state_dim ? &out->state : NULL, &out->action, err))
        return false;
    // The differences that LeRobot's relative_actions_processor makes have statistics of their own.
    if (w.minus_state && !window_stats(ds, &w, from.rows, from.count, from.samples, from.seed, NULL,
                                       &out->action, err))
        return false;
    if (!w.relative && p->state_dim)
        dataset_stats(ds, ds->state, ds->state_data, &out->state, &computed[0]);
    if (!w.relative && !w.minus_state)
        dataset_stats(ds, ds->action, ds->action_data, &out->action, &computed[1]);
    if (p->env_dim) dataset_stats(ds, ds->env, ds->env_data, &out->env, &computed[2]);
    if (computed[0] || computed[1] || computed[2])
        log_info("%s: %s has no usable statistics of%s%s%s: computed over the %lld frames "
                 "that are loaded",
                 ds->root, dataset_stats_name(ds), computed[0] ? " observation.state" : "",
                 computed[1] ? " action" : "", computed[2] ? " observation.environment_state" : "",
                 (long long)ds->rows);
    return true;
}

static void widen_to_floor(const char *name, Stats *s, const Stats *beside, int arms) {
    int widened = stats_floor(s, beside, arms);
    if (widened)
        log_info(
            "%s: %d of %d values hardly vary beside the others of their unit; they are normalised "
            "over the least range (docs/architecture.md)",
            name, widened, s->dim);
}

// Plain ACT keeps LeRobot's numbers.
static void widen_all(const PolicyConfig *p, PolicyStats *s) {
    if (p->obs_state_horizon == 1 && p->arms == 0) return;
    if (s->state.dim) widen_to_floor("observation.state", &s->state, &s->action, p->arms);
    widen_to_floor("action", &s->action, s->state.dim ? &s->state : NULL, p->arms);
    if (s->env.dim) widen_to_floor("observation.environment_state", &s->env, NULL, 0);
}

bool policy_vector_stats(const PolicyConfig *p, const Dataset *ds, StatsRows from, PolicyStats *out,
                         Error *err) {
    if (!find_vector_stats(p, ds, from, out, err)) return false;
    widen_all(p, out);
    policy_stats_round(out);
    return true;
}

// A channel's number in stats.json: [[[x]], ...] or [x, ...].
static double channel_number(const json_t *stats, const char *kind, size_t channel) {
    const json_t *v = json_array_get(json_object_get(stats, kind), channel);
    while (json_is_array(v)) v = json_array_get(v, 0);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

// The numbers of one kind ("min", "mean" ...), or NULL where one of the three channels has none.
// The caller frees.
static double *channel_numbers(const json_t *stats, const char *kind) {
    double *out = NEW(double, 3);
    for (size_t k = 0; k < 3; k++) {
        out[k] = channel_number(stats, kind, k);
        if (isfinite(out[k])) continue;
        mem_free(out);
        return NULL;
    }
    return out;
}

bool policy_image_stats(const PolicyConfig *p, const Dataset *ds, bool imagenet, PolicyStats *out,
                        Error *err) {
    Error why;
    for (int i = 0; i < p->n_cameras; i++) {
        const json_t *stats = json_object_get(ds->stats, p->cameras[i].name);
        out->cameras[i] = (Stats){.dim = 3,
                                  .min = channel_numbers(stats, "min"),
                                  .max = channel_numbers(stats, "max"),
                                  .mean = channel_numbers(stats, "mean"),
                                  .std = channel_numbers(stats, "std")};
        if (imagenet && !policy_camera_imagenet(&out->cameras[i], err)) return false;
    }
    policy_stats_round(out);
    return policy_images(p, out, &why) ||
           fail(err,
                "%s: %s has %s; pass --dataset.use_imagenet_stats=true, and VISUAL: MEAN_STD in a "
                "mapping",
                ds->root, dataset_stats_name(ds), why.text);
}
