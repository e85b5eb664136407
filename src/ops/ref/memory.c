// SPDX-License-Identifier: Apache-2.0
// Device memory is host memory here.
#include "base/memory.h"
#include "base/available.h"
#include "ops/ref/ref.h"
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256 };

// p, with a failure recorded if it is NULL.
static void *or_failed(Device *d, void *p, size_t bytes) {
    if (!p)
        device_fail_memory(d, "%.1f MiB more are needed; use a smaller --batch_size",
                           (double)bytes / (1 << 20));
    return p;
}

double *ref_sums(Device *d, int64_t n) {
    double *sums = TRY_NEW(double, n);
    if (!sums) device_fail_memory(d, "%lld sums", (long long)n);
    return sums;
}

void *ref_alloc(Device *d, size_t bytes) {
    return or_failed(d, mem_try_aligned(bytes, ALIGNMENT), bytes);
}

void *ref_alloc_raw(Device *d, size_t bytes) {
    return or_failed(d, mem_try_raw_aligned(bytes, ALIGNMENT), bytes);
}

void ref_release(Device *d, void *p) {
    (void)d;
    mem_free(p);
}

void ref_upload(Device *d, void *device_dst, const void *host_src, size_t bytes) {
    if (d->failed || bytes == 0) return;
    memcpy(device_dst, host_src, bytes);
}

void ref_download(Device *d, void *host_dst, const void *device_src, size_t bytes) {
    if (d->failed || bytes == 0) return;
    memcpy(host_dst, device_src, bytes);
}

void ref_synchronize(Device *d) {
    (void)d;
}

size_t ref_memory_free(Device *d) {
    (void)d;
    int64_t left = memory_available();
    return left > 0 ? (size_t)left : 0;
}

// ---- what only a device beside the host needs --------------------------------------------------

void ref_attach(Device *d) {
    (void)d;
}

void ref_pin(Device *d, void *host, size_t bytes, bool pinned) {
    (void)d, (void)host, (void)bytes, (void)pinned;
}

void ref_stage(Device *d, void *device_dst, const void *host_src, size_t bytes) {
    ref_upload(d, device_dst, host_src, bytes);
}

void ref_staged(Device *d) {
    (void)d;
}

void ref_download_begin(Device *d, int slot, const void *device_src, size_t bytes) {
    ref_download(d, d->slots[slot], device_src, bytes);
}

void ref_download_end(Device *d, int slot, void *host_dst, size_t bytes) {
    memcpy(host_dst, d->slots[slot], bytes);
}

void ref_join(Device *d, const Peers *peers) {
    d->peers = peers;
}

void ref_sum_begin(Device *d, Tensor t) {
    d->peers->sum_begin(d->peers->user, f32(t), tensor_count(t));
}

bool ref_sums_end(Device *d, Error *err) {
    return d->peers->sums_end(d->peers->user, err);
}

bool ref_record_begin(Device *d, Record **r, StepNumbers numbers) {
    (void)d, (void)r, (void)numbers;
    return true;
}

void ref_record_end(Device *d, Record **r) {
    (void)d, (void)r;
}

void ref_record_free(Device *d, Record *r) {
    (void)d, (void)r;
}

void ref_weights_load(Device *d, Tensor flat, bool lasting) {
    (void)d, (void)flat, (void)lasting;
}

void ref_close(Device *d) {
    mem_free(d->impl);
    mem_free(d);
}
