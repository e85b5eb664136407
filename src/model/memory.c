// SPDX-License-Identifier: Apache-2.0
#include "model/memory.h"

#include "model/act.h"
#include "model/params.h"

// The driver, cuDNN's and cuBLASLt's code and their workspaces, measured nowhere yet: a cautious guess.
static const size_t cuda_own = (size_t)900 << 20;
// oneDNN, its scratch and its copies of weights: 310 to 430 MB in trainings of a ResNet-18 (docs/benchmarks.md).
static const size_t cpu_own = (size_t)350 << 20;

CHECKED static bool run_once(Act *a, bool train, Error *err) {
    if (train) {
        act_train_ops(a, 0, 0);
        return true;
    }
    const ActInput none = {.images = (const uint8_t *const[MAX_CAMERAS]){0}};
    return act_predict(a, &none, NULL, NULL, err);
}

bool estimate_memory(const PolicyConfig *config, int batch, bool train, Precision precision, bool cuda,
                     MemoryEstimate *out, Error *err) {
    Device *d = plan_device(precision, cuda);
    Params params = {0};
    Act *act = NULL;
    ImageStats images[MAX_CAMERAS];
    *out = (MemoryEstimate){0};
    for (int i = 0; i < MAX_CAMERAS; i++) images[i] = image_stats_imagenet;
    bool ok = params_init(&params, d, config, train, err);
    if (ok) {
        size_t moments = train ? 2 * (size_t)params.trainable * sizeof(float) : 0;
        out->weights = plan_bytes(d) + moments;
        size_t before = plan_bytes(d);
        ok = act_new(d, config, &params, batch, train, images, &act, err) &&
             run_once(act, train, err);
        out->activations = plan_bytes(d) - before;
    }
    out->device = cuda ? cuda_own : cpu_own;
    if (cuda && precision == PRECISION_BFLOAT16) out->device += 2 * (size_t)params.trainable;
    out->total = out->weights + out->activations + out->device;
    act_free(act);
    params_free(&params);
    device_close(d);
    return ok;
}

bool estimate_batch(const PolicyConfig *config, int batch, bool train, Precision precision, bool cuda,
                    size_t bytes, int *out, Error *err) {
    int low = 0, high = batch; // low fits, and high + 1 need not be tried
    while (low < high) {
        int middle = low + (high - low + 1) / 2;
        MemoryEstimate e;
        if (!estimate_memory(config, middle, train, precision, cuda, &e, err)) return false;
        if (e.total <= bytes) low = middle;
        else high = middle - 1;
    }
    *out = low;
    return true;
}
