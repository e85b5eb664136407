// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/training_steps.h"

#include "cli/cli.h"
#include "formats/json.h"
#include <stdio.h>

static double achieved_gflops(const TrainingReport *r) {
    return r->flops / r->timings.step_ms / 1e6;
}

static double samples_per_second(const TrainingReport *r) {
    return 1e3 * r->config->batch_size / r->timings.step_ms;
}

static void print_json(const TrainingReport *r) {
    const TrainConfig *c = r->config;
    const Device *d = r->device;
    const StepTimings *t = &r->timings;
    json_t *j = json_pack("{s:s, s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:I, s:I}", "device",
                          d->backend->name, "device_description", d->description, "dtype",
                          precision_name(d->precision), "image", r->options->image, "cameras",
                          c->policy.n_cameras, "batch_size", c->batch_size, "obs_state_horizon",
                          c->policy.obs_state_horizon, "threads", d->threads, "steps",
                          (json_int_t)r->options->steps, "peak_size", (json_int_t)r->peak.size);
    const struct {
        const char *name;
        double value;
    } figures[] = {
        {"step_ms", t->step_ms},
        {"step_p10_ms", t->p10_ms},
        {"step_p90_ms", t->p90_ms},
        {"step_mean_ms", t->mean_ms},
        {"serial_step_ms", t->serial_ms},
        {"forward_ms", t->forward_ms},
        {"backward_ms", t->backward_ms},
        {"optimizer_ms", t->optimizer_ms},
        {"samples_per_s", samples_per_second(r)},
        {"gflop_per_step", r->flops / 1e9},
        {"gflops", achieved_gflops(r)},
        {"peak_gflops", r->peak.forward},
        {"peak_dx_gflops", r->peak.dx},
        {"peak_dw_gflops", r->peak.dw},
        {"copy_gbps", r->peak.copy_gbps},
        {"estimated_mb", r->estimated_mb},
        {"resident_mb", t->resident_mb},
        {"loss", (double)t->loss},
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        json_object_set_new(j, figures[i].name, json_real(figures[i].value));
    if (r->options->ops) json_object_set_new(j, "ops", op_times_json(&r->ops));
    cli_print_json(j, 2);
    json_decref(j);
}

static void print_text(const TrainingReport *r) {
    const TrainConfig *c = r->config;
    const Device *d = r->device;
    const StepTimings *t = &r->timings;
    printf("training step, batch %d, T=%d, %d camera%s %s, %s %s with %d threads\n", c->batch_size,
           c->policy.obs_state_horizon, c->policy.n_cameras, c->policy.n_cameras == 1 ? "" : "s",
           r->options->image, d->backend->name, precision_name(d->precision), d->threads);
    if (d->description[0]) printf("  %s\n", d->description);
    printf("  step       %8.1f ms   (median of %lld)\n", t->step_ms, (long long)r->options->steps);
    if (d->backend->asynchronous) printf("  one part after another, %.1f ms:\n", t->serial_ms);
    printf("  forward    %8.1f ms\n  backward   %8.1f ms\n  optimizer  %8.1f ms\n", t->forward_ms,
           t->backward_ms, t->optimizer_ms);
    printf("  samples/s  %8.2f\n  GFLOP/s    %8.1f of %.1f for a %lld^3 matrix product (%.0f %%)\n",
           samples_per_second(r), achieved_gflops(r), r->peak.forward, (long long)r->peak.size,
           100 * achieved_gflops(r) / r->peak.forward);
    printf("  copy       %8.1f GB/s read and written\n", r->peak.copy_gbps);
    printf("  memory     %8.0f MB resident, %.0f MB estimated beforehand\n", t->resident_mb,
           r->estimated_mb);
    if (r->options->ops) op_times_print(&r->ops);
}

void training_report_print(const TrainingReport *r) {
    if (r->options->json)
        print_json(r);
    else
        print_text(r);
}
