// SPDX-License-Identifier: Apache-2.0
// The clock of batches from disk, and what it says of them.
#ifndef TACT_CLI_BENCH_LOADER_PASSES_H
#define TACT_CLI_BENCH_LOADER_PASSES_H

#include "train/policy_from_dataset.h"

// With no frame cache, with an empty one that is filled on the way, and with a full one.
enum { PASS_NO_CACHE, PASS_COLD, PASS_WARM, PASSES };

typedef struct LoaderPass {
    int64_t batches, frames; // 0: the pass was not run
    double seconds, first;   // until all batches had come, and until the first one had
} LoaderPass;

typedef struct LoaderPasses {
    TrainConfig config; // parsed by the caller
    Dataset *dataset;
    Normalizer state, env, action;
    int cameras[MAX_CAMERAS];
    FrameSize sizes[MAX_CAMERAS];
    FrameCrop crops[MAX_CAMERAS];
    int64_t *rows;
    char dir[4096]; // of the cache's files, removed at the end
    FrameCache *cache;
    ImageTransforms transforms;
    LoaderPass passes[PASSES];
} LoaderPasses;

// Opens the configuration's dataset and runs all passes, each over `steps` batches (0: over an
// epoch). Where no frame cache can be had only the first pass is run. Error: what the dataset or
// the loader says.
CHECKED bool loader_passes_run(LoaderPasses *b, int64_t steps, Error *err);
// Frees everything, the configuration as well, and removes the cache's files.
void loader_passes_free(LoaderPasses *b);

// loader_report.c: prints the figures to stdout, as text or as JSON.
void loader_report_print(const LoaderPasses *b, bool json);

#endif
