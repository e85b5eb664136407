// SPDX-License-Identifier: Apache-2.0
#include "runtime/memory_check.h"

#include "base/memory.h"
#include "base/signals.h"
#include "runtime/handle.h"
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>

// Beside the blocks that are planned: what JSON, oneDNN's kernels and scratch take.
enum { SMALL_BLOCKS = 24 << 20 };
// What oneDNN takes for the time of a call, with room to spare.
enum { CALL = 1 << 20 };

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

bool memory_for_prediction(const tact_policy *p, Error *err) {
    if (!p->first_made && !memory_check(p->first_bytes, "the first prediction", err)) return false;
    if (!mem_could(CALL))
        return fail_memory(err, "a prediction needs %d KiB for a moment", CALL >> 10);
    return threads_check(p->device->threads, err);
}

static void *wait_for_end(void *semaphore) {
    while (sem_wait(semaphore) && errno == EINTR) {
    }
    return NULL;
}

bool threads_check(int threads, Error *err) {
    static _Thread_local int had; // of this thread's team: a library keeps the threads it has made
    pthread_t *made = threads > had ? TRY_NEW(pthread_t, threads) : NULL;
    sem_t end;
    int n = 1, failed = 0; // the calling thread is the first of them
    if (threads <= had) return true;
    if (!made) return fail_memory(err, "%d threads", threads);
    sigset_t before; // the program's signals are for its own threads
    sem_init(&end, 0, 0);
    signals_hold(&before);
    while (n < threads && !(failed = pthread_create(&made[n], NULL, wait_for_end, &end))) n++;
    signals_release(&before);
    for (int i = 1; i < n; i++) sem_post(&end);
    for (int i = 1; i < n; i++) pthread_join(made[i], NULL);
    sem_destroy(&end);
    mem_free(made);
    if (!failed) had = threads;
    // EAGAIN stands for both, a limit on threads and no memory for a stack.
    return !failed || fail_memory(err,
                                  "%d compute threads, of which %d could be made (%s); fewer are "
                                  "enough (threads)",
                                  threads, n, strerror(failed));
}
