// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/peak.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/rng.h"
#include <string.h>

// A device that works beside the host is faster. It is given several calls between two readings of
// the clock, so that the time to start a call does not count.
enum { HOST_SIZE = 2048, CARD_SIZE = 8192, RUNS = 5, CARD_CALLS = 4, TILE = 1 << 18 };

typedef struct Peak {
    Device *device;
    TensorArena arena;
    Tensor x, y, w, dw, from, to;
    int calls;
} Peak;

// Random numbers from -1 to 1; site tells the tensors' numbers apart.
static void fill_random(Device *d, Tensor t, uint32_t site) {
    if (d->failed) return;
    RngStream rng = {.key = {.seed = 1, .site = site}};
    size_t element = dtype_size(t.dtype), bytes = (size_t)tensor_count(t) * element;
    uint8_t *tile = NEW(uint8_t, TILE * element);
    for (int i = 0; i < TILE; i++) {
        float value = (float)(2 * rng_double(&rng) - 1);
        uint32_t bits;
        memcpy(&bits, &value, sizeof bits);
        uint16_t high = (uint16_t)(bits >> 16); // a bfloat16
        if (t.dtype == DTYPE_BF16)
            memcpy(tile + i * element, &high, sizeof high);
        else
            memcpy(tile + i * element, &value, sizeof value);
    }
    for (size_t at = 0; at < bytes; at += TILE * element) {
        size_t left = bytes - at;
        d->upload(d, (uint8_t *)t.data + at, tile, left < TILE * element ? left : TILE * element);
    }
    mem_free(tile);
}

static void call_forward(Peak *p) {
    p->device->linear_forward(p->device, p->y, p->x, p->w, (Tensor){0});
}

static void call_input_gradient(Peak *p) {
    Tensor none = {0};
    p->device->linear_backward(p->device, p->y, none, none, p->x, none, p->w, false);
}

static void call_weight_gradient(Peak *p) {
    Tensor none = {0};
    p->device->linear_backward(p->device, none, p->dw, none, p->y, p->x, none, false);
}

static void call_copy(Peak *p) {
    p->device->copy(p->device, p->to, p->from);
}

// Least seconds of one call, after one run to warm up.
static double best_time(Peak *p, void (*call)(Peak *)) {
    Device *d = p->device;
    double best = 1e30;
    for (int run = -1; run < RUNS && !d->failed; run++) {
        d->synchronize(d);
        double start = clock_seconds();
        for (int i = 0; i < p->calls; i++) call(p);
        d->synchronize(d);
        double took = (clock_seconds() - start) / p->calls;
        if (run >= 0 && took < best) best = took;
    }
    return best;
}

bool bench_peak(Device *d, BenchPeak *out, Error *err) {
    int64_t n = d->backend->asynchronous ? CARD_SIZE : HOST_SIZE;
    Peak p = {
        .device = d, .arena = {.device = d}, .calls = d->backend->asynchronous ? CARD_CALLS : 1};
    p.x = arena_tensor(&p.arena, d->activations, 2, SHAPE(n, n));
    p.y = arena_tensor(&p.arena, d->activations, 2, SHAPE(n, n));
    p.w = arena_tensor(&p.arena, DTYPE_F32, 2, SHAPE(n, n));
    p.dw = arena_tensor(&p.arena, DTYPE_F32, 2, SHAPE(n, n));
    fill_random(d, p.x, 1);
    fill_random(d, p.y, 2);
    fill_random(d, p.w, 3);
    // What is copied is larger than a processor's caches.
    int64_t rows = d->backend->asynchronous ? n : 4 * n;
    p.from = arena_tensor(&p.arena, DTYPE_F32, 2, SHAPE(rows, n));
    p.to = arena_tensor(&p.arena, DTYPE_F32, 2, SHAPE(rows, n));
    fill_random(d, p.from, 4);
    if (!d->failed) d->weights_load(d, tensor_view(p.w.data, DTYPE_F32, 1, SHAPE(n * n)), false);
    double flops = 2.0 * (double)n * (double)n * (double)n;
    // The weight gradient comes first: the other two write their result over its input.
    *out = (BenchPeak){.size = n};
    out->dw = flops / best_time(&p, call_weight_gradient) / 1e9;
    out->forward = flops / best_time(&p, call_forward) / 1e9;
    out->dx = flops / best_time(&p, call_input_gradient) / 1e9;
    out->copy_gbps = 2.0 * sizeof(float) * (double)(rows * n) / best_time(&p, call_copy) / 1e9;
    bool ok = device_check(d, err);
    if (ok) d->weights_load(d, tensor_view(p.w.data, DTYPE_F32, 1, SHAPE(0)), false);
    tensor_arena_free(&p.arena);
    return ok;
}
