// SPDX-License-Identifier: Apache-2.0
// The one error type. A fallible function returns false and leaves one line in the caller's Error:
// the file or flag, what is wrong with it, and what to do about it.
#ifndef TACT_BASE_ERROR_H
#define TACT_BASE_ERROR_H

#include <stdbool.h>
#include <stddef.h>

typedef struct Error {
    // One line: names from a file may hold anything, and each control character became a blank.
    // Valid only after a function returned false. The last byte, behind the text, is
    // error_is_memory's.
    char text[1024];
} Error;

// Put before the return type of every fallible function: ignoring its result does not compile.
#define CHECKED __attribute__((warn_unused_result))

// Writes the message and returns false, so that `return fail(err, ...)` reads well.
bool fail(Error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// As fail, with ": " and the text of errno appended.
bool fail_errno(Error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// As fail, for memory that could not be had, with "out of memory: " before the message.
bool fail_memory(Error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

// As fail, for a message about a message: what error_is_memory says of `why` holds for it too.
bool fail_because(Error *err, const Error *why, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// Whether it failed for want of memory, so that more memory or a smaller request would help.
bool error_is_memory(const Error *err);

#endif
