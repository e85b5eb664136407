// SPDX-License-Identifier: Apache-2.0
// safetensors files: u64 header length, JSON header, data. The reader checks every name, shape,
// offset and overlap before anything is handed out. It keeps a copy of the file, so nothing changes
// when the file is overwritten, cut short or deleted afterwards.
#ifndef TACT_FORMATS_SAFETENSORS_H
#define TACT_FORMATS_SAFETENSORS_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum { SAFETENSORS_MAX_RANK = 8 };

typedef enum SafetensorsType {
    ST_F64,
    ST_F32,
    ST_F16,
    ST_BF16,
    ST_I64,
    ST_I32,
    ST_U8,
    ST_BOOL,
    ST_I16,
    ST_I8,
    ST_U16,
    ST_U32,
    ST_U64
} SafetensorsType;

typedef struct SafetensorsEntry {
    const char *name; // reader: borrowed from the file object
    SafetensorsType type;
    int rank;
    int64_t shape[SAFETENSORS_MAX_RANK];
    int64_t count; // product of shape; 1 for rank 0
    // Reader: borrowed from the file object, maybe unaligned (use memcpy); NULL: not read.
    const void *data;
    size_t bytes;
} SafetensorsEntry;

typedef struct Safetensors Safetensors;

CHECKED bool safetensors_open(const char *path, Safetensors **out, Error *err);
// The same, but tensors whose names begin with `prefix` are not read, where they are large.
CHECKED bool safetensors_open_without(const char *path, const char *prefix, Safetensors **out,
                                      Error *err);
// Whether no value that was read is infinite or NaN. False also where that was not looked at: when
// not all of them are float32.
bool safetensors_finite(const Safetensors *s);
// Reads and checks the header alone, without regard to how large the file is: data are NULL.
CHECKED bool safetensors_look(const char *path, Safetensors **out, Error *err);
void safetensors_close(Safetensors *s); // NULL allowed
int safetensors_count(const Safetensors *s);
const SafetensorsEntry *safetensors_entry(const Safetensors *s, int i);
// NULL if there is no such tensor.
const SafetensorsEntry *safetensors_find(const Safetensors *s, const char *name);
size_t safetensors_type_size(SafetensorsType type);
// Converts element i of any numeric entry to double.
double safetensors_value(const SafetensorsEntry *e, int64_t i);
// Copies any floating entry into float32; false when the entry's element count is not `count`.
CHECKED bool safetensors_copy_f32(const SafetensorsEntry *e, float *out, int64_t count, Error *err);

// Writes the tensors in the order of the safetensors library (wider types first, then by name),
// whole or not at all. `format_pt` adds `__metadata__: {"format":"pt"}`.
CHECKED bool safetensors_write(const char *path, const SafetensorsEntry *entries, int count,
                               bool format_pt, Error *err);

#endif
