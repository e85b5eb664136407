// SPDX-License-Identifier: Apache-2.0
#include "runtime/short_waits.h"

#include "base/signals.h"
#include "runtime/memory_check.h"
#include <dlfcn.h>
#include <errno.h>
#include <omp.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

// Threads that sleep, at most. Where a team leaves that many processors free, its threads have some
// to spin on.
enum { MOST = 8 };

// The thread that the sleeping team belongs to.
typedef struct Holder {
    pthread_t thread;
    int threads;
    sem_t made, let_go;
} Holder;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; // of the next two
static Holder holder;
static int users;

static void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) && errno == EINTR) {
    }
}

// A team lasts until the thread ends that it belongs to.
static void *hold_team(void *unused) {
    atomic_int there = 0;
#pragma omp parallel num_threads(holder.threads)
    atomic_fetch_add(&there, 1);
    sem_post(&holder.made);
    wait_for(&holder.let_go);
    return unused;
}

// How many threads the holder's team must have, itself among them, so that with a team of `threads`
// there are more than processors: 0 where none is wanted.
static int threads_to_hold(int threads) {
    if (threads < 2 || getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY")) return 0;
    // LLVM's and Intel's libraries have this, and wait in another way.
    if (dlsym(RTLD_DEFAULT, "kmp_set_blocktime")) return 0;
    int more = omp_get_num_procs() - threads + 2;
    if (more < 2) more = 2;
    return more <= MOST ? more : 0;
}

static bool holder_start(int threads) {
    sigset_t before; // the program's signals are for its own threads
    holder.threads = threads;
    sem_init(&holder.made, 0, 0);
    sem_init(&holder.let_go, 0, 0);
    signals_hold(&before);
    int failed = pthread_create(&holder.thread, NULL, hold_team, NULL);
    signals_release(&before);
    if (failed) return false;
    wait_for(&holder.made);
    return true;
}

bool short_waits_begin(int threads) {
    const int held = threads_to_hold(threads);
    Error ignored; // then it waits as ever
    if (!held || !memory_check(thread_stack_bytes(held), "threads that sleep", &ignored) ||
        !threads_check(threads + held, &ignored))
        return false;
    pthread_mutex_lock(&lock);
    bool ok = users > 0 || holder_start(held);
    users += ok;
    pthread_mutex_unlock(&lock);
    return ok;
}

void short_waits_end(void) {
    pthread_mutex_lock(&lock);
    if (--users == 0) {
        sem_post(&holder.let_go);
        pthread_join(holder.thread, NULL);
        sem_destroy(&holder.made);
        sem_destroy(&holder.let_go);
    }
    pthread_mutex_unlock(&lock);
}
