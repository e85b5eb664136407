// SPDX-License-Identifier: Apache-2.0
#include "base/checksum.h"

#include <string.h>

// Maps a lane's state one to one.
static uint64_t checksum_mix(uint64_t lane, uint64_t word) {
    lane = (lane ^ word) * 0x9E3779B97F4A7C15u;
    return lane ^ lane >> 29;
}

// Four lanes, because a multiplication takes as long as three others can be started in.
uint64_t checksum(const void *data, size_t size, uint64_t seed) {
    const uint8_t *p = data;
    uint64_t lane[4] = {seed, ~seed, seed ^ size, seed + 0x632BE59BD9B4E019u}, word[4];
    for (; size >= sizeof word; p += sizeof word, size -= sizeof word) {
        memcpy(word, p, sizeof word);
        for (int k = 0; k < 4; k++) lane[k] = checksum_mix(lane[k], word[k]);
    }
    memset(word, 0, sizeof word);
    memcpy(word, p, size);
    uint64_t sum = seed;
    for (int k = 0; k < 4; k++) sum = checksum_mix(sum, checksum_mix(lane[k], word[k]));
    return sum ? sum : 1;
}
