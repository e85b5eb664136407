// SPDX-License-Identifier: Apache-2.0
// Which rows make up batch n: every row once an epoch, in an order that depends on (seed, epoch)
// alone.
#ifndef TACT_LOADER_SAMPLER_H
#define TACT_LOADER_SAMPLER_H

#include <stdbool.h>
#include <stdint.h>

typedef struct Sampler {
    const int64_t *rows; // (n_rows) borrowed
    int64_t n_rows;
    int batch_size;
    bool shuffle, drop_last;
    uint64_t seed;
    int64_t epoch;  // that `order` is of; -1 none yet
    int64_t *order; // (n_rows)
} Sampler;

// Takes the public fields as set; allocates `order`. Free with sampler_free.
void sampler_init(Sampler *s);
void sampler_free(Sampler *s);
// Batches of an epoch: n_rows / batch_size, rounded up unless drop_last. 0 when there are too few
// rows for one.
int64_t sampler_batches_per_epoch(const Sampler *s);
// Rows of batch `number` (counted over epochs) into rows (batch_size). Returns how many.
int sampler_batch(Sampler *s, int64_t number, int64_t *rows);

#endif
