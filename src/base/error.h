// SPDX-License-Identifier: Apache-2.0
// The one error type. A fallible function returns false and leaves one line in the caller's Error:
// the file or flag, what is wrong with it, and what to do about it.
#ifndef TACT_BASE_ERROR_H
#define TACT_BASE_ERROR_H

#include <stdbool.h>

typedef struct Error {
    char text[1024]; // one line, no newline; valid only after a function returned false
} Error;

// Put before the return type of every fallible function: ignoring its result does not compile.
#define CHECKED __attribute__((warn_unused_result))

// Writes the message and returns false, so that `return fail(err, ...)` reads well.
bool fail(Error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// As fail, with ": " and the text of errno appended.
bool fail_errno(Error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
