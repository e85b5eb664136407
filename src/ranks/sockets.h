// SPDX-License-Identifier: Apache-2.0
// Private to ranks/: TCP sockets of IPv4 and IPv6.
#ifndef TACT_RANKS_SOCKETS_H
#define TACT_RANKS_SOCKETS_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { MOST_ADDRESSES = 64 };

typedef struct Address {
    socklen_t length;
    struct sockaddr_storage address;
} Address;

typedef struct Addresses {
    int32_t count;
    Address list[MOST_ADDRESSES];
} Addresses;

// Listens on every interface, on the first of `ports` ports from `port` on that is free; port 0:
// any.
CHECKED bool socket_listen(int port, int ports, int *out, Error *err);
int socket_port(int listener);
// -1 with errno when nobody answers within the time.
int socket_connect(const Address *to, double timeout_s);
int socket_accept(int listener, double timeout_s); // -1: nobody came
// For sockets that still wait; false when it did not all go, or come, in time.
bool socket_send_all(int fd, const void *data, size_t bytes);
bool socket_receive_all(int fd, void *data, size_t bytes, double timeout_s);

// What a name stands for, on each of `ports` ports.
CHECKED bool addresses_of(const char *host, int port, int ports, Addresses *out, Error *err);
// Of this machine's interfaces, its own loopback first.
void addresses_of_this_machine(int port, Addresses *out);
void addresses_text(const Addresses *a, char *out, size_t size);
bool address_is_loopback(const Address *a);
// An IPv4 address that a socket of both families shows as one of IPv6 becomes what it is: another
// machine may have no IPv6.
void address_plain(Address *a);
void address_set_port(Address *a, int port);

#endif
