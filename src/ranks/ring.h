// SPDX-License-Identifier: Apache-2.0
// What goes over the connections of ring.c. ring_open is in ranks/sums.h.
#ifndef TACT_RANKS_RING_H
#define TACT_RANKS_RING_H

#include <stdint.h>

// Also tells processors apart whose order of bytes is another.
static const uint32_t RING_MAGIC = 0x52746361; // "actR" in memory

// Before the values of each message, in the order of bytes of the processors. It says nothing that
// the receiver does not know: whatever differs is an error, and no length is taken from it.
typedef struct RingHeader {
    uint32_t magic;
    uint32_t count;  // processes
    uint32_t sender; // rank
    uint32_t step;   // of the sum: 0 .. 2(count - 1) - 1
    uint64_t sum;    // number, from 0
    uint64_t n;      // values of the whole sum
} RingHeader;
_Static_assert(sizeof(RingHeader) == 32, "headers have no padding");

#endif
