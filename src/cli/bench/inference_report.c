// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/inference_steps.h"

#include "cli/bench/cameras.h"
#include "cli/cli.h"
#include "formats/json.h"
#include "train/policy_from_dataset.h"
#include <math.h>
#include <stdio.h>

static json_t *latency_json(const Latency *l, double gflop, double peak) {
    double gflops = gflop / l->p50 * 1e3;
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:f}", "p50_ms", l->p50, "p95_ms", l->p95, "p99_ms",
                     l->p99, "gflop", gflop, "gflops", gflops, "of_peak", gflops / peak);
}

static void print_json(const InferenceReport *r) {
    const PolicyConfig *p = r->policy;
    const Device *d = r->device;
    const InferenceTimings *t = &r->timings;
    const double peak = r->peak.forward;
    json_t *j =
        json_pack("{s:s, s:s, s:s, s:o, s:i, s:i, s:i, s:i, s:I, s:f}", "device", d->backend->name,
                  "device_description", d->description, "dtype", precision_name(d->precision),
                  "image_sizes", bench_sizes_json(p), "cameras", p->n_cameras, "obs_state_horizon",
                  p->obs_state_horizon, "chunk_size", p->chunk_size, "threads", d->threads, "steps",
                  (json_int_t)r->options->steps, "latency_ms", t->cached.p50);
    json_object_update_new(j, latency_json(&t->cached, r->cached_gflop, peak));
    json_object_set_new(j, "without_frame_cache",
                        latency_json(&t->uncached, r->uncached_gflop, peak));
    json_object_set_new(j, "load_ms", json_real(t->load_ms));
    json_object_set_new(j, "first_step_ms", json_real(t->first_ms));
    json_object_set_new(j, "start_ms", isnan(t->start_ms) ? json_null() : json_real(t->start_ms));
    json_object_set_new(j, "resident_mb", json_real(t->resident_mb));
    json_object_set_new(j, "peak_gflops", json_real(peak));
    json_object_set_new(j, "copy_gbps", json_real(r->peak.copy_gbps));
    if (r->options->ops) json_object_set_new(j, "ops", op_times_json(&t->ops));
    cli_print_json(j, 2);
    json_decref(j);
}

static void print_latency(const char *name, const Latency *l, double gflop, double peak) {
    double gflops = gflop / l->p50 * 1e3;
    printf("  %-22s %8.2f %8.2f %8.2f %8.1f %8.0f %6.0f %%\n", name, l->p50, l->p95, l->p99, gflop,
           gflops, 100 * gflops / peak);
}

static void print_text(const InferenceReport *r) {
    const PolicyConfig *p = r->policy;
    const Device *d = r->device;
    const InferenceTimings *t = &r->timings;
    char sizes[IMAGE_SIZES_TEXT];
    policy_image_sizes(p, sizes, sizeof sizes);
    printf("control step that predicts, T=%d, %d camera%s %s, %s %s with %d threads, %lld steps\n",
           p->obs_state_horizon, p->n_cameras, p->n_cameras == 1 ? "" : "s", sizes,
           d->backend->name, precision_name(d->precision), d->threads,
           (long long)r->options->steps);
    if (d->description[0]) printf("  %s\n", d->description);
    printf("  %-22s %8s %8s %8s %8s %8s %8s\n", "ms", "p50", "p95", "p99", "GFLOP", "GFLOP/s",
           "of peak");
    print_latency("with the frame cache", &t->cached, r->cached_gflop, r->peak.forward);
    print_latency("without", &t->uncached, r->uncached_gflop, r->peak.forward);
    printf("  load %.0f ms, first step %.1f ms", t->load_ms, t->first_ms);
    if (!isnan(t->start_ms))
        printf(", from the program's start to the first action %.0f ms", t->start_ms);
    printf("\n  memory %.0f MB resident; peak: %.0f GFLOP/s for a %lld^3 matrix product\n",
           t->resident_mb, r->peak.forward, (long long)r->peak.size);
    if (r->options->ops) op_times_print(&t->ops);
}

void inference_report_print(const InferenceReport *r) {
    if (r->options->json)
        print_json(r);
    else
        print_text(r);
}
