// SPDX-License-Identifier: Apache-2.0
// Whether there is memory for what is to come. Nothing reserves it; but a program that has too
// little is told in time.
#ifndef TACT_RUNTIME_MEMORY_CHECK_H
#define TACT_RUNTIME_MEMORY_CHECK_H

#include "base/error.h"
#include "tact.h"

// Whether `bytes` can be had, and beside them the small blocks without which the process would end.
CHECKED bool memory_check(size_t bytes, const char *for_what, Error *err);
// Before a prediction: whether the first one's memory can be had.
CHECKED bool memory_for_first(const tact_policy *p, Error *err);
// The stacks of so many OpenMP threads, without which the compiler's library ends the process.
size_t thread_stack_bytes(int threads);

#endif
