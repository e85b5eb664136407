// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "ops/ops.h"
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool device_open(const char *name, int threads, Device **out, Error *err) {
    *out = NULL;
    bool ref = strcmp(name, "ref") == 0;
    if (strncmp(name, "cuda", 4) == 0)
        return fail(err, "--policy.device=%s: this build of tact has no CUDA support; "
                         "use --policy.device=cpu", name);
    if (!ref && strcmp(name, "cpu") != 0)
        return fail(err, "--policy.device=%s: unknown device; use cpu or cuda", name);
    Device *d = NEW(Device, 1);
    d->threads = threads > 0 ? threads : omp_get_num_procs(); // those this process may use
    ref_device(d);
    if (!ref && !cpu_device(d, d->threads, err)) {
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
