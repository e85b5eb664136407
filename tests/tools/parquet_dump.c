// SPDX-License-Identifier: Apache-2.0
// parquet_dump FILE: every column of a Parquet file as our reader gives it, a JSON object a line:
// its path, rows, the offsets of a list, and the values: numbers as C writes them in hexadecimal,
// bytes as hexadecimal digits, a null as null. What is refused has "error" instead. The status is 1
// where the file itself is refused. tests/formats/parquet_testing.py compares this with pyarrow.
#include "formats/parquet_internal.h"

#include <stdio.h>

static void print_text(const char *text) {
    putchar('"');
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (*p == '"' || *p == '\\')
            printf("\\%c", *p);
        else if (*p < 0x20 || *p > 0x7e) // bytes, so that names need not be UTF-8
            printf("\\u%04x", *p);
        else
            putchar(*p);
    putchar('"');
}

static void print_value(const ParquetColumn *c, int64_t i) {
    if (c->kind == PARQUET_NUMBERS) {
        printf("\"%a\"", c->numbers[i]);
    } else if (!c->bytes[i].data) {
        printf("null");
    } else {
        putchar('"');
        for (size_t k = 0; k < c->bytes[i].size; k++) printf("%02x", c->bytes[i].data[k]);
        putchar('"');
    }
}

static void print_column(ParquetFile *f, int leaf) {
    Error err;
    ParquetColumn c;
    printf("{\"path\": ");
    print_text(f->leaves[leaf].path);
    if (!parquet_read(f, leaf, 0, -1, &c, &err)) {
        printf(", \"error\": ");
        print_text(err.text);
        printf("}\n");
        return;
    }
    printf(", \"rows\": %lld, \"kind\": \"%s\", ", (long long)c.rows,
           c.kind == PARQUET_NUMBERS ? "numbers" : "bytes");
    if (c.offsets) {
        printf("\"offsets\": [");
        for (int64_t i = 0; i <= c.rows; i++)
            printf("%s%lld", i ? ", " : "", (long long)c.offsets[i]);
        printf("], ");
    }
    printf("\"values\": [");
    for (int64_t i = 0; i < c.count; i++) {
        if (i) printf(", ");
        print_value(&c, i);
    }
    printf("]}\n");
    parquet_column_free(&c);
}

int main(int argc, char **argv) {
    Error err;
    ParquetFile *f;
    if (argc != 2) {
        fprintf(stderr, "usage: parquet_dump FILE\n");
        return 2;
    }
    if (!parquet_open(argv[1], &f, &err)) {
        printf("{\"error\": ");
        print_text(err.text);
        printf("}\n");
        return 1;
    }
    for (int i = 0; i < f->n_leaves; i++) print_column(f, i);
    parquet_close(f);
    return 0;
}
