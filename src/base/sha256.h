// SPDX-License-Identifier: Apache-2.0
// SHA-256 (FIPS 180-4), for files that are named after their digest.
#ifndef TACT_BASE_SHA256_H
#define TACT_BASE_SHA256_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

typedef struct Sha256 {
    uint32_t state[8];
    uint64_t bytes; // taken so far
    uint8_t block[64];
} Sha256;

void sha256_init(Sha256 *s);
void sha256_add(Sha256 *s, const void *data, size_t size);
// The digest as 64 hexadecimal digits and a zero. s must be initialised again before more is added.
void sha256_hex(Sha256 *s, char out[65]);
// The digest of a whole file.
CHECKED bool sha256_file(const char *path, char out[65], Error *err);

#endif
