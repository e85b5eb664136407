// SPDX-License-Identifier: Apache-2.0
#include "serve/openpi/sessions.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/signals.h"
#include "serve/openpi/message.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>

// Of a message that is too large so many times of what is allowed is dropped before the connection
// ends.
enum { MOST_DROPPED = 16 };

// A message, as far as it is there. The network's until it is asked, then the worker's.
typedef struct Incoming {
    uint8_t *bytes;
    size_t size, room;
    bool text, whole;
    bool dropped;    // no memory for it, or too large; the size goes on counting
    double whole_at; // clock_seconds when it was
} Incoming;

typedef enum SessionState {
    SESSION_IDLE,
    SESSION_ASKED,
    SESSION_RUNS,
    SESSION_ANSWERED
} SessionState;

// The worker has `asked`, `reply` and `episode` while it runs; the network the first two otherwise.
struct Session {
    Sessions *all;
    SessionState state; // under the lock
    bool gone;          // under the lock: its client is
    Session *next;      // in the queue
    Incoming asked, coming;
    msgpack_sbuffer reply;
    bool reply_is_text;
    double previous_ms; // from the last message to its reply; negative: there was none
    void *episode;      // NULL: before the first message
    SessionCounts counts;
};

struct Sessions {
    SessionsOptions options;
    size_t most_bytes; // of a message
    pthread_t worker;
    pthread_mutex_t lock;
    pthread_cond_t asked;
    Session *first, *last;              // queue
    int count;                          // under the lock
    bool stopped, stopped_waking, quit; // under the lock
    MessageReader *reader;              // the worker's
    double *actions;                    // (chunk_size, action_size)
};

// ---- the queue; the lock is held ----------------------------------------------------------------

static void queue_add(Session *s) {
    Sessions *all = s->all;
    s->next = NULL;
    if (all->last)
        all->last->next = s;
    else
        all->first = s;
    all->last = s;
    pthread_cond_signal(&all->asked);
}

static Session *queue_take(Sessions *all) {
    Session *s = all->first;
    if (!s) return NULL;
    all->first = s->next;
    if (!all->first) all->last = NULL;
    return s;
}

// ---- the worker ---------------------------------------------------------------------------------

CHECKED static bool answer(Session *s, Error *err) {
    Sessions *all = s->all;
    const ServePolicy *p = all->options.policy;
    const Incoming *in = &s->asked;
    Message m;
    if (in->text)
        return fail(err, "a text message; observations are binary, as MessagePack makes them");
    if (in->size > all->most_bytes)
        return fail(err,
                    "a message of %zu bytes; with what this policy sees at most %zu are read; "
                    "images are uint8 of the recorded size",
                    in->size, all->most_bytes);
    if (in->dropped) return fail_memory(err, "a message of %zu bytes", in->size);
    double start = clock_seconds();
    const bool read = message_read(all->reader, in->bytes, in->size, &m, err);
    // An episode begins with a message that says so, even if the rest of it is refused: the client
    // goes on with its next one.
    if (m.reset && s->episode) p->reset(s->episode);
    if (!read || (!s->episode && !p->open(p->user, &s->episode, err))) return false;
    if (m.sees && !p->observe(s->episode, &m.observation, err)) {
        Error why = *err;
        const char *missing = message_missing(all->reader);
        return missing[0] ? fail_because(err, &why, "%s; the observation has %s", why.text, missing)
                          : false;
    }
    const bool predicts = m.sees && !m.observe_only;
    if (predicts && !p->predict(s->episode, all->actions, err)) return false;
    message_write_reply(&s->reply, all->options.head, &p->wants, predicts ? all->actions : NULL,
                        1e3 * (clock_seconds() - start), s->previous_ms);
    return true;
}

static void run_session(Session *s) {
    Error err;
    s->reply_is_text = !answer(s, &err);
    if (s->reply_is_text) message_write_error(&s->reply, s->all->options.head, err.text);
}

static void free_session(Session *s) {
    if (s->episode) s->all->options.policy->close(s->episode);
    mem_free(s->asked.bytes);
    mem_free(s->coming.bytes);
    msgpack_sbuffer_destroy(&s->reply);
    mem_free(s);
}

static void *worker_main(void *argument) {
    Sessions *all = argument;
    all->options.policy->prepare(all->options.policy->user);
    pthread_mutex_lock(&all->lock);
    for (;;) {
        Session *s;
        while (!(s = queue_take(all)) && !all->quit) pthread_cond_wait(&all->asked, &all->lock);
        if (!s) break;
        bool runs = !s->gone && !all->stopped;
        s->state = SESSION_RUNS; // nobody else puts it into the queue
        pthread_mutex_unlock(&all->lock);
        if (runs) run_session(s);
        pthread_mutex_lock(&all->lock);
        s->counts.messages += runs;
        s->counts.errors += runs && s->reply_is_text;
        if (s->gone) {
            all->count--;
            pthread_mutex_unlock(&all->lock);
            free_session(s);
            pthread_mutex_lock(&all->lock);
        } else {
            s->state = runs ? SESSION_ANSWERED : SESSION_IDLE;
        }
        if (runs && !all->stopped_waking) all->options.wake(all->options.user);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

// ---- all sessions -------------------------------------------------------------------------------

CHECKED static bool start_worker(Sessions *all, Error *err) {
    // The program's signals are for its own threads.
    sigset_t before;
    signals_hold(&before);
    int failed = pthread_create(&all->worker, NULL, worker_main, all);
    signals_release(&before);
    return failed == 0 || fail(err, "no thread to predict in: %s", strerror(failed));
}

static void free_all(Sessions *all) {
    pthread_cond_destroy(&all->asked);
    pthread_mutex_destroy(&all->lock);
    message_reader_free(all->reader);
    mem_free(all->actions);
    mem_free(all);
}

bool sessions_new(const SessionsOptions *options, Sessions **out, Error *err) {
    const ServeWants *w = &options->policy->wants;
    Sessions *all = NEW(Sessions, 1);
    all->options = *options;
    all->most_bytes = message_most(w);
    all->actions = NEW(double, (size_t)w->chunk_size * w->action_size);
    all->reader = message_reader_new(w);
    pthread_mutex_init(&all->lock, NULL);
    pthread_cond_init(&all->asked, NULL);
    *out = NULL;
    bool ok =
        (all->reader || fail_memory(err, "what messages are read with")) && start_worker(all, err);
    if (ok)
        *out = all;
    else
        free_all(all);
    return ok;
}

void sessions_stop(Sessions *all) {
    pthread_mutex_lock(&all->lock);
    all->stopped = true;
    pthread_mutex_unlock(&all->lock);
}

void sessions_stop_waking(Sessions *all) {
    pthread_mutex_lock(&all->lock);
    all->stopped_waking = true;
    pthread_mutex_unlock(&all->lock);
}

void sessions_free(Sessions *all) {
    if (!all) return;
    pthread_mutex_lock(&all->lock);
    all->stopped = all->quit = true;
    pthread_cond_signal(&all->asked);
    pthread_mutex_unlock(&all->lock);
    pthread_join(all->worker, NULL);
    free_all(all);
}

// ---- one session --------------------------------------------------------------------------------

// The lock is held.
static bool has_room(const Sessions *all) {
    return all->count < all->options.most && !all->stopped;
}

bool sessions_full(Sessions *all) {
    pthread_mutex_lock(&all->lock);
    bool room = has_room(all);
    pthread_mutex_unlock(&all->lock);
    return !room;
}

Session *session_open(Sessions *all) {
    pthread_mutex_lock(&all->lock);
    bool room = has_room(all);
    all->count += room;
    pthread_mutex_unlock(&all->lock);
    if (!room) return NULL;
    Session *s = NEW(Session, 1);
    s->all = all;
    s->previous_ms = -1;
    msgpack_sbuffer_init(&s->reply);
    return s;
}

void session_close(Session *s) {
    Sessions *all = s->all;
    pthread_mutex_lock(&all->lock);
    s->gone = true;
    // The worker closes the episode, as it has opened it.
    if (s->state != SESSION_ASKED && s->state != SESSION_RUNS) queue_add(s);
    pthread_mutex_unlock(&all->lock);
}

static SessionState state_of(const Session *s) {
    Sessions *all = s->all;
    pthread_mutex_lock(&all->lock);
    SessionState state = s->state;
    pthread_mutex_unlock(&all->lock);
    return state;
}

// The message that is whole becomes the one that is asked.
static void ask(Session *s) {
    Incoming free = s->asked;
    s->asked = s->coming;
    s->coming = (Incoming){.bytes = free.bytes, .room = free.room};
    pthread_mutex_lock(&s->all->lock);
    s->state = SESSION_ASKED;
    queue_add(s);
    pthread_mutex_unlock(&s->all->lock);
}

// Room for `size` bytes, of which those that are there are kept. It grows with what arrives, never
// with what a client says will.
static bool make_room(Incoming *in, size_t size, size_t most) {
    if (in->room >= size) return true;
    size_t room = in->room ? 2 * in->room : most / 4;
    room = room < size ? size : room > most ? most : room;
    uint8_t *larger = mem_try_raw(room);
    if (!larger) return false;
    if (in->size) memcpy(larger, in->bytes, in->size);
    mem_free(in->bytes);
    in->bytes = larger;
    in->room = room;
    return true;
}

bool session_receive(Session *s, const SessionPart *part) {
    const size_t most = s->all->most_bytes, before = s->coming.size, size = before + part->size;
    Incoming *in = &s->coming;
    if (size > MOST_DROPPED * most || part->rest > MOST_DROPPED * most - size) return false;
    in->dropped = in->dropped || size > most || !make_room(in, size, most);
    if (!in->dropped && part->size) memcpy(in->bytes + before, part->bytes, part->size);
    in->size = size;
    in->text = !part->binary;
    in->whole = part->last;
    if (!in->whole) return true;
    in->whole_at = clock_seconds();
    if (state_of(s) == SESSION_IDLE) ask(s);
    return true;
}

bool session_has_room(const Session *s) {
    return !s->coming.whole;
}

bool session_waits(const Session *s) {
    SessionState state = state_of(s);
    return state == SESSION_ASKED || state == SESSION_RUNS;
}

bool session_reply(const Session *s, SessionReply *out) {
    if (state_of(s) != SESSION_ANSWERED) return false;
    const size_t head = s->all->options.head;
    *out = (SessionReply){.bytes = (uint8_t *)s->reply.data + head,
                          .size = s->reply.size - head,
                          .text = s->reply_is_text};
    return true;
}

void session_replied(Session *s) {
    s->previous_ms = 1e3 * (clock_seconds() - s->asked.whole_at);
    pthread_mutex_lock(&s->all->lock);
    s->state = SESSION_IDLE;
    pthread_mutex_unlock(&s->all->lock);
    if (s->coming.whole) ask(s);
}

SessionCounts session_counts(const Session *s) {
    Sessions *all = s->all;
    pthread_mutex_lock(&all->lock);
    SessionCounts counts = s->counts;
    pthread_mutex_unlock(&all->lock);
    return counts;
}
