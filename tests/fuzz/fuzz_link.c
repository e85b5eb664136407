// SPDX-License-Identifier: Apache-2.0
// Any bytes on a connection between the processes of a training: messages come out of it whole, or
// it ends; and process 0 takes in who says hello, or refuses it in one line. The first byte chooses
// into how many pieces the bytes are cut on their way.
#include "driver.h"
#include "ranks/meet.c" // what it does with a message is private to it
#include <stdlib.h>

enum { COUNT = 3 };

static void open_pair(int pair[2]) {
    const int room = 1 << 18;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) abort();
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

// "@@@@" in the place of the version is this build's, so that seeds outlive it.
static void put_version(uint8_t *data, size_t size) {
    char version[32] = TACT_VERSION;
    for (uint8_t *at = data; (at = memmem(at, size - (size_t)(at - data), "@@@@", 4));) {
        if (size - (size_t)(at - data) < sizeof version) return;
        memcpy(at, version, sizeof version);
    }
}

// Sends the bytes in pieces, and after each lets `look` look until it has seen all of it.
static void send_pieces(int fd, const uint8_t *data, size_t size, unsigned pieces,
                        bool (*look)(void *to), void *to) {
    bool open = true;
    for (unsigned i = 0; open && i < pieces; i++) {
        const size_t from = size * i / pieces, end = size * (i + 1) / pieces;
        if (end > from && send(fd, data + from, end - from, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            return;
        open = look(to);
    }
}

static bool look_for_messages(void *to) {
    Link *l = to;
    Message m;
    LinkNews news;
    while ((news = link_receive(l, &m)) == LINK_MESSAGE) {
        if (m.kind < MESSAGE_HELLO || m.kind >= MESSAGE_KINDS || m.bytes > MESSAGE_BYTES) abort();
        fuzz_use_bytes(m.data, m.bytes);
    }
    return news == LINK_NOTHING;
}

typedef struct Door {
    Meeting *meeting;
    Link *stranger;
} Door;

static bool look_at_stranger(void *to) {
    const Door *d = to;
    Error err = {""};
    return fuzz_ok(read_stranger(d->meeting, d->stranger, &err), &err) && d->stranger->fd >= 0;
}

// The bytes come to process 0 from someone, twice: the second may say it is the first.
static void meet_as_first(const uint8_t *data, size_t size, unsigned pieces) {
    Meeting m = {.count = COUNT, .listener = -1};
    m.members = NEW(Member, COUNT);
    m.links = NEW(Link, COUNT);
    for (int i = 0; i < COUNT; i++) m.links[i].fd = -1;
    for (int i = 0; i < 2; i++) {
        Link stranger;
        int pair[2];
        open_pair(pair);
        link_open(&stranger, pair[1]);
        send_pieces(pair[0], data, size, pieces, look_at_stranger, &(Door){&m, &stranger});
        link_close(&stranger);
        close(pair[0]);
    }
    number_local(&m);
    for (int i = 0; i < COUNT; i++)
        if (!memchr(m.members[i].host, 0, sizeof m.members[i].host)) abort();
    meeting_free(&m);
}

// The bytes are the list of all that process 0 sends.
static void meet_as_second(const uint8_t *data, size_t size) {
    Meeting m = {.rank = 1, .count = COUNT, .listener = -1};
    m.members = NEW(Member, COUNT);
    const Message all = {MESSAGE_WELCOME, 0, data, size};
    if (take_members(&m, &all))
        for (int i = 0; i < COUNT; i++) {
            const Member *one = &m.members[i];
            if (!memchr(one->machine, 0, sizeof one->machine) || one->local_count < 1) abort();
            const Address a = address_of(&m, i);
            if (a.length > sizeof a.address) abort();
        }
    meeting_free(&m);
}

void fuzz_input(const uint8_t *data, size_t size) {
    if (size < 1) return;
    const unsigned pieces = 1 + data[0] % 8;
    const size_t n = size - 1;
    uint8_t *bytes = malloc(n + 1);
    Link l;
    int pair[2];
    memcpy(bytes, data + 1, n);
    put_version(bytes, n);
    open_pair(pair);
    link_open(&l, pair[1]);
    send_pieces(pair[0], bytes, n, pieces, look_for_messages, &l);
    link_close(&l);
    close(pair[0]);
    meet_as_first(bytes, n, pieces);
    meet_as_second(bytes, n);
    free(bytes);
}
