// SPDX-License-Identifier: Apache-2.0
// The latency of a policy through the public interface.
#include "base/file.h"
#include "base/log.h"
#include "cli/bench.h"
#include "cli/bench/cameras.h"
#include "cli/bench/inference_steps.h"
#include "cli/bench/random_policy.h"
#include "model/act.h"
#include "policy/policy_config.h"
#include "policy/policy_locate.h"
#include <math.h>

// The operations of one step, counted on a device that computes nothing.
CHECKED static bool count_flops(const PolicyConfig *p, InferenceReport *out, Error *err) {
    Device *d = plan_device(&cpu_backend, PRECISION_FLOAT32);
    Params params = {0};
    Act *act = NULL;
    ImageStats images[MAX_CAMERAS];
    if (!d) return fail_memory(err, "the operations of a step");
    for (int i = 0; i < MAX_CAMERAS; i++) images[i] = image_stats_imagenet;
    bool ok = params_init(&params, d, p, false, err) &&
              act_new(d, p, &params, 1, false, images, &act, err);
    if (ok) {
        out->uncached_gflop = act_forward_flops(act) / 1e9;
        out->cached_gflop = act_cached_flops(act) / 1e9;
    }
    act_free(act);
    params_free(&params);
    device_close(d);
    return ok;
}

// Times the checkpoint at `path`, or where that is NULL a policy of random weights, which is
// removed afterwards. shape becomes the policy's configuration.
CHECKED static bool time_policy(const TrainConfig *c, const char *path, InferenceReport *r,
                                TrainConfig *shape, Error *err) {
    const int64_t steps = r->options->steps;
    char made[POLICY_PATH] = "", found[POLICY_PATH];
    bool ok = path || random_policy_write(c, made, err);
    const char *from = path ? path : made;
    ok = ok && time_inference(c, from, true, steps, r->options->ops, &r->timings, err) &&
         time_inference(c, from, false, steps, false, &r->timings, err) &&
         policy_locate(from, found, err) && policy_read_config(found, false, shape, err) &&
         count_flops(&shape->policy, r, err);
    if (!path) r->timings.start_ms = NAN; // the policy had to be made first
    Error ignored;
    if (made[0] && !remove_tree(made, &ignored)) log_warn("%s", ignored.text);
    return ok;
}

// The peak is that of a device opened anew, as the policy's was.
CHECKED static bool measure_peak(const TrainConfig *c, Device **device, BenchPeak *out,
                                 Error *err) {
    const char *name = c->policy.device ? c->policy.device : "cpu";
    Precision precision;
    return precision_named(c->policy.dtype, name, &precision, err) &&
           device_open(name, precision, c->threads, device, err) && bench_peak(*device, out, err);
}

bool bench_inference(TrainConfig *c, const BenchOptions *options, Error *err) {
    const char *path = c->policy.path;
    Device *device = NULL;
    TrainConfig shape;
    InferenceReport r = {.options = options, .policy = &shape.policy};
    train_config_default(&shape);
    bool ok = (path || bench_synthetic_policy(c, options->image, options->cameras, err)) &&
              time_policy(c, path, &r, &shape, err) && measure_peak(c, &device, &r.peak, err);
    if (ok) {
        r.device = device;
        inference_report_print(&r);
    }
    device_close(device);
    train_config_free(&shape);
    return ok;
}
