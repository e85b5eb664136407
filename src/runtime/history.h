// SPDX-License-Identifier: Apache-2.0
// The last (T-1)s+1 observations of an episode, T being the policy's observations and s the steps
// between two of them.
#ifndef TACT_RUNTIME_HISTORY_H
#define TACT_RUNTIME_HISTORY_H

#include "base/error.h"
#include "config/config.h"

typedef struct History {
    int horizon, down_sample, length; // T, s, (T-1)s+1
    int cameras;
    size_t state_size;
    size_t frame_bytes[MAX_CAMERAS]; // of one frame of a camera
    size_t frame_at[MAX_CAMERAS];    // where it stands among the frames of an observation
    size_t image_bytes, most_bytes;  // of all cameras' frames of an observation; of the largest one
    int64_t count;                   // observations since the episode began
    double *states;                  // (length, state_size) as recorded
    uint8_t *frames;                 // (length, image_bytes) as the model sees them
    bool *encoded;                   // (length, cameras) whether the model has the frame's tokens
} History;
// For the windows and cameras of a policy; state_size: values of a state as recorded.
CHECKED bool history_init(History *h, const PolicyConfig *c, size_t state_size, Error *err);
void history_free(History *h); // a zeroed struct is allowed
// Where the next observation will stand; to be filled in before history_add.
int history_next(const History *h);
void history_add(History *h);
// Where observation t of the window is kept, t = T-1 being the newest. As in window_rows, the first
// observation of the episode is taken for what would lie before it.
int history_place(const History *h, int t);
// Whether predictions at every period-th observation, the first of them `first` observations from
// the newest, will look at the newest.
bool history_wanted(const History *h, int first, int period);
// No frame counts as encoded any more.
void history_forget_tokens(History *h);

static inline double *history_state(const History *h, int place) {
    return h->states + (size_t)place * h->state_size;
}
static inline const double *history_newest(const History *h) {
    return history_state(h, history_place(h, h->horizon - 1));
}
// A camera's frame has the same number as its slot in the model and its entry of `encoded`.
static inline int history_slot(const History *h, int place, int camera) {
    return place * h->cameras + camera;
}
static inline uint8_t *history_frame(const History *h, int slot) {
    const int place = slot / h->cameras, camera = slot % h->cameras;
    return h->frames + (size_t)place * h->image_bytes + h->frame_at[camera];
}

#endif
