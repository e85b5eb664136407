// SPDX-License-Identifier: Apache-2.0
// The thread of a process that talks to the others. It waits for its caller, for the links and for
// the sums at once, and never for one of them alone.
#include "ranks/ranks_internal.h"

#include "base/log.h"
#include "base/memory.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Seconds: for process 0's word on a failure that shows elsewhere first; beyond timeout_s before
// the others give up on process 0; for the last words of a process that ends; for the caller to
// notice a failure before the process is ended under it; for an answer to a ping; for process 0 to
// save what it has after a failure; beyond what poll waits, for this process to have been stopped.
enum {
    VERDICT_S = 3,
    PATIENCE_S = 15,
    LAST_WORDS_S = 3,
    NOTICE_S = 60, // at least
    PING_S = 5,
    SAVING_S = 120,
    STOPPED_S = 1,
};
enum { TEXT = 1024 };

static int link_count(const Ranks *r) {
    return r->rank ? 1 : r->count;
}

// Seconds of a clock that stands while this process is stopped: when a whole run is suspended, and
// goes on, nobody was late.
static double awake_seconds(const Ranks *r) {
    return clock_seconds() - r->stopped_s;
}

static void come_round(Ranks *r) {
    double now = clock_seconds();
    if (r->looked && now - r->looked > STOPPED_S) r->stopped_s += now - r->looked;
    r->looked = now;
}

// ---- failures -----------------------------------------------------------------------------------

static void set_failure(Ranks *r, bool here, const char *text) {
    pthread_mutex_lock(&r->lock);
    ranks_set_failure(r, here, text);
    pthread_mutex_unlock(&r->lock);
}

static void process_gone(Ranks *r, int rank) {
    char text[TEXT];
    snprintf(text, sizeof text,
             "rank %d (%s) is gone: it was killed, or its machine or the network to it failed",
             rank, r->meeting.members[rank].host);
    pthread_mutex_lock(&r->lock);
    r->root_lost =
        r->root_lost || (rank == 0 && !r->failed); // not where it ended with its last word
    ranks_set_failure(r, false, text);
    pthread_mutex_unlock(&r->lock);
}

// Tells those who should know of the failure. Without the lock: nothing of it changes any more.
static void spread_failure(Ranks *r) {
    const Message m = {MESSAGE_FAILED, 0, r->error.text, strlen(r->error.text)};
    if (r->rank && !r->failed_here) return;
    for (int i = 0; i < link_count(r); i++) (void)link_send(&r->meeting.links[i], m);
}

// ---- process 0: what the others send ------------------------------------------------------------

static void part_arrived(Ranks *r, int rank, const Message *m) {
    Part *p = &r->parts[rank];
    p->arrived = m->number;
    p->at = awake_seconds(r);
    p->bytes = m->bytes;
    if (m->bytes > p->room) {
        mem_free(p->data);
        p->data = mem_alloc(m->bytes);
        p->room = m->bytes;
    }
    if (m->bytes) memcpy(p->data, m->data, m->bytes);
}

// Whether everyone has come to the caller's call with as many bytes.
static bool all_arrived(Ranks *r, const Call *c) {
    for (int i = 0; i < r->count; i++) {
        const Part *p = &r->parts[i];
        if (p->arrived < c->number) return false;
        size_t expected =
            c->kind == CALL_GATHER || (c->kind == CALL_SHARE && i == 0) ? c->bytes : 0;
        if (p->bytes == expected) continue;
        char text[TEXT];
        snprintf(text, sizeof text,
                 "rank %d (%s) is out of step: it sent %zu bytes where %zu were expected; are all "
                 "processes started with the same flags?",
                 i, r->meeting.members[i].host, p->bytes, expected);
        set_failure(r, false, text);
        return false;
    }
    return true;
}

// A caller whose call has failed, as when one of the others is found gone while it is answered, may
// have given back the memory of its call.
static void finish_call(Ranks *r, const Call *c, const void *data, size_t bytes) {
    pthread_mutex_lock(&r->lock);
    if (!r->failed) {
        if (bytes && data != c->out) memcpy(c->out, data, bytes);
        r->call.done = true;
        pthread_cond_broadcast(&r->news);
    }
    pthread_mutex_unlock(&r->lock);
}

// Answers the call that everyone has come to.
static void answer_call(Ranks *r, const Call *c) {
    size_t bytes = c->kind == CALL_GATHER ? c->bytes * (size_t)r->count : c->bytes;
    if (bytes > r->gathered_room) {
        mem_free(r->gathered);
        r->gathered = mem_alloc(bytes);
        r->gathered_room = bytes;
    }
    for (int i = 0; i < r->count && c->bytes; i++)
        if (r->parts[i].bytes)
            memcpy(r->gathered + (size_t)i * c->bytes, r->parts[i].data, c->bytes);
    const Message m = {MESSAGE_ALL, c->number, r->gathered, bytes};
    for (int i = 1; i < r->count; i++)
        if (!link_send(&r->meeting.links[i], m)) process_gone(r, i);
    finish_call(r, c, r->gathered, bytes);
}

// ---- messages -----------------------------------------------------------------------------------

static void failed_elsewhere(Ranks *r, const Message *m) {
    char text[TEXT];
    snprintf(text, sizeof text, "%.*s", (int)(m->bytes < 1000 ? m->bytes : 1000),
             (const char *)m->data);
    pthread_mutex_lock(&r->lock);
    ranks_set_failure(r, false, text);
    r->root_knows = r->root_knows || r->rank;
    pthread_cond_broadcast(&r->news);
    pthread_mutex_unlock(&r->lock);
}

// Of process 0, or in process 0 of another: `from`.
static void take_message(Ranks *r, int from, const Call *c, const Message *m) {
    Link *link = &r->meeting.links[r->rank ? 0 : from];
    if (m->kind == MESSAGE_FAILED) {
        failed_elsewhere(r, m);
    } else if (m->kind == MESSAGE_PING) {
        (void)link_send(link, (Message){.kind = MESSAGE_PONG});
    } else if (r->rank == 0 && m->kind == MESSAGE_PONG) {
        r->parts[from].alive = true;
    } else if (r->rank == 0 && (m->kind == MESSAGE_PART || m->kind == MESSAGE_AT)) {
        part_arrived(r, from, m);
    } else if (r->rank && m->kind == MESSAGE_ALL && c->posted && !c->done &&
               m->number == c->number &&
               m->bytes == (c->kind == CALL_GATHER ? c->bytes * (size_t)r->count : c->bytes)) {
        finish_call(r, c, m->data, m->bytes);
    } else {
        char text[TEXT];
        snprintf(text, sizeof text,
                 "rank %d (%s) sent what does not belong here; are all processes started with the "
                 "same flags, and of one build?",
                 from, r->meeting.members[from].host);
        set_failure(r, false, text);
    }
}

static Call call_now(Ranks *r) {
    pthread_mutex_lock(&r->lock);
    Call c = r->call;
    pthread_mutex_unlock(&r->lock);
    return c;
}

static bool has_failed(Ranks *r) {
    pthread_mutex_lock(&r->lock);
    bool failed = r->failed;
    pthread_mutex_unlock(&r->lock);
    return failed;
}

static void read_links(Ranks *r) {
    for (int i = 0; i < link_count(r); i++) {
        Link *l = &r->meeting.links[i];
        Message m;
        LinkNews news = LINK_NOTHING;
        while (l->fd >= 0 && (news = link_receive(l, &m)) == LINK_MESSAGE) {
            Call c = call_now(r);
            take_message(r, r->rank ? 0 : i, &c, &m);
        }
        if (l->fd >= 0 && (news == LINK_ENDED || !link_flush(l))) {
            Call c = call_now(r);
            // In process 0 the others may go when everyone has come to the end.
            if (!(c.kind == CALL_LEAVE && c.done)) process_gone(r, i);
            link_close(l);
        }
    }
}

// Says that this process has come to its call.
static void post_call(Ranks *r, const Call *c) {
    const bool sums = c->kind == CALL_SUMS;
    const bool sends = c->kind == CALL_GATHER || (c->kind == CALL_SHARE && r->rank == 0);
    const Message m = {sums ? MESSAGE_AT : MESSAGE_PART, c->number, sends ? c->mine : NULL,
                       sends ? c->bytes : 0};
    pthread_mutex_lock(&r->lock);
    r->call.posted = true;
    r->call.since = awake_seconds(r);
    pthread_mutex_unlock(&r->lock);
    if (r->rank == 0)
        part_arrived(r, 0, &m);
    else if (!link_send(&r->meeting.links[0], m))
        process_gone(r, 0);
}

// ---- sums ---------------------------------------------------------------------------------------

// A connection of the sums failed: mostly since a process is gone, of which process 0 will speak.
static void keep_hint(Ranks *r, const Error *why) {
    if (r->hinted) return;
    r->hinted = awake_seconds(r);
    r->hint = *why;
}

// Returns whether sums are under way.
static bool move_sums(Ranks *r) {
    Error err;
    int under_way = 0;
    pthread_mutex_lock(&r->lock);
    int64_t begun = r->begun;
    pthread_mutex_unlock(&r->lock);
    if (!r->sums || r->hinted || (r->handed == begun && r->done == begun)) return false;
    bool ok = true;
    while (ok && r->handed < begun) {
        SumJob *job = &r->jobs[r->handed++ % SUMS_UNDER_WAY];
        ok = r->sums->kind->begin(r->sums, job->data, job->n, &err);
    }
    ok = ok && r->sums->kind->progress(r->sums, &under_way, &err);
    if (!ok) {
        keep_hint(r, &err);
        return false;
    }
    pthread_mutex_lock(&r->lock);
    r->done = r->handed - under_way;
    pthread_mutex_unlock(&r->lock);
    return under_way > 0;
}

static bool sums_done(Ranks *r) {
    pthread_mutex_lock(&r->lock);
    bool done = r->done == r->begun;
    pthread_mutex_unlock(&r->lock);
    return done;
}

// ---- those who do not come ----------------------------------------------------------------------

// Writes the ranks of r->named.
static void name_ranks(const Ranks *r, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < r->count; i++)
        if (r->named[i] && used + 96 < size)
            used += (size_t)snprintf(out + used, size - used, "%srank %d (%s)", used ? ", " : "", i,
                                     r->meeting.members[i].host);
}

// Process 0: whether some have waited too long for others.
static void look_for_stalled(Ranks *r, double now) {
    char names[TEXT / 2], text[TEXT];
    int64_t furthest = 0;
    double first = now;
    int missing = 0;
    for (int i = 0; i < r->count; i++)
        if (r->parts[i].arrived > furthest) furthest = r->parts[i].arrived;
    for (int i = 0; i < r->count; i++) {
        r->named[i] = r->parts[i].arrived < furthest;
        missing += r->named[i];
        if (!r->named[i] && r->parts[i].at < first) first = r->parts[i].at;
    }
    if (missing && now - first > r->options.timeout_s) {
        name_ranks(r, names, sizeof names);
        snprintf(text, sizeof text,
                 "%s has not come for %g s, and the others wait; is it stopped, or its disk or "
                 "dataset slow? (--dist.timeout_s)",
                 names, r->options.timeout_s);
        set_failure(r, r->named[0], text);
    }
}

// Process 0: all have come for their sums, which do not get on. Who does not answer is at fault.
static void look_for_silent(Ranks *r, const Call *c, double now) {
    char names[TEXT / 2], text[TEXT];
    int silent = 0;
    if (c->kind != CALL_SUMS || !c->posted || c->done || now - c->since < r->options.timeout_s) {
        r->pinged = 0;
        return;
    }
    if (!r->pinged) {
        r->pinged = now;
        for (int i = 1; i < r->count; i++) {
            r->parts[i].alive = false;
            (void)link_send(&r->meeting.links[i], (Message){.kind = MESSAGE_PING});
        }
    }
    if (now - r->pinged < PING_S) return;
    for (int i = 1; i < r->count; i++) silent += r->named[i] = !r->parts[i].alive;
    name_ranks(r, names, sizeof names);
    if (silent)
        snprintf(text, sizeof text,
                 "%s does not answer, and the others have waited for gradients for %g s; is it "
                 "stopped? (--dist.timeout_s)",
                 names, r->options.timeout_s);
    else
        snprintf(text, sizeof text,
                 "nothing has moved for %g s while gradients were added; look at the network "
                 "between the hosts (--dist.timeout_s)",
                 r->options.timeout_s);
    set_failure(r, false, text);
}

static void check_deadlines(Ranks *r, const Call *c) {
    char text[TEXT];
    double now = awake_seconds(r);
    if (r->hinted && now - r->hinted > VERDICT_S) {
        set_failure(r, false, r->hint.text);
    } else if (r->rank == 0) {
        look_for_stalled(r, now);
        look_for_silent(r, c, now);
    } else if (c->kind != CALL_NONE && c->posted && !c->done &&
               now - c->since > r->options.timeout_s + PING_S + PATIENCE_S) {
        snprintf(text, sizeof text,
                 "rank 0 (%s) has not answered for %g s; is it stopped? (--dist.timeout_s)",
                 r->meeting.members[0].host, now - c->since);
        pthread_mutex_lock(&r->lock);
        ranks_set_failure(r, false, text);
        r->root_lost = true;
        pthread_mutex_unlock(&r->lock);
    }
}

// ---- the thread ---------------------------------------------------------------------------------

// Waits until there is something to do.
static void wait_for_news(Ranks *r, struct pollfd *fds, bool summing) {
    int n = link_count(r);
    for (int i = 0; i < n; i++) {
        const Link *l = &r->meeting.links[i];
        short out = link_wants_out(l) ? POLLOUT : 0;
        fds[i] = (struct pollfd){.fd = l->fd, .events = (short)(POLLIN | out)};
    }
    fds[n++] = (struct pollfd){.fd = r->wake, .events = POLLIN};
    int more = summing ? r->sums->kind->descriptors(r->sums, fds + n) : 0;
    struct timespec wait = {.tv_nsec = summing && !more ? 100000 : 250000000};
    ppoll(fds, (nfds_t)(n + more), &wait, NULL);
    uint64_t ignored;
    ssize_t got = read(r->wake, &ignored, sizeof ignored);
    (void)got;
}

static void talk_until_closed(Ranks *r, struct pollfd *fds) {
    bool summing = false;
    for (;;) {
        wait_for_news(r, fds, summing);
        come_round(r);
        pthread_mutex_lock(&r->lock);
        bool end = r->closing || r->failed;
        Call c = r->call;
        pthread_mutex_unlock(&r->lock);
        if (end) return;
        if (c.kind != CALL_NONE && !c.posted) {
            post_call(r, &c);
            c.posted = true;
        }
        read_links(r);
        summing = move_sums(r);
        c = call_now(r);
        if (c.kind == CALL_SUMS && c.posted && !c.done && sums_done(r))
            finish_call(r, &c, NULL, 0);
        else if (r->rank == 0 && c.kind != CALL_SUMS && c.kind != CALL_NONE && c.posted &&
                 !c.done && all_arrived(r, &c))
            answer_call(r, &c);
        c = call_now(r);
        check_deadlines(r, &c);
    }
}

// Sends what is still to be sent.
static void say_last_words(Ranks *r) {
    double until = clock_seconds() + LAST_WORDS_S;
    for (bool left = true; left && clock_seconds() < until;) {
        left = false;
        for (int i = 0; i < link_count(r); i++) {
            Link *l = &r->meeting.links[i];
            if (l->fd >= 0 && !link_flush(l)) link_close(l);
            left = left || link_wants_out(l);
        }
        if (left) nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

// How long a caller may compute, or evaluate, before it hears of a failure.
static double notice_seconds(const Ranks *r) {
    return r->options.timeout_s > NOTICE_S ? r->options.timeout_s : NOTICE_S;
}

// After a failure: whether process 0 has heard of it, or is gone.
static void hear_root(Ranks *r) {
    Link *l = &r->meeting.links[0];
    Message m;
    LinkNews news = LINK_NOTHING;
    while (r->rank && l->fd >= 0 && (news = link_receive(l, &m)) == LINK_MESSAGE)
        if (m.kind == MESSAGE_FAILED) failed_elsewhere(r, &m);
    if (news == LINK_ENDED) link_close(l);
}

// After a failure: until the caller closes. A caller that does not hear of it, since it hangs
// elsewhere, must not keep the others' machines.
static void wait_for_caller(Ranks *r) {
    const double patience = notice_seconds(r);
    for (;;) {
        hear_root(r);
        pthread_mutex_lock(&r->lock);
        bool closing = r->closing;
        bool hangs = !r->noticed && clock_seconds() - r->failed_at > patience;
        pthread_mutex_unlock(&r->lock);
        if (closing) return;
        if (hangs) {
            fprintf(stderr, "tact: %s; rank %d did not get to hear of it for %d s and is ended\n",
                    r->error.text, r->rank, (int)patience);
            _exit(EXIT_FAILURE);
        }
        struct pollfd fds[2] = {{.fd = r->wake, .events = POLLIN},
                                {.fd = r->rank ? r->meeting.links[0].fd : -1, .events = POLLIN}};
        poll(fds, 2, 250);
        uint64_t ignored;
        ssize_t got = read(r->wake, &ignored, sizeof ignored);
        (void)got;
    }
}

// What started the processes may end them all as soon as one has ended with an error: the others
// leave process 0 the time to save.
static void wait_for_root(Ranks *r) {
    Link *l = &r->meeting.links[0];
    double until = clock_seconds() + notice_seconds(r) + SAVING_S;
    Message ignored;
    while (l->fd >= 0 && clock_seconds() < until) {
        LinkNews news;
        while ((news = link_receive(l, &ignored)) == LINK_MESSAGE) {
        }
        if (news == LINK_ENDED) return;
        struct pollfd fd = {.fd = l->fd, .events = POLLIN};
        poll(&fd, 1, 250);
    }
}

// ---- the whole of it ----------------------------------------------------------------------------

void *ranks_talk(void *user) {
    Ranks *r = user;
    Error err;
    struct pollfd *fds = NEW(struct pollfd, r->count + 1 + SUMS_DESCRIPTORS);
    bool ok = ranks_meet(r, &err);
    pthread_mutex_lock(&r->lock);
    if (!ok) ranks_set_failure(r, true, err.text);
    r->opened = true;
    r->met = ok;
    pthread_cond_broadcast(&r->news);
    pthread_mutex_unlock(&r->lock);
    if (ok) talk_until_closed(r, fds);
    pthread_mutex_lock(&r->lock);
    r->quiet = true;
    pthread_cond_broadcast(&r->news);
    pthread_mutex_unlock(&r->lock);
    bool failed = has_failed(r);
    if (r->meeting.links && failed) spread_failure(r);
    if (r->meeting.links) say_last_words(r);
    if (ok && failed) wait_for_caller(r);
    if (ok && failed && r->rank && !r->root_lost) wait_for_root(r);
    if (r->sums) r->sums->kind->close(r->sums);
    if (r->mpi) r->mpi->close(!failed);
    mem_free(fds);
    return NULL;
}
