// SPDX-License-Identifier: Apache-2.0
// msgpack-c makes room for as many values as an array says that it has, so what a message says is
// held against its bytes before.
#include "serve/openpi/message.h"

typedef struct Header {
    size_t head; // bytes of it, its length included
    size_t body; // bytes behind it that belong to it
    size_t values;
    bool opens; // values follow, one level deeper
} Header;

static size_t big_endian(const uint8_t *p, int n) {
    size_t value = 0;
    for (int i = 0; i < n; i++) value = value << 8 | p[i];
    return value;
}

// Bytes of the length that follows a first byte, 0: it has none.
static int length_bytes(uint8_t first) {
    static const uint8_t lengths[] = {1, 2, 4, 1, 2, 4}; // bin 8 to 32, ext 8 to 32
    if (first >= 0xc4 && first <= 0xc9) return lengths[first - 0xc4];
    if (first >= 0xd9 && first <= 0xdb) return 1 << (first - 0xd9);
    if (first >= 0xdc && first <= 0xdf) return first & 1 ? 4 : 2;
    return 0;
}

// What a header of at least one byte says; false: it is cut short, or no header.
static bool read_header(const uint8_t *p, size_t left, Header *h) {
    // Of 0xca to 0xd3: float 32 and 64, uint 8 to 64, int 8 to 64.
    static const uint8_t numbers[] = {4, 8, 1, 2, 4, 8, 1, 2, 4, 8};
    const uint8_t first = p[0];
    const int n = length_bytes(first);
    *h = (Header){.head = 1 + (size_t)n};
    if (left < h->head) return false;
    const size_t length = big_endian(p + 1, n);
    if (first <= 0x7f || first >= 0xe0 || (first >= 0xc0 && first <= 0xc3 && first != 0xc1))
        return true;
    if (first <= 0x8f || first == 0xde || first == 0xdf) {
        h->opens = true;
        h->values = 2 * (n ? length : first & 0x0fu);
    } else if (first <= 0x9f || first == 0xdc || first == 0xdd) {
        h->opens = true;
        h->values = n ? length : first & 0x0fu;
    } else if (first <= 0xbf) {
        h->body = first & 0x1fu;
    } else if (first >= 0xca && first <= 0xd3) {
        h->body = numbers[first - 0xca];
    } else if (first >= 0xd4 && first <= 0xd8) {
        h->body = 1 + ((size_t)1 << (first - 0xd4));
    } else {
        if (first == 0xc1) return false;
        h->body = length + (first >= 0xc7 && first <= 0xc9); // ext has a byte for its type
    }
    return true;
}

bool message_check(const uint8_t *data, size_t size, Error *err) {
    size_t open[MESSAGE_DEPTH + 1] = {1}; // values that are to come at each level
    size_t at = 0, values = 0;
    int depth = 0;
    for (;;) {
        while (depth >= 0 && open[depth] == 0) depth--;
        if (depth < 0) break;
        open[depth]--;
        Header h;
        if (at >= size || !read_header(data + at, size - at, &h))
            return fail(err, "the message is no MessagePack, or cut short, at byte %zu of %zu", at,
                        size);
        at += h.head;
        const size_t left = size - at;
        if (h.body > left || h.values > left)
            return fail(err, "at byte %zu the message says that %zu bytes follow, but has %zu", at,
                        h.body > left ? h.body : h.values, left);
        at += h.body;
        if (!h.opens) continue;
        values += h.values;
        if (values > MESSAGE_VALUES)
            return fail(err,
                        "the message has more than %d values; send numbers as NumPy's arrays, not "
                        "as lists",
                        MESSAGE_VALUES);
        if (depth == MESSAGE_DEPTH)
            return fail(err, "the message is nested deeper than %d levels", MESSAGE_DEPTH);
        open[++depth] = h.values;
    }
    return at == size || fail(err, "%zu bytes stand behind the message's end", size - at);
}

size_t message_most(const ServeWants *w) {
    size_t bytes = (w->state_size + w->env_size) * sizeof(double);
    for (int i = 0; i < w->n_cameras; i++)
        bytes += (size_t)w->cameras[i].height * (size_t)w->cameras[i].width * 3;
    return 4 * bytes + ((size_t)1 << 20);
}
