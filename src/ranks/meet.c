// SPDX-License-Identifier: Apache-2.0
#include "ranks/meet.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "ranks/sockets.h"
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 512, WAITING = 64, FIRST_ANSWER_S = 5 };

// What a process says first on every connection.
typedef struct Hello {
    char version[32], key[65];
    int32_t rank, count;
    Member member;
} Hello;

static Hello hello_of(const Meeting *m) {
    Hello h = {.rank = m->rank, .count = m->count, .member = m->members[m->rank]};
    snprintf(h.version, sizeof h.version, "%s", TACT_VERSION);
    memcpy(h.key, m->key, sizeof h.key);
    return h;
}

static void describe_self(Meeting *m, const RanksPlace *place) {
    Member *me = &m->members[m->rank];
    if (gethostname(me->host, sizeof me->host - 1) != 0) snprintf(me->host, sizeof me->host, "?");
    FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
    if (!f || !fgets(me->machine, sizeof me->machine, f))
        snprintf(me->machine, sizeof me->machine, "%.60s", me->host);
    if (f) fclose(f);
    me->local_rank = place->local_rank;
    me->local_count = place->local_count;
}

// Whether a first message is one of this run's processes; false with an empty error: of nobody's.
CHECKED static bool check_hello(const Meeting *m, const Message *message, Hello *h, Error *err) {
    err->text[0] = 0;
    *h = (Hello){0};
    if (message->kind != MESSAGE_HELLO || message->bytes < offsetof(Hello, rank)) return false;
    memcpy(h, message->data, message->bytes < sizeof *h ? message->bytes : sizeof *h);
    h->version[sizeof h->version - 1] = h->member.host[sizeof h->member.host - 1] = 0;
    h->member.machine[sizeof h->member.machine - 1] = 0;
    if (memcmp(h->key, m->key, sizeof m->key) != 0) return false;
    // Of another version all but the beginning may look otherwise.
    if (strcmp(h->version, TACT_VERSION) != 0)
        return fail(err, "a process runs tact %s and this is tact %s; give all of them one build",
                    h->version, TACT_VERSION);
    if (message->bytes != sizeof *h) return false;
    if (h->count != m->count || h->rank < 0 || h->rank >= m->count || h->rank == m->rank)
        return fail(err, "a process on %s says it is rank %d of %d, and this is rank %d of %d",
                    h->member.host, h->rank, h->count, m->rank, m->count);
    return true;
}

// ---- process 0 ----------------------------------------------------------------------------------

static void name_missing(const Meeting *m, char *out, size_t size) {
    size_t used = 0;
    int left = 0;
    out[0] = 0;
    for (int i = 1; i < m->count; i++)
        if (m->links[i].fd < 0 && used + 16 < size)
            used += (size_t)snprintf(out + used, size - used, "%s%d", used ? ", " : "", i);
        else
            left += m->links[i].fd < 0;
    if (left) snprintf(out + used, size - used, " and %d more", left);
}

// A process has said hello on a connection: it becomes its link.
CHECKED static bool welcome_in(Meeting *m, Link *link, const Hello *h, Error *err) {
    Member *member = &m->members[h->rank];
    Message ignored;
    Link *before = &m->links[h->rank];
    // One that gave up waiting for an answer may come again.
    if (before->fd >= 0 && link_receive(before, &ignored) == LINK_ENDED) link_close(before);
    if (before->fd >= 0)
        return fail(err,
                    "two processes say they are rank %d, on %s and on %s; is every process given "
                    "its own RANK?",
                    h->rank, member->host, h->member.host);
    *member = h->member;
    Address from = {.length = sizeof from.address};
    if (getpeername(link->fd, (struct sockaddr *)&from.address, &from.length) != 0)
        return fail_errno(err, "rank %d (%s): no connection", h->rank, member->host);
    address_plain(&from);
    member->address = from.address;
    member->length = from.length;
    *before = *link;
    *link = (Link){.fd = -1};
    return link_send(before, (Message){.kind = MESSAGE_PING}) ||
           fail(err, "rank %d (%s) went away while the processes met", h->rank, member->host);
}

// Reads what has come on a connection of someone yet unknown.
CHECKED static bool read_stranger(Meeting *m, Link *link, Error *err) {
    Message message;
    Hello h;
    LinkNews news = link_receive(link, &message);
    if (news == LINK_NOTHING) return true;
    if (news == LINK_MESSAGE && check_hello(m, &message, &h, err)) {
        if (welcome_in(m, link, &h, err)) return true;
    } else if (news != LINK_MESSAGE || !err->text[0]) {
        link_close(link);
        return true;
    }
    // One of this run's that cannot be taken is told why there is no run.
    (void)link_send(link, (Message){MESSAGE_FAILED, 0, err->text, strlen(err->text)});
    return false;
}

// Waits for all others at the listening socket.
CHECKED static bool gather_members(Meeting *m, int listener, double timeout_s, Error *err) {
    Link strangers[WAITING];
    double start = clock_seconds(), told = start;
    int here = 1, oldest = 0;
    bool ok = true;
    for (int i = 0; i < WAITING; i++) strangers[i] = (Link){.fd = -1};
    while (ok && here < m->count) {
        char missing[TEXT];
        struct pollfd fds[WAITING + 1];
        fds[WAITING] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < WAITING; i++)
            fds[i] = (struct pollfd){.fd = strangers[i].fd, .events = POLLIN};
        poll(fds, WAITING + 1, 200);
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) { // one that stays silent makes place for the next
            link_close(&strangers[oldest]);
            link_open(&strangers[oldest], fd);
            oldest = (oldest + 1) % WAITING;
        }
        for (int i = 0; ok && i < WAITING; i++)
            if (strangers[i].fd >= 0) ok = read_stranger(m, &strangers[i], err);
        here = 1;
        for (int i = 1; i < m->count; i++) here += m->links[i].fd >= 0;
        double now = clock_seconds();
        name_missing(m, missing, sizeof missing);
        if (ok && here < m->count && now - start > timeout_s)
            ok = fail(err, "%d of %d processes are here after %g s; missing: rank %s", here,
                      m->count, timeout_s, missing);
        if (ok && here < m->count && now - told > 15) {
            log_info("waiting for rank %s", missing);
            told = now;
        }
    }
    for (int i = 0; i < WAITING; i++) link_close(&strangers[i]);
    return ok;
}

// Numbers the processes of each machine, unless what started them did.
static void number_local(Meeting *m) {
    for (int i = 0; i < m->count; i++) {
        Member *me = &m->members[i];
        int before = 0, all = 0;
        for (int k = 0; k < m->count; k++) {
            bool same = strcmp(me->machine, m->members[k].machine) == 0;
            all += same;
            before += same && k < i;
        }
        if (me->local_rank < 0) me->local_rank = before;
        if (me->local_count < 1) me->local_count = all;
    }
}

CHECKED static bool meet_as_root(Meeting *m, int listener, double timeout_s, Error *err) {
    m->links = NEW(Link, m->count);
    for (int i = 0; i < m->count; i++) m->links[i].fd = -1;
    // Those who came are told why there is no run, as of every failure (talk.c).
    if (!gather_members(m, listener, timeout_s, err)) return false;
    number_local(m);
    const Message all = {MESSAGE_WELCOME, 0, m->members, sizeof(Member) * (size_t)m->count};
    for (int i = 1; i < m->count; i++)
        if (!link_send(&m->links[i], all))
            return fail(err, "rank %d (%s) went away while the processes met", i,
                        m->members[i].host);
    return true;
}

// ---- the others ---------------------------------------------------------------------------------

// Waits for one message on a link.
CHECKED static bool await_message(Link *l, double until, Message *out) {
    for (;;) {
        LinkNews news = link_receive(l, out);
        if (news != LINK_NOTHING) return news == LINK_MESSAGE;
        if (clock_seconds() > until) return false;
        struct pollfd fd = {.fd = l->fd, .events = POLLIN};
        poll(&fd, 1, 200);
    }
}

static bool take_members(Meeting *m, const Message *all) {
    if (all->bytes != sizeof(Member) * (size_t)m->count) return false;
    memcpy(m->members, all->data, all->bytes);
    for (int i = 0; i < m->count; i++) {
        Member *one = &m->members[i];
        one->host[sizeof one->host - 1] = one->machine[sizeof one->machine - 1] = 0;
        if (one->local_count < 1 || one->local_rank < 0) return false;
        if (one->length > sizeof one->address) return false;
    }
    return true;
}

// Tries one address: whether process 0 of this run is there. An error that has a text ends the
// search.
CHECKED static bool try_root(Meeting *m, int fd, double until, Error *err) {
    Link *l = &m->links[0];
    Hello h = hello_of(m);
    Message answer;
    socklen_t length = sizeof m->root;
    link_open(l, fd);
    err->text[0] = 0;
    // Process 0 answers at once, and again when all are there; someone else may never do.
    if (getpeername(fd, (struct sockaddr *)&m->root, &length) == 0 &&
        link_send(l, (Message){MESSAGE_HELLO, 0, &h, sizeof h}) &&
        await_message(l, clock_seconds() + FIRST_ANSWER_S, &answer) &&
        (answer.kind != MESSAGE_PING || await_message(l, until, &answer))) {
        if (answer.kind == MESSAGE_WELCOME && take_members(m, &answer)) return true;
        if (answer.kind == MESSAGE_FAILED)
            (void)fail(err, "%.*s", (int)(answer.bytes < 900 ? answer.bytes : 900),
                       (const char *)answer.data);
    }
    link_close(l);
    return false;
}

CHECKED static bool meet_as_other(Meeting *m, const RanksPlace *place, const Addresses *root,
                                  double timeout_s, Error *err) {
    double start = clock_seconds(), until = start + timeout_s;
    m->links = NEW(Link, 1);
    m->links[0].fd = -1;
    for (unsigned round = 0; clock_seconds() < until; round++) {
        for (int i = 0; i < root->count; i++) {
            int fd = socket_connect(&root->list[i], 2);
            if (fd < 0) continue;
            if (try_root(m, fd, until, err)) return true;
            if (err->text[0]) return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = round < 20 ? 50000000 : 500000000}, NULL);
    }
    char where[TEXT];
    addresses_text(root, where, sizeof where);
    if (place->master[0])
        snprintf(where, sizeof where, "%s, ports %d to %d", place->master, place->port,
                 place->port + RANKS_PORTS - 1);
    return fail(err, "rank %d does not find rank 0 after %g s; it was looked for at %s", m->rank,
                timeout_s, where);
}

// ---- both ---------------------------------------------------------------------------------------

// What process 0 tells the others through MPI.
typedef struct Beacon {
    char key[65];
    Addresses at;
} Beacon;

CHECKED static bool make_key(char out[65], Error *err) {
    uint8_t bytes[32];
    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return fail_errno(err, "the system gives no random bytes");
    for (int i = 0; i < 32; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
    return true;
}

CHECKED static bool light_beacon(Meeting *m, const RanksPlace *p, const MpiModule *mpi,
                                 double timeout_s, int *listener, Addresses *root, Error *err) {
    if (!mpi) {
        Sha256 sum;
        sha256_init(&sum);
        sha256_add(&sum, p->key, strlen(p->key));
        sha256_hex(&sum, m->key);
        if (m->rank) return addresses_of(p->master, p->port, RANKS_PORTS, root, err);
        return socket_listen(p->port, RANKS_PORTS, listener, err);
    }
    Beacon b = {0};
    if (m->rank == 0) {
        if (!make_key(b.key, err) || !socket_listen(0, 1, listener, err)) return false;
        addresses_of_this_machine(socket_port(*listener), &b.at);
    }
    if (!mpi->share(&b, sizeof b, timeout_s, err)) return false;
    memcpy(m->key, b.key, sizeof m->key);
    *root = b.at;
    return true;
}

bool meet(const RanksPlace *p, const MpiModule *mpi, double timeout_s, Meeting *m, Error *err) {
    Addresses *root = NEW(Addresses, 1);
    int listener = -1;
    *m = (Meeting){.rank = p->rank, .count = p->count, .listener = -1};
    m->members = NEW(Member, m->count);
    describe_self(m, p);
    bool ok = socket_listen(0, 1, &m->listener, err);
    if (ok) m->members[m->rank].port = (uint16_t)socket_port(m->listener);
    ok = ok && light_beacon(m, p, mpi, timeout_s, &listener, root, err) &&
         (m->rank == 0 ? meet_as_root(m, listener, timeout_s, err)
                       : meet_as_other(m, p, root, timeout_s, err));
    if (listener >= 0) close(listener);
    mem_free(root);
    return ok;
}

// Where a process is for this one: process 0 knows those on its own machine by a name that only its
// own machine has.
static Address address_of(const Meeting *m, int rank) {
    const Member *to = &m->members[rank];
    Address a = {.length = to->length, .address = to->address};
    if (rank == 0 || (m->rank && address_is_loopback(&a))) {
        a.address = m->root;
        a.length = sizeof m->root;
    }
    address_set_port(&a, to->port);
    return a;
}

bool meet_neighbours(Meeting *m, double timeout_s, int *next, int *previous, Error *err) {
    const int to = (m->rank + 1) % m->count, from = (m->rank + m->count - 1) % m->count;
    const Address a = address_of(m, to);
    double until = clock_seconds() + timeout_s;
    Hello mine = hello_of(m), h;
    *previous = -1;
    *next = socket_connect(&a, timeout_s);
    if (*next < 0)
        return fail_errno(err, "rank %d: no connection to rank %d (%s)", m->rank, to,
                          m->members[to].host);
    // The listener's queue takes the connection before its process looks at it.
    if (!socket_send_all(*next, &mine, sizeof mine))
        return fail_errno(err, "rank %d (%s): cannot be written to", to, m->members[to].host);
    while (*previous < 0 && clock_seconds() < until) {
        int fd = socket_accept(m->listener, 0.2);
        if (fd < 0) continue;
        bool ours = socket_receive_all(fd, &h, sizeof h, 5) && h.rank == from &&
                    memcmp(h.key, m->key, sizeof m->key) == 0;
        if (ours)
            *previous = fd;
        else
            close(fd);
    }
    if (*previous >= 0) return true;
    close(*next);
    *next = -1;
    return fail(err, "rank %d (%s) has not connected to rank %d within %g s", from,
                m->members[from].host, m->rank, timeout_s);
}

void meeting_free(Meeting *m) {
    for (int i = 0; m->links && i < (m->rank ? 1 : m->count); i++) link_close(&m->links[i]);
    if (m->members && m->listener >= 0) close(m->listener);
    mem_free(m->links);
    mem_free(m->members);
    *m = (Meeting){.listener = -1};
}
