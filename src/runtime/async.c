// SPDX-License-Identifier: Apache-2.0
// The asynchronous mode: a worker predicts the next chunk while the current one is played.
//
// The caller and the worker take turns by two semaphores: what `asked` hands over (the snapshot and
// the model) comes back with `answered`. The caller waits for an answer only where it has no action
// at all. Time is counted in actions given out: a prediction asked for before action k begins with
// action k, so when it arrives before action k+d, its first d are past.
#include "runtime/async.h"

#include "base/memory.h"
#include "base/signals.h"
#include "runtime/calls.h"
#include "runtime/handle.h"
#include <errno.h>
#include <string.h>

// ---- the worker ---------------------------------------------------------------------------------

static void semaphore_await(sem_t *s) {
    while (sem_wait(s) && errno == EINTR) {
    }
}

static void *worker_main(void *argument) {
    tact_policy *p = argument;
    Worker *w = &p->worker;
    log_to_handle(p);
    compute_begin(p);
    for (semaphore_await(&w->asked); !w->quit; semaphore_await(&w->asked)) {
        if (w->before) w->before(w->context);
        w->status = snapshot_predict(p, w->actions, &w->error);
        sem_post(&w->answered);
    }
    return NULL;
}

bool worker_start(tact_policy *p, Error *err) {
    Worker *w = &p->worker;
    w->simulated_delay = -1;
    w->actions = TRY_NEW(double, (size_t)policy_chunk_steps(p->config) * p->action_size);
    if (!w->actions) return fail_memory(err, "a chunk of actions");
    sem_init(&w->asked, 0, 0);
    sem_init(&w->answered, 0, 0);
    // The program's signals are for its own threads; the worker's OpenMP threads inherit this.
    sigset_t before;
    signals_hold(&before);
    int failed = pthread_create(&w->thread, NULL, worker_main, p);
    signals_release(&before);
    // EAGAIN stands for both, a limit on threads and no memory for a stack.
    if (failed) return fail_memory(err, "a thread for the asynchronous mode: %s", strerror(failed));
    w->started = true;
    return true;
}

void worker_stop(tact_policy *p) {
    Worker *w = &p->worker;
    if (w->started) {
        if (w->busy) worker_wait(w);
        w->quit = true;
        sem_post(&w->asked);
        pthread_join(w->thread, NULL);
        sem_destroy(&w->asked);
        sem_destroy(&w->answered);
    }
    mem_free(w->actions);
}

void worker_wait(Worker *w) {
    if (!w->ready) semaphore_await(&w->answered);
    w->ready = true;
}

static bool worker_is_ready(Worker *w) {
    if (w->busy && w->simulated_delay >= 0) {
        if (w->steps - w->asked_at < w->simulated_delay) return false;
        worker_wait(w);
    }
    if (w->busy && !w->ready) w->ready = sem_trywait(&w->answered) == 0;
    return w->ready;
}

// goes_on: the chunk is to take over from the one that is played.
static void worker_ask(tact_policy *p, bool goes_on) {
    Worker *w = &p->worker;
    snapshot_take(p);
    if (goes_on)
        prefix_take(p);
    else
        prefix_take_none(p);
    w->busy = true;
    w->cancelled = false;
    w->step = w->given;
    w->asked_at = w->steps;
    sem_post(&w->asked);
}

// Takes the answer that is ready: its chunk takes over from the action that is due. Where there is
// none, returns the answer's status, and its message is in the handle.
static tact_status worker_take_answer(tact_policy *p) {
    Worker *w = &p->worker;
    w->busy = w->ready = false;
    if (w->status != TACT_OK) history_forget_tokens(&p->history);
    if (w->cancelled) return TACT_OK;
    if (w->status != TACT_OK) {
        p->error = w->error;
        return w->status;
    }
    int chunk = policy_chunk_steps(p->config);
    // At most a chunk: nothing else was given out since.
    int late = schedule_first(p, (int)(w->given - w->step));
    if (w->playing) prefix_note_delay(p, late);
    w->actions = play_chunk(p, w->actions, late, p->prefix.steps);
    p->queue_left = chunk - late;
    w->playing = true;
    w->predictions++;
    w->delay = late;
    if (late > w->longest_delay) w->longest_delay = late;
    return TACT_OK;
}

// ---- the control loop's side --------------------------------------------------------------------

void async_reset(tact_policy *p) {
    Worker *w = &p->worker;
    w->cancelled = true;
    w->playing = false;
    w->given = w->steps = 0;
}

void async_simulate_delay(tact_policy *p, int steps) {
    p->worker.simulated_delay = steps;
}

static bool chunk_is_due(const tact_policy *p) {
    int left = p->n_action_steps - p->queue_at;
    return !p->worker.playing || left <= p->worker.threshold * p->n_action_steps;
}

void async_observed(tact_policy *p) {
    Worker *w = &p->worker;
    if (worker_is_ready(w)) {
        if (w->status != TACT_OK && !w->cancelled) return; // for the next tact_act to tell
        (void)worker_take_answer(p);
    }
    if (!w->busy && chunk_is_due(p)) worker_ask(p, true);
}

tact_status async_next(tact_policy *p, double *out) {
    Worker *w = &p->worker;
    tact_status status = worker_is_ready(w) ? worker_take_answer(p) : TACT_OK;
    while (status == TACT_OK && !w->playing) {
        if (!w->busy) worker_ask(p, true);
        worker_wait(w);
        status = worker_take_answer(p);
    }
    if (status != TACT_OK) return status;
    w->steps++;
    if (p->queue_left == 0) {
        w->stalls++;
        memcpy(out, p->last, p->action_size * sizeof *out);
        return TACT_OK;
    }
    skip_past(p);
    memcpy(out, p->queue + (size_t)p->queue_at * p->action_size, p->action_size * sizeof *out);
    p->queue_at++;
    p->queue_left--;
    w->given++;
    return TACT_OK;
}

tact_status async_chunk(tact_policy *p, double *out) {
    Worker *w = &p->worker;
    if (w->busy) {
        worker_wait(w);
        tact_status status = worker_take_answer(p);
        if (status != TACT_OK) return status;
    }
    worker_ask(p, false);
    worker_wait(w);
    w->cancelled = true; // it is for out, not for playing
    if (w->status == TACT_OK)
        memcpy(out, w->actions,
               (size_t)policy_chunk_steps(p->config) * p->action_size * sizeof *out);
    else
        p->error = w->error;
    tact_status status = w->status;
    (void)worker_take_answer(p);
    return status;
}
