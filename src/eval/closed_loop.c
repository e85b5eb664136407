// SPDX-License-Identifier: Apache-2.0
// Runs the episodes of an evaluation, several at a time.
#include "eval/closed_loop_internal.h"

#include "base/memory.h"
#include "ops/ops.h"
#include <omp.h>
#include <pthread.h>
#include <string.h>

// Every thread has its own simulation and its own policy, which computes in that thread alone: so
// the result of an episode does not depend on how many threads there are.
typedef struct Round {
    const ClosedLoopOptions *options;
    const tact_policy *policy; // of the thread that began it; the others share its weights
    ClosedLoopEpisode *episodes;
    bool *finished;
    pthread_mutex_t lock;
    int64_t taken, done;
    bool failed;
    Error err; // the first
} Round;

static void round_fail(Round *r, const Error *err) {
    pthread_mutex_lock(&r->lock);
    if (!r->failed) r->err = *err;
    r->failed = true;
    pthread_mutex_unlock(&r->lock);
}

// The number of the next episode, or -1 when there is none.
static int64_t round_next_episode(Round *r) {
    pthread_mutex_lock(&r->lock);
    int64_t i = r->failed || r->taken >= r->options->episodes ? -1 : r->taken++;
    pthread_mutex_unlock(&r->lock);
    return i;
}

static void round_count_episode(Round *r, int64_t i) {
    const ClosedLoopOptions *o = r->options;
    pthread_mutex_lock(&r->lock);
    r->finished[i] = true;
    r->done++;
    if (o->progress) o->progress(o->user, r->done, o->episodes);
    pthread_mutex_unlock(&r->lock);
}

static void round_run_episodes(Round *r, Actor *a) {
    const ClosedLoopOptions *o = r->options;
    Error err;
    for (int64_t i; !actor_stopping(a) && (i = round_next_episode(r)) >= 0;) {
        ClosedLoopEpisode *e = &r->episodes[i];
        e->seed = o->seed + (uint64_t)i;
        bool filmed = o->videos && i < o->max_videos;
        if (!(filmed ? actor_film_episode(a, e, &err) : actor_run_episode(a, e, NULL, &err))) {
            round_fail(r, &err);
            return;
        }
        if (!actor_stopping(a)) round_count_episode(r, i);
    }
}

static void *worker_main(void *round) {
    Round *r = round;
    Actor a = {.options = r->options, .first = r->policy};
    Error err;
    if (actor_open(&a, &err))
        round_run_episodes(r, &a);
    else
        round_fail(r, &err);
    actor_close(&a);
    return NULL;
}

// Runs the episodes in this thread with `own`, and in as many others as are useful. If a thread
// cannot be started, the others do its work. Returns how many threads there were.
static int round_run(Round *r, Actor *own) {
    const ClosedLoopOptions *o = r->options;
    const Backend *backend;
    Error none; // the policy of `own` runs on it already
    bool share =
        backend_find(o->device ? o->device : "cpu", &backend, NULL, &none) && backend->side_by_side;
    r->policy = own->policy;
    int64_t n = !share ? 1 : o->threads > 0 ? o->threads : omp_get_num_procs();
    if (n > o->episodes) n = o->episodes;
    pthread_t *threads = NEW(pthread_t, n);
    int64_t others = 0;
    while (others < n - 1 && pthread_create(&threads[others], NULL, worker_main, r) == 0) others++;
    round_run_episodes(r, own);
    for (int64_t i = 0; i < others; i++) pthread_join(threads[i], NULL);
    mem_free(threads);
    return (int)others + 1;
}

// That an episode fails is known only at its end. The same seed is the same episode, so it is run
// once more for its video.
CHECKED static bool round_film_failures(Round *r, Actor *a, Error *err) {
    const ClosedLoopOptions *o = r->options;
    int64_t left = o->videos ? o->max_failures : 0;
    for (int64_t i = o->max_videos; left > 0 && i < o->episodes; i++) {
        if (!r->finished[i] || r->episodes[i].success || actor_stopping(a)) continue;
        ClosedLoopEpisode again = r->episodes[i];
        if (!actor_film_episode(a, &again, err)) return false;
        if (!actor_stopping(a)) r->episodes[i] = again;
        left--;
    }
    return true;
}

static void round_sum_up(const Round *r, ClosedLoopResult *out) {
    double steps = 0;
    for (int64_t i = 0; i < r->options->episodes; i++) {
        if (!r->finished[i]) {
            mem_free(r->episodes[i].moves);
            continue;
        }
        const ClosedLoopEpisode *e = &r->episodes[i];
        out->succeeded += e->success;
        steps += e->steps;
        out->episodes[out->count++] = *e;
    }
    if (!out->count) return;
    out->mean_steps = steps / (double)out->count;
    SeamStep *moves = NEW(SeamStep, steps);
    int64_t n = 0;
    for (int64_t i = 0; i < out->count; i++) {
        const ClosedLoopEpisode *e = &out->episodes[i];
        memcpy(moves + n, e->moves, (size_t)e->n_moves * sizeof *moves);
        n += e->n_moves;
    }
    out->seam = seam_measure(moves, n, r->options->blend_steps);
    mem_free(moves);
    wilson_interval(out->succeeded, out->count, &out->low, &out->high);
}

bool eval_closed_loop(const ClosedLoopOptions *o, ClosedLoopResult *out, Error *err) {
    Actor own = {.options = o};
    Round r = {.options = o,
               .episodes = NEW(ClosedLoopEpisode, o->episodes),
               .finished = NEW(bool, o->episodes),
               .lock = PTHREAD_MUTEX_INITIALIZER};
    *out = (ClosedLoopResult){.episodes = r.episodes};
    bool ok = actor_open(&own, err);
    if (ok) {
        const Wants wants = wants_of_handle(own.policy, o->policy_path);
        wants_warn_rate(own.spec, &wants);
        out->threads = round_run(&r, &own);
        if (r.failed) *err = r.err;
        ok = !r.failed && round_film_failures(&r, &own, err);
    }
    if (ok) {
        out->env_type = own.spec->type;
        round_sum_up(&r, out);
    }
    actor_close(&own);
    mem_free(r.finished);
    for (int64_t i = 0; !ok && i < o->episodes; i++) mem_free(r.episodes[i].moves);
    if (!ok) closed_loop_free(out);
    return ok;
}
