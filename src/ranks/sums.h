// SPDX-License-Identifier: Apache-2.0
// Private to ranks/: sums of arrays of floats over all processes of a run, by one of two ways: a
// ring of TCP connections (ring.c), or MPI (mpi/, the module tact_mpi). Every process begins the
// same sums in the same order; they may be done at different moments. One thread makes all calls.
//
// The sum of an element is made in the same order on every run with as many processes, and all
// processes get the same bits.
#ifndef TACT_RANKS_SUMS_H
#define TACT_RANKS_SUMS_H

#include "base/error.h"
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

// Most sums that may be under way at once, and most descriptors that one way of summing waits for.
enum { SUMS_UNDER_WAY = 64, SUMS_DESCRIPTORS = 2 };

typedef struct Sums Sums;

typedef struct SumsKind {
    const char *name; // "tcp", "mpi"
    // Starts to add up `data` (n) in place; it must stay where it is until the sum is done.
    bool (*begin)(Sums *s, float *data, int64_t n, Error *err);
    // Moves what can be moved without waiting. *under_way: how many sums that were begun are not
    // done yet; they are done in the order in which they were begun.
    bool (*progress)(Sums *s, int *under_way, Error *err);
    // What to poll for until progress() can move more: fills at most SUMS_DESCRIPTORS and returns
    // how many. 0: nothing tells, progress() is called again after a short while.
    int (*descriptors)(const Sums *s, struct pollfd *out);
    void (*close)(Sums *s);
} SumsKind;

// What every kind's own struct begins with.
struct Sums {
    const SumsKind *kind;
};

// ring.c. `next` and `previous` are connected TCP sockets, non-blocking from here on, to process
// (rank + 1) % count and from (rank - 1 + count) % count; closed by close(). Errors name the
// neighbour ("the connection to rank 3 ended"). count >= 2. For count 2 both sockets lead to the
// same process.
CHECKED bool ring_open(int rank, int count, int next, int previous, Sums **out, Error *err);

#endif
