// SPDX-License-Identifier: Apache-2.0
// Columns whose bytes alone do not say what they hold, tables without rows, encrypted files, and
// how many values a read gives. data/parquet/README.md has what made the files.
#include "base/file.h"
#include "base/memory.h"
#include "bomb_parquet.h"
#include "formats/parquet_internal.h"
#include "formats/parquet_writer.h"
#include <math.h>
#include <snappy-c.h>
#include <zlib.h>

#include "../ok.h" // last: cmocka defines `fail` as a macro

#include "../scratch.h"

static ParquetFile *open_vector(const char *name) {
    char path[512];
    Error err;
    ParquetFile *f;
    snprintf(path, sizeof path, "tests/formats/data/parquet/%s.parquet", name);
    OK(parquet_open(path, &f, &err));
    return f;
}

static ParquetColumn read_field(ParquetFile *f, const char *field) {
    Error err;
    ParquetColumn c;
    OK(parquet_read(f, parquet_find(f, field, NULL), 0, -1, &c, &err));
    return c;
}

static void assert_refused(ParquetFile *f, int column, const char *says) {
    Error err = {""};
    ParquetColumn c;
    assert_false(parquet_read(f, column, 0, -1, &c, &err));
    if (!strstr(err.text, says) || !strstr(err.text, f->path))
        fail_msg("\"%s\" lacks \"%s\"", err.text, says);
    assert_null(c.storage);
}

static void assert_numbers(ParquetFile *f, const char *field, const double want[], int n) {
    ParquetColumn c = read_field(f, field);
    assert_int_equal(c.kind, PARQUET_NUMBERS);
    assert_int_equal(c.count, n);
    for (int i = 0; i < n; i++)
        if (!(isnan(want[i]) ? isnan(c.numbers[i]) : c.numbers[i] == want[i]))
            fail_msg("%s: value %d is %.17g, not %.17g", field, i, c.numbers[i], want[i]);
    parquet_column_free(&c);
}

// ---- kinds --------------------------------------------------------------------------------------

static void wide_numbers(void **state) {
    (void)state;
    enum { N = 5 };
    ParquetFile *f = open_vector("wide");
    const double big[N] = {2147483647, 2147483648, 4294967295, NAN, 0};
    const double nothing[N] = {NAN, NAN, NAN, NAN, NAN};
    assert_numbers(f, "plain", big, N);
    assert_numbers(f, "dictionary", big, N);
    assert_numbers(f, "split", big, N);
    assert_numbers(f, "nothing", nothing, N);
    assert_numbers(f, "small", (const double[N]){255, 0, 128, 127, NAN}, N);
    // More digits than a double has: what is nearest to the decimal, not to a rounded integer's
    // part.
    assert_numbers(f, "nano", (const double[N]){123456789.987654321, -0.000000001, NAN, 0, 1}, N);
    parquet_close(f);
}

static void times_are_no_numbers(void **state) {
    (void)state;
    static const char *const fields[] = {"date", "time", "fine_time", "moment", "list"};
    ParquetFile *f = open_vector("times");
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        assert_refused(f, parquet_find(f, fields[i], NULL), "dates or times");
    assert_refused(f, parquet_find(f, "price", NULL), "decimals as bytes");
    parquet_close(f);
}

// ---- no rows, no key ----------------------------------------------------------------------------

static void groups_without_rows(void **state) {
    (void)state;
    ParquetFile *f = open_vector("zero_groups");
    ParquetColumn c;
    assert_int_equal(parquet_rows(f), 3);
    assert_true(parquet_row_groups(f) > 2);
    assert_numbers(f, "k", (const double[]){0, 1, 2}, 3);
    c = read_field(f, "s");
    assert_int_equal(c.count, 3);
    for (int i = 0; i < 3; i++) assert_memory_equal(c.bytes[i].data, "012" + i, 1);
    parquet_column_free(&c);
    c = read_field(f, "list");
    assert_int_equal(c.rows, 3);
    assert_memory_equal(c.offsets, ((const int64_t[]){0, 0, 1, 3}), 4 * sizeof(int64_t));
    parquet_column_free(&c);
    parquet_close(f);
}

static void no_groups(void **state) {
    (void)state;
    static const char *const fields[] = {"k", "s", "list"};
    ParquetFile *f = open_vector("no_groups");
    assert_int_equal(parquet_rows(f) + parquet_row_groups(f), 0);
    for (int i = 0; i < 3; i++) {
        ParquetColumn c = read_field(f, fields[i]);
        assert_int_equal(c.rows + c.count, 0);
        parquet_column_free(&c);
    }
    parquet_close(f);
}

static void encrypted(void **state) {
    (void)state;
    Error err = {""};
    ParquetFile *f;
    assert_false(parquet_open("tests/formats/data/parquet/encrypted.parquet", &f, &err));
    assert_non_null(strstr(err.text, "encrypted.parquet: is encrypted"));
    f = open_vector("encrypted_column");
    assert_numbers(f, "k", (const double[]){0, 1, 2}, 3);
    assert_refused(f, parquet_find(f, "s", NULL), "is encrypted");
    parquet_close(f);
}

// ---- how many values ----------------------------------------------------------------------------

static ParquetFile *open_made(void (*make)(const char *)) {
    char path[512];
    Error err;
    ParquetFile *f;
    snprintf(path, sizeof path, "%s/made.parquet", folder);
    make(path);
    OK(parquet_open(path, &f, &err));
    return f;
}

enum { MANY = 1 << 20 };

// A constant column, as writers store it: some bytes a page, whatever its rows.
static void make_constant(const char *path) {
    static const uint8_t run[] = {0, 0x80, 0x80, 0x80, 1}; // width 0; 2^20 times (<< 1)
    ParquetBomb b = parquet_bomb(P_INT64, P_NONE, MANY);
    parquet_bomb_page(&b, P_DICTIONARY, P_PLAIN, 1, "\7\0\0\0\0\0\0\0", 8, 8);
    parquet_bomb_page(&b, P_DATA, P_RLE_DICTIONARY, MANY, run, sizeof run, sizeof run);
    parquet_bomb_write(&b, path);
}

static void constant_columns_of_any_size(void **state) {
    (void)state;
    ParquetFile *f = open_made(make_constant);
    assert_refused(f, 0, "announces 1048576 values");
    parquet_expect(f, MANY - 1);
    assert_refused(f, 0, "announces 1048576 values");
    parquet_expect(f, MANY);
    ParquetColumn c = read_field(f, "x");
    assert_int_equal(c.count, MANY);
    for (int i = 0; i < MANY; i++)
        if (c.numbers[i] != 7) fail_msg("value %d is %g", i, c.numbers[i]);
    parquet_column_free(&c);
    parquet_close(f);
}

static void make_two_dictionaries(const char *path) {
    static const uint8_t one[] = {0, 2};
    ParquetBomb b = parquet_bomb(P_INT64, P_NONE, 1);
    for (int i = 0; i < 2; i++)
        parquet_bomb_page(&b, P_DICTIONARY, P_PLAIN, 1, "\7\0\0\0\0\0\0\0", 8, 8);
    parquet_bomb_page(&b, P_DATA, P_RLE_DICTIONARY, 1, one, sizeof one, sizeof one);
    parquet_bomb_write(&b, path);
}

static void make_loose_page(const char *path) {
    size_t packed, size = (size_t)1 << 20;
    void *page = pack_zeros(size, &packed);
    ParquetBomb b = parquet_bomb(P_INT64, P_ZSTD, 1);
    parquet_bomb_page(&b, P_DATA, P_PLAIN, 1, page, packed, size);
    free(page);
    parquet_bomb_write(&b, path);
}

static void what_no_writer_makes(void **state) {
    (void)state;
    ParquetFile *f = open_made(make_two_dictionaries);
    assert_refused(f, 0, "two dictionaries");
    parquet_close(f);
    f = open_made(make_loose_page);
    assert_refused(f, 0, "unpacks to more than its values can take");
    parquet_close(f);
    f = open_made(bomb_unpacked);
    assert_refused(f, 0, "unpack to far more than the file holds");
    parquet_close(f);
}

// ---- gzip ---------------------------------------------------------------------------------------

static size_t gzip(const void *in, size_t n, uint8_t *out, size_t room) {
    z_stream z = {.next_in = (Bytef *)in, .avail_in = (uInt)n, .next_out = out};
    z.avail_out = (uInt)room;
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static void make_members(const char *path) {
    enum { GZIP = 2 };
    static const int64_t values[] = {3, -1, 4};
    uint8_t page[256];
    size_t n = gzip(values, 8, page, sizeof page);
    n += gzip("", 0, page + n, sizeof page - n);
    n += gzip(values + 1, 16, page + n, sizeof page - n);
    ParquetBomb b = parquet_bomb(P_INT64, GZIP, 3);
    parquet_bomb_page(&b, P_DATA, P_PLAIN, 3, page, n, sizeof values);
    parquet_bomb_write(&b, path);
}

static void gzip_of_several_members(void **state) {
    (void)state;
    ParquetFile *f = open_made(make_members);
    assert_numbers(f, "x", (const double[]){3, -1, 4}, 3);
    parquet_close(f);
}

// Two rows of two lists of three: what begins a row repeats nothing, what begins a list the outer
// one, all else the inner. The reader does not look at levels beyond the first.
static void lists_in_lists(void **state) {
    (void)state;
    enum { VALUES = 12, ROWS = 2 };
    static const uint8_t levels[] = {0, 2, 2, 1, 2, 2, 0, 2, 2, 1, 2, 2};
    static const int64_t offsets[] = {0, 6, 12}, inner[] = {3};
    double values[VALUES] = {0};
    char body[1024];
    size_t unpacked, size = sizeof body;
    ThriftWriter page = {0};
    Column c = {.type = PARQUET_F64, .list = true, .max_rep = 2, .max_def = 5};
    c.inner = (int64_t *)inner;
    assert_int_equal(
        parquet_encode_page(&c, &(ParquetValues){values, offsets}, 0, ROWS, &page, &unpacked),
        VALUES);
    // The body stands at the end, behind a header of some bytes: the first place that is one.
    size_t at = 1;
    while (at < page.size && (size = sizeof body, snappy_uncompress((char *)page.data + at,
                                                                    page.size - at, body, &size)))
        at++;
    assert_true(at < page.size);
    assert_int_equal((uint8_t)body[4], 5); // two groups of eight levels, bit by bit
    for (int i = 0; i < VALUES; i++)
        assert_int_equal((uint8_t)body[5 + i / 4] >> 2 * (i % 4) & 3, levels[i]);
    mem_free(page.data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wide_numbers),
        cmocka_unit_test(times_are_no_numbers),
        cmocka_unit_test(groups_without_rows),
        cmocka_unit_test(no_groups),
        cmocka_unit_test(encrypted),
        cmocka_unit_test(constant_columns_of_any_size),
        cmocka_unit_test(what_no_writer_makes),
        cmocka_unit_test(gzip_of_several_members),
        cmocka_unit_test(lists_in_lists),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
