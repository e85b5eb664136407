// SPDX-License-Identifier: Apache-2.0
#include "train/run.h"

#include <math.h>
#include <string.h>

// Rows to evaluate, filled up with the last one to whole batches. The caller frees.
static int64_t *eval_rows(const Run *r, int64_t *wanted, int64_t *padded) {
    int64_t most = r->config->max_eval_samples, B = r->config->batch_size;
    int64_t n = most > 0 && most < r->n_eval ? most : r->n_eval;
    int64_t *rows = NEW(int64_t, n + B);
    for (int64_t i = 0; i < n; i++) rows[i] = r->eval_rows[i * r->n_eval / n];
    for (int64_t i = n; i < n + B; i++) rows[i] = rows[n - 1];
    *wanted = n;
    *padded = (n + B - 1) / B * B;
    return rows;
}

bool run_evaluate(Run *r, double *loss, Error *err) {
    const int64_t B = r->config->batch_size, S = r->config->policy.chunk_size;
    Loader *loader = NULL;
    int64_t wanted, padded;
    int64_t *rows = eval_rows(r, &wanted, &padded);
    uint8_t *pad = NEW(uint8_t, B * S);
    double sum = 0, valid = 0;
    LoaderOptions options = run_loader_options(r, rows, padded);
    options.shuffle = false;
    bool ok = loader_open(&options, &loader, err);
    for (int64_t at = 0; ok && at < padded && !run_stopping(r); at += B) {
        const Batch *batch;
        ActLosses l;
        ok = loader_next(loader, &batch, err);
        if (!ok) break;
        // Samples beyond the last count as padding, and so do not count.
        memcpy(pad, batch->action_is_pad, (size_t)(B * S));
        for (int64_t i = wanted - at; i < B; i++) memset(pad + i * S, 1, (size_t)S);
        ActInput in = run_input(batch);
        in.action_is_pad = pad;
        ok = act_predict(r->act, &in, NULL, &l, err);
        double entries = 0;
        for (int64_t i = 0; i < B * S; i++) entries += !pad[i];
        sum += ok ? l.l1 * entries : 0;
        valid += entries;
    }
    *loss = run_stopping(r) ? (double)NAN : valid > 0 ? sum / valid : 0;
    loader_close(loader);
    mem_free(rows);
    mem_free(pad);
    return ok;
}
