// SPDX-License-Identifier: Apache-2.0
// Any bytes as a Parquet file: it is refused, or every column is refused or can be read whole.
#include "formats/parquet_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Touches everything a column says it has.
static double touch(const ParquetColumn *c) {
    double sum = 0;
    if (c->offsets && c->offsets[c->rows] != c->count) abort();
    for (int64_t i = 0; c->offsets && i < c->rows; i++)
        if (c->offsets[i] > c->offsets[i + 1]) abort();
    for (int64_t i = 0; i < c->count; i++) {
        if (c->kind == PARQUET_NUMBERS)
            sum += c->numbers[i];
        else
            for (size_t k = 0; k < c->bytes[i].size; k++) sum += c->bytes[i].data[k];
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ParquetFile *f = NULL;
    Error err;
    if (parquet_open(path, &f, &err)) {
        volatile double sum = 0;
        for (int i = 0; i < f->n_leaves; i++) {
            ParquetColumn c;
            if (!parquet_read(f, i, 0, -1, &c, &err)) continue;
            sum += touch(&c);
            parquet_column_free(&c);
        }
        (void)sum;
        parquet_close(f);
    }
    close(fd);
    return 0;
}
