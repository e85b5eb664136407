// SPDX-License-Identifier: Apache-2.0
// Looks up what only tests ask of an open Parquet file.
#ifndef TACT_TESTS_FORMATS_PARQUET_METADATA_H
#define TACT_TESTS_FORMATS_PARQUET_METADATA_H

#include "formats/parquet_internal.h"
#include <string.h>

// Value of a key of the file's key-value metadata, or NULL. The file owns it.
static inline const char *parquet_metadata(const ParquetFile *f, const char *key) {
    for (int i = 0; i < f->n_metadata; i++)
        if (strcmp(f->metadata[i].key, key) == 0) return f->metadata[i].value;
    return NULL;
}

#endif
