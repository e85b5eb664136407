// SPDX-License-Identifier: Apache-2.0
#include "loader/repeat_frames.h"

#include "base/memory.h"
#include "base/rng.h"

enum { SITE_REPEAT = 0x52455054, GRIPPER = 6 }; // the gripper's place in a pose row

void repeat_frames_init(RepeatFrames *r, const Dataset *ds, double probability, uint64_t seed) {
    *r = (RepeatFrames){.probability = probability, .seed = seed, .before = NEW(bool, ds->rows)};
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        for (int64_t row = e->first_row; row < e->first_row + e->length; row++) {
            if (ds->state_data[row * ds->state->size + GRIPPER] < REPEAT_FRAMES_GRASP) break;
            r->before[row] = true;
            r->count++;
        }
    }
}

void repeat_frames_free(RepeatFrames *r) {
    mem_free(r->before);
    *r = (RepeatFrames){0};
}

bool repeat_frames_at(const RepeatFrames *r, int64_t epoch, int64_t row) {
    enum { WORDS_A_ROW = 2 }; // of one rng_double
    RngStream rng = {.key = {.seed = r->seed, .step = (uint32_t)epoch, .site = SITE_REPEAT},
                     .next = (uint64_t)row * WORDS_A_ROW};
    return r->before[row] && rng_double(&rng) < r->probability;
}
