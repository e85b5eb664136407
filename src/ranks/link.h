// SPDX-License-Identifier: Apache-2.0
// Private to ranks/: one TCP connection that carries messages, never waits, and believes no length.
#ifndef TACT_RANKS_LINK_H
#define TACT_RANKS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum MessageKind {
    MESSAGE_HELLO = 1, // to process 0: who this is (meet.c)
    MESSAGE_WELCOME,   // from process 0: who all are
    MESSAGE_PART,      // to process 0: this process's bytes of call `number`
    MESSAGE_ALL,       // from process 0: what that call gives everyone
    MESSAGE_AT,        // to process 0: waits for sums in call `number`
    MESSAGE_PING,      // from process 0: who is alive?
    MESSAGE_PONG,
    MESSAGE_FAILED, // both ways: a process ends; its line
    MESSAGE_KINDS,
} MessageKind;

enum { MESSAGE_BYTES = 64 << 20 }; // the longest

typedef struct Message {
    MessageKind kind;
    int64_t number;
    const void *data; // of a message that was received: until the next link_receive
    size_t bytes;
} Message;

typedef struct Link {
    int fd; // -1: none, or closed
    uint8_t *in, *out;
    size_t in_have, in_taken, in_room;
    size_t out_have, out_sent, out_room;
} Link;

// Takes over a connected TCP socket.
void link_open(Link *l, int fd);
void link_close(Link *l); // a zeroed struct whose fd is -1 is allowed
// Sends what goes without waiting and keeps the rest for link_flush. False: the connection ended.
bool link_send(Link *l, Message m);
bool link_flush(Link *l);
// Whether something waits to be sent.
bool link_wants_out(const Link *l);

typedef enum LinkNews { LINK_NOTHING, LINK_MESSAGE, LINK_ENDED } LinkNews;
// The next message, if one is whole. LINK_ENDED: the other side closed the connection, or sent what
// is no message. Called until it gives nothing.
LinkNews link_receive(Link *l, Message *out);

#endif
