// SPDX-License-Identifier: Apache-2.0
// Where a program's signals may not arrive. oneDNN's products of matrices keep values below the
// stack that they have claimed, further than the 128 bytes that the x86-64 calling convention
// leaves to them (seen with 2.6 in float32 at AVX2 and AVX-512, once in gradients of convolutions
// at bfloat16). A handler that runs on that stack in the middle of one writes over them, and the
// product goes wrong without a word, or the heap does.
#ifndef TACT_BASE_SIGNALS_H
#define TACT_BASE_SIGNALS_H

#include <signal.h>

// Holds back the calling thread's signals, but for those of its own faults (SIGSEGV and its kind),
// until signals_release with the same `before`. Threads started in between have them held back for
// good.
void signals_hold(sigset_t *before);
void signals_release(const sigset_t *before);

// From now on the signal is handled so, on a stack apart when it interrupts the calling thread;
// system calls go on afterwards. For one thread of a program, as there is one such stack.
void signals_handle(int number, void (*handler)(int));

#endif
