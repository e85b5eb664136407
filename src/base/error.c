// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool fail(Error *err, const char *format, ...) {
    // Formatted aside first: an argument may be the text of this very Error.
    Error next;
    va_list args;
    va_start(args, format);
    vsnprintf(next.text, sizeof next.text, format, args);
    va_end(args);
    *err = next;
    return false;
}

bool fail_errno(Error *err, const char *format, ...) {
    int code = errno;
    Error next;
    va_list args;
    va_start(args, format);
    vsnprintf(next.text, sizeof next.text, format, args);
    va_end(args);
    size_t used = strlen(next.text);
    snprintf(next.text + used, sizeof next.text - used, ": %s", strerror(code));
    *err = next;
    return false;
}
