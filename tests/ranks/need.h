// SPDX-License-Identifier: Apache-2.0
#ifndef TACT_TESTS_RANKS_NEED_H
#define TACT_TESTS_RANKS_NEED_H

#include <stdio.h>

// In a child: what is not so ends it with a status of its own.
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                        \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

#endif
