// SPDX-License-Identifier: Apache-2.0
// How much memory a training or a prediction takes, before it is taken.
#ifndef TACT_MODEL_MEMORY_H
#define TACT_MODEL_MEMORY_H

#include "config/config.h"
#include "ops/ops.h"

typedef struct MemoryEstimate {
    size_t weights;     // parameters and buffers; in training also gradients and both moments
    size_t activations; // everything a batch takes: inputs, activations, their gradients
    size_t device; // what the device takes for itself: its libraries, workspaces, copies of weights
    size_t total;
} MemoryEstimate;

// For a complete configuration (dimensions and cameras filled in) on a device of that backend.
// Builds the model on a device that only counts; takes milliseconds. Errors: those of act_new.
CHECKED bool estimate_memory(const PolicyConfig *config, int batch, bool train,
                             const Backend *backend, Precision precision, MemoryEstimate *out,
                             Error *err);
// What a policy that sees an episode frame by frame (act_new_stream) takes beside its weights.
typedef struct StreamEstimate {
    size_t made;  // when it is made
    size_t first; // more with its first prediction
} StreamEstimate;
CHECKED bool estimate_stream(const PolicyConfig *config, int slots, const Backend *backend,
                             Precision precision, StreamEstimate *out, Error *err);
// The largest batch of at most `batch` whose total is within `bytes`; 0 when not even one sample
// is.
CHECKED bool estimate_batch(const PolicyConfig *config, int batch, bool train,
                            const Backend *backend, Precision precision, size_t bytes, int *out,
                            Error *err);

#endif
