// SPDX-License-Identifier: Apache-2.0
#include "loader/state_dropout.h"

#include "base/rng.h"

enum { SITE_STATE_DROPOUT = 0x53444f50 };

bool state_dropout_at(StateDropout d, int64_t epoch, int64_t row) {
    enum { WORDS_A_ROW = 2 }; // of one rng_double
    if (d.probability == 0) return false;
    RngStream rng = {.key = {.seed = d.seed, .step = (uint32_t)epoch, .site = SITE_STATE_DROPOUT},
                     .next = (uint64_t)row * WORDS_A_ROW};
    return rng_double(&rng) < d.probability;
}
