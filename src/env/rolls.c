// SPDX-License-Identifier: Apache-2.0
#include "env/rolls.h"

#include "base/memory.h"
#include "image/image.h"
#include <pthread.h>
#include <string.h>

enum { AHEAD = 2 }; // episodes a thread may be ahead of the reader

// A ring of episodes: number n stands in slot n % slots from when it is made until it is read.
struct Rolls {
    RollsOptions options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t *threads;
    int started;
    int64_t slots, begun, read; // next number to be made; next to be read
    Roll *ring;
    bool *filled;
    bool stop, failed;
    Error err; // of the first thread that failed
};

void roll_free(Roll *roll) {
    mem_free(roll->state);
    mem_free(roll->action);
    mem_free(roll->rgb);
    *roll = (Roll){0};
}

// Row k of the episode: what is seen, what the expert does there.
static CHECKED bool record_row(Env *env, const RollsOptions *o, Roll *roll, double *action,
                               Error *err) {
    const EnvSpec *spec = env_spec(env);
    double state[ENV_DIM];
    uint8_t *images[ENV_MAX_CAMERAS];
    size_t one = image_rgb_bytes(o->height, o->width);
    for (int c = 0; o->images && c < spec->n_cameras; c++)
        images[c] = roll->rgb + ((size_t)roll->frames * (size_t)spec->n_cameras + (size_t)c) * one;
    if (!env_observe(env, state, o->images ? images : NULL, err)) return false;
    env_expert(env, action);
    for (int i = 0; i < ENV_DIM; i++) {
        roll->state[roll->frames * ENV_DIM + i] = (float)state[i];
        roll->action[roll->frames * ENV_DIM + i] = (float)action[i];
    }
    roll->frames++;
    return true;
}

static CHECKED bool run_episode(Env *env, const RollsOptions *o, uint64_t seed, Roll *roll,
                                Error *err) {
    const EnvSpec *spec = env_spec(env);
    size_t rows = (size_t)spec->max_steps;
    *roll = (Roll){.seed = seed};
    roll->state = NEW(float, rows *ENV_DIM);
    roll->action = NEW(float, rows *ENV_DIM);
    if (o->images) {
        roll->rgb = mem_try(rows * (size_t)spec->n_cameras * image_rgb_bytes(o->height, o->width));
        if (!roll->rgb) return fail(err, "not enough memory for the images of an episode");
    }
    if (!env_reset(env, seed, err)) return false;
    while (!env_done(env)) {
        double action[ENV_DIM];
        if (!record_row(env, o, roll, action, err) || !env_step(env, action, err)) return false;
    }
    roll->success = env_success(env);
    roll->outcome = env_outcome(env);
    return true;
}

// The number of the next episode to be made, or -1 to stop; waits while the ring is full.
static int64_t next_episode_number(Rolls *r) {
    pthread_mutex_lock(&r->lock);
    while (!r->stop && r->begun >= r->read + r->slots) pthread_cond_wait(&r->changed, &r->lock);
    int64_t number = r->stop ? -1 : r->begun++;
    pthread_mutex_unlock(&r->lock);
    return number;
}

static void stop_with_error(Rolls *r, const Error *err) {
    pthread_mutex_lock(&r->lock);
    if (!r->failed) r->err = *err;
    r->failed = r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
}

static void *run_episodes(void *user) {
    Rolls *r = user;
    Env *env;
    Error err;
    int64_t number;
    if (!env_open(r->options.type, r->options.height, r->options.width, &env, &err)) {
        stop_with_error(r, &err);
        return NULL;
    }
    env_shift_start(env, r->options.shift);
    while ((number = next_episode_number(r)) >= 0) {
        Roll roll;
        if (!run_episode(env, &r->options, r->options.seed + (uint64_t)number, &roll, &err)) {
            roll_free(&roll);
            stop_with_error(r, &err);
            break;
        }
        pthread_mutex_lock(&r->lock);
        r->ring[number % r->slots] = roll;
        r->filled[number % r->slots] = true;
        pthread_cond_broadcast(&r->changed);
        pthread_mutex_unlock(&r->lock);
    }
    env_close(&env);
    return NULL;
}

bool rolls_open(const RollsOptions *options, Rolls **out, Error *err) {
    Rolls *r = NEW(Rolls, 1);
    r->options = *options;
    r->slots = (int64_t)options->threads * AHEAD;
    r->ring = NEW(Roll, r->slots);
    r->filled = NEW(bool, r->slots);
    r->threads = NEW(pthread_t, options->threads);
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->changed, NULL);
    for (int i = 0; i < options->threads; i++) {
        if (pthread_create(&r->threads[i], NULL, run_episodes, r) != 0) {
            rolls_close(r);
            return fail(err, "cannot start thread %d of %d", i + 1, options->threads);
        }
        r->started++;
    }
    *out = r;
    return true;
}

bool rolls_next(Rolls *r, Roll *out, Error *err) {
    int64_t slot = r->read % r->slots;
    pthread_mutex_lock(&r->lock);
    while (!r->filled[slot] && !r->failed) pthread_cond_wait(&r->changed, &r->lock);
    bool ok = r->filled[slot];
    if (ok) {
        *out = r->ring[slot];
        r->ring[slot] = (Roll){0};
        r->filled[slot] = false;
        r->read++;
        pthread_cond_broadcast(&r->changed);
    } else {
        *err = r->err;
    }
    pthread_mutex_unlock(&r->lock);
    return ok;
}

void rolls_close(Rolls *r) {
    if (!r) return;
    pthread_mutex_lock(&r->lock);
    r->stop = true;
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->lock);
    for (int i = 0; i < r->started; i++) pthread_join(r->threads[i], NULL);
    for (int64_t i = 0; i < r->slots; i++) roll_free(&r->ring[i]);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->lock);
    mem_free(r->ring);
    mem_free(r->filled);
    mem_free(r->threads);
    mem_free(r);
}
