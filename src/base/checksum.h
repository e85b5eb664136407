// SPDX-License-Identifier: Apache-2.0
// A fast checksum of data that may be damaged, not of data that someone forges.
#ifndef TACT_BASE_CHECKSUM_H
#define TACT_BASE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

// Any change within eight bytes changes it; larger ones pass with a probability of 2^-64. Never 0.
uint64_t checksum(const void *data, size_t size, uint64_t seed);

#endif
