// SPDX-License-Identifier: Apache-2.0
#ifndef TACT_TESTS_RANKS_FREE_PORT_H
#define TACT_TESTS_RANKS_FREE_PORT_H

#include "ranks/sockets.h"
#include <unistd.h>

// A port that is free now, below those that the system gives to whoever asks for any: the processes
// of a run do, and one of theirs must not be where process 0 is looked for. -1: there is none.
static inline int free_port(void) {
    enum { FIRST = 10000, BLOCKS = 1200, BLOCK = 16 };
    static int taken;
    for (int i = 0; i < BLOCKS; i++) {
        Error err;
        int fd, port = FIRST + (getpid() * 7 + taken++) % BLOCKS * BLOCK;
        if (!socket_listen(port, 1, &fd, &err)) continue;
        close(fd);
        return port;
    }
    return -1;
}

#endif
