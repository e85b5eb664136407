// SPDX-License-Identifier: Apache-2.0
#include "loader/action_prefix.h"

#include "base/rng.h"

enum { SITE_PREFIX = 0x50524658 };

int action_prefix_at(uint64_t seed, int most, int64_t epoch, int64_t row) {
    enum { WORDS_A_ROW = 2 }; // of one rng_double
    RngStream rng = {.key = {.seed = seed, .step = (uint32_t)epoch, .site = SITE_PREFIX},
                     .next = (uint64_t)row * WORDS_A_ROW};
    return most ? (int)(rng_double(&rng) * (most + 1)) : 0;
}
