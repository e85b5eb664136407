// SPDX-License-Identifier: Apache-2.0
// Device memory is host memory here. mem_alloc aligns to 64 only, hence aligned_alloc.
#include "base/memory.h"
#include "ops/ref/ref.h"
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 256 };

void *ref_alloc(Device *d, size_t bytes) {
    void *p = NULL;
    if (bytes <= PTRDIFF_MAX - ALIGNMENT) {
        size_t rounded = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        if (rounded == 0) rounded = ALIGNMENT;
        p = aligned_alloc(ALIGNMENT, rounded);
        if (p) memset(p, 0, rounded);
    }
    if (!p)
        device_fail(d, "out of memory: %.1f MiB more are needed; use a smaller --batch_size",
                    (double)bytes / (1 << 20));
    return p;
}

void ref_release(Device *d, void *p) {
    (void)d;
    free(p);
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

void ref_close(Device *d) {
    mem_free(d->impl);
    mem_free(d);
}
