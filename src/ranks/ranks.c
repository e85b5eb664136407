// SPDX-License-Identifier: Apache-2.0
#include "ranks/ranks_internal.h"

#include "base/log.h"
#include "base/memory.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

// ---- opening and closing ------------------------------------------------------------------------

static void ranks_free(Ranks *r) {
    for (int i = 0; r->parts && i < r->count; i++) mem_free(r->parts[i].data);
    mem_free(r->parts);
    mem_free(r->named);
    mem_free(r->gathered);
    meeting_free(&r->meeting);
    if (r->wake >= 0) close(r->wake);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->news);
    mem_free(r);
}

bool ranks_open(const RanksOptions *o, Ranks **out, Error *err) {
    Ranks *r = NEW(Ranks, 1);
    *out = NULL;
    *r = (Ranks){.options = *o, .rank = o->place.rank, .count = o->place.count};
    r->meeting.listener = -1;
    r->parts = NEW(Part, r->count);
    r->named = NEW(bool, r->count);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->news, NULL);
    r->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (r->wake < 0 || pthread_create(&r->thread, NULL, ranks_talk, r) != 0) {
        ranks_free(r);
        return fail(err, "the system gives no thread to talk to the other processes");
    }
    pthread_mutex_lock(&r->lock);
    while (!r->opened) pthread_cond_wait(&r->news, &r->lock);
    bool ok = r->met; // what fails from then on is the calls'
    if (!ok) *err = r->error;
    pthread_mutex_unlock(&r->lock);
    if (ok) {
        *out = r;
        return true;
    }
    pthread_join(r->thread, NULL);
    ranks_free(r);
    return false;
}

void ranks_wake(const Ranks *r) {
    const uint64_t one = 1;
    ssize_t written = write(r->wake, &one, sizeof one);
    (void)written; // it fails only where a wake is pending already
}

// ---- who ----------------------------------------------------------------------------------------

int ranks_count(const Ranks *r) {
    return r ? r->count : 1;
}

int ranks_rank(const Ranks *r) {
    return r ? r->rank : 0;
}

int ranks_local_rank(const Ranks *r) {
    return r ? r->meeting.members[r->rank].local_rank : 0;
}

int ranks_local_count(const Ranks *r) {
    return r ? r->meeting.members[r->rank].local_count : 1;
}

const char *ranks_host(const Ranks *r, int rank) {
    return r ? r->meeting.members[rank].host : "this machine";
}

const char *ranks_way(const Ranks *r) {
    return r ? r->way : "";
}

// ---- calls --------------------------------------------------------------------------------------

void ranks_set_failure(Ranks *r, bool here, const char *text) {
    if (r->failed) return;
    r->failed = true;
    r->failed_here = here;
    r->failed_at = clock_seconds();
    snprintf(r->error.text, sizeof r->error.text, "%s", text);
    pthread_cond_broadcast(&r->news);
}

// Gives a call to the thread and waits for its end.
CHECKED static bool make_call(Ranks *r, Call call, Error *err) {
    bool ok = false;
    pthread_mutex_lock(&r->lock);
    call.number = r->call.number + 1;
    if (!r->failed) {
        r->call = call;
        ranks_wake(r);
        while (!r->call.done && !r->failed) pthread_cond_wait(&r->news, &r->lock);
        ok = r->call.done; // what fails afterwards is the next call's
    }
    if (!ok) *err = r->error;
    r->noticed = r->noticed || !ok;
    // The caller may give back what was being added up.
    while (!ok && !r->quiet) pthread_cond_wait(&r->news, &r->lock);
    if (call.kind != CALL_LEAVE) r->call.kind = CALL_NONE; // who has left may see others leave
    pthread_mutex_unlock(&r->lock);
    return ok;
}

bool ranks_share(Ranks *r, void *data, size_t bytes, Error *err) {
    assert(bytes < MESSAGE_BYTES);
    if (!r) return true;
    return make_call(r, (Call){.kind = CALL_SHARE, .mine = data, .out = data, .bytes = bytes}, err);
}

bool ranks_gather(Ranks *r, const void *mine, size_t bytes, void *all, Error *err) {
    if (!r) {
        if (bytes) memcpy(all, mine, bytes);
        return true;
    }
    if (bytes > MESSAGE_BYTES / (size_t)r->count) // found alike by all
        return fail(err, "%zu bytes of each of %d processes are more than a message takes", bytes,
                    r->count);
    return make_call(r, (Call){.kind = CALL_GATHER, .mine = mine, .out = all, .bytes = bytes}, err);
}

void ranks_sum_begin(Ranks *r, float *data, int64_t n) {
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    assert(r->begun - r->done < SUMS_UNDER_WAY);
    r->jobs[r->begun++ % SUMS_UNDER_WAY] = (SumJob){data, n};
    pthread_mutex_unlock(&r->lock);
    ranks_wake(r);
}

bool ranks_sums_end(Ranks *r, Error *err) {
    return !r || make_call(r, (Call){.kind = CALL_SUMS}, err);
}

void ranks_fail(Ranks *r, const char *line) {
    char text[sizeof(Error)];
    if (!r) return;
    snprintf(text, sizeof text, "rank %d (%s) ended: %.900s", r->rank, ranks_host(r, r->rank),
             line);
    pthread_mutex_lock(&r->lock);
    ranks_set_failure(r, true, text);
    r->noticed = true;
    ranks_wake(r);
    while (!r->quiet) pthread_cond_wait(&r->news, &r->lock);
    pthread_mutex_unlock(&r->lock);
}

bool ranks_tells(Ranks *r) {
    enum { WORD_S = 2 };
    struct timespec until;
    if (!r || r->rank == 0) return true;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WORD_S;
    pthread_mutex_lock(&r->lock);
    while (r->failed && !r->root_lost && !r->root_knows &&
           pthread_cond_timedwait(&r->news, &r->lock, &until) == 0) {
    }
    bool tells = r->root_lost || !r->root_knows;
    pthread_mutex_unlock(&r->lock);
    return tells;
}

bool ranks_lost(Ranks *r, Error *err) {
    if (!r) return false;
    pthread_mutex_lock(&r->lock);
    r->noticed = r->noticed || r->failed;
    bool failed = r->failed;
    if (failed) *err = r->error;
    pthread_mutex_unlock(&r->lock);
    return failed;
}

bool ranks_leave(Ranks *r, Error *err) {
    return !r || make_call(r, (Call){.kind = CALL_LEAVE}, err);
}

void ranks_close(Ranks *r) {
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->closing = true;
    pthread_mutex_unlock(&r->lock);
    ranks_wake(r);
    pthread_join(r->thread, NULL);
    ranks_free(r);
}
