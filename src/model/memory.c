// SPDX-License-Identifier: Apache-2.0
#include "model/memory.h"

#include "model/act.h"
#include "model/params.h"

CHECKED static bool run_once(Act *a, bool train, Error *err) {
    if (train) {
        act_train_forward(a, NULL, 0, 0);
        act_train_backward(a);
        return true;
    }
    const ActInput none = {.images = (const uint8_t *const[MAX_CAMERAS]){0}};
    return act_predict(a, &none, NULL, NULL, err);
}

bool estimate_memory(const PolicyConfig *config, int batch, bool train, const Backend *backend,
                     Precision precision, MemoryEstimate *out, Error *err) {
    Device *d = plan_device(backend, precision);
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
    out->device = backend->keeps(precision, (size_t)params.trainable);
    out->total = out->weights + out->activations + out->device;
    act_free(act);
    params_free(&params);
    device_close(d);
    return ok;
}

bool estimate_stream(const PolicyConfig *config, int slots, const Backend *backend,
                     Precision precision, StreamEstimate *out, Error *err) {
    Device *d = plan_device(backend, precision);
    Params params = {0};
    Act *act = NULL;
    ImageStats images[MAX_CAMERAS];
    size_t frames = (size_t)(config->n_cameras * config->obs_state_horizon);
    int *none = NEW(int, frames);
    *out = (StreamEstimate){0};
    for (int i = 0; i < MAX_CAMERAS; i++) images[i] = image_stats_imagenet;
    bool ok = params_init(&params, d, config, false, err);
    size_t weights = plan_bytes(d);
    ok = ok && act_new_stream(d, config, &params, slots, images, &act, err);
    out->made = plan_bytes(d) - weights;
    for (int i = 0; ok && i < config->n_cameras; i++) ok = act_encode_frame(act, i, NULL, 0, err);
    ok = ok && act_predict_slots(act, &(ActInput){.batch = 1}, none, NULL, err);
    out->first = plan_bytes(d) - weights - out->made;
    // A device in host memory keeps weights once more, in the order of its kernels.
    if (ok && backend->host_memory) {
        size_t backbone = (size_t)(params.trainable - params.main) * sizeof(float);
        out->made += backbone * (size_t)act_image_sizes(act);
        out->first += (size_t)params.main * sizeof(float);
    }
    act_free(act);
    params_free(&params);
    device_close(d);
    mem_free(none);
    return ok;
}

bool estimate_batch(const PolicyConfig *config, int batch, bool train, const Backend *backend,
                    Precision precision, size_t bytes, int *out, Error *err) {
    int low = 0, high = batch; // low fits, and high + 1 need not be tried
    while (low < high) {
        int middle = low + (high - low + 1) / 2;
        MemoryEstimate e;
        if (!estimate_memory(config, middle, train, backend, precision, &e, err)) return false;
        if (e.total <= bytes)
            low = middle;
        else
            high = middle - 1;
    }
    *out = low;
    return true;
}
