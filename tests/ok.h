// SPDX-License-Identifier: Apache-2.0
#ifndef TACT_TESTS_OK_H
#define TACT_TESTS_OK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h> // after the others: it defines `fail` as a macro

// A call that must succeed: fails the test with the text of the Error `err` of the calling
// function.
#define OK(call)                                                                                   \
    do {                                                                                           \
        if (!(call)) fail_msg("%s", err.text);                                                     \
    } while (0)

#endif
