// SPDX-License-Identifier: Apache-2.0
#include "loader/sampler.h"

#include "base/memory.h"
#include "base/rng.h"
#include <string.h>

enum { SITE_SHUFFLE = 0x53485546 }; // keeps the stream apart from the model's dropout sites

void sampler_init(Sampler *s) {
    s->epoch = -1;
    if (!s->pieces) s->pieces = 1;
    if (!s->processes) s->processes = 1;
    s->order = NEW(int64_t, s->n_rows);
}

void sampler_free(Sampler *s) {
    mem_free(s->order);
    s->order = NULL;
}

int64_t sampler_step_size(const Sampler *s) {
    return (int64_t)s->batch_size * s->pieces * s->processes;
}

int64_t sampler_steps_per_epoch(const Sampler *s) {
    int64_t size = sampler_step_size(s), whole = s->n_rows / size;
    return whole + (!s->drop_last && s->n_rows % size != 0);
}

// Fisher-Yates.
static void shuffle_order(Sampler *s, int64_t epoch) {
    RngStream stream = {.key = {.seed = s->seed, .step = (uint32_t)epoch, .site = SITE_SHUFFLE}};
    for (int64_t i = s->n_rows - 1; i > 0; i--) {
        int64_t j = (int64_t)rng_below(&stream, (uint64_t)i + 1);
        int64_t swap = s->order[i];
        s->order[i] = s->order[j];
        s->order[j] = swap;
    }
}

static void begin_epoch(Sampler *s, int64_t epoch) {
    memcpy(s->order, s->rows, (size_t)s->n_rows * sizeof *s->order);
    if (s->shuffle) shuffle_order(s, epoch);
    s->epoch = epoch;
}

int sampler_first_sample(const Sampler *s, int64_t number) {
    return (int)((number % s->pieces * s->processes + s->process) * s->batch_size);
}

int sampler_batch(Sampler *s, int64_t number, int64_t *rows) {
    int64_t per_epoch = sampler_steps_per_epoch(s), step = number / s->pieces;
    int64_t epoch = step / per_epoch;
    if (epoch != s->epoch) begin_epoch(s, epoch);
    s->step = step % per_epoch;
    int64_t first = s->step * sampler_step_size(s) + sampler_first_sample(s, number);
    int64_t n = s->n_rows - first < s->batch_size ? s->n_rows - first : s->batch_size;
    memcpy(rows, s->order + first, (size_t)n * sizeof *rows);
    return (int)n;
}

const int64_t *sampler_step_rows(const Sampler *s, int64_t *n) {
    int64_t size = sampler_step_size(s), first = s->step * size;
    *n = s->n_rows - first < size ? s->n_rows - first : size;
    return s->order + first;
}
