// SPDX-License-Identifier: Apache-2.0
#include "eval/calibrate.h"

#include "ops/watch.h"
#include "policy/policy_int8.h"
#include "runtime/handle.h" // for the handle's device and parameters
#include <stdio.h>
#include <string.h>

enum { MOST_EPISODES = 20 }; // every frame of them is decoded

// What is seen while the policy runs.
typedef struct Look {
    const CalibrateOptions *options;
    CalibrateResult *result;
    const Params *params;
    Histogram *seen; // (params->count, PARAM_PARTS)
} Look;

// The parameter that weights are part of; NULL: none.
static const Param *param_at(const Params *p, const float *w) {
    for (int i = 0; i < p->count; i++) {
        const float *values = f32(param_value(p, &p->list[i]));
        if (w >= values && w < values + p->list[i].count) return &p->list[i];
    }
    return NULL;
}

// Rows of a strided tensor one by one, all of one that has none beside them.
static void add_values(Histogram *h, Tensor x) {
    const bool whole = x.layout == LAYOUT_IMAGE || tensor_contiguous(x);
    if (whole) {
        histogram_add(h, f32(x), tensor_count(x));
        return;
    }
    for (int64_t i = 0; i < x.shape[0]; i++)
        for (int64_t k = 0; k < (x.rank == 3 ? x.shape[1] : 1); k++)
            histogram_add(h, f32(x) + i * x.stride[0] + (x.rank == 3 ? k * x.stride[1] : 0),
                          tensor_columns(x));
}

static void look_at(void *user, Tensor w, Tensor x) {
    Look *l = user;
    const Param *q = param_at(l->params, f32(w));
    if (!q || !policy_rounds(q)) return;
    const int64_t part = (f32(w) - f32(param_value(l->params, q))) * PARAM_PARTS / q->count;
    add_values(&l->seen[(q - l->params->list) * PARAM_PARTS + part], x);
}

CHECKED static bool write_file(Look *l, const char *dir, Error *err) {
    const Params *p = l->params;
    const EvalResult *shown = &l->result->exact;
    Rounding(*table)[PARAM_PARTS] = mem_alloc((size_t)p->count * sizeof *table);
    bool ok = true;
    for (int i = 0; ok && i < p->count; i++)
        for (int k = 0; ok && k < PARAM_PARTS; k++) {
            const Histogram *h = &l->seen[i * PARAM_PARTS + k];
            if (h->lost)
                ok =
                    fail(err, "%s: what is multiplied with %s is not finite", dir, p->list[i].name);
            table[i][k] = histogram_rounding(h, l->options->clip);
            l->result->products += table[i][k].step > 0;
        }
    const Int8Calibration about = {.dataset = shown->dataset->repo_id ? shown->dataset->repo_id
                                                                      : shown->dataset->root,
                                   .method = clip_names[l->options->clip],
                                   .observations = shown->windows};
    ok = ok && policy_write_int8(dir, p, (const Rounding(*)[PARAM_PARTS])table, &about, err);
    mem_free(table);
    return ok;
}

static bool watch_policy(void *user, tact_policy *policy, bool begins, Error *err) {
    Look *l = user;
    if (!begins) {
        watch_stop(policy->device);
        return write_file(l, policy->policy->dir, err);
    }
    // Evaluations give it no actions, so its decoder would be seen without what it meets on a
    // robot.
    if (policy->config->max_action_prefix > 0)
        return fail(err,
                    "%s: was trained with actions that are given (max_action_prefix=%d), which a "
                    "calibration does not show it; run it at bfloat16 or float32",
                    policy->policy->dir, policy->config->max_action_prefix);
    l->params = &policy->policy->params;
    l->seen = mem_alloc((size_t)(l->params->count * PARAM_PARTS) * sizeof *l->seen);
    if (!watch_products(policy->device, look_at, l, err)) return false;
    act_load_params(policy->act); // once more, so that convolutions are known by their weights
    return device_check(policy->device, err);
}

bool calibrate(const CalibrateOptions *o, CalibrateResult *out, Error *err) {
    *out = (CalibrateResult){0};
    Look l = {.options = o, .result = out};
    EvalOptions options = {.policy_path = o->policy_path,
                           .dataset = o->dataset,
                           .most_trained = MOST_EPISODES,
                           .predictions = o->observations,
                           .device = "cpu",
                           .dtype = "float32",
                           .threads = o->threads,
                           .watch = watch_policy,
                           .watcher = &l,
                           .progress = o->progress,
                           .user = o->user};
    bool ok = eval_open_loop(&options, &out->exact, err);
    mem_free(l.seen);
    if (!ok) return false;
    snprintf(out->path, sizeof out->path, "%s/" POLICY_INT8_FILE, out->exact.policy_dir);
    Device *device;
    out->compared = device_open("cpu", PRECISION_INT8, 1, &device, &out->why);
    if (!out->compared) return true;
    device_close(device);
    options.watch = NULL;
    options.dtype = "int8";
    return eval_open_loop(&options, &out->rounded, err);
}

void calibrate_free(CalibrateResult *r) {
    eval_free(&r->exact);
    eval_free(&r->rounded);
    *r = (CalibrateResult){0};
}
