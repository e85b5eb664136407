// SPDX-License-Identifier: Apache-2.0
// Where a program's signals may not arrive. oneDNN's products of matrices keep values below the
// stack that they have claimed, further than the 128 bytes that the x86-64 calling convention
// leaves to them (seen with 2.6 in float32 at AVX-512, and in gradients of convolutions at
// bfloat16). A handler that runs on that stack in the middle of one writes over them, and the
// product goes wrong without a word, or the heap does.
#ifndef TACT_BASE_SIGNALS_H
#define TACT_BASE_SIGNALS_H

#include <signal.h>

// Holds back the calling thread's signals, but for those of its own faults (SIGSEGV and its kind),
// until signals_release with the same `before`. Threads started in between have them held back for
// good.
void signals_hold(sigset_t *before);
void signals_release(const sigset_t *before);

// Handlers with SA_ONSTACK run on a stack of their own when they interrupt the calling thread, from
// now on. For one thread of a program.
void signals_apart(void);

#endif
