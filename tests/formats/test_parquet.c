// SPDX-License-Identifier: Apache-2.0
// What the writer writes is read back; a damaged file is refused or gives the very same values.
#include "base/file.h"
#include "base/memory.h"
#include "base/rng.h"
#include "formats/parquet_thrift.h"
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../ok.h"

#include "parquet_metadata.h"

static char path[64];

static int make_path(void **state) {
    (void)state;
    strcpy(path, "/tmp/tact-parquet-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state) {
    (void)state;
    return unlink(path);
}

// ---- a file with every type -------------------------------------------------------------------

enum { ROWS = 21, GROUPS = 3, MAX_LIST = 3, FIELDS = 8 };
static const int64_t group_first[GROUPS + 1] = {0, 9, 9, ROWS}; // the middle one is empty

static const ParquetField fields[FIELDS] = {
    {.name = "whole", .type = PARQUET_I64},
    {.name = "single", .type = PARQUET_F32},
    {.name = "double", .type = PARQUET_F64},
    {.name = "flag", .type = PARQUET_BOOL},
    {.name = "text with null", .type = PARQUET_STRING},
    {.name = "action", .type = PARQUET_F32, .list = true},
    {.name = "camera/a.b", .type = PARQUET_STRING, .member = "bytes"},
    {.name = "camera/a.b", .type = PARQUET_STRING, .member = "path"},
};

static int64_t list_length(int64_t row) {
    return row % (MAX_LIST + 1);
}
static const char *text_of(int64_t row) {
    return row % 5 == 2 ? NULL : row % 2 ? "" : "t\xc3\xa4xt";
}

typedef struct Rows {
    int64_t whole[ROWS], offsets[ROWS + 1];
    float single[ROWS], list[ROWS * MAX_LIST];
    double wide[ROWS];
    uint8_t flag[ROWS], blob[ROWS][40];
    ParquetBytes text[ROWS], bytes[ROWS], file[ROWS];
} Rows;

// Rows [first, last) of the file.
static void make_rows(Rows *r, int64_t first, int64_t last) {
    int64_t at = 0;
    for (int64_t i = 0; i < last - first; i++) {
        int64_t k = first + i;
        const char *text = text_of(k);
        r->whole[i] = k % 2 ? -k : (int64_t)1 << 52;
        r->single[i] = (float)k / 3;
        r->wide[i] = k == 4 ? -INFINITY : sqrt((double)k);
        r->flag[i] = k % 3 == 1;
        r->text[i] = (ParquetBytes){(const uint8_t *)text, text ? strlen(text) : 0};
        r->offsets[i] = at;
        for (int64_t j = 0; j < list_length(k); j++) r->list[at++] = (float)(k * 10 + j);
        memset(r->blob[i], (int)k, sizeof r->blob[i]);
        r->bytes[i] = (ParquetBytes){r->blob[i], (size_t)k};
        r->file[i] = (ParquetBytes){NULL, 0};
    }
    r->offsets[last - first] = at;
}

static void write_file(void) {
    static const char *const metadata[][2] = {{"huggingface", "{\"info\": 1}"}, {"empty", ""}};
    static Rows r;
    Error err;
    ParquetWriter *w;
    OK(parquet_writer_open(path, fields, FIELDS, metadata, 2, &w, &err));
    for (int g = 0; g < GROUPS; g++) {
        make_rows(&r, group_first[g], group_first[g + 1]);
        const ParquetValues values[FIELDS] = {
            {r.whole, NULL}, {r.single, NULL},    {r.wide, NULL},  {r.flag, NULL},
            {r.text, NULL},  {r.list, r.offsets}, {r.bytes, NULL}, {r.file, NULL}};
        OK(parquet_write_group(w, group_first[g + 1] - group_first[g], values, &err));
    }
    OK(parquet_writer_close(w, &err));
}

static ParquetColumn read_field(ParquetFile *f, const char *field, const char *member) {
    Error err;
    ParquetColumn c;
    int column = parquet_find(f, field, member);
    assert_true(column >= 0);
    OK(parquet_read(f, column, 0, -1, &c, &err));
    assert_int_equal(c.rows, ROWS);
    return c;
}

static void assert_bytes(const ParquetBytes *got, const ParquetBytes *want) {
    assert_int_equal(got->data == NULL, want->data == NULL);
    assert_int_equal(got->size, want->size);
    if (want->size) assert_memory_equal(got->data, want->data, want->size);
}

static void round_trip(void **state) {
    (void)state;
    static Rows want;
    Error err;
    ParquetFile *f;
    write_file();
    make_rows(&want, 0, ROWS);
    OK(parquet_open(path, &f, &err));
    assert_int_equal(parquet_rows(f), ROWS);
    assert_int_equal(parquet_row_groups(f), GROUPS);
    for (int g = 0; g < GROUPS; g++)
        assert_int_equal(parquet_row_group_rows(f, g), group_first[g + 1] - group_first[g]);
    assert_int_equal(f->n_leaves, FIELDS);
    assert_string_equal(f->leaves[5].path, "action.list.element");
    assert_string_equal(f->leaves[6].path, "camera/a.b.bytes");
    assert_int_equal(parquet_find(f, "nothing", NULL), -1);
    assert_int_equal(parquet_find(f, "camera/a.b", "nothing"), -1);
    assert_string_equal(parquet_metadata(f, "huggingface"), "{\"info\": 1}");
    assert_string_equal(parquet_metadata(f, "empty"), "");
    assert_null(parquet_metadata(f, "other"));

    ParquetColumn whole = read_field(f, "whole", NULL), single = read_field(f, "single", NULL);
    ParquetColumn wide = read_field(f, "double", NULL), flag = read_field(f, "flag", NULL);
    ParquetColumn text = read_field(f, "text with null", NULL),
                  list = read_field(f, "action", NULL);
    ParquetColumn bytes = read_field(f, "camera/a.b", "bytes"),
                  file = read_field(f, "camera/a.b", "path");
    parquet_close(f); // columns stand alone
    assert_null(whole.offsets);
    for (int64_t k = 0; k < ROWS; k++) {
        assert_true(whole.numbers[k] == (double)want.whole[k]);
        assert_true(single.numbers[k] == want.single[k]);
        assert_true(wide.numbers[k] == want.wide[k]);
        assert_true(flag.numbers[k] == want.flag[k]);
        assert_bytes(&text.bytes[k], &want.text[k]);
        assert_bytes(&bytes.bytes[k], &want.bytes[k]);
        assert_bytes(&file.bytes[k], &want.file[k]);
        assert_int_equal(list.offsets[k], want.offsets[k]);
    }
    assert_int_equal(list.count, want.offsets[ROWS]);
    assert_int_equal(list.offsets[ROWS], list.count);
    for (int64_t i = 0; i < list.count; i++) assert_true(list.numbers[i] == want.list[i]);
    ParquetColumn *all[] = {&whole, &single, &wide, &flag, &text, &list, &bytes, &file};
    for (int i = 0; i < FIELDS; i++) parquet_column_free(all[i]);
}

static void one_row_group(void **state) {
    (void)state;
    Error err;
    ParquetFile *f;
    ParquetColumn c;
    write_file();
    OK(parquet_open(path, &f, &err));
    OK(parquet_read(f, parquet_find(f, "action", NULL), 2, 1, &c, &err));
    assert_int_equal(c.rows, group_first[3] - group_first[2]);
    assert_int_equal(c.offsets[0], 0);
    assert_true(c.numbers[0] == 90); // row 9 has one value, 9 * 10 + 0
    parquet_column_free(&c);
    OK(parquet_read(f, 0, 1, 1, &c, &err));
    assert_int_equal(c.rows, 0);
    parquet_column_free(&c);
    assert_false(parquet_read(f, 0, 0, GROUPS + 1, &c, &err));
    assert_false(parquet_read(f, FIELDS, 0, 1, &c, &err));
    parquet_close(f);
}

// Values enough for several pages and for levels in long runs.
static void many_pages(void **state) {
    (void)state;
    enum { N = 300000 };
    const ParquetField field[] = {{.name = "index", .type = PARQUET_I64},
                                  {.name = "state", .type = PARQUET_F64, .list = true}};
    int64_t *index = NEW(int64_t, N), *offsets = NEW(int64_t, N + 1), at = 0;
    double *state_values = NEW(double, 3 * N);
    for (int64_t k = 0; k < N; k++) {
        index[k] = k;
        offsets[k] = at;
        for (int64_t j = 0; j < (k < N / 2 ? 2 : k % 4); j++) state_values[at++] = (double)(k + j);
    }
    offsets[N] = at;
    Error err;
    ParquetWriter *w;
    ParquetFile *f;
    ParquetColumn c;
    OK(parquet_writer_open(path, field, 2, NULL, 0, &w, &err));
    OK(parquet_write_group(w, N, (ParquetValues[]){{index, NULL}, {state_values, offsets}}, &err));
    OK(parquet_writer_close(w, &err));
    OK(parquet_open(path, &f, &err));
    OK(parquet_read(f, 0, 0, -1, &c, &err));
    for (int64_t k = 0; k < N; k++) assert_true(c.numbers[k] == (double)k);
    parquet_column_free(&c);
    OK(parquet_read(f, 1, 0, -1, &c, &err));
    assert_int_equal(c.count, at);
    assert_memory_equal(c.offsets, offsets, (N + 1) * sizeof *offsets);
    assert_memory_equal(c.numbers, state_values, (size_t)at * sizeof *state_values);
    parquet_column_free(&c);
    parquet_close(f);
    mem_free(index), mem_free(offsets), mem_free(state_values);
}

static void nothing_is_left_of_an_aborted_file(void **state) {
    (void)state;
    Error err;
    ParquetWriter *w;
    char *before, *after;
    size_t size, size_after;
    write_file();
    OK(file_read(path, &before, &size, &err));
    OK(parquet_writer_open(path, fields, FIELDS, NULL, 0, &w, &err));
    parquet_writer_abort(w);
    OK(file_read(path, &after, &size_after, &err));
    assert_int_equal(size, size_after);
    assert_memory_equal(before, after, size);
    mem_free(before), mem_free(after);
}

// ---- damage -----------------------------------------------------------------------------------

static bool same_columns(const ParquetColumn *a, const ParquetColumn *b) {
    if (a->kind != b->kind || a->rows != b->rows || a->count != b->count ||
        !a->offsets != !b->offsets)
        return false;
    if (a->offsets && memcmp(a->offsets, b->offsets, (size_t)(a->rows + 1) * sizeof *a->offsets))
        return false;
    for (int64_t i = 0; i < a->count; i++) {
        if (a->kind == PARQUET_NUMBERS) {
            if (memcmp(&a->numbers[i], &b->numbers[i], sizeof(double)) != 0) return false;
        } else if (a->bytes[i].size != b->bytes[i].size || !a->bytes[i].data != !b->bytes[i].data ||
                   (a->bytes[i].size &&
                    memcmp(a->bytes[i].data, b->bytes[i].data, a->bytes[i].size) != 0)) {
            return false;
        }
    }
    return true;
}

// Reads the file with what was there before the damage in `whole`. Returns how many of its columns
// were found and read; they must be as before. The file may also be refused.
static int read_damaged(const ParquetColumn whole[FIELDS], const char *what) {
    Error err = {""};
    ParquetFile *f;
    int read = 0;
    if (!parquet_open(path, &f, &err)) {
        assert_non_null(strstr(err.text, path));
        return 0;
    }
    for (int i = 0; i < FIELDS; i++) {
        ParquetColumn c;
        int column = parquet_find(f, fields[i].name, fields[i].member);
        if (column < 0) continue;
        if (!parquet_read(f, column, 0, -1, &c, &err)) {
            assert_non_null(strstr(err.text, path));
            continue;
        }
        if (!same_columns(&c, &whole[i]))
            fail_msg("%s: %s is silently wrong", what, fields[i].name);
        parquet_column_free(&c);
        read++;
    }
    parquet_close(f);
    return read;
}

static void read_whole(ParquetColumn whole[FIELDS]) {
    Error err;
    ParquetFile *f;
    write_file();
    OK(parquet_open(path, &f, &err));
    for (int i = 0; i < FIELDS; i++) whole[i] = read_field(f, fields[i].name, fields[i].member);
    parquet_close(f);
}

static void cut_at_every_length(void **state) {
    (void)state;
    ParquetColumn whole[FIELDS];
    Error err;
    char *data, what[64];
    size_t size;
    read_whole(whole);
    OK(file_read(path, &data, &size, &err));
    for (size_t keep = size; keep-- > 0;) {
        assert_int_equal(truncate(path, (off_t)keep), 0);
        snprintf(what, sizeof what, "cut to %zu bytes", keep);
        assert_int_equal(read_damaged(whole, what), 0);
    }
    for (int i = 0; i < FIELDS; i++) parquet_column_free(&whole[i]);
    mem_free(data);
}

// Pages carry checksums, so a flip in them is always seen. The footer has none: a flip there may
// rename a column or change what is not read, but never what is.
static void flip_every_bit(void **state) {
    (void)state;
    ParquetColumn whole[FIELDS];
    Error err;
    char *data, what[64];
    size_t size;
    read_whole(whole);
    OK(file_read(path, &data, &size, &err));
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (size_t i = 0; i < size; i++)
        for (int bit = 0; bit < 8; bit++) {
            char flipped = (char)(data[i] ^ 1 << bit);
            assert_int_equal(pwrite(fd, &flipped, 1, (off_t)i), 1);
            snprintf(what, sizeof what, "bit %d of byte %zu flipped", bit, i);
            read_damaged(whole, what);
            assert_int_equal(pwrite(fd, &data[i], 1, (off_t)i), 1);
        }
    assert_int_equal(read_damaged(whole, "nothing"), FIELDS);
    close(fd);
    for (int i = 0; i < FIELDS; i++) parquet_column_free(&whole[i]);
    mem_free(data);
}

// Several bytes at once, anywhere: refused or read, never a crash.
static void random_damage(void **state) {
    (void)state;
    Error err;
    char *data;
    size_t size;
    write_file();
    OK(file_read(path, &data, &size, &err));
    char *copy = mem_alloc(size);
    RngStream rng = {.key = {.seed = 7}};
    for (int round = 0; round < 3000; round++) {
        ParquetFile *f;
        memcpy(copy, data, size);
        // Half of the rounds damage only the footer, which holds the structure.
        size_t from = round % 2 ? size * 3 / 5 : 4;
        for (uint64_t n = 1 + rng_below(&rng, 6); n > 0; n--)
            copy[from + rng_below(&rng, size - from)] = (char)rng_next(&rng);
        FILE *file = fopen(path, "wb"); // not file_write: a sync a round would take minutes
        assert_true(file && fwrite(copy, 1, size, file) == size && fclose(file) == 0);
        if (!parquet_open(path, &f, &err)) continue;
        for (int i = 0; i < f->n_leaves; i++) {
            ParquetColumn c;
            if (parquet_read(f, i, 0, -1, &c, &err)) parquet_column_free(&c);
        }
        parquet_close(f);
    }
    mem_free(copy), mem_free(data);
}

static void put_leaf(ThriftWriter *w, const char *name, int children) {
    int last = 0;
    if (!children) thrift_put_int(w, &last, 1, THRIFT_I32, 2); // INT64
    thrift_put_int(w, &last, 3, THRIFT_I32, 0);
    thrift_put_binary(w, &last, 4, name, strlen(name));
    if (children) thrift_put_int(w, &last, 5, THRIFT_I32, children);
    thrift_put_stop(w);
}

// A second, longer schema behind the row groups must not be taken with the chunks of the first.
static void the_schema_comes_once(void **state) {
    (void)state;
    enum { LEAVES = 5000 };
    Error err;
    char *data;
    size_t size;
    uint32_t length;
    ThriftWriter w = {0};
    write_file();
    OK(file_read(path, &data, &size, &err));
    memcpy(&length, data + size - 8, 4);
    thrift_put(&w, data, size - 9); // all but the footer's end, its length and the magic
    int last = 0;
    thrift_put(&w, "\x09\x04", 2); // field 2 (not counted on from the last one), a list
    size_t before = w.size;
    thrift_put_list(&w, &last, 1, THRIFT_STRUCT, LEAVES + 1);
    memmove(w.data + before, w.data + before + 1,
            --w.size - before); // without its own field header
    put_leaf(&w, "schema", LEAVES);
    for (int i = 0; i < LEAVES; i++) put_leaf(&w, "x", 0);
    thrift_put_stop(&w);
    length += (uint32_t)(w.size - (size - 8));
    thrift_put(&w, &length, 4);
    thrift_put(&w, "PAR1", 4);
    OK(file_write(path, w.data, w.size, &err));
    ParquetFile *f;
    OK(parquet_open(path, &f, &err));
    assert_int_equal(f->n_leaves, FIELDS);
    parquet_close(f);
    mem_free(w.data), mem_free(data);
}

// A field to be skipped that claims 2^63 empty booleans: refused at once.
static void endless_maps_end(void **state) {
    (void)state;
    static const uint8_t file[] = {'P',  'A',  'R',  '1',  0xfb, 0xff, 0xff, 0xff,
                                   0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01, 0x11,
                                   12,   0,    0,    0,    'P',  'A',  'R',  '1'};
    Error err;
    ParquetFile *f;
    OK(file_write(path, file, sizeof file, &err));
    assert_false(parquet_open(path, &f, &err));
    assert_non_null(strstr(err.text, path));
}

static void not_parquet(void **state) {
    (void)state;
    static const char *const texts[] = {"", "PAR1", "PAR1PAR1", "PAR1\1\2\3\4\xff\xff\xff\x7fPAR1",
                                        "version https://git-lfs.github.com/spec/v1\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Error err;
        ParquetFile *f;
        OK(file_write(path, texts[i], strlen(texts[i]), &err));
        assert_false(parquet_open(path, &f, &err));
        assert_null(f);
        assert_non_null(strstr(err.text, path));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),          cmocka_unit_test(one_row_group),
        cmocka_unit_test(many_pages),          cmocka_unit_test(nothing_is_left_of_an_aborted_file),
        cmocka_unit_test(cut_at_every_length), cmocka_unit_test(flip_every_bit),
        cmocka_unit_test(random_damage),       cmocka_unit_test(the_schema_comes_once),
        cmocka_unit_test(endless_maps_end),    cmocka_unit_test(not_parquet),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
