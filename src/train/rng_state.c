// SPDX-License-Identifier: Apache-2.0
// The states of Python's, numpy's and PyTorch's random generators just after seeding. All three are
// MT19937 (Matsumoto, Nishimura, "Mersenne Twister", ACM TOMACS 8, 1998).
#include "train/training_state.h"

#include "formats/safetensors.h"
#include <stdio.h>
#include <string.h>

enum { WORDS = 624, TORCH_BYTES = 5056, TORCH_WORDS_AT = 24 };

static void put_u64(uint8_t *at, uint64_t value) {
    for (int i = 0; i < 8; i++) at[i] = (uint8_t)(value >> (8 * i));
}

bool rng_state_write(const char *dir, uint64_t seed, Error *err) {
    int64_t python[WORDS + 1], numpy[WORDS], version = 3, index = WORDS, has_gauss = 0;
    uint8_t torch[TORCH_BYTES] = {0};
    float gauss = 0;
    uint32_t word = (uint32_t)seed;
    put_u64(torch, seed);
    put_u64(torch + 8,
            1 | (uint64_t)1 << 32); // one number is left before the next block; it is seeded
    for (int i = 0; i < WORDS; i++) {
        if (i) word = 1812433253u * (word ^ word >> 30) + (uint32_t)i;
        python[i] = numpy[i] = word;
        put_u64(torch + TORCH_WORDS_AT + 8 * i, word);
    }
    python[WORDS] = WORDS;
#define ENTRY(tensor_name, tensor_type, elements, values)                                          \
    {                                                                                              \
        .name = tensor_name, .type = tensor_type, .rank = 1, .shape = {elements},                  \
        .count = elements, .data = values, .bytes = sizeof *(values) * (elements)                  \
    }
    const SafetensorsEntry entries[] = {
        ENTRY("py_rng_version", ST_I64, 1, &version),
        ENTRY("py_rng_state", ST_I64, WORDS + 1, python),
        ENTRY("np_rng_state_values", ST_I64, WORDS, numpy),
        ENTRY("np_rng_state_index", ST_I64, 1, &index),
        ENTRY("np_rng_has_gauss", ST_I64, 1, &has_gauss),
        ENTRY("np_rng_cached_gaussian", ST_F32, 1, &gauss),
        ENTRY("torch_rng_state", ST_U8, TORCH_BYTES, torch),
    };
#undef ENTRY
    char path[4096 + 128];
    snprintf(path, sizeof path, "%s/rng_state.safetensors", dir);
    return safetensors_write(path, entries, sizeof entries / sizeof entries[0], false, err);
}
