// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include "base/text.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT = sizeof(((Error *)0)->text) - 1 }; // bytes of text; the flag is behind them

bool error_is_memory(const Error *err) {
    return err->text[TEXT] != 0;
}

// The message is made in a buffer of its own first, because an argument may be the text of this
// same Error.
static bool error_write(Error *err, bool memory, const char *format, va_list args) {
    Error next;
    vsnprintf(next.text, TEXT, format, args);
    text_make_line(next.text);
    next.text[TEXT] = memory;
    *err = next;
    return false;
}

bool fail(Error *err, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_write(err, false, format, args);
    va_end(args);
    return false;
}

bool fail_because(Error *err, const Error *why, const char *format, ...) {
    va_list args;
    va_start(args, format);
    error_write(err, error_is_memory(why), format, args);
    va_end(args);
    return false;
}

bool fail_errno(Error *err, const char *format, ...) {
    int code = errno;
    va_list args;
    va_start(args, format);
    error_write(err, code == ENOMEM, format, args);
    va_end(args);
    size_t used = strlen(err->text);
    snprintf(err->text + used, TEXT - used, ": %s", strerror(code));
    return false;
}

bool fail_memory(Error *err, const char *format, ...) {
    Error what;
    va_list args;
    va_start(args, format);
    error_write(&what, true, format, args);
    va_end(args);
    return fail_because(err, &what, "out of memory: %s", what.text);
}
