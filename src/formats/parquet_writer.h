// SPDX-License-Identifier: Apache-2.0
// Private to the Parquet writer.
#ifndef TACT_FORMATS_PARQUET_WRITER_H
#define TACT_FORMATS_PARQUET_WRITER_H

#include "formats/parquet_internal.h"

typedef struct Column {
    char *name, *member; // member NULL: flat or list
    ParquetType type;
    bool list;
    int max_def, max_rep;
    int64_t *inner; // (max_rep - 1) values in each list within a list, with all that is in them
} Column;

// parquet_encode.c: appends a page (header and body) with `rows` rows from `first` on; *unpacked
// gets the size it would have without compression. Returns the number of its level entries.
int64_t parquet_encode_page(const Column *c, const ParquetValues *v, int64_t first, int64_t rows,
                            ThriftWriter *out, size_t *unpacked);

#endif
