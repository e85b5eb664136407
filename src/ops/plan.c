// SPDX-License-Identifier: Apache-2.0
// A device that does nothing and counts: a model built and run on it tells how much memory the same
// model takes on another device, in a few milliseconds and without that memory. Addresses are made
// up and never looked at.
#include "base/memory.h"
#include "ops/ops.h"

typedef struct Plan {
    size_t bytes;    // given out so far
    Backend backend; // the one to estimate for, but for where its memory is: here it is nowhere
} Plan;

static void *plan_alloc(Device *d, size_t bytes) {
    Plan *p = d->impl;
    uintptr_t at = ((uintptr_t)1 << 40) + p->bytes;
    p->bytes += (bytes + 255) / 256 * 256;
    return (void *)at;
}

static size_t plan_image_bytes(Device *d, int64_t n, int64_t c, int64_t h, int64_t w) {
    int64_t stored = c == 3 ? d->backend->picture_channels : c;
    return (size_t)(n * stored * h * w) * dtype_size(d->images);
}

static Conv *plan_conv_new(Device *d, ConvSpec s) {
    size_t weights = (size_t)(s.out_c * (s.in_c + 1) * s.kernel * s.kernel) * dtype_size(d->images);
    if (d->backend->packs_weights) plan_alloc(d, weights * (s.train ? 2 : 1));
    return NULL;
}
static Pool *plan_pool_new(Device *d, int64_t n, int64_t c, int64_t h, int64_t w, bool train) {
    if (train) plan_alloc(d, (size_t)(n * c * pool_out_size(h) * pool_out_size(w)));
    return NULL;
}

// ---- everything else does nothing ---------------------------------------------------------------
#pragma GCC diagnostic ignored "-Wunused-parameter"
static void plan_release(Device *d, void *p) {
}
static void plan_stage(Device *d, void *device_dst, const void *host_src, size_t bytes) {
}
static void plan_synchronize(Device *d) {
}
static void plan_conv_free(Device *d, Conv *c) {
}
static void plan_pool_free(Device *d, Pool *p) {
}
#define OP(name, params, args)                                                                     \
    static void plan_##name params {                                                               \
    }
#include "ops/ops.def"

static void plan_close(Device *d) {
    mem_free(d->impl);
    mem_free(d);
}

Device *plan_device(const Backend *backend, Precision precision) {
    Device *d = TRY_NEW(Device, 1);
    Plan *p = TRY_NEW(Plan, 1);
    if (!d || !p) {
        mem_free(d);
        mem_free(p);
        return NULL;
    }
    ref_device(d); // of it are left the services that a plan does not use
    p->backend = *backend;
    p->backend.host_memory = false;
    d->backend = &p->backend;
    d->impl = p;
    d->precision = precision;
    d->images = backend->images[precision];
    d->activations = backend->activations[precision];
    d->alloc = d->alloc_raw = plan_alloc;
    d->release = plan_release;
    d->stage = plan_stage;
    d->synchronize = plan_synchronize;
    d->close = plan_close;
    d->image_bytes = plan_image_bytes;
    d->conv_new = plan_conv_new;
    d->conv_free = plan_conv_free;
    d->pool_new = plan_pool_new;
    d->pool_free = plan_pool_free;
#define OP(name, params, args) d->name = plan_##name;
#include "ops/ops.def"
    return d;
}

size_t plan_bytes(const Device *d) {
    return ((const Plan *)d->impl)->bytes;
}
