// SPDX-License-Identifier: Apache-2.0
#include "ranks/link.h"

#include "base/memory.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// In the order of this machine's bytes: the processes of a run have one architecture.
typedef struct Header {
    uint32_t magic, kind;
    int64_t number;
    uint64_t bytes;
} Header;

enum { FIRST_ROOM = 4096 };
static const uint32_t LINK_MAGIC = 0x74616374;

void link_open(Link *l, int fd) {
    int yes = 1;
    *l = (Link){.fd = fd};
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    // Small messages are waited for; and a machine that is gone says nothing by itself.
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &yes, sizeof yes);
    const int idle = 10, every = 5, tries = 4;
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every, sizeof every);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &tries, sizeof tries);
    // The same half minute where something was sent to it.
    const unsigned unanswered_ms = (unsigned)(idle + every * tries) * 1000;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unanswered_ms, sizeof unanswered_ms);
}

void link_close(Link *l) {
    if (l->fd >= 0) close(l->fd);
    mem_free(l->in);
    mem_free(l->out);
    *l = (Link){.fd = -1};
}

// Room for `more` bytes behind the `have` that are there.
static void make_room(uint8_t **buffer, size_t *room, size_t have, size_t more) {
    if (have + more <= *room) return;
    size_t wanted = *room ? 2 * *room : FIRST_ROOM;
    if (wanted < have + more) wanted = have + more;
    uint8_t *grown = mem_alloc(wanted);
    if (have) memcpy(grown, *buffer, have);
    mem_free(*buffer);
    *buffer = grown;
    *room = wanted;
}

bool link_flush(Link *l) {
    while (l->fd >= 0 && l->out_sent < l->out_have) {
        ssize_t n = send(l->fd, l->out + l->out_sent, l->out_have - l->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
        l->out_sent += (size_t)n;
    }
    if (l->out_sent == l->out_have) l->out_sent = l->out_have = 0;
    return l->fd >= 0;
}

bool link_wants_out(const Link *l) {
    return l->fd >= 0 && l->out_sent < l->out_have;
}

bool link_send(Link *l, Message m) {
    const Header h = {LINK_MAGIC, (uint32_t)m.kind, m.number, m.bytes};
    if (l->fd < 0) return false;
    make_room(&l->out, &l->out_room, l->out_have, sizeof h + m.bytes);
    memcpy(l->out + l->out_have, &h, sizeof h);
    if (m.bytes) memcpy(l->out + l->out_have + sizeof h, m.data, m.bytes);
    l->out_have += sizeof h + m.bytes;
    return link_flush(l);
}

// ---- receiving ----------------------------------------------------------------------------------

// Forgets the message that was taken last.
static void drop_taken(Link *l) {
    if (!l->in_taken) return;
    l->in_have -= l->in_taken;
    memmove(l->in, l->in + l->in_taken, l->in_have);
    l->in_taken = 0;
}

// What the bytes that are there begin with. *wanted: how many a whole message has, or a header.
static LinkNews look(const Link *l, Message *out, size_t *wanted) {
    Header h;
    *wanted = sizeof h;
    if (l->in_have < sizeof h) return LINK_NOTHING;
    memcpy(&h, l->in, sizeof h);
    if (h.magic != LINK_MAGIC || h.kind < 1 || h.kind >= MESSAGE_KINDS || h.bytes > MESSAGE_BYTES)
        return LINK_ENDED;
    *wanted += h.bytes;
    if (l->in_have < *wanted) return LINK_NOTHING;
    *out = (Message){(MessageKind)h.kind, h.number, l->in + sizeof h, h.bytes};
    return LINK_MESSAGE;
}

LinkNews link_receive(Link *l, Message *out) {
    size_t wanted;
    if (l->fd < 0) return LINK_ENDED;
    drop_taken(l);
    for (;;) {
        LinkNews news = look(l, out, &wanted);
        if (news == LINK_MESSAGE) l->in_taken = wanted;
        if (news != LINK_NOTHING) return news;
        make_room(&l->in, &l->in_room, l->in_have, wanted - l->in_have);
        ssize_t n = recv(l->fd, l->in + l->in_have, l->in_room - l->in_have, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return LINK_NOTHING;
        if (n <= 0) return LINK_ENDED;
        l->in_have += (size_t)n;
    }
}
