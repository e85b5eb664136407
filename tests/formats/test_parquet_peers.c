// SPDX-License-Identifier: Apache-2.0
// Files other libraries wrote: pages v1 and v2, plain and dictionary, every codec. See
// data/parquet/README.md for what is in them.
#include "base/file.h"
#include "base/memory.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "parquet_metadata.h"

enum { N = 40, GROUP = 16 };

typedef struct Table {
    ParquetFile *file;
    ParquetColumn column;
} Table;

static const ParquetColumn *column(Table *t, const char *field, const char *member) {
    Error err;
    int i = parquet_find(t->file, field, member);
    assert_true(i >= 0);
    parquet_column_free(&t->column);
    if (!parquet_read(t->file, i, 0, -1, &t->column, &err)) fail_msg("%s", err.text);
    assert_int_equal(t->column.rows, N);
    return &t->column;
}

static void assert_text(const ParquetBytes *b, const char *want) {
    assert_int_equal(b->data == NULL, want == NULL);
    if (!want) return;
    assert_int_equal(b->size, strlen(want));
    assert_memory_equal(b->data, want, b->size);
}

static void check_numbers(Table *t, bool nulls) {
    const ParquetColumn *c = column(t, "i64", NULL);
    for (int k = 0; k < N; k++)
        assert_true(nulls && k % 7 == 3 ? isnan(c->numbers[k]) : c->numbers[k] == k * k - 7);
    c = column(t, "f32", NULL);
    for (int k = 0; k < N; k++) assert_true(c->numbers[k] == k / 8.0);
    c = column(t, "f64", NULL);
    for (int k = 0; k < N; k++) assert_true(c->numbers[k] == k * 0.1);
    c = column(t, "flag", NULL);
    for (int k = 0; k < N; k++) assert_true(c->numbers[k] == (k % 3 == 0));
}

static void check_i32(Table *t) {
    const ParquetColumn *c = column(t, "i32", NULL);
    for (int k = 0; k < N; k++) assert_true(c->numbers[k] == 100 - 3 * k);
}

static void check_list(Table *t) {
    const ParquetColumn *c = column(t, "list", NULL);
    int64_t at = 0;
    for (int k = 0; k < N; k++) {
        assert_int_equal(c->offsets[k], at);
        for (int j = 0; j < k % 4 && k % 9 != 4; j++) assert_true(c->numbers[at++] == k + j / 4.0);
    }
    assert_int_equal(c->count, at);
}

static void check_nested(Table *t) {
    const ParquetColumn *c = column(t, "holes", NULL);
    assert_int_equal(c->count, 3 * N);
    for (int i = 0; i < 3 * N; i++)
        assert_true(i % 3 == 1 ? isnan(c->numbers[i]) : c->numbers[i] == i / 3 * 10 + i % 3);
    c = column(t, "deep", NULL);
    assert_int_equal(c->count, 3 * N);
    for (int k = 0; k < N; k++) {
        assert_int_equal(c->offsets[k], 3 * k);
        for (int j = 0; j < 3; j++) assert_true(c->numbers[3 * k + j] == k + (j == 2));
    }
}

static void check_text(Table *t, bool nulls) {
    static const char *const words[] = {"wing", "rotor", "\xc3\xa9t\xc3\xa9"};
    const ParquetColumn *c = column(t, "text", NULL);
    for (int k = 0; k < N; k++)
        assert_text(&c->bytes[k], nulls && k % 11 == 5 ? NULL : words[k % 3]);
}

static void check_bytes(Table *t) {
    const ParquetColumn *c = column(t, "image", "bytes");
    for (int k = 0; k < N; k++) {
        assert_int_equal(c->bytes[k].size, k % 5);
        for (size_t j = 0; j < c->bytes[k].size; j++) assert_int_equal(c->bytes[k].data[j], k);
    }
    c = column(t, "image", "path");
    for (int k = 0; k < N; k++) {
        char name[16];
        snprintf(name, sizeof name, "%d.png", k);
        assert_text(&c->bytes[k], k % 2 ? NULL : name);
    }
    c = column(t, "fixed", NULL);
    for (int k = 0; k < N; k++) {
        assert_int_equal(c->bytes[k].size, 3);
        for (int j = 0; j < 3; j++) assert_int_equal(c->bytes[k].data[j], k + j);
    }
}

static Table open_table(const char *path) {
    Error err;
    Table t = {0};
    if (!parquet_open(path, &t.file, &err)) fail_msg("%s", err.text);
    assert_int_equal(parquet_rows(t.file), N);
    assert_int_equal(parquet_row_groups(t.file), 3);
    return t;
}

static void close_table(Table *t) {
    parquet_column_free(&t->column);
    parquet_close(t->file);
}

static void check_file(void **state) {
    Table t = open_table(*state);
    assert_int_equal(parquet_row_group_rows(t.file, 0), GROUP);
    assert_string_equal(parquet_metadata(t.file, "maker"), "tact tests");
    check_numbers(&t, true);
    check_i32(&t);
    check_list(&t);
    check_nested(&t);
    check_text(&t, true);
    check_bytes(&t);
    close_table(&t);
}

// This file names another encoding for levels that are not there, and pads its pages.
static void check_fastparquet(void **state) {
    (void)state;
    Table t = open_table("tests/formats/data/parquet/fastparquet.parquet");
    check_numbers(&t, false);
    check_text(&t, false);
    close_table(&t);
}

static void check_polars(void **state) {
    (void)state;
    Table t = open_table("tests/formats/data/parquet/polars.parquet");
    check_numbers(&t, true);
    check_list(&t);
    check_text(&t, true);
    close_table(&t);
}

static void assert_column_refused(const char *path, int i, const char *says) {
    Error err = {""};
    ParquetFile *f;
    ParquetColumn c;
    if (!parquet_open(path, &f, &err)) fail_msg("%s", err.text);
    assert_false(parquet_read(f, i, 0, -1, &c, &err));
    if (!strstr(err.text, says) || !strstr(err.text, path))
        fail_msg("\"%s\" lacks \"%s\"", err.text, says);
    parquet_close(f);
}

// Pages v2 whose integers, floats and lists are in the encodings that version brought.
static void check_duckdb(void **state) {
    (void)state;
    Error err;
    Table t = {0};
    if (!parquet_open("tests/formats/data/parquet/duckdb_v2.parquet", &t.file, &err))
        fail_msg("%s", err.text);
    check_numbers(&t, true);
    check_list(&t);
    check_text(&t, true);
    close_table(&t);
}

static void check_brotli(void **state) {
    (void)state;
    Error err;
    Table t = {0};
    if (!parquet_open("tests/formats/data/parquet/brotli.parquet", &t.file, &err))
        fail_msg("%s", err.text);
    const ParquetColumn *c = column(&t, "b", NULL);
    for (int k = 0; k < N; k++) assert_text(&c->bytes[k], "x");
    close_table(&t);
}

// pyarrow writes a row group without rows and without pages.
static void check_empty(void **state) {
    (void)state;
    Error err;
    ParquetFile *f;
    if (!parquet_open("tests/formats/data/parquet/empty.parquet", &f, &err))
        fail_msg("%s", err.text);
    assert_int_equal(parquet_rows(f), 0);
    for (int i = 0; i < 2; i++) {
        ParquetColumn c;
        if (!parquet_read(f, i, 0, -1, &c, &err)) fail_msg("%s", err.text);
        assert_int_equal(c.rows + c.count, 0);
        parquet_column_free(&c);
    }
    parquet_close(f);
}

// The float16 nearest to the number of row k.
static double half(int k) {
    return k < 38 ? k / 8.0 : k == 38 ? -1365 / 4096.0 : 3 * 0x1p-24;
}

// Numbers whose bytes alone do not say what they are: float16, unsigned integers and decimals. Also
// differences that leave the range of their type.
static void check_kinds(void **state) {
    (void)state;
    static const char *const halves[] = {"plain", "dictionary", "split", "delta"};
    static const double ends[] = {0x1p31 - 1, -0x1p31, 0, 5};
    Table t = open_table("tests/formats/data/parquet/kinds.parquet");
    for (int i = 0; i < 4; i++) {
        const ParquetColumn *c = column(&t, halves[i], NULL);
        assert_int_equal(c->kind, PARQUET_NUMBERS);
        for (int k = 0; k < N; k++)
            assert_true(k % 7 == 3 ? isnan(c->numbers[k]) : c->numbers[k] == half(k));
    }
    const ParquetColumn *c = column(&t, "u32", NULL);
    for (int k = 0; k < N; k++) assert_true(c->numbers[k] == 0x1p32 - 1 - k);
    c = column(&t, "u64", NULL);
    for (int k = 0; k < N; k++) assert_true(c->numbers[k] == 0x1p64 - 4096.0 * (k + 1));
    c = column(&t, "cents", NULL);
    for (int k = 0; k < N; k++) assert_true(c->numbers[k] == (k - 3) / 100.0);
    c = column(&t, "far", NULL); // an int64 that double rounds
    for (int k = 0; k < N; k++)
        assert_true(c->numbers[k] == (double)((k % 2 ? -1 : 1) * (((int64_t)1 << 62) + k)));
    c = column(&t, "near", NULL);
    for (int k = 0; k < N; k++) assert_true(c->numbers[k] == ends[k % 4]);
    close_table(&t);
}

// Writes `size` bytes to a new file, whose name is kept until the next one.
static const char *new_file(const char *data, size_t size) {
    static char path[32];
    Error err;
    if (path[0]) unlink(path);
    strcpy(path, "/tmp/tact-parquet-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0 && close(fd) == 0);
    if (!file_write(path, data, size, &err)) fail_msg("%s", err.text);
    return path;
}

static void another_codec_is_named(void **state) {
    (void)state;
    char *data;
    size_t size, patched = 0;
    Error err;
    if (!file_read("tests/formats/data/parquet/brotli.parquet", &data, &size, &err))
        fail_msg("%s", err.text);
    // The column's name, then field 4 of its metadata: the codec, as a zigzag number.
    for (size_t i = 0; i + 2 < size; i++)
        if (memcmp(data + i, "b\x15\x08", 3) == 0) data[i + 2] = 2 * 3, patched++;
    assert_int_equal(patched, 1);
    const char *path = new_file(data, size);
    assert_column_refused(path, 0, "lzo");
    unlink(path);
    mem_free(data);
}

// Counts the columns of a file that are refused, and those that can be read whole.
static void touch_columns(const char *path, int *refused, int *read) {
    Error err;
    ParquetFile *f;
    if (!parquet_open(path, &f, &err)) return;
    for (int i = 0; i < f->n_leaves; i++) {
        ParquetColumn c;
        bool ok = parquet_read(f, i, 0, -1, &c, &err);
        size_t sum = 0;
        for (int64_t k = 0; ok && c.bytes && k < c.count; k++)
            for (size_t b = 0; b < c.bytes[k].size; b++) sum += c.bytes[k].data[b];
        assert_true(sum < SIZE_MAX);
        *read += ok;
        *refused += !ok;
        parquet_column_free(&c);
    }
    parquet_close(f);
}

// One flipped bit anywhere: the file or a column is refused, or all of it can be read.
static void flips_are_survived(void **state) {
    (void)state;
    static const char *const names[] = {"kinds", "delta_brotli_v2", "split_lz4_v1", "duckdb_v2"};
    int refused = 0, read = 0;
    for (int n = 0; n < 4; n++) {
        char source[128], path[64], *data;
        size_t size;
        Error err;
        int fd = memfd_create("flips", 0); // thousands of files: not on the disk
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        snprintf(source, sizeof source, "tests/formats/data/parquet/%s.parquet", names[n]);
        if (!file_read(source, &data, &size, &err)) fail_msg("%s", err.text);
        assert_true(write(fd, data, size) == (ssize_t)size);
        for (size_t at = 4; at < size; at += 5) {
            char flipped = (char)(data[at] ^ 1 << at % 8);
            assert_true(pwrite(fd, &flipped, 1, (off_t)at) == 1);
            touch_columns(path, &refused, &read);
            assert_true(pwrite(fd, data + at, 1, (off_t)at) == 1);
        }
        close(fd);
        mem_free(data);
    }
    assert_true(refused > 100 && read > 100);
}

// A file without checksums: what a flip makes of a number is seen when it leaves the column's
// range.
static void numbers_out_of_range_are_refused(void **state) {
    (void)state;
    static const char source[] = "tests/formats/data/parquet/plain_v1.parquet";
    char *data;
    size_t size;
    Error err;
    int flips = 0;
    if (!file_read(source, &data, &size, &err)) fail_msg("%s", err.text);
    float third = 3 / 8.0f; // 0 .. 39/8: its negative is outside
    for (size_t i = 0; i + 4 < size; i++) {
        if (memcmp(data + i, &third, 4) != 0 || flips) continue;
        data[i + 3] ^= (char)0x80;
        flips++;
    }
    assert_int_equal(flips, 1);
    const char *path = new_file(data, size);
    assert_column_refused(path, 2, "outside the range");
    mem_free(data);
    unlink(path);
}

#define PEER(name)                                                                                 \
    { "check " name, check_file, NULL, NULL, "tests/formats/data/parquet/" name ".parquet" }

int main(void) {
    const struct CMUnitTest tests[] = {
        PEER("plain_v1"),
        PEER("dictionary_snappy_v1"),
        PEER("dictionary_zstd_v2"),
        PEER("plain_gzip_v2"),
        PEER("delta_brotli_v2"),
        PEER("split_lz4_v1"),
        cmocka_unit_test(check_fastparquet),
        cmocka_unit_test(check_polars),
        cmocka_unit_test(check_duckdb),
        cmocka_unit_test(check_brotli),
        cmocka_unit_test(check_empty),
        cmocka_unit_test(check_kinds),
        cmocka_unit_test(another_codec_is_named),
        cmocka_unit_test(flips_are_survived),
        cmocka_unit_test(numbers_out_of_range_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
