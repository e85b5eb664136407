// SPDX-License-Identifier: Apache-2.0
#include "runtime/history.h"

#include "base/memory.h"
#include "image/image.h"
#include <string.h>

bool history_init(History *h, const PolicyConfig *c, size_t state_size, Error *err) {
    const int horizon = c->obs_state_horizon, down_sample = c->obs_down_sample_steps;
    const int cameras = c->n_cameras;
    int64_t length = (int64_t)(horizon - 1) * down_sample + 1;
    *h = (History){.horizon = horizon,
                   .down_sample = down_sample,
                   .length = (int)length,
                   .cameras = cameras,
                   .state_size = state_size};
    for (int i = 0; i < cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        size_t bytes = image_rgb_bytes(camera->image_height, camera->image_width);
        h->frame_bytes[i] = bytes;
        h->frame_at[i] = h->image_bytes;
        h->image_bytes += bytes;
        h->most_bytes = bytes > h->most_bytes ? bytes : h->most_bytes;
    }
    if (length > INT32_MAX / (cameras + 1))
        return fail(err, "a history of %lld observations is too long", (long long)length);
    h->states = mem_try((size_t)length * state_size * sizeof *h->states);
    h->frames = mem_try((size_t)length * h->image_bytes);
    h->encoded = mem_try((size_t)length * (size_t)cameras * sizeof *h->encoded);
    if (!h->states || !h->frames || !h->encoded)
        return fail_memory(err, "a history of %d observations", h->length);
    return true;
}

void history_free(History *h) {
    mem_free(h->states);
    mem_free(h->frames);
    mem_free(h->encoded);
    *h = (History){0};
}

int history_next(const History *h) {
    return (int)(h->count % h->length);
}

void history_add(History *h) {
    for (int c = 0; c < h->cameras; c++) h->encoded[history_slot(h, history_next(h), c)] = false;
    h->count++;
}

int history_place(const History *h, int t) {
    int64_t at = h->count - 1 - (int64_t)(h->horizon - 1 - t) * h->down_sample;
    return (int)((at < 0 ? 0 : at) % h->length);
}

bool history_wanted(const History *h, int first, int period) {
    if (h->count == 1) return true; // it is also taken for all before the episode
    for (int t = 0; t < h->horizon; t++) {
        int later = t * h->down_sample - first;
        if (later >= 0 && later % period == 0) return true;
    }
    return false;
}

void history_forget_tokens(History *h) {
    memset(h->encoded, 0, (size_t)h->length * (size_t)h->cameras * sizeof *h->encoded);
}
