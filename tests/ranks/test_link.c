// SPDX-License-Identifier: Apache-2.0
// Messages over one connection: whole, in order, and none of what is no message.
#include "base/memory.h"
#include "ranks/link.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

enum { LARGE = 3 << 20, SMALL = 1000 };

static void open_pair(Link *a, Link *b) {
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    link_open(a, fds[0]);
    link_open(b, fds[1]);
}

static void close_pair(Link *a, Link *b) {
    link_close(a);
    link_close(b);
}

// Sends what is left of `from` until `to` has a message.
static Message next_message(Link *from, Link *to) {
    Message m;
    for (;;) {
        assert_true(link_flush(from));
        LinkNews news = link_receive(to, &m);
        assert_int_not_equal(news, LINK_ENDED);
        if (news == LINK_MESSAGE) return m;
    }
}

// A large one does not go at once, and what follows it waits behind it.
static void messages_come_whole_and_in_order(void **state) {
    (void)state;
    Link a, b;
    Message m;
    open_pair(&a, &b);
    uint8_t *large = NEW(uint8_t, LARGE), small[SMALL];
    for (int i = 0; i < LARGE; i++) large[i] = (uint8_t)(i * 7 + i / 1000);
    for (int i = 0; i < SMALL; i++) small[i] = (uint8_t)(i * 3);
    for (int round = 0; round < 2; round++) {
        assert_int_equal(link_receive(&b, &m), LINK_NOTHING);
        assert_true(link_send(&a, (Message){MESSAGE_ALL, 5, large, LARGE}));
        assert_true(link_wants_out(&a));
        for (int i = 0; i < 3; i++)
            assert_true(link_send(&a, (Message){MESSAGE_PART, 6 + i, small, SMALL - (size_t)i}));
        assert_true(link_send(&a, (Message){MESSAGE_PING, -1, NULL, 0}));
        m = next_message(&a, &b);
        assert_int_equal(m.kind, MESSAGE_ALL);
        assert_int_equal(m.number, 5);
        assert_int_equal(m.bytes, LARGE);
        assert_memory_equal(m.data, large, LARGE);
        for (int i = 0; i < 3; i++) {
            m = next_message(&a, &b);
            assert_int_equal(m.kind, MESSAGE_PART);
            assert_int_equal(m.number, 6 + i);
            assert_int_equal(m.bytes, SMALL - i);
            assert_memory_equal(m.data, small, m.bytes);
        }
        m = next_message(&a, &b);
        assert_int_equal(m.kind, MESSAGE_PING);
        assert_int_equal(m.bytes, 0);
        assert_false(link_wants_out(&a));
    }
    mem_free(large);
    close_pair(&a, &b);
}

static void refused(uint32_t magic, uint32_t kind, uint64_t bytes) {
    struct {
        uint32_t magic, kind;
        int64_t number;
        uint64_t bytes;
    } header = {magic, kind, 1, bytes};
    Link a, b;
    Message m;
    open_pair(&a, &b);
    assert_int_equal(write(a.fd, &header, sizeof header), sizeof header);
    assert_int_equal(link_receive(&b, &m), LINK_ENDED);
    assert_true(b.in_room < 1 << 20); // no length is believed
    close_pair(&a, &b);
}

static void what_is_no_message_ends_it(void **state) {
    (void)state;
    const uint32_t magic = 0x74616374;
    refused(magic + 1, MESSAGE_PING, 0);
    refused(magic, 0, 0);
    refused(magic, MESSAGE_KINDS, 0);
    refused(magic, MESSAGE_PART, MESSAGE_BYTES + 1);
    refused(magic, MESSAGE_PART, UINT64_MAX);
}

static void an_end_is_seen(void **state) {
    (void)state;
    Link a, b;
    Message m;
    open_pair(&a, &b);
    assert_true(link_send(&a, (Message){MESSAGE_FAILED, 0, "why", 3}));
    link_close(&a);
    assert_int_equal(link_receive(&b, &m), LINK_MESSAGE); // what was said before is heard
    assert_memory_equal(m.data, "why", 3);
    assert_int_equal(link_receive(&b, &m), LINK_ENDED);
    assert_false(link_send(&b, (Message){.kind = MESSAGE_PONG}));
    assert_false(link_send(&a, (Message){.kind = MESSAGE_PONG}));
    assert_int_equal(link_receive(&a, &m), LINK_ENDED);
    close_pair(&a, &b);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(messages_come_whole_and_in_order),
                                       cmocka_unit_test(what_is_no_message_ends_it),
                                       cmocka_unit_test(an_end_is_seen)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
