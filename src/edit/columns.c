// SPDX-License-Identifier: Apache-2.0
#include "edit/columns.h"

#include "base/array.h"
#include "base/memory.h"
#include <math.h>
#include <string.h>

// A column of the row group that is held.
typedef struct HeldColumn {
    const char *name, *member; // borrowed from the callers
    ParquetColumn values;
} HeldColumn;

struct ColumnReader {
    const Dataset *ds;
    const DataFile *open; // NULL: none
    ParquetFile *file;
    int group;
    int64_t group_first, group_rows; // rows of the file
    HeldColumn *held;
    int64_t n_held, room;
};

ColumnReader *columns_open(const Dataset *ds) {
    ColumnReader *r = NEW(ColumnReader, 1);
    r->ds = ds;
    return r;
}

static void let_go(ColumnReader *r) {
    for (int64_t i = 0; i < r->n_held; i++) parquet_column_free(&r->held[i].values);
    r->n_held = 0;
    r->group_rows = 0;
}

static void close_file(ColumnReader *r) {
    let_go(r);
    parquet_close(r->file);
    r->file = NULL;
    r->open = NULL;
}

void columns_close(ColumnReader *r) {
    if (!r) return;
    close_file(r);
    mem_free(r->held);
    mem_free(r);
}

// Goes to the row group with row `at` of a file.
static bool go_to(ColumnReader *r, const DataFile *file, int64_t at, Error *err) {
    if (r->open != file) {
        close_file(r);
        if (!parquet_open(file->path, &r->file, err)) {
            r->file = NULL;
            return false;
        }
        r->open = file;
    }
    if (at >= r->group_first && at < r->group_first + r->group_rows) return true;
    let_go(r);
    r->group_first = 0;
    for (r->group = 0; r->group < parquet_row_groups(r->file); r->group++) {
        r->group_rows = parquet_row_group_rows(r->file, r->group);
        if (at < r->group_first + r->group_rows) return true;
        r->group_first += r->group_rows;
    }
    r->group_rows = 0;
    return fail(err, "%s: has no row %lld; the file changed while it was read", file->path,
                (long long)at);
}

static bool same_name(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

// The values of a column in the row group.
static bool hold(ColumnReader *r, const char *name, const char *member, int64_t width,
                 const ParquetColumn **out, Error *err) {
    for (int64_t i = 0; i < r->n_held; i++) {
        *out = &r->held[i].values;
        if (strcmp(r->held[i].name, name) == 0 && same_name(r->held[i].member, member)) return true;
    }
    int column = parquet_find(r->file, name, member);
    if (column < 0)
        return fail(err,
                    "%s: has no column '%s'%s%s, which meta/info.json names; copy the file "
                    "again, or leave the feature out with --remove_features",
                    r->open->path, name, member ? " with " : "", member ? member : "");
    ParquetColumn values = {0};
    parquet_expect(r->file, r->group_rows * width);
    if (!parquet_read(r->file, column, r->group, 1, &values, err)) return false;
    HeldColumn *h = ARRAY_ADD(r->held, r->n_held, r->room);
    *h = (HeldColumn){name, member, values};
    *out = &h->values;
    return true;
}

// The stretch of rows that begins with row k of an episode and lies in one row group: how many of
// the n there are, and the first one's place in the group.
static bool stretch(ColumnReader *r, int64_t episode, int64_t k, int64_t n, int64_t *at,
                    int64_t *count, Error *err) {
    int64_t row;
    const DataFile *file = dataset_file_of(r->ds, r->ds->episodes[episode].first_row + k, &row);
    if (!go_to(r, file, row, err)) return false;
    *at = row - r->group_first;
    *count = r->group_rows - *at < n ? r->group_rows - *at : n;
    return true;
}

static bool check_width(const ColumnReader *r, const char *name, const ParquetColumn *c,
                        ParquetKind kind, int64_t width, Error *err) {
    bool ok = c->kind == kind && c->count == c->rows * width;
    for (int64_t i = 0; ok && c->offsets && i <= c->rows; i++) ok = c->offsets[i] == i * width;
    return ok ||
           fail(err,
                "%s: column '%s' does not have %lld %s%s a row, as meta/info.json says; leave "
                "the feature out with --remove_features",
                r->open->path, name, (long long)width,
                kind == PARQUET_NUMBERS ? "number" : "string", width == 1 ? "" : "s");
}

// From 2^53 on a double may have been rounded from another whole number.
static bool check_whole(const ColumnReader *r, const char *name, const double *values, int64_t n,
                        Error *err) {
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(values[i]) < 9007199254740992.0 && values[i] == floor(values[i])))
            return fail(err,
                        "%s: column '%s' has %g among its whole numbers, which cannot be copied; "
                        "leave the feature out with --remove_features",
                        r->open->path, name, values[i]);
    return true;
}

bool columns_numbers(ColumnReader *r, const char *column, int64_t width, bool whole,
                     int64_t episode, int64_t first, int64_t n, double *out, Error *err) {
    for (int64_t done = 0, at, count; done < n; done += count) {
        const ParquetColumn *c = NULL;
        if (!stretch(r, episode, first + done, n - done, &at, &count, err) ||
            !hold(r, column, NULL, width, &c, err) ||
            !check_width(r, column, c, PARQUET_NUMBERS, width, err) ||
            (whole && !check_whole(r, column, c->numbers + at * width, count * width, err)))
            return false;
        memcpy(out + done * width, c->numbers + at * width, sizeof *out * (size_t)(count * width));
    }
    return true;
}

bool columns_bytes(ColumnReader *r, const char *column, const char *member, int64_t episode,
                   int64_t first, int64_t n, Arena *arena, ParquetBytes *out, Error *err) {
    for (int64_t done = 0, at, count; done < n; done += count) {
        const ParquetColumn *c = NULL;
        if (!stretch(r, episode, first + done, n - done, &at, &count, err) ||
            !hold(r, column, member, 1, &c, err) ||
            !check_width(r, column, c, PARQUET_BYTES, 1, err))
            return false;
        for (int64_t i = 0; i < count; i++) {
            const ParquetBytes *from = &c->bytes[at + i];
            out[done + i] = (ParquetBytes){0};
            if (!from->data) continue;
            uint8_t *copy = arena_alloc(arena, from->size + 1);
            memcpy(copy, from->data, from->size);
            out[done + i] = (ParquetBytes){copy, from->size};
        }
    }
    return true;
}
