// SPDX-License-Identifier: Apache-2.0
// How a device remembers what failed.
#include "ops/ops.h"
#include <stdarg.h>
#include <stdio.h>

bool device_check(Device *d, Error *err) {
    if (!d->failed) return true;
    d->failed = false;
    return fail_because(err, &d->error, "%s", d->error.text);
}

static void keep_failure(Device *d, bool memory, const char *format, va_list args) {
    char text[sizeof d->error.text];
    if (d->failed) return;
    d->failed = true;
    vsnprintf(text, sizeof text, format, args);
    if (memory)
        (void)fail_memory(&d->error, "%s", text);
    else
        (void)fail(&d->error, "%s", text);
}

void device_fail(Device *d, const char *format, ...) {
    va_list args;
    va_start(args, format);
    keep_failure(d, false, format, args);
    va_end(args);
}

void device_fail_memory(Device *d, const char *format, ...) {
    va_list args;
    va_start(args, format);
    keep_failure(d, true, format, args);
    va_end(args);
}
