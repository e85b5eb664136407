// SPDX-License-Identifier: Apache-2.0
// Any bytes as a Parquet file: it is refused, or every column is refused or can be read whole.
#include "driver.h"
#include "formats/parquet_internal.h"
#include <stdlib.h>

// Touches everything a column says it has.
static void touch(const ParquetColumn *c) {
    double sum = 0;
    if (c->offsets && c->offsets[c->rows] != c->count) abort();
    for (int64_t i = 0; c->offsets && i < c->rows; i++)
        if (c->offsets[i] > c->offsets[i + 1]) abort();
    for (int64_t i = 0; i < c->count; i++)
        if (c->kind == PARQUET_NUMBERS)
            sum += c->numbers[i];
        else
            fuzz_use_bytes(c->bytes[i].data, c->bytes[i].size);
    fuzz_use(sum);
}

void fuzz_input(const uint8_t *data, size_t size) {
    ParquetFile *f = NULL;
    Error err = {""};
    if (!fuzz_ok(parquet_open(fuzz_file(data, size), &f, &err), &err)) return;
    for (int i = 0; i < f->n_leaves; i++) {
        ParquetColumn c;
        if (!fuzz_ok(parquet_read(f, i, 0, -1, &c, &err), &err)) continue;
        touch(&c);
        parquet_column_free(&c);
    }
    parquet_close(f);
}
