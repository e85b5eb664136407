// SPDX-License-Identifier: Apache-2.0
// A ring of batches. Batch n lies in slot n % slots; workers take the next number as soon as its
// slot is free, and the training step takes the numbers in order, so the order never depends on
// timing.
#include "loader/loader.h"

#include "base/log.h"
#include "base/memory.h"
#include "loader/batch_maker.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <time.h>

typedef struct Slot {
    Batch batch;
    int64_t ready; // number of the batch that lies here, -1 none
    bool failed;
    Error error;
} Slot;

typedef struct Worker {
    Loader *loader;
    BatchMaker maker;
    pthread_t thread;
    bool running;
} Worker;

struct Loader {
    LoaderOptions o;
    Sampler sampler;
    Slot *slots;
    int n_slots, n_workers;
    Worker *workers; // without workers: one, which is used in the caller's thread
    int64_t given;   // number of the batch last given out
    int64_t next;    // number the next free worker takes
    bool quit;
    pthread_mutex_t lock;     // guards sampler, next, given, quit and every slot's ready
    pthread_cond_t has_ready; // a slot became ready
    pthread_cond_t has_free;  // a slot became free, or quit
};

static void fill_slot(Worker *w, Slot *s) {
    s->failed = !batch_maker_fill(&w->maker, &s->batch, &s->error);
}

// Called with the lock held, or while there are no workers.
static void choose_batch_rows(Loader *l, int64_t number, Batch *b) {
    b->size = sampler_batch(&l->sampler, number, b->rows);
    b->epoch = l->sampler.epoch;
    if (!l->o.drop_last) return;
    b->first_sample = sampler_first_sample(&l->sampler, number);
    b->step_actions = 0;
    const int64_t *rows = sampler_step_rows(&l->sampler, &b->step_samples);
    for (int64_t i = 0; i < b->step_samples; i++) {
        int there = window_actions(l->o.dataset, &l->o.window, rows[i]);
        int given = action_prefix_at(l->o.seed, l->o.max_action_prefix, b->epoch, rows[i]);
        b->step_actions += there > given ? there - given : 0;
        b->step_actions += window_past_actions(l->o.dataset, &l->o.window, rows[i]);
    }
}

static Slot *slot_of(const Loader *l, int64_t number) {
    return &l->slots[number % l->n_slots];
}

// The slot of the batch that was given out last is still in use by the caller.
static bool slot_is_free(const Loader *l, int64_t number) {
    return number < l->given + l->n_slots;
}

static void *worker_run(void *user) {
    Worker *w = user;
    Loader *l = w->loader;
    pthread_mutex_lock(&l->lock);
    for (;;) {
        while (!l->quit && !slot_is_free(l, l->next)) {
            if (!batch_maker_may_fill_cache(&w->maker)) {
                pthread_cond_wait(&l->has_free, &l->lock);
                continue;
            }
            pthread_mutex_unlock(&l->lock);
            batch_maker_fill_cache(&w->maker);
            pthread_mutex_lock(&l->lock);
        }
        if (l->quit) break;
        int64_t number = l->next++;
        Slot *s = slot_of(l, number);
        s->ready = -1;
        choose_batch_rows(l, number, &s->batch);
        pthread_mutex_unlock(&l->lock);
        fill_slot(w, s);
        pthread_mutex_lock(&l->lock);
        s->ready = number;
        pthread_cond_broadcast(&l->has_ready);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static bool start_workers(Loader *l, Error *err) {
    for (int i = 0; i < l->n_workers; i++) {
        Worker *w = &l->workers[i];
        w->running = pthread_create(&w->thread, NULL, worker_run, w) == 0;
        if (!w->running)
            return fail(err, "--num_workers=%d: the system gives no more than %d threads; lower it",
                        l->n_workers, i);
    }
    return true;
}

static bool check_options(const LoaderOptions *o, Error *err) {
    if (o->batch_size < 1) return fail(err, "--batch_size=%d: must be at least 1", o->batch_size);
    if (o->num_workers < 0)
        return fail(err, "--num_workers=%d: must not be negative", o->num_workers);
    if (o->n_rows < (o->drop_last ? o->batch_size : 1))
        return fail(err, "%s: %lld frames do not make a batch of %d", o->dataset->root,
                    (long long)o->n_rows, o->batch_size);
    return true;
}

static bool make_workers_and_slots(Loader *l, Error *err) {
    const LoaderOptions *o = &l->o;
    int workers = l->n_workers ? l->n_workers : 1;
    l->workers = NEW(Worker, workers);
    for (int i = 0; i < workers; i++) {
        l->workers[i].loader = l;
        if (!batch_maker_init(&l->workers[i].maker, o, err)) return false;
    }
    l->slots = NEW(Slot, l->n_slots);
    for (int i = 0; i < l->n_slots; i++) {
        l->slots[i].ready = -1;
        if (!batch_alloc(&l->slots[i].batch, o, err)) return false;
    }
    return start_workers(l, err);
}

Sampler loader_sampler(const LoaderOptions *o) {
    return (Sampler){.rows = o->rows,
                     .n_rows = o->n_rows,
                     .batch_size = o->batch_size,
                     .pieces = o->pieces,
                     .processes = o->processes,
                     .process = o->process,
                     .shuffle = o->shuffle,
                     .drop_last = o->drop_last,
                     .seed = o->seed};
}

bool loader_open(const LoaderOptions *options, Loader **out, Error *err) {
    *out = NULL;
    if (!check_options(options, err)) return false;
    Loader *l = NEW(Loader, 1);
    l->o = *options;
    l->n_workers = options->num_workers;
    int ahead = options->prefetch > 1 ? options->prefetch : 1;
    // One batch is with the caller; each worker prepares `prefetch` ahead.
    l->n_slots = l->n_workers ? 1 + l->n_workers * ahead : 1;
    l->given = options->first_batch - 1;
    l->next = options->first_batch;
    l->sampler = loader_sampler(options);
    sampler_init(&l->sampler);
    pthread_mutex_init(&l->lock, NULL);
    pthread_condattr_t monotonic; // so that setting the clock is no stall
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&l->has_ready, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_cond_init(&l->has_free, NULL);
    if (!make_workers_and_slots(l, err)) {
        loader_close(l);
        return false;
    }
    *out = l;
    return true;
}

// Without workers the batch is made here and now.
static Slot *make_next_slot(Loader *l) {
    Slot *s = &l->slots[0];
    int64_t number = ++l->given;
    choose_batch_rows(l, number, &s->batch);
    fill_slot(&l->workers[0], s);
    return s;
}

// What one worker does, for a warning: appends to out, which has `used` bytes.
static size_t describe_worker(const Loader *l, int worker, char *out, size_t size, size_t used) {
    const Dataset *ds = l->o.dataset;
    int camera;
    int64_t row, at;
    if (used >= size || !batch_maker_reading(&l->workers[worker].maker, &camera, &row)) return used;
    const int number = l->o.cameras[camera];
    const Episode *e = dataset_episode_of(ds, row);
    const char *path = e->videos[number].path;
    if (!path) path = dataset_file_of(ds, row, &at)->path;
    return used + (size_t)snprintf(out + used, size - used,
                                   "%s worker %d reads frame %lld of episode %lld from %s",
                                   used ? ";" : ":", worker, (long long)(row - e->first_row),
                                   (long long)e->index, path);
}

static void warn_of_stall(const Loader *l, int64_t number, double seconds) {
    char workers[900] = "";
    size_t used = 0;
    for (int i = 0; i < l->n_workers; i++)
        used = describe_worker(l, i, workers, sizeof workers, used);
    log_warn("no batch for %.0f s (number %lld)%s; if the disk or the network does not answer any "
             "more, Ctrl-C twice ends the run, and it goes on from its last checkpoint%s",
             seconds, (long long)number, workers,
             l->o.cache ? " (frames may also come from the frame cache)" : "");
}

// Waits for has_ready until a number of seconds from now at most.
static void wait_some_seconds(Loader *l, double seconds) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    const double whole = floor(seconds);
    until.tv_sec += (time_t)whole;
    until.tv_nsec += (long)((seconds - whole) * 1e9);
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_cond_timedwait(&l->has_ready, &l->lock, &until);
}

// Called with the lock held.
static void wait_until_ready(Loader *l, const Slot *s, int64_t number) {
    const double begin = clock_seconds();
    double warn = l->o.warn_s;
    while (s->ready != number) {
        if (!(warn > 0)) {
            pthread_cond_wait(&l->has_ready, &l->lock);
            continue;
        }
        const double waited = clock_seconds() - begin;
        if (waited < warn) {
            wait_some_seconds(l, warn - waited);
            continue;
        }
        warn_of_stall(l, number, waited);
        warn *= 2;
    }
}

static Slot *wait_for_next_slot(Loader *l) {
    pthread_mutex_lock(&l->lock);
    int64_t number = ++l->given;
    Slot *s = slot_of(l, number);
    pthread_cond_broadcast(&l->has_free); // of the batch the caller has given up
    wait_until_ready(l, s, number);
    pthread_mutex_unlock(&l->lock);
    return s;
}

bool loader_next(Loader *l, const Batch **out, Error *err) {
    Slot *s = l->n_workers ? wait_for_next_slot(l) : make_next_slot(l);
    if (s->failed) {
        *err = s->error;
        return false;
    }
    *out = &s->batch;
    return true;
}

int64_t loader_steps_per_epoch(const Loader *l) {
    return sampler_steps_per_epoch(&l->sampler);
}

void loader_close(Loader *l) {
    if (!l) return;
    pthread_mutex_lock(&l->lock);
    l->quit = true;
    pthread_cond_broadcast(&l->has_free);
    pthread_mutex_unlock(&l->lock);
    int workers = l->n_workers ? l->n_workers : 1;
    for (int i = 0; l->workers && i < workers; i++)
        if (l->workers[i].running) pthread_join(l->workers[i].thread, NULL);
    for (int i = 0; l->workers && i < workers; i++) batch_maker_free(&l->workers[i].maker);
    for (int i = 0; l->slots && i < l->n_slots; i++) batch_free(&l->slots[i].batch, &l->o);
    pthread_mutex_destroy(&l->lock);
    pthread_cond_destroy(&l->has_ready);
    pthread_cond_destroy(&l->has_free);
    sampler_free(&l->sampler);
    mem_free(l->workers);
    mem_free(l->slots);
    mem_free(l);
}
