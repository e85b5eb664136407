// SPDX-License-Identifier: Apache-2.0
// The processes of one training: they agree, and add up gradients.
//
// Every process has one thread for this, which alone talks to the others (docs/scale.md). Process 0
// hears from all others over TCP, so that one that dies is noticed at once and one that stalls can
// be named; sums go by a ring of TCP connections or by MPI (sums.h), those between cards by NCCL
// (ops/cuda), which this only starts.
//
// A run of one process has no Ranks: NULL is allowed everywhere below and does at once what one
// process alone needs.
//
// ranks_share, ranks_gather, ranks_sum_begin and ranks_sums_end are called by every process in the
// same order, by one thread. When a process fails, dies or does not come for timeout_s, all calls
// of all processes fail with one line that names it, from then on.
#ifndef TACT_RANKS_RANKS_H
#define TACT_RANKS_RANKS_H

#include "ranks/place.h"
#include <stddef.h>
#include <stdint.h>

typedef struct Ranks Ranks;

typedef struct RanksOptions {
    RanksPlace place;    // count >= 2
    const char *backend; // of sums: "mpi", "tcp", or "auto": MPI where it started this process
    double timeout_s;    // above 0
} RanksOptions;

// Meets the others; gives up after timeout_s and says who did not come.
CHECKED bool ranks_open(const RanksOptions *options, Ranks **out, Error *err);
// Waits until all processes have come to their ends.
CHECKED bool ranks_leave(Ranks *r, Error *err);
// Ends it. After a failure the others wait for process 0, which may still have something to save.
void ranks_close(Ranks *r);

int ranks_count(const Ranks *r);
int ranks_rank(const Ranks *r);
int ranks_local_rank(const Ranks *r);  // among the processes of this host
int ranks_local_count(const Ranks *r); // of this host
const char *ranks_host(const Ranks *r, int rank);
// What the sums go by: "MPI (Open MPI 4.1.4)", "TCP".
const char *ranks_way(const Ranks *r);

// How many processors are this process's: those it may use, divided by the processes of this host
// that may use them too. At least 1. All call it.
CHECKED bool ranks_processors(Ranks *r, int *out, Error *err);

// `bytes` of process 0 become everyone's.
CHECKED bool ranks_share(Ranks *r, void *data, size_t bytes, Error *err);
// `bytes` of every process come to every process: all (count, bytes), in the order of the ranks.
CHECKED bool ranks_gather(Ranks *r, const void *mine, size_t bytes, void *all, Error *err);
// Begins to add up data (n floats) of all processes in place, beside whatever the caller does next;
// data stays theirs until ranks_sums_end. At most SUMS_UNDER_WAY at once.
void ranks_sum_begin(Ranks *r, float *data, int64_t n);
// Waits for all sums that were begun. After an error, too, their arrays are the caller's again.
CHECKED bool ranks_sums_end(Ranks *r, Error *err);

// Tells all other processes that this one ends, and why: their calls fail with this line. From here
// on the arrays of sums that were under way are the caller's again.
void ranks_fail(Ranks *r, const char *line);
// After a failure: whether it is for this process to tell of it. Process 0 does, so that one line
// is seen and not one a process; others where it cannot, for which they wait a moment.
bool ranks_tells(Ranks *r);
// Whether the run has failed, and why, without waiting. Any thread.
bool ranks_lost(Ranks *r, Error *err);

#endif
