// SPDX-License-Identifier: Apache-2.0
// Private to ranks/: how the processes of a run find each other. Process 0 listens; the others
// connect to it and say who they are; it tells everyone who all are.
#ifndef TACT_RANKS_MEET_H
#define TACT_RANKS_MEET_H

#include "ranks/link.h"
#include "ranks/mpi.h"
#include "ranks/place.h"
#include <sys/socket.h>

typedef struct Member {
    char host[64];
    char machine[64];                // the same for all processes of one machine
    int32_t local_rank, local_count; // -1, 0 until all are known
    uint16_t port;                   // where it listens for its neighbour in the ring
    socklen_t length;
    struct sockaddr_storage address; // of its machine, as process 0 sees it
} Member;

typedef struct Meeting {
    int rank, count;
    Member *members; // (count)
    Link *links;     // process 0: (count), to each other one; the others: one, to process 0
    int listener;    // for the ring's neighbour, or -1
    char key[65];    // of this run
    struct sockaddr_storage root; // how this process reached process 0
} Meeting;

// mpi: tells the others where process 0 is, or NULL: place->master does. On failure nothing is left
// to free but what meeting_free frees.
CHECKED bool meet(const RanksPlace *place, const MpiModule *mpi, double timeout_s, Meeting *out,
                  Error *err);
// The two connections of the ring (sums.h).
CHECKED bool meet_neighbours(Meeting *m, double timeout_s, int *next, int *previous, Error *err);
void meeting_free(Meeting *m);

#endif
