// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/cameras.h"
#include "cli/bench/loader_passes.h"
#include "cli/cli.h"
#include "formats/json.h"
#include <stdio.h>

static const char *const pass_names[PASSES] = {"none", "cold", "warm"};

static void print_json(const LoaderPasses *b) {
    const TrainConfig *c = &b->config;
    const PolicyConfig *p = &c->policy;
    json_t *j = json_pack(
        "{s:o, s:s, s:i, s:o, s:i, s:i, s:i, s:b}", "dataset", json_bytes(b->dataset->root),
        "frame_cache", frame_cache_kind(b->cache), "cameras", p->n_cameras, "image_sizes",
        bench_sizes_json(p), "obs_state_horizon", p->obs_state_horizon, "batch_size", c->batch_size,
        "num_workers", c->num_workers, "image_transforms", c->dataset.image_transforms.enable);
    for (int i = 0; i < PASSES; i++) {
        const LoaderPass *s = &b->passes[i];
        if (s->batches == 0) continue;
        json_object_set_new(j, pass_names[i],
                            json_pack("{s:I, s:f, s:f, s:f, s:f}", "batches",
                                      (json_int_t)s->batches, "seconds", s->seconds,
                                      "first_batch_s", s->first, "batches_per_s",
                                      (double)s->batches / s->seconds, "frames_per_s",
                                      (double)s->frames / s->seconds));
    }
    cli_print_json(j, 2);
    json_decref(j);
}

static void print_text(const LoaderPasses *b) {
    const TrainConfig *c = &b->config;
    const PolicyConfig *p = &c->policy;
    char sizes[IMAGE_SIZES_TEXT];
    policy_image_sizes(p, sizes, sizeof sizes);
    printf("loader, batch %d, T=%d, %d camera%s %s, %d workers, frame cache: %s\n", c->batch_size,
           p->obs_state_horizon, p->n_cameras, p->n_cameras == 1 ? "" : "s", sizes, c->num_workers,
           frame_cache_kind(b->cache));
    for (int i = 0; i < PASSES; i++) {
        const LoaderPass *s = &b->passes[i];
        if (s->batches == 0) continue;
        printf("  %-5s %10.1f frames/s %9.2f batches/s   %lld batches in %.2f s, the first after "
               "%.3f s\n",
               pass_names[i], (double)s->frames / s->seconds, (double)s->batches / s->seconds,
               (long long)s->batches, s->seconds, s->first);
    }
}

void loader_report_print(const LoaderPasses *b, bool json) {
    if (json)
        print_json(b);
    else
        print_text(b);
}
