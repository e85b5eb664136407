// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "ops/ops.h"
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_cuda(const char *name) {
    return strcmp(name, "cuda") == 0 || strncmp(name, "cuda:", 5) == 0;
}

static const char *const precision_names[] = {"float32", "tf32", "bfloat16"};

const char *precision_name(Precision precision) {
    return precision_names[precision];
}

bool precision_named(const char *dtype, const char *device, Precision *out, Error *err) {
    *out = is_cuda(device) ? PRECISION_TF32 : PRECISION_FLOAT32;
    if (!dtype) return true;
    for (int i = 0; i < 3; i++)
        if (strcmp(dtype, precision_names[i]) == 0) {
            *out = (Precision)i;
            return true;
        }
    return fail(err, "--policy.dtype=%s: unknown; use float32, tf32 or bfloat16", dtype);
}

CHECKED static bool open_cuda(Device *d, const char *name, Precision precision, Error *err) {
#ifdef TACT_CUDA
    char *end = NULL;
    long ordinal = name[4] ? strtol(name + 5, &end, 10) : 0;
    if (end && (*end || end == name + 5 || ordinal < 0 || ordinal > 1023))
        return fail(err, "--policy.device=%s: use cuda or cuda:N, N the number of the card", name);
    return cuda_device(d, (int)ordinal, precision, err);
#else
    (void)d, (void)precision;
    return fail(err, "--policy.device=%s: this build of tact has no CUDA support: the CUDA toolkit "
                     "(nvcc, cuBLASLt, cuDNN) was not found when it was built; use "
                     "--policy.device=cpu, or install it and build again", name);
#endif
}

CHECKED static bool open_host(Device *d, const char *name, Precision precision, Error *err) {
    bool ref = strcmp(name, "ref") == 0;
    if (!ref && strcmp(name, "cpu") != 0)
        return fail(err, "--policy.device=%s: unknown device; use cpu or cuda", name);
    if (ref && precision != PRECISION_FLOAT32)
        return fail(err, "--policy.dtype: ref computes in float32 only; leave the flag out");
    return ref || cpu_device(d, d->threads, precision, err);
}

bool device_open(const char *name, Precision precision, int threads, Device **out, Error *err) {
    *out = NULL;
    Device *d = NEW(Device, 1);
    d->threads = threads > 0 ? threads : omp_get_num_procs(); // those this process may use
    ref_device(d);
    bool ok = is_cuda(name) ? open_cuda(d, name, precision, err)
                            : open_host(d, name, precision, err);
    if (!ok) {
        mem_free(d);
        return false;
    }
    *out = d;
    return true;
}

void device_close(Device *d) {
    if (d) d->close(d);
}

bool device_check(Device *d, Error *err) {
    if (!d->failed) return true;
    d->failed = false;
    return fail(err, "%s", d->error.text);
}

void device_fail(Device *d, const char *format, ...) {
    if (d->failed) return;
    d->failed = true;
    va_list args;
    va_start(args, format);
    vsnprintf(d->error.text, sizeof d->error.text, format, args);
    va_end(args);
}
