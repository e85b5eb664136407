// SPDX-License-Identifier: Apache-2.0
// at_jitter POLICY [SECONDS [RATE [ASYNC]]]: a controller asks tact_at RATE times a second (1000)
// in a thread of its own while the policy runs at its own rate beside it. Prints how late the
// controller's thread wakes, which is the system's doing, and how long tact_at takes, which is
// ours. With the right to it the controller has a real-time priority (SCHED_FIFO), as it would have
// on a robot. ASYNC 1: the policy predicts in a worker.
#include "tact.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/stats.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_CAMERAS = 64 };

typedef struct Controller {
    tact_policy *policy;
    double *action;
    double period;
    int64_t calls;
    double *woken, *took; // (calls) seconds after the deadline; of tact_at
    int64_t answers, holding, missed;
    bool real_time;
    atomic_bool started;
} Controller;

static void sleep_until(double deadline) {
    struct timespec t = {.tv_sec = (time_t)deadline};
    t.tv_nsec = (long)((deadline - (double)t.tv_sec) * 1e9);
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL)) {
    }
}

static void *control(void *context) {
    Controller *c = context;
    const struct sched_param high = {.sched_priority = 50};
    c->real_time = pthread_setschedparam(pthread_self(), SCHED_FIFO, &high) == 0;
    double deadline = clock_seconds();
    c->started = true;
    for (int64_t i = 0; i < c->calls; i++) {
        deadline += c->period;
        sleep_until(deadline);
        double before = clock_seconds();
        tact_status status = tact_at(c->policy, before, c->action);
        double after = clock_seconds();
        c->woken[i] = before - deadline;
        c->took[i] = after - before;
        c->answers += status == TACT_OK || status == TACT_HOLDING;
        c->holding += status == TACT_HOLDING;
        for (; deadline + c->period < after; deadline += c->period) c->missed++;
    }
    return NULL;
}

static void print_times(const char *what, double *seconds, int64_t n) {
    sort_doubles(seconds, n);
    printf("%-22s median %8.1f us, p99 %8.1f us, p99.9 %8.1f us, max %8.1f us\n", what,
           1e6 * quantile(seconds, n, 0.5), 1e6 * quantile(seconds, n, 0.99),
           1e6 * quantile(seconds, n, 0.999), 1e6 * seconds[n - 1]);
}

typedef struct Scene {
    tact_observation seen;
    tact_image images[MOST_CAMERAS];
    double *action;
} Scene;

static void scene_make(Scene *s, const tact_policy *p) {
    s->action = NEW(double, tact_action_size(p));
    s->seen = (tact_observation){.size = sizeof s->seen,
                                 .state = NEW(double, tact_state_size(p)),
                                 .state_size = tact_state_size(p),
                                 .env = NEW(double, tact_env_size(p)),
                                 .env_size = tact_env_size(p),
                                 .images = s->images};
    for (int i = 0; i < tact_camera_count(p) && i < MOST_CAMERAS; i++) {
        tact_camera c = {.size = sizeof c};
        tact_camera_at(p, i, &c);
        uint8_t *rgb = mem_alloc((size_t)c.height * (size_t)c.width * 3);
        memset(rgb, 90 + i, (size_t)c.height * (size_t)c.width * 3);
        s->images[i] = (tact_image){sizeof s->images[i], c.name, rgb, c.height, c.width, 0};
        s->seen.n_images++;
    }
}

static void scene_free(Scene *s) {
    for (size_t i = 0; i < s->seen.n_images; i++) mem_free((void *)s->images[i].rgb);
    mem_free((void *)s->seen.state);
    mem_free((void *)s->seen.env);
    mem_free(s->action);
}

// Steps the policy until the controller has had all its answers. Returns how long the slowest step
// took.
static double run_policy(tact_policy *p, Scene *s, double seconds) {
    double period = 1 / (tact_fps(p) > 0 ? tact_fps(p) : 10), slowest = 0;
    double deadline = clock_seconds(), end = deadline + seconds;
    while (clock_seconds() < end) {
        sleep_until(deadline);
        double start = clock_seconds();
        if (tact_step(p, &s->seen, s->action) != TACT_OK) fprintf(stderr, "%s\n", tact_message(p));
        double took = clock_seconds() - start;
        slowest = took > slowest ? took : slowest;
        while (deadline < start + took) deadline += period;
    }
    return slowest;
}

int main(int argc, char **argv) {
    tact_options o;
    tact_policy *p;
    Scene s = {0};
    double seconds = argc > 2 ? atof(argv[2]) : 10, rate = argc > 3 ? atof(argv[3]) : 1000;
    if (argc < 2 || argc > 5 || !(seconds > 0) || !(rate >= 1)) {
        fprintf(stderr, "usage: at_jitter POLICY [SECONDS [RATE [ASYNC]]]\n");
        return 2;
    }
    tact_options_default(&o, sizeof o);
    o.asynchronous = argc > 4 && atoi(argv[4]);
    o.rate_check = 0;
    if (tact_open(argv[1], &o, &p) != TACT_OK) {
        fprintf(stderr, "%s\n", tact_message(NULL));
        return 1;
    }
    scene_make(&s, p);
    if (tact_step(p, &s.seen, s.action) != TACT_OK) fprintf(stderr, "%s\n", tact_message(p));
    tact_reset(p);
    Controller c = {.policy = p, .period = 1 / rate, .calls = (int64_t)(seconds * rate)};
    c.action = NEW(double, tact_action_size(p));
    c.woken = NEW(double, c.calls);
    c.took = NEW(double, c.calls);
    memset(c.woken, 1, (size_t)c.calls * sizeof *c.woken); // present before the clock runs
    memset(c.took, 1, (size_t)c.calls * sizeof *c.took);
    pthread_t thread;
    if (pthread_create(&thread, NULL, control, &c)) {
        fprintf(stderr, "at_jitter: no thread\n");
        return 1;
    }
    double slowest = run_policy(p, &s, seconds);
    pthread_join(thread, NULL);
    printf("%lld calls at %g Hz, %lld answered, %lld of them holding; %lld deadlines missed; %s\n",
           (long long)c.calls, rate, (long long)c.answers, (long long)c.holding,
           (long long)c.missed, c.real_time ? "real-time priority" : "no real-time priority");
    printf("beside a policy at %g Hz whose slowest step took %.1f ms\n", tact_fps(p),
           1e3 * slowest);
    print_times("woken after deadline", c.woken, c.calls);
    print_times("tact_at", c.took, c.calls);
    bool ok = c.answers > 0;
    tact_close(&p);
    scene_free(&s);
    mem_free(c.action);
    mem_free(c.woken);
    mem_free(c.took);
    return ok ? 0 : 1;
}
