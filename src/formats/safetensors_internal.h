// SPDX-License-Identifier: Apache-2.0
// What the reader and the writer of safetensors files share.
#ifndef TACT_FORMATS_SAFETENSORS_INTERNAL_H
#define TACT_FORMATS_SAFETENSORS_INTERNAL_H

#include "formats/safetensors.h"

// The longest JSON header the safetensors library reads (bytes).
#define SAFETENSORS_MAX_HEADER 100000000u

typedef struct SafetensorsTypeInfo {
    const char *name; // in the header
    size_t size;      // bytes of an element
    int order;        // the writer puts higher ones first
} SafetensorsTypeInfo;

// Indexed by SafetensorsType.
extern const SafetensorsTypeInfo safetensors_types[];
extern const int safetensors_type_count;

// a * b, or false if it does not fit. Neither may be negative.
bool safetensors_multiply(int64_t a, int64_t b, int64_t *out);

#endif
