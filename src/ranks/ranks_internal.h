// SPDX-License-Identifier: Apache-2.0
// Private to ranks/: what the caller's thread (ranks.c) and the one that talks (talk.c) share.
#ifndef TACT_RANKS_INTERNAL_H
#define TACT_RANKS_INTERNAL_H

#include "ranks/meet.h"
#include "ranks/ranks.h"
#include <pthread.h>

// What the caller waits for.
typedef enum CallKind {
    CALL_NONE,
    CALL_SHARE,  // process 0's bytes for everyone
    CALL_GATHER, // everyone's bytes for everyone
    CALL_SUMS,   // the sums that were begun
    CALL_LEAVE,  // that everyone has come to the end
} CallKind;

typedef struct Call {
    CallKind kind;
    int64_t number; // calls count up alike in every process
    const void *mine;
    void *out;
    size_t bytes;
    double since;
    bool posted, done; // seen by the thread; done
} Call;

// What process 0 knows of a process.
typedef struct Part {
    int64_t arrived; // number of the last call it came to
    double at;       // when
    uint8_t *data;   // its bytes of that call
    size_t bytes, room;
    bool alive; // has answered the last ping
} Part;

typedef struct SumJob {
    float *data;
    int64_t n;
} SumJob;

struct Ranks {
    RanksOptions options;
    int rank, count;

    // Of the thread alone, once it runs.
    Meeting meeting;
    const MpiModule *mpi; // NULL: not started by MPI
    Part *parts;          // (count) process 0
    bool *named;          // (count) scratch: those that a message names
    uint8_t *gathered;    // (count, bytes) process 0: the answer to a call
    size_t gathered_room;
    double looked;    // when the thread last came round
    double stopped_s; // seconds in which this process was stopped
    double pinged;    // when process 0 asked who is alive; 0: it did not
    double hinted;    // when a connection of the sums failed; 0: none did
    Error hint;       // what it said: what process 0 says of it is better
    int64_t handed;   // sums handed to `sums`

    pthread_t thread;
    int wake; // eventfd: the caller has something for the thread
    Sums *sums;
    char way[96];

    pthread_mutex_t lock; // guards what follows
    pthread_cond_t news;
    bool opened, met, closing; // opening is over; it went well
    bool quiet; // after a failure: the thread touches no memory of the caller's any more
    // noticed: a call has told the caller. root_lost: process 0 is, which tells of nothing then.
    // root_knows: it has said that the run has failed, so it tells.
    bool failed, failed_here, noticed, root_lost, root_knows;
    double failed_at;
    Error error;
    Call call;
    SumJob jobs[SUMS_UNDER_WAY];
    int64_t begun, done; // sums
};

// open.c, in the thread: starts MPI, meets the others, opens the sums.
CHECKED bool ranks_meet(Ranks *r, Error *err);
// The thread (talk.c).
void *ranks_talk(void *ranks);
// Keeps the first failure and wakes the caller. here: this process ends by itself. With the lock.
void ranks_set_failure(Ranks *r, bool here, const char *text);
void ranks_wake(const Ranks *r);

#endif
