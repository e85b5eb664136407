// SPDX-License-Identifier: Apache-2.0
#include "base/sha256.h"

#include "base/file.h"
#include <stdio.h>
#include <string.h>

// The first 32 bits of the fractional parts of the cube roots of the first 64 primes.
static const uint32_t constants[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static uint32_t rotated_right(uint32_t x, int n) {
    return x >> n | x << (32 - n);
}

static void sha256_add_block(uint32_t state[8], const uint8_t *block) {
    uint32_t w[64], v[8];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | block[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t a = w[i - 15], b = w[i - 2];
        w[i] = w[i - 16] + (rotated_right(a, 7) ^ rotated_right(a, 18) ^ a >> 3) + w[i - 7] +
               (rotated_right(b, 17) ^ rotated_right(b, 19) ^ b >> 10);
    }
    memcpy(v, state, sizeof v);
    for (int i = 0; i < 64; i++) {
        uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        uint32_t e = rotated_right(v[4], 6) ^ rotated_right(v[4], 11) ^ rotated_right(v[4], 25);
        uint32_t a = rotated_right(v[0], 2) ^ rotated_right(v[0], 13) ^ rotated_right(v[0], 22);
        uint32_t one = v[7] + e + choice + constants[i] + w[i];
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += one;
        v[0] = one + a + majority;
    }
    for (int i = 0; i < 8; i++) state[i] += v[i];
}

void sha256_init(Sha256 *s) {
    // The same for the square roots of the first 8 primes.
    *s = (Sha256){.state = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c,
                            0x1f83d9ab, 0x5be0cd19}};
}

void sha256_add(Sha256 *s, const void *data, size_t size) {
    const uint8_t *p = data;
    while (size > 0) {
        size_t used = s->bytes % 64;
        size_t n = 64 - used < size ? 64 - used : size;
        if (n == 64) {
            sha256_add_block(s->state, p);
        } else {
            memcpy(s->block + used, p, n);
            if (used + n == 64) sha256_add_block(s->state, s->block);
        }
        s->bytes += n;
        p += n;
        size -= n;
    }
}

void sha256_hex(Sha256 *s, char out[65]) {
    static const uint8_t padding[64] = {0x80};
    uint64_t bits = s->bytes * 8;
    uint8_t length[8];
    for (int i = 0; i < 8; i++) length[i] = (uint8_t)(bits >> (56 - 8 * i));
    sha256_add(s, padding, 1 + (119 - s->bytes % 64) % 64);
    sha256_add(s, length, sizeof length);
    for (int i = 0; i < 8; i++) snprintf(out + 8 * i, 9, "%08x", s->state[i]);
}

bool sha256_file(const char *path, char out[65], Error *err) {
    enum { PIECE = 1 << 16 };
    uint8_t piece[PIECE];
    InputFile f;
    Sha256 s;
    bool ok = true;
    if (!input_open(&f, path, err)) return false;
    sha256_init(&s);
    for (size_t at = 0; ok && at < f.size; at += PIECE) {
        size_t n = f.size - at < PIECE ? f.size - at : PIECE;
        ok = input_read(&f, at, piece, n, err);
        if (ok) sha256_add(&s, piece, n);
    }
    input_close(&f);
    sha256_hex(&s, out);
    return ok;
}
