// SPDX-License-Identifier: Apache-2.0
// Temporal ensembling (Zhao et al., "Learning Fine-Grained Bimanual Manipulation with Low-Cost
// Hardware", 2023), as a running mean: of the predictions of one moment the i-th has weight
// exp(-coeff * i), the oldest being i = 0.
#include "runtime/ensemble.h"

#include "base/memory.h"
#include <math.h>
#include <string.h>

bool ensemble_possible(int chunk, double coeff) {
    double oldest = exp(-coeff * (chunk - 1)); // the largest weight where coeff is below 0
    return isfinite(coeff) && isfinite(oldest * chunk);
}

bool ensemble_init(Ensemble *e, int chunk, int width, double coeff, Error *err) {
    *e = (Ensemble){.chunk = chunk, .width = width, .coeff = coeff};
    e->mean = TRY_NEW(double, (size_t)chunk *(size_t)width);
    e->weight = TRY_NEW(double, chunk);
    e->count = TRY_NEW(int, chunk);
    return (e->mean && e->weight && e->count) || fail_memory(err, "the means of %d actions", chunk);
}

void ensemble_free(Ensemble *e) {
    mem_free(e->mean);
    mem_free(e->weight);
    mem_free(e->count);
    *e = (Ensemble){0};
}

void ensemble_add(Ensemble *e, const double *chunk) {
    for (int i = 0; i < e->chunk; i++) {
        double *mean = e->mean + (size_t)i * (size_t)e->width;
        const double *row = chunk + (size_t)i * (size_t)e->width;
        if (i >= e->left) e->count[i] = 0, e->weight[i] = 0;
        double weight = exp(-e->coeff * e->count[i]);
        e->weight[i] += weight;
        e->count[i]++;
        for (int k = 0; k < e->width; k++)
            mean[k] =
                e->count[i] == 1 ? row[k] : mean[k] + (row[k] - mean[k]) * (weight / e->weight[i]);
    }
    e->left = e->chunk;
}

void ensemble_take(Ensemble *e, double *out) {
    size_t width = (size_t)e->width, rest = (size_t)--e->left;
    memcpy(out, e->mean, width * sizeof *out);
    memmove(e->mean, e->mean + width, rest * width * sizeof *e->mean);
    memmove(e->weight, e->weight + 1, rest * sizeof *e->weight);
    memmove(e->count, e->count + 1, rest * sizeof *e->count);
}
