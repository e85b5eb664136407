// SPDX-License-Identifier: Apache-2.0
#include "check/series.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MOST_THREADS = 16 };

typedef struct Share {
    atomic_llong next;
    int64_t n;
    void (*work)(void *user, int64_t i);
    void *user;
} Share;

static void *work_on(void *argument) {
    Share *s = argument;
    for (int64_t i; (i = atomic_fetch_add(&s->next, 1)) < s->n;) s->work(s->user, i);
    return NULL;
}

// This thread works too, so a thread that cannot be had is none the less.
void share_out(int threads, int64_t n, void (*work)(void *user, int64_t i), void *user) {
    Share s = {.n = n, .work = work, .user = user};
    pthread_t others[MOST_THREADS];
    int started = 0, wanted = threads - 1 < MOST_THREADS ? threads - 1 : MOST_THREADS;
    if (wanted > n - 1) wanted = (int)(n - 1);
    while (started < wanted && pthread_create(&others[started], NULL, work_on, &s) == 0) started++;
    (void)work_on(&s);
    for (int i = 0; i < started; i++) pthread_join(others[i], NULL);
}
