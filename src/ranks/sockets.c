// SPDX-License-Identifier: Apache-2.0
#include "ranks/sockets.h"

#include "base/log.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST_PORT = 65535 };

// ---- addresses ----------------------------------------------------------------------------------

void address_set_port(Address *a, int port) {
    if (a->address.ss_family == AF_INET6)
        ((struct sockaddr_in6 *)&a->address)->sin6_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in *)&a->address)->sin_port = htons((uint16_t)port);
}

bool address_is_loopback(const Address *a) {
    if (a->address.ss_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)&a->address)->sin_addr.s_addr) >> 24) == 127;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)&a->address)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

void address_plain(Address *a) {
    const struct sockaddr_in6 six = *(const struct sockaddr_in6 *)&a->address;
    if (six.sin6_family != AF_INET6 || !IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) return;
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = six.sin6_port};
    memcpy(&four.sin_addr, &six.sin6_addr.s6_addr[12], sizeof four.sin_addr);
    *a = (Address){.length = sizeof four};
    memcpy(&a->address, &four, sizeof four);
}

static void add_address(Addresses *a, const struct sockaddr *address, socklen_t length, int port) {
    if (a->count == MOST_ADDRESSES || length > sizeof(struct sockaddr_storage)) return;
    Address *to = &a->list[a->count++];
    *to = (Address){.length = length};
    memcpy(&to->address, address, length);
    address_set_port(to, port);
}

bool addresses_of(const char *host, int port, int ports, Addresses *out, Error *err) {
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *found = NULL;
    *out = (Addresses){0};
    int code = getaddrinfo(host, NULL, &hints, &found);
    if (code)
        return fail(err, "%.200s: no such host, or its address is not known here (%s)", host,
                    gai_strerror(code));
    for (int i = 0; i < ports && port + i <= MOST_PORT; i++)
        for (const struct addrinfo *f = found; f; f = f->ai_next)
            if (f->ai_family == AF_INET || f->ai_family == AF_INET6)
                add_address(out, f->ai_addr, f->ai_addrlen, port + i);
    freeaddrinfo(found);
    return true;
}

// Whether another machine may reach this one there.
static bool leads_here(const struct ifaddrs *i, bool loopback) {
    if (!i->ifa_addr) return false;
    Address a = {0};
    if (i->ifa_addr->sa_family == AF_INET) {
        memcpy(&a.address, i->ifa_addr, sizeof(struct sockaddr_in));
    } else if (i->ifa_addr->sa_family == AF_INET6) {
        memcpy(&a.address, i->ifa_addr, sizeof(struct sockaddr_in6));
        if (IN6_IS_ADDR_LINKLOCAL(&((struct sockaddr_in6 *)&a.address)->sin6_addr)) return false;
    } else {
        return false;
    }
    return address_is_loopback(&a) == loopback;
}

void addresses_of_this_machine(int port, Addresses *out) {
    struct ifaddrs *all = NULL;
    *out = (Addresses){0};
    if (getifaddrs(&all) != 0) return;
    for (int loopback = 1; loopback >= 0; loopback--)
        for (const struct ifaddrs *i = all; i; i = i->ifa_next)
            if (leads_here(i, loopback))
                add_address(out, i->ifa_addr,
                            i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in)
                                                              : sizeof(struct sockaddr_in6),
                            port);
    freeifaddrs(all);
}

void addresses_text(const Addresses *a, char *out, size_t size) {
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < a->count && used + 80 < size; i++) {
        char host[64], port[16];
        if (getnameinfo((const struct sockaddr *)&a->list[i].address, a->list[i].length, host,
                        sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV) == 0)
            used += (size_t)snprintf(out + used, size - used, "%s%s port %s", used ? ", " : "",
                                     host, port);
    }
}

// ---- sockets ------------------------------------------------------------------------------------

// Connections of runs that have ended keep their port for a minute: another run may listen there.
static bool reuse(int fd) {
    const int on = 1;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0;
}

// One socket for both families, or of IPv4 where there is no other.
static int listen_at(int port) {
    const int off = 0;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    struct sockaddr_in four = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool bound = fd >= 0 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0 &&
                 reuse(fd) && bind(fd, (struct sockaddr *)&six, sizeof six) == 0;
    if (!bound && errno != EADDRINUSE) {
        if (fd >= 0) close(fd);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        bound = fd >= 0 && reuse(fd) && bind(fd, (struct sockaddr *)&four, sizeof four) == 0;
    }
    if (bound && listen(fd, 1024) == 0) return fd;
    int why = errno;
    if (fd >= 0) close(fd);
    errno = why;
    return -1;
}

bool socket_listen(int port, int ports, int *out, Error *err) {
    *out = -1;
    for (int i = 0; i < ports && port + i <= MOST_PORT && *out < 0; i++)
        *out = listen_at(port ? port + i : 0);
    if (*out >= 0) return true;
    return port ? fail_errno(err, "cannot listen on any of the ports %d to %d", port,
                             port + ports - 1)
                : fail_errno(err, "cannot listen on a port of this machine");
}

int socket_port(int listener) {
    struct sockaddr_storage a = {0};
    socklen_t length = sizeof a;
    if (getsockname(listener, (struct sockaddr *)&a, &length) != 0) return 0;
    return ntohs(a.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&a)->sin6_port
                                         : ((struct sockaddr_in *)&a)->sin_port);
}

static bool wait_for(int fd, short events, double seconds) {
    struct pollfd p = {.fd = fd, .events = events};
    int n;
    do n = poll(&p, 1, seconds > 0 ? (int)(seconds * 1e3) : 0);
    while (n < 0 && errno == EINTR);
    return n == 1;
}

int socket_connect(const Address *to, double timeout_s) {
    int fd = socket(to->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return -1;
    int why = 0;
    socklen_t size = sizeof why, length = to->address.ss_family == AF_INET6
                                              ? sizeof(struct sockaddr_in6)
                                              : sizeof(struct sockaddr_in);
    if (connect(fd, (const struct sockaddr *)&to->address, length) != 0) {
        why = errno;
        if (why == EINPROGRESS) {
            why = ETIMEDOUT;
            if (wait_for(fd, POLLOUT, timeout_s)) getsockopt(fd, SOL_SOCKET, SO_ERROR, &why, &size);
        }
    }
    if (!why) return fd;
    close(fd);
    errno = why;
    return -1;
}

int socket_accept(int listener, double timeout_s) {
    return wait_for(listener, POLLIN, timeout_s) ? accept4(listener, NULL, NULL, SOCK_CLOEXEC) : -1;
}

bool socket_send_all(int fd, const void *data, size_t bytes) {
    size_t sent = 0;
    while (sent < bytes) {
        ssize_t n = send(fd, (const char *)data + sent, bytes - sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN && wait_for(fd, POLLOUT, 10)) continue;
        if (n <= 0) return false;
        sent += (size_t)n;
    }
    return true;
}

bool socket_receive_all(int fd, void *data, size_t bytes, double timeout_s) {
    double until = clock_seconds() + timeout_s;
    size_t have = 0;
    while (have < bytes) {
        if (!wait_for(fd, POLLIN, until - clock_seconds())) return false;
        ssize_t n = recv(fd, (char *)data + have, bytes - have, 0);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
        if (n <= 0) return false;
        have += (size_t)n;
    }
    return true;
}
