// SPDX-License-Identifier: Apache-2.0
// Which rows make up batch n: every row once an epoch, in an order that depends on (seed, epoch)
// alone. A step may be more than one batch: `pieces` of them, in every one of `processes`. Its rows
// are then those of one large batch, cut in order: first the first piece of each process, then the
// second ones. Batch n of a process is piece n % pieces of step n / pieces.
#ifndef TACT_LOADER_SAMPLER_H
#define TACT_LOADER_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Sampler {
    const int64_t *rows; // (n_rows) borrowed
    int64_t n_rows;
    int batch_size;
    int pieces, processes, process; // batches of a step here; 1, 1, 0: a batch is a step
    bool shuffle, drop_last; // drop_last: whole steps only. More than one batch a step wants it
    uint64_t seed;
    int64_t epoch;  // that `order` is of; -1 none yet
    int64_t *order; // (n_rows)
    int64_t step;   // of that epoch, given last
} Sampler;

// Takes the public fields as set, 0 pieces or processes as 1; allocates `order`. Free with
// sampler_free.
void sampler_init(Sampler *s);
void sampler_free(Sampler *s);
// Samples of a step, over all of its batches.
int64_t sampler_step_size(const Sampler *s);
// Steps of an epoch: n_rows / sampler_step_size, rounded up unless drop_last. 0 when there are too
// few rows for one.
int64_t sampler_steps_per_epoch(const Sampler *s);
// Rows of batch `number` (counted over epochs) into rows (batch_size). Returns how many.
int sampler_batch(Sampler *s, int64_t number, int64_t *rows);
// Number of the batch's first sample among those of its step.
int sampler_first_sample(const Sampler *s, int64_t number);
// All rows of the step of the batch that sampler_batch gave last: n of them, borrowed until the
// next call.
const int64_t *sampler_step_rows(const Sampler *s, int64_t *n);

#endif
