// SPDX-License-Identifier: Apache-2.0
// How a device remembers what failed.
#include "ops/ops.h"
#include <stdarg.h>
#include <stdio.h>

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
