// SPDX-License-Identifier: Apache-2.0
// The reader: levels and values of a column's pages put together into rows.
#include "formats/parquet_internal.h"

#include "base/file.h"
#include <math.h>
#include <string.h>

// ---- file -------------------------------------------------------------------------------------

bool parquet_open(const char *path, ParquetFile **out, Error *err) {
    ParquetFile *f = NEW(ParquetFile, 1);
    *out = NULL;
    f->path = mem_strdup(path);
    if (!file_map(path, &f->data, &f->size, err) || !parquet_footer(f, err)) {
        parquet_close(f);
        return false;
    }
    *out = f;
    return true;
}

void parquet_close(ParquetFile *f) {
    if (!f) return;
    file_unmap(f->data, f->size);
    arena_free(&f->arena);
    mem_free(f->path);
    mem_free(f);
}

int64_t parquet_rows(const ParquetFile *f) {
    return f->rows;
}
int parquet_row_groups(const ParquetFile *f) {
    return f->n_groups;
}
int64_t parquet_row_group_rows(const ParquetFile *f, int group) {
    return f->groups[group].rows;
}

int parquet_find(const ParquetFile *f, const char *field, const char *member) {
    for (int i = 0; i < f->n_leaves; i++)
        if (!strcmp(f->leaves[i].top, field) && (!member || !strcmp(f->leaves[i].last, member)))
            return i;
    return -1;
}

// ---- column -----------------------------------------------------------------------------------

// What is known while a column is read.
typedef struct Read {
    const ParquetFile *f;
    const Leaf *leaf;
    ParquetColumn *out;
    Arena *arena;         // of out
    int64_t capacity;     // leaves there is room for
    int64_t row, row_end; // rows begun; rows when the current group is done
    bool in_row;          // a row of the current group was begun
    Values dictionary;
    int64_t dictionary_size;
    bool has_dictionary;
} Read;

// Levels of one page; NULL where the maximum is 0.
typedef struct Levels {
    uint32_t *rep, *def;
} Levels;

static bool column_damaged(const Read *r, const char *what, Error *err) {
    return fail(err, "%s: column %s: damaged Parquet data: %s; copy the file again", r->f->path,
                r->leaf->path, what);
}

static int bits_of(int max) {
    int bits = 0;
    while (max >> bits) bits++;
    return bits;
}

static bool decode_levels(const uint8_t *p, size_t bytes, int max, int64_t count, uint32_t **out) {
    *out = NEW(uint32_t, count + 1);
    if (!parquet_hybrid(p, bytes, bits_of(max), count, *out)) return false;
    for (int64_t i = 0; i < count; i++)
        if ((*out)[i] > (uint32_t)max) return false;
    return true;
}

// v1 pages hold repetition levels, definition levels and values behind each other, each kind of
// level with its length in front. Takes the levels off the front of the page.
static bool levels_v1(Page *page, int max, uint32_t **out) {
    uint32_t length;
    if (max == 0) return true;
    if (page->bytes < 4) return false;
    memcpy(&length, page->data, 4);
    if (length > page->bytes - 4) return false;
    const uint8_t *p = page->data + 4;
    page->data += 4 + length;
    page->bytes -= 4 + length;
    return decode_levels(p, length, max, page->values, out);
}

static bool read_levels(const Leaf *leaf, Page *page, Levels *l) {
    if (page->type == PAGE_DATA)
        return levels_v1(page, leaf->max_rep, &l->rep) && levels_v1(page, leaf->max_def, &l->def);
    return (!leaf->max_rep || decode_levels(page->levels_rep, page->rep_bytes, leaf->max_rep,
                                            page->values, &l->rep)) &&
           (!leaf->max_def ||
            decode_levels(page->levels_def, page->def_bytes, leaf->max_def, page->values, &l->def));
}

// Room for the column's next leaves.
static Values values_tail(const Read *r) {
    const ParquetColumn *c = r->out;
    return c->kind == PARQUET_BYTES ? (Values){.bytes = c->bytes + c->count}
                                    : (Values){.numbers = c->numbers + c->count};
}

static bool decode_values(Read *r, const Page *page, int64_t count, Error *err) {
    Values out = values_tail(r);
    bool ok = true;
    if (count == 0) return true;
    switch (page->encoding) {
    case ENCODING_PLAIN:
        ok = parquet_plain(r->leaf, page->data, page->bytes, count, out);
        break;
    case ENCODING_PLAIN_DICTIONARY:
    case ENCODING_RLE_DICTIONARY:
        if (!r->has_dictionary) return column_damaged(r, "its dictionary is missing", err);
        ok = parquet_from_dictionary(r->dictionary, r->dictionary_size, page->data, page->bytes,
                                     count, out);
        break;
    case ENCODING_RLE:
        if (r->leaf->type != TYPE_BOOLEAN)
            return column_damaged(r, "RLE values that are no booleans", err);
        ok = parquet_rle_booleans(page->data, page->bytes, count, out.numbers);
        break;
    case ENCODING_DELTA_BINARY_PACKED:
        ok = parquet_delta_packed(r->leaf, page->data, page->bytes, count, out);
        break;
    case ENCODING_DELTA_LENGTH_BYTE_ARRAY:
        ok = parquet_delta_length(r->leaf, page->data, page->bytes, count, out);
        break;
    case ENCODING_DELTA_BYTE_ARRAY:
        ok = parquet_delta_bytes(r->leaf, page->data, page->bytes, count, out, r->arena);
        break;
    case ENCODING_BYTE_STREAM_SPLIT:
        ok = parquet_split(r->leaf, page->data, page->bytes, count, out, r->arena);
        break;
    default:
        return fail(err,
                    "%s: column %s has encoding %d, which is not supported: write it again with "
                    "pyarrow's defaults",
                    r->f->path, r->leaf->path, page->encoding);
    }
    return ok || column_damaged(r, "a page does not hold the values it announces", err);
}

static bool is_leaf(const Read *r, const Levels *l, int64_t i) {
    return !l->def || l->def[i] >= (uint32_t)r->leaf->element_def;
}

static bool is_present(const Read *r, const Levels *l, int64_t i) {
    return !l->def || l->def[i] == (uint32_t)r->leaf->max_def;
}

// The values that are present stand packed at the tail: this moves them to their places, with
// nulls between them.
static void spread_present(const Read *r, const Levels *l, int64_t entries, int64_t leaves,
                           int64_t present) {
    Values v = values_tail(r);
    if (leaves == present) return;
    for (int64_t i = entries - 1; i >= 0; i--) {
        if (!is_leaf(r, l, i)) continue;
        bool there = is_present(r, l, i);
        leaves--;
        if (there) present--;
        if (v.bytes)
            v.bytes[leaves] = there ? v.bytes[present] : (ParquetBytes){0};
        else
            v.numbers[leaves] = there ? v.numbers[present] : NAN;
    }
}

// Counts the page's leaves and values and marks where its rows begin.
static bool place_rows(Read *r, const Levels *l, int64_t entries, int64_t *leaves,
                       int64_t *present) {
    *leaves = *present = 0;
    for (int64_t i = 0; i < entries; i++) {
        if (!l->rep || l->rep[i] == 0) {
            if (r->row == r->row_end) return false;
            if (r->out->offsets) r->out->offsets[r->row] = r->out->count + *leaves;
            r->row++;
            r->in_row = true;
        } else if (!r->in_row) {
            return false;
        }
        *leaves += is_leaf(r, l, i);
        *present += is_present(r, l, i);
    }
    return true;
}

// v1 pages name an encoding even for levels that are not there.
static bool levels_are_rle(const Read *r, const Page *page, Error *err) {
    int odd = r->leaf->max_rep && page->rep_encoding != ENCODING_RLE   ? page->rep_encoding
              : r->leaf->max_def && page->def_encoding != ENCODING_RLE ? page->def_encoding
                                                                       : ENCODING_RLE;
    if (page->type != PAGE_DATA || odd == ENCODING_RLE) return true;
    return fail(err,
                "%s: column %s has levels in encoding %d; only RLE is supported: write it again "
                "with pyarrow's defaults",
                r->f->path, r->leaf->path, odd);
}

static bool read_data_page(Read *r, Page *page, Error *err) {
    Levels l = {0};
    int64_t leaves, present;
    if (!levels_are_rle(r, page, err)) return false;
    bool ok =
        read_levels(r->leaf, page, &l) || column_damaged(r, "its levels do not hold together", err);
    ok = ok && (place_rows(r, &l, page->values, &leaves, &present) ||
                column_damaged(r, "it has other rows than its row group", err));
    ok = ok && decode_values(r, page, present, err);
    if (ok) {
        spread_present(r, &l, page->values, leaves, present);
        r->out->count += leaves;
    }
    mem_free(l.rep);
    mem_free(l.def);
    return ok;
}

static bool read_dictionary(Read *r, const Page *page, Error *err) {
    int64_t n = page->values;
    // Each value takes at least a bit, a byte array at least four bytes: a page that claims
    // more values than that is not believed.
    if (n > 8 * (int64_t)page->bytes)
        return column_damaged(r, "its dictionary does not hold together", err);
    r->dictionary = (Values){0};
    if (r->out->kind == PARQUET_BYTES)
        r->dictionary.bytes = arena_alloc(r->arena, (size_t)(n + 1) * sizeof(ParquetBytes));
    else
        r->dictionary.numbers = arena_alloc(r->arena, (size_t)(n + 1) * sizeof(double));
    r->dictionary_size = n;
    r->has_dictionary = true;
    if (page->encoding != ENCODING_PLAIN && page->encoding != ENCODING_PLAIN_DICTIONARY)
        return fail(err, "%s: column %s has a dictionary in encoding %d; only PLAIN is supported",
                    r->f->path, r->leaf->path, page->encoding);
    return parquet_plain(r->leaf, page->data, page->bytes, n, r->dictionary) ||
           column_damaged(r, "its dictionary does not hold together", err);
}

// Byte values point into their page: one that lies in the mapping is copied, so that the column
// stands alone.
static void copy_mapped_page(const Read *r, Page *page) {
    const uint8_t *start = r->f->data;
    if (r->out->kind != PARQUET_BYTES || !page->data || page->data < start ||
        page->data >= start + r->f->size)
        return;
    uint8_t *copy = arena_alloc(r->arena, page->bytes + 1);
    memcpy(copy, page->data, page->bytes);
    page->data = copy;
}

static bool within_bounds(const ParquetColumn *out, int64_t first, const Chunk *c) {
    if (!c->bounded || out->kind != PARQUET_NUMBERS) return true;
    for (int64_t i = first; i < out->count; i++)
        if (out->numbers[i] < c->min || out->numbers[i] > c->max) return false; // a null is NaN
    return true;
}

static bool read_chunk(Read *r, const RowGroup *g, Arena *scratch, Error *err) {
    int64_t first = r->out->count;
    const Chunk *c = &g->chunks[r->leaf - r->f->leaves];
    const uint8_t *at = r->f->data + c->start, *end = at + c->bytes;
    r->row_end = r->row + g->rows;
    r->in_row = r->has_dictionary = false;
    for (int64_t seen = 0; seen < c->values;) {
        Page page;
        bool bytes = r->out->kind == PARQUET_BYTES;
        if (at >= end) return column_damaged(r, "its pages end early", err);
        if (!parquet_page(r->f, c, &at, end, bytes ? r->arena : scratch, &page, err)) return false;
        copy_mapped_page(r, &page);
        if (page.type == PAGE_DICTIONARY) {
            if (!read_dictionary(r, &page, err)) return false;
        } else if (page.type == PAGE_DATA || page.type == PAGE_DATA_V2) {
            if (page.values > c->values - seen)
                return column_damaged(r, "its pages hold more values than it announces", err);
            if (!read_data_page(r, &page, err)) return false;
            seen += page.values;
        }
    }
    if (r->row != r->row_end) return column_damaged(r, "it has other rows than its row group", err);
    return within_bounds(r->out, first, c) ||
           column_damaged(r, "a value lies outside the range that its footer gives", err);
}

// Sizes of the whole read, from the footer.
static bool plan_read(Read *r, int first, int groups, Error *err) {
    ParquetColumn *out = r->out;
    for (int g = first; g < first + groups; g++) {
        const RowGroup *group = &r->f->groups[g];
        int64_t values = group->chunks[r->leaf - r->f->leaves].values;
        if (values > MAX_READ_VALUES - r->capacity || group->rows > values)
            return column_damaged(r, "it announces an impossible number of values", err);
        r->capacity += values;
        out->rows += group->rows;
    }
    size_t n = (size_t)r->capacity + 1;
    if (out->kind == PARQUET_BYTES)
        out->bytes = mem_try(n * sizeof *out->bytes);
    else
        out->numbers = mem_try(n * sizeof *out->numbers);
    if (r->leaf->max_rep > 0)
        out->offsets = mem_try((size_t)(out->rows + 1) * sizeof *out->offsets);
    if ((!out->bytes && !out->numbers) || (r->leaf->max_rep > 0 && !out->offsets))
        return fail(err, "%s: no memory for the %zu values of column %s", r->f->path, n - 1,
                    r->leaf->path);
    return true;
}

static bool read_groups(Read *r, int first, int groups, Error *err) {
    if (!plan_read(r, first, groups, err)) return false;
    for (int g = first; g < first + groups; g++) {
        Arena scratch = {0};
        bool ok = read_chunk(r, &r->f->groups[g], &scratch, err);
        arena_free(&scratch);
        if (!ok) return false;
    }
    if (r->out->offsets) r->out->offsets[r->out->rows] = r->out->count;
    return true;
}

bool parquet_read(ParquetFile *f, int column, int first, int groups, ParquetColumn *out,
                  Error *err) {
    *out = (ParquetColumn){0};
    if (groups < 0) groups = f->n_groups - first;
    if (column < 0 || column >= f->n_leaves || first < 0 || first + groups > f->n_groups)
        return fail(err, "%s: no such column or row group", f->path);
    const Leaf *leaf = &f->leaves[column];
    if (leaf->type == TYPE_INT96)
        return fail(err, "%s: column %s is INT96, which is not supported", f->path, leaf->path);
    out->kind = leaf->type >= TYPE_BYTE_ARRAY && !leaf->half ? PARQUET_BYTES : PARQUET_NUMBERS;
    out->storage = NEW(Arena, 1);
    Read r = {.f = f, .leaf = leaf, .out = out, .arena = out->storage};
    if (read_groups(&r, first, groups, err)) return true;
    parquet_column_free(out);
    return false;
}

void parquet_column_free(ParquetColumn *c) {
    if (c->storage) arena_free(c->storage);
    mem_free(c->storage);
    mem_free(c->offsets);
    mem_free(c->numbers);
    mem_free(c->bytes);
    *c = (ParquetColumn){0};
}
