// SPDX-License-Identifier: Apache-2.0
#include "model/memory.h"

#include "model/act.h"
#include "model/params.h"

CHECKED static bool run_once(Act *a, bool train, Error *err) {
    if (train) {
        act_train_begin(a);
        act_train_forward(a, NULL, 0, 0);
        act_train_backward(a);
        return true;
    }
    const ActInput none = {.images = (const uint8_t *const[MAX_CAMERAS]){0}};
    return act_predict(a, &none, NULL, NULL, err);
}

// A model on a device that only counts.
typedef struct PlannedModel {
    Device *device;
    Params params;
    Act *act;
    size_t weights; // bytes of the params
    ImageStats images[MAX_CAMERAS];
} PlannedModel;

CHECKED static bool plan_params(PlannedModel *m, const PolicyConfig *config, bool train,
                                const Backend *backend, Precision precision, Error *err) {
    *m = (PlannedModel){.device = plan_device(backend, precision)};
    if (!m->device) return fail_memory(err, "an estimate of memory");
    for (int i = 0; i < MAX_CAMERAS; i++) m->images[i] = image_stats_imagenet;
    bool ok = params_init(&m->params, m->device, config, train, err);
    m->weights = plan_bytes(m->device);
    return ok;
}

static void planned_free(PlannedModel *m) {
    act_free(m->act);
    params_free(&m->params);
    device_close(m->device);
}

bool estimate_memory(const PolicyConfig *config, int batch, bool train, const Backend *backend,
                     Precision precision, MemoryEstimate *out, Error *err) {
    PlannedModel m;
    *out = (MemoryEstimate){0};
    bool ok = plan_params(&m, config, train, backend, precision, err);
    if (ok) {
        size_t moments = train ? 2 * (size_t)m.params.trainable * sizeof(float) : 0;
        out->weights = m.weights + moments;
        ok = act_new(m.device, config, &m.params, batch, train, m.images, &m.act, err) &&
             run_once(m.act, train, err);
        out->activations = plan_bytes(m.device) - m.weights;
    }
    out->device = backend->keeps(precision, (size_t)m.params.trainable);
    out->total = out->weights + out->activations + out->device;
    planned_free(&m);
    return ok;
}

bool estimate_stream(const PolicyConfig *config, int slots, const Backend *backend,
                     Precision precision, StreamEstimate *out, Error *err) {
    PlannedModel m;
    size_t frames = (size_t)(config->n_cameras * config->obs_state_horizon);
    int *none = TRY_NEW(int, frames);
    *out = (StreamEstimate){0};
    if (!none) return fail_memory(err, "an estimate of memory");
    bool ok = plan_params(&m, config, false, backend, precision, err) &&
              act_new_stream(m.device, config, &m.params, slots, m.images, &m.act, err);
    if (ok) out->made = plan_bytes(m.device) - m.weights;
    for (int i = 0; ok && i < config->n_cameras; i++) ok = act_encode_frame(m.act, i, NULL, 0, err);
    ok = ok && act_predict_slots(m.act, &(ActInput){.batch = 1}, none, NULL, err);
    if (ok) out->first = plan_bytes(m.device) - m.weights - out->made;
    // A device in host memory keeps weights once more, in the order of its kernels.
    if (ok && backend->host_memory) {
        size_t backbone = (size_t)(m.params.trainable - m.params.main) * sizeof(float);
        out->made += backbone * (size_t)act_image_sizes(m.act);
        out->first += (size_t)m.params.main * sizeof(float);
    }
    planned_free(&m);
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
