// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/training_steps.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/stats.h"
#include "train/step.h"
#include <math.h>

// On a device that works beside the host: how many steps pass before the first that counts, while
// the device tries out algorithms, records the step and raises its clock; and how many steps are
// timed part by part.
enum { CARD_WARM_UP = 10, CARD_SPLIT_STEPS = 20 };

// The figures of n steps, in milliseconds; sorts them.
static void summarize_steps(double *step, int64_t n, StepTimings *out) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += step[i];
    sort_doubles(step, n);
    out->step_ms = quantile(step, n, 0.5);
    out->p10_ms = quantile(step, n, 0.1);
    out->p90_ms = quantile(step, n, 0.9);
    out->mean_ms = sum / (double)n;
}

// Refuses a step after which the optimiser halts: those behind it would not update anything.
CHECKED static bool check_figures(float loss, float grad_norm, Error *err) {
    if (isfinite(loss) && isfinite(grad_norm)) return true;
    return fail(err, "the %s is not finite: the times would mean nothing",
                isfinite(loss) ? "gradient's norm" : "loss");
}

bool time_step_parts(Act *act, Optimizer *optimizer, const ActInput *in, uint64_t seed,
                     StepParts *out, Error *err) {
    Device *d = optimizer->params->device;
    ActLosses losses;
    float grad_norm;
    double start = clock_seconds();
    const uint32_t step = optimizer_begin(optimizer).step;
    act_stage(act, in);
    d->staged(d);
    d->synchronize(d);
    act_train_begin(act);
    act_train_forward(act, NULL, seed, step);
    d->download(d, &losses, act_losses(act).data, sizeof losses);
    double forward = clock_seconds();
    act_train_backward(act);
    d->synchronize(d);
    double trained = clock_seconds();
    optimizer_ops(optimizer, act_losses(act));
    d->download(d, &grad_norm, optimizer->norm.data, sizeof grad_norm);
    act_load_params(act);
    d->synchronize(d);
    *out = (StepParts){.forward = forward - start,
                       .backward = trained - forward,
                       .update = clock_seconds() - trained,
                       .loss = losses.total};
    return device_check(d, err) && check_figures(losses.total, grad_norm, err);
}

// Times the parts of each step. One step warms up.
CHECKED static bool time_serial_steps(Act *act, Optimizer *optimizer, const ActInput *in,
                                      uint64_t seed, int64_t steps, StepTimings *out, Error *err) {
    double *all = NEW(double, 4 * steps);
    double *step = all, *forward = all + steps, *backward = forward + steps;
    double *update = backward + steps;
    bool ok = true;
    for (int64_t i = -1; ok && i < steps; i++) {
        StepParts parts;
        ok = time_step_parts(act, optimizer, in, seed, &parts, err);
        out->loss = parts.loss;
        if (i < 0) continue;
        step[i] = 1e3 * (parts.forward + parts.backward + parts.update);
        forward[i] = 1e3 * parts.forward;
        backward[i] = 1e3 * parts.backward;
        update[i] = 1e3 * parts.update;
    }
    if (ok) {
        summarize_steps(step, steps, out);
        out->serial_ms = out->step_ms;
        double *parts[] = {forward, backward, update};
        for (int i = 0; i < 3; i++) sort_doubles(parts[i], steps);
        out->forward_ms = quantile(forward, steps, 0.5);
        out->backward_ms = quantile(backward, steps, 0.5);
        out->optimizer_ms = quantile(update, steps, 0.5);
    }
    mem_free(all);
    return ok;
}

// Times steps as the training loop runs them on a device that works beside the host
// (train/train.c): the next step is started before the figures of the last one are taken. A step's
// time runs from one step's figures to the next one's. The last step, which has none behind it,
// does not count.
CHECKED static bool time_pipelined_steps(Act *act, Optimizer *optimizer, const ActInput *in,
                                         uint64_t seed, int64_t steps, StepTimings *out,
                                         Error *err) {
    int64_t n = CARD_WARM_UP + steps + 1;
    double *finished = NEW(double, n), *step = NEW(double, steps);
    Step s;
    StepResult got = {0};
    bool ok = true;
    step_init(&s, act, optimizer, 1);
    while (ok && s.finished < n) {
        bool start = s.started < n;
        if (start && !(ok = step_piece(&s, in, seed, err))) break;
        if (s.started - s.finished > 1 || !start) {
            ok = step_finish(&s, &got, err) && check_figures(got.losses.total, got.grad_norm, err);
            finished[s.finished - 1] = clock_seconds();
        }
        if (start) step_inputs_free(&s);
    }
    for (int64_t i = 0; ok && i < steps; i++)
        step[i] = 1e3 * (finished[CARD_WARM_UP + i] - finished[CARD_WARM_UP + i - 1]);
    if (ok) summarize_steps(step, steps, out);
    out->loss = got.losses.total;
    step_free(&s);
    mem_free(step);
    mem_free(finished);
    return ok;
}

bool time_training_steps(Act *act, Optimizer *optimizer, const ActInput *in, uint64_t seed,
                         int64_t steps, StepTimings *out, Error *err) {
    if (!optimizer->params->device->backend->asynchronous) {
        bool ok = time_serial_steps(act, optimizer, in, seed, steps, out, err);
        out->resident_mb = (double)mem_most_resident() / 1e6;
        return ok;
    }
    int64_t few = steps < CARD_SPLIT_STEPS ? steps : CARD_SPLIT_STEPS;
    StepTimings split;
    if (!time_pipelined_steps(act, optimizer, in, seed, steps, out, err) ||
        !time_serial_steps(act, optimizer, in, seed, few, &split, err))
        return false;
    out->resident_mb = (double)mem_most_resident() / 1e6;
    out->serial_ms = split.serial_ms;
    out->forward_ms = split.forward_ms;
    out->backward_ms = split.backward_ms;
    out->optimizer_ms = split.optimizer_ms;
    return true;
}
