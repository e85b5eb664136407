// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory_check.h"

#include "base/memory.h"
#include "runtime/handle.h"
#include <pthread.h>

// Beside the blocks that are planned: what JSON, oneDNN's kernels and scratch take.
enum { SMALL_BLOCKS = 24 << 20 };

size_t thread_stack_bytes(int threads) {
    pthread_attr_t attributes;
    size_t stack = 8 << 20;
    if (pthread_attr_init(&attributes) == 0) {
        pthread_attr_getstacksize(&attributes, &stack);
        pthread_attr_destroy(&attributes);
    }
    return (size_t)threads * stack;
}

bool memory_check(size_t bytes, const char *for_what, Error *err) {
    size_t wanted = bytes + SMALL_BLOCKS;
    return mem_could(wanted) ||
           fail_memory(err, "%s needs %.0f MiB more", for_what, (double)wanted / (1 << 20));
}

bool memory_for_first(const tact_policy *p, Error *err) {
    return p->first_made || memory_check(p->first_bytes, "the first prediction", err);
}
