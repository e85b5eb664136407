// SPDX-License-Identifier: Apache-2.0
// Whether there is memory for what is to come. Nothing reserves it; but a program that has too
// little is told in time.
#ifndef TACT_RUNTIME_MEMORY_CHECK_H
#define TACT_RUNTIME_MEMORY_CHECK_H

#include "base/error.h"
#include "tact.h"

// Whether `bytes` can be had, and beside them the small blocks of libraries that would end the
// process without them.
CHECKED bool memory_check(size_t bytes, const char *for_what, Error *err);
// Before the calling thread predicts: whether the memory can be had that a prediction takes, and
// its threads.
CHECKED bool memory_for_prediction(const tact_policy *p, Error *err);
// Whether the calling thread can have a team of so many OpenMP threads. The compiler's library ends
// the process where it cannot make one; so as many threads are made here once, and are gone again.
CHECKED bool threads_check(int threads, Error *err);
// The stacks of so many OpenMP threads, without which the compiler's library ends the process.
size_t thread_stack_bytes(int threads);

#endif
