// SPDX-License-Identifier: Apache-2.0
// How long OpenMP's threads spin while they wait for each other, in a program that did not say so.
//
// GCC's library lets them spin for milliseconds, which where other processes compute too takes the
// very time that is waited for: a control step beside five of them took 30 times as long. How long
// is read from the environment (GOMP_SPINCOUNT, OMP_WAIT_POLICY) before a program that links
// libtact begins. But the library spins 300 times shorter while it has more threads than there are
// processors. So there is one more, which sleeps.
#ifndef TACT_RUNTIME_SHORT_WAITS_H
#define TACT_RUNTIME_SHORT_WAITS_H

#include <stdbool.h>

// For a team of so many threads, until short_waits_end. True where that must be called: false where
// there is nothing to be done (one thread, the environment says what is wanted, another OpenMP
// library, far more processors than threads) or no memory for it. Any thread may call it, and it
// may be called any number of times.
bool short_waits_begin(int threads);
void short_waits_end(void);

#endif
