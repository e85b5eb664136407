// SPDX-License-Identifier: Apache-2.0
// Sums over a ring of TCP connections, in which every process sends to the next one alone.
//
// An array of a sum is cut into `count` segments. In step t, 0 .. 2(count - 1) - 1, process r sends
// segment (r - t) mod count and receives segment (r - 1 - t) mod count, which it sends on in step
// t + 1. In the first count - 1 steps it adds what it receives to its own; then process r has all
// of segment r + 1, and in the other steps the finished segments go round and take the place of
// what was there. So each process sends and receives 2(count - 1)/count of the array, each element
// is finished in one place, and everyone has the same bits.
//
// A step does not wait for the one before: what was received of a segment is sent on while the rest
// is still coming. That a segment is overwritten while its older values still are to be sent cannot
// be: its finished values are made of those that this process sent.
//
// Each step is one message, a RingHeader and the values. An empty segment has no message. Messages
// of a sum follow those of the sum before. A process whose next sum has not begun reads the first
// header of that sum and leaves the rest where it is, so the processes before it wait.
#include "ranks/ring.h"
#include "base/memory.h"
#include "ranks/sums.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    // Segments begin at multiples of so many values, so that vectors are whole.
    SEGMENT_ALIGN = 16,
    // Bytes that are received and added at once: they stay in the cache.
    SCRATCH = 128 << 10,
    // What is sent on of an unfinished segment comes in pieces of at least so many bytes: smaller
    // ones would cost more calls, larger ones would make the ring slower to fill.
    FORWARD = 16 << 10,
    // Bytes given to one call, so that sending and receiving take turns.
    AT_ONCE = 512 << 10,
    // Turns of one progress(), after which its caller can look after other things.
    TURNS = 16,
};

// Where one direction is: at which sum, step of it, and byte of that step's message.
typedef struct Cursor {
    uint64_t sum;
    int step;
    size_t header; // bytes of the header that are through
    int64_t bytes; // of the values
} Cursor;

typedef struct Summand {
    float *data;
    int64_t n;
} Summand;

typedef struct Ring {
    Sums sums;
    int rank, count;
    int next, previous;
    bool next_ended, previous_ended; // closed by the other side while nothing was missing
    uint64_t begun;                  // sums that were; their numbers count from 0
    Summand summands[SUMS_UNDER_WAY];
    Cursor out, in;
    RingHeader header; // the one that is received
    float *scratch;
    size_t split; // bytes of a value at the start of scratch whose others are still to come
    bool broken;  // why:
    Error why;
} Ring;

// What a call did: a socket that takes or gives no more, some bytes, or an error.
typedef enum Moved { MOVED_NOTHING, MOVED_SOME, MOVED_FAILED } Moved;

// ---- segments and steps -------------------------------------------------------------------------

static int around(const Ring *r, int rank) {
    return (rank % r->count + r->count) % r->count;
}

static int64_t segment_start(const Ring *r, int64_t n, int segment) {
    int64_t each = n / r->count + (n % r->count != 0);
    each = (each + SEGMENT_ALIGN - 1) / SEGMENT_ALIGN * SEGMENT_ALIGN;
    int64_t start = each * segment;
    return start < n ? start : n;
}

static int step_count(const Ring *r) {
    return 2 * (r->count - 1);
}

static const Summand *summand(const Ring *r, uint64_t sum) {
    return &r->summands[sum % SUMS_UNDER_WAY];
}

// The values of the message that a cursor is at, whose sum has begun. sender: this process, or the
// one before.
static int64_t message_values(const Ring *r, const Cursor *c, int sender, float **data) {
    const Summand *s = summand(r, c->sum);
    int segment = around(r, sender - c->step % r->count);
    int64_t start = segment_start(r, s->n, segment);
    if (data) *data = s->data + start;
    return segment_start(r, s->n, segment + 1) - start;
}

// Moves a cursor that is at the start of a message over empty ones, as far as sums have begun.
static void skip_empty(const Ring *r, Cursor *c, int sender) {
    while (c->sum < r->begun && message_values(r, c, sender, NULL) == 0) {
        if (++c->step < step_count(r)) continue;
        c->step = 0;
        c->sum++;
    }
}

static void message_done(const Ring *r, Cursor *c, int sender) {
    c->header = 0;
    c->bytes = 0;
    if (++c->step == step_count(r)) {
        c->step = 0;
        c->sum++;
    }
    skip_empty(r, c, sender);
}

// ---- errors -------------------------------------------------------------------------------------

static Moved broken(Ring *r) {
    r->broken = true;
    return MOVED_FAILED;
}

static Moved ended(Ring *r, int neighbour) {
    (void)fail(&r->why, "the connection to rank %d ended", neighbour);
    return broken(r);
}

// Of a call that returned -1.
static Moved call_failed(Ring *r, int neighbour) {
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return MOVED_NOTHING;
    if (errno == EPIPE || errno == ECONNRESET) return ended(r, neighbour);
    (void)fail_errno(&r->why, "the connection to rank %d", neighbour);
    return broken(r);
}

// ---- sending ------------------------------------------------------------------------------------

// How many bytes of values of the message that is sent can go now.
static int64_t sendable(const Ring *r, int64_t length) {
    const Cursor *in = &r->in, *c = &r->out;
    int64_t bytes = length * (int64_t)sizeof(float), ready = bytes;
    // Step 0 sends what is here; each other one what comes in the step before it, which receiving
    // has reached when sending reaches this one.
    bool came = in->sum > c->sum || (in->sum == c->sum && in->step >= c->step);
    if (c->step > 0 && !came) { // whole values, of a message that is coming
        bool coming = in->sum == c->sum;
        ready = coming ? in->bytes - in->bytes % (int64_t)sizeof(float) : 0;
    }
    int64_t now = ready - c->bytes;
    if (ready < bytes && now < FORWARD) return 0;
    return now < AT_ONCE ? now : AT_ONCE;
}

// Whether there is something to send now; if so, what.
static bool to_send(const Ring *r, float **data, int64_t *length, int64_t *bytes) {
    if (r->out.sum == r->begun) return false;
    *length = message_values(r, &r->out, r->rank, data);
    *bytes = sendable(r, *length);
    return *bytes > 0;
}

static Moved send_some(Ring *r) {
    Cursor *c = &r->out;
    float *data;
    int64_t length, bytes;
    if (!to_send(r, &data, &length, &bytes)) return MOVED_NOTHING;
    int next = around(r, r->rank + 1);
    if (r->next_ended) return ended(r, next);
    RingHeader header = {.magic = RING_MAGIC,
                         .count = (uint32_t)r->count,
                         .sender = (uint32_t)r->rank,
                         .step = (uint32_t)c->step,
                         .sum = c->sum,
                         .n = (uint64_t)summand(r, c->sum)->n};
    struct iovec parts[2] = {
        {(char *)&header + c->header, sizeof header - c->header},
        {(char *)data + c->bytes, (size_t)bytes},
    };
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
    ssize_t got = sendmsg(r->next, &m, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got < 0) return call_failed(r, next);
    size_t of_header = (size_t)got < parts[0].iov_len ? (size_t)got : parts[0].iov_len;
    c->header += of_header;
    c->bytes += (int64_t)((size_t)got - of_header);
    if (c->bytes == length * (int64_t)sizeof(float)) message_done(r, c, r->rank);
    return MOVED_SOME;
}

// ---- receiving ----------------------------------------------------------------------------------

// Whether a received header is the one that has to come, as far as the sums that began tell.
static bool header_right(Ring *r, int sender) {
    const RingHeader *h = &r->header;
    const Cursor *c = &r->in;
    if (h->magic != RING_MAGIC)
        return fail(&r->why, "rank %d sent something that is no message of a sum", sender);
    if (h->sender != (uint32_t)sender || h->count != (uint32_t)r->count)
        return fail(&r->why,
                    "the neighbour that should be rank %d of %d says it is rank %u of %u; "
                    "is another run's process connected?",
                    sender, r->count, h->sender, h->count);
    bool early = c->sum == r->begun;
    if (h->sum < c->sum || (h->sum > c->sum && !early))
        return fail(&r->why,
                    "rank %d is out of step: it sent part of sum %llu, and sum %llu is next here",
                    sender, (unsigned long long)h->sum, (unsigned long long)c->sum);
    if (early) return true; // sums before the one it names may be empty
    const Summand *s = summand(r, c->sum);
    if (h->n != (uint64_t)s->n)
        return fail(&r->why,
                    "rank %d is out of step: its sum %llu has %llu values, and here it has %lld",
                    sender, (unsigned long long)h->sum, (unsigned long long)h->n, (long long)s->n);
    if (h->step != (uint32_t)c->step)
        return fail(&r->why,
                    "rank %d is out of step: of sum %llu it sent step %u, and step %d is next here",
                    sender, (unsigned long long)h->sum, h->step, c->step);
    return true;
}

// Adds what came into scratch: `bytes` behind the split ones, that belong at `data` on.
static void add_received(Ring *r, float *data, size_t bytes) {
    size_t have = r->split + bytes, values = have / sizeof(float);
    const float *restrict from = r->scratch;
    float *restrict to = data;
    for (size_t i = 0; i < values; i++) to[i] += from[i];
    r->split = have % sizeof(float);
    if (r->split > 0) memmove(r->scratch, r->scratch + values, r->split);
}

// Whether the header of a sum that has not begun is here, so that no more is read.
static bool waits_for_begin(const Ring *r) {
    return r->in.sum == r->begun && r->in.header == sizeof r->header;
}

// Where values of the message that is received go: to scratch where they are to be added, else
// to their place. Returns how many bytes may come at once.
static size_t receive_place(const Ring *r, int sender, char **place, float **data,
                            int64_t *missing) {
    const Cursor *c = &r->in;
    int64_t length = message_values(r, c, sender, data);
    *missing = length * (int64_t)sizeof(float) - c->bytes;
    size_t most = AT_ONCE;
    if (c->step < r->count - 1) {
        *data += c->bytes / (int64_t)sizeof(float);
        *place = (char *)r->scratch + r->split;
        most = SCRATCH - r->split;
    } else {
        *place = (char *)*data + c->bytes;
    }
    return *missing < (int64_t)most ? (size_t)*missing : most;
}

static Moved receive_some(Ring *r) {
    Cursor *c = &r->in;
    int sender = around(r, r->rank - 1);
    bool started = c->sum < r->begun;
    if (r->previous_ended) return started ? ended(r, sender) : MOVED_NOTHING;
    if (waits_for_begin(r)) return MOVED_NOTHING;
    float *data = NULL;
    char *place = NULL;
    int64_t missing = 0;
    size_t bytes = started ? receive_place(r, sender, &place, &data, &missing) : 0;
    struct iovec parts[2] = {
        {(char *)&r->header + c->header, sizeof r->header - c->header},
        {place, bytes},
    };
    struct msghdr m = {.msg_iov = parts, .msg_iovlen = started ? 2 : 1};
    ssize_t got = recvmsg(r->previous, &m, MSG_DONTWAIT);
    if (got < 0) return call_failed(r, sender);
    if (got == 0) {
        if (started || c->header > 0) return ended(r, sender);
        r->previous_ended = true;
        return MOVED_NOTHING;
    }
    size_t of_header = (size_t)got < parts[0].iov_len ? (size_t)got : parts[0].iov_len;
    c->header += of_header;
    if (of_header > 0 && c->header == sizeof r->header && !header_right(r, sender))
        return broken(r);
    size_t of_values = (size_t)got - of_header;
    c->bytes += (int64_t)of_values;
    if (of_values > 0 && c->step < r->count - 1) add_received(r, data, of_values);
    if (started && (int64_t)of_values == missing) message_done(r, c, sender);
    return MOVED_SOME;
}

// Nothing is ever sent back by the next process: what can be read there is its end. Asked when
// nothing else moved.
static void look_for_end(Ring *r) {
    char byte;
    int next = around(r, r->rank + 1);
    if (r->next_ended) return;
    ssize_t got = recv(r->next, &byte, 1, MSG_DONTWAIT);
    if (got < 0) {
        call_failed(r, next);
    } else if (got > 0) {
        r->broken = true;
        (void)fail(&r->why, "rank %d sent something that is no message of a sum", next);
    } else if (r->out.sum < r->begun) {
        ended(r, next);
    } else { // it has all it needs, and may end before this process
        r->next_ended = true;
    }
}

// ---- Sums ---------------------------------------------------------------------------------------

static bool ring_begin(Sums *s, float *data, int64_t n, Error *err) {
    Ring *r = (Ring *)s;
    if (r->broken) return fail(err, "%s", r->why.text);
    if (n < 0) return fail(err, "a sum of %lld values", (long long)n);
    uint64_t done = r->out.sum < r->in.sum ? r->out.sum : r->in.sum;
    if (r->begun - done == SUMS_UNDER_WAY)
        return fail(err, "more than %d sums at once", SUMS_UNDER_WAY);
    r->summands[r->begun % SUMS_UNDER_WAY] = (Summand){data, n};
    r->begun++;
    int sender = around(r, r->rank - 1);
    bool early = r->in.sum == r->begun - 1 && r->in.header == sizeof r->header;
    skip_empty(r, &r->out, r->rank);
    skip_empty(r, &r->in, sender);
    if (early && !header_right(r, sender)) {
        r->broken = true;
        return fail(err, "%s", r->why.text);
    }
    return true;
}

static bool ring_progress(Sums *s, int *under_way, Error *err) {
    Ring *r = (Ring *)s;
    for (int turn = 0; turn < TURNS && !r->broken; turn++) {
        Moved out = send_some(r);
        Moved in = out == MOVED_FAILED ? MOVED_FAILED : receive_some(r);
        if (out == MOVED_NOTHING && in == MOVED_NOTHING) {
            look_for_end(r);
            break;
        }
    }
    if (r->broken) return fail(err, "%s", r->why.text);
    uint64_t done = r->out.sum < r->in.sum ? r->out.sum : r->in.sum;
    *under_way = (int)(r->begun - done);
    return true;
}

static int ring_descriptors(const Sums *s, struct pollfd *out) {
    const Ring *r = (const Ring *)s;
    int n = 0;
    float *data;
    int64_t length, bytes;
    if (!r->previous_ended && !waits_for_begin(r))
        out[n++] = (struct pollfd){.fd = r->previous, .events = POLLIN};
    short events = to_send(r, &data, &length, &bytes) ? POLLIN | POLLOUT : POLLIN;
    if (!r->next_ended) out[n++] = (struct pollfd){.fd = r->next, .events = events};
    return n;
}

static void ring_close(Sums *s) {
    Ring *r = (Ring *)s;
    close(r->next);
    close(r->previous);
    mem_free(r->scratch);
    mem_free(r);
}

// Sockets of tests are not TCP's, and do without.
static bool prepare(int socket, Error *err) {
    int flags = fcntl(socket, F_GETFL), yes = 1;
    if (flags < 0 || fcntl(socket, F_SETFL, flags | O_NONBLOCK) < 0)
        return fail_errno(err, "a connection of the ring");
    if (setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes) < 0 && errno != EOPNOTSUPP &&
        errno != ENOPROTOOPT)
        return fail_errno(err, "a connection of the ring");
    return true;
}

bool ring_open(int rank, int count, int next, int previous, Sums **out, Error *err) {
    static const SumsKind kind = {"tcp", ring_begin, ring_progress, ring_descriptors, ring_close};
    if (count < 2 || rank < 0 || rank >= count)
        return fail(err, "a ring of %d processes has no rank %d", count, rank);
    if (!prepare(next, err) || !prepare(previous, err)) return false;
    Ring *r = NEW(Ring, 1);
    r->sums.kind = &kind;
    r->rank = rank;
    r->count = count;
    r->next = next;
    r->previous = previous;
    r->scratch = mem_alloc(SCRATCH);
    *out = &r->sums;
    return true;
}
