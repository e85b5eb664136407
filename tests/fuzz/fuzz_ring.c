// SPDX-License-Identifier: Apache-2.0
// Any bytes from the neighbour of a ring: an error, or sums that are done; and nothing around the
// arrays changes. The first bytes choose the processes and the lengths of two sums.
#include "driver.h"
#include "ranks/sums.h"
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CHOICE = 4, MOST = 1024, CANARY = 16 };

static bool move(Sums *s) {
    int under_way;
    Error err = {""};
    return fuzz_ok(s->kind->progress(s, &under_way, &err), &err);
}

// Whether the values around the n of an array are as they were.
static bool is_whole(const float *array, int64_t n) {
    for (int i = 0; i < CANARY; i++)
        if (array[i] != 77 || array[CANARY + n + i] != 77) return false;
    return true;
}

void fuzz_input(const uint8_t *data, size_t size) {
    static float arrays[2][CANARY + MOST + CANARY];
    static char taken[1 << 16];
    int next[2], previous[2];
    Error err = {""};
    Sums *s;
    if (size < CHOICE) return;
    int count = 2 + data[0] % 6, rank = data[0] / 8 % count;
    int64_t n[2] = {(data[1] | data[2] << 8) % MOST, data[3]};
    data += CHOICE;
    size -= CHOICE;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, next) < 0) abort();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, previous) < 0) abort();
    if (!ring_open(rank, count, next[0], previous[0], &s, &err)) abort();
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < CANARY + MOST + CANARY; k++)
            arrays[i][k] = k >= CANARY && k < CANARY + n[i] ? 1 : 77;
    // One sum begins before anything comes, the other with a half of it.
    bool ok = s->kind->begin(s, arrays[0] + CANARY, n[0], &err) && move(s);
    for (size_t half = 0; half < 2 && ok; half++) {
        size_t from = half ? size / 2 : 0, to = half ? size : size / 2;
        while (from < to && ok) {
            ssize_t sent = send(previous[1], data + from, to - from, MSG_DONTWAIT);
            if (sent > 0) from += (size_t)sent;
            while (recv(next[1], taken, sizeof taken, MSG_DONTWAIT) > 0) {
            }
            ok = move(s);
            if (sent <= 0) break; // it reads no more
        }
        if (ok && half == 0) ok = s->kind->begin(s, arrays[1] + CANARY, n[1], &err) && move(s);
    }
    close(previous[1]);
    if (ok) move(s);
    for (int i = 0; i < 2; i++)
        if (!is_whole(arrays[i], n[i])) abort();
    s->kind->close(s);
    close(next[1]);
}
