// SPDX-License-Identifier: Apache-2.0
// The reader: levels and values of a column's pages put together into rows.
#include "formats/parquet_internal.h"

#include "base/file.h"
#include <math.h>
#include <string.h>

// ---- file -------------------------------------------------------------------------------------

bool parquet_open(const char *path, ParquetFile **out, Error *err) {
    ParquetFile *f = TRY_NEW(ParquetFile, 1);
    *out = NULL;
    if (f) f->path = mem_try_strdup(path);
    if (!f || !f->path) {
        mem_free(f);
        return fail_memory(err, "%s: its description", path);
    }
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

void parquet_expect(ParquetFile *f, int64_t values) {
    f->expected = values;
}

int parquet_find(const ParquetFile *f, const char *field, const char *member) {
    for (int i = 0; i < f->n_leaves; i++)
        if (!strcmp(f->leaves[i].top, field) && (!member || !strcmp(f->leaves[i].last, member)))
            return i;
    return -1;
}

int parquet_leaves(const ParquetFile *f) {
    return f->n_leaves;
}

ParquetLeaf parquet_leaf(const ParquetFile *f, int column) {
    const Leaf *leaf = &f->leaves[column];
    bool bytes = leaf->type == TYPE_BYTE_ARRAY || (leaf->type == TYPE_FIXED && !leaf->half);
    return (ParquetLeaf){.field = leaf->top,
                         .member = leaf->last,
                         .kind = bytes ? PARQUET_BYTES : PARQUET_NUMBERS,
                         .list = leaf->max_rep > 0,
                         .readable = !leaf->unread};
}

// ---- column -----------------------------------------------------------------------------------

// Room that is used again and again.
typedef struct Room {
    void *data;
    size_t bytes;
} Room;

// What is known while a column is read.
typedef struct Read {
    const ParquetFile *f;
    const Leaf *leaf;
    ParquetColumn *out;
    Arena *arena;         // of out
    size_t left;          // bytes that may still be kept in it
    Room page;            // a page of numbers, unpacked
    Room rep, def;        // levels of a page
    Room scratch;         // indices of a page, or what is put together of it
    Room entries;         // the dictionary's numbers
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

static bool no_memory(const Read *r, size_t bytes, Error *err) {
    return fail_memory(err, "%s: column %s: could not get %zu bytes", r->f->path, r->leaf->path,
                       bytes);
}

static bool room_for(const Read *r, Room *room, size_t bytes, Error *err) {
    if (bytes <= room->bytes) return true;
    mem_free(room->data);
    room->data = mem_try_raw(bytes);
    room->bytes = room->data ? bytes : 0;
    return room->data || no_memory(r, bytes, err);
}

// Room in the column's own memory, up to what a read may keep.
static bool keep_room(Read *r, size_t bytes, uint8_t **out, Error *err) {
    if (bytes > r->left)
        return fail(err,
                    "%s: column %s: its values unpack to far more than the file holds, which is "
                    "refused (a damaged file?): copy it again, or write it again with dictionaries",
                    r->f->path, r->leaf->path);
    *out = arena_try(r->arena, bytes + 8);
    if (!*out) return no_memory(r, bytes, err);
    r->left -= bytes;
    return true;
}

static int bits_of(int max) {
    int bits = 0;
    while (max >> bits) bits++;
    return bits;
}

static bool decode_levels(const uint8_t *p, size_t bytes, int max, int64_t count, uint32_t *out) {
    if (!parquet_hybrid(p, bytes, bits_of(max), count, out)) return false;
    for (int64_t i = 0; i < count; i++)
        if (out[i] > (uint32_t)max) return false;
    return true;
}

// v1 pages hold repetition levels, definition levels and values behind each other, each kind of
// level with its length in front. Takes the levels off the front of the page.
static bool levels_v1(Page *page, int max, uint32_t *out) {
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

static bool read_levels(const Leaf *leaf, Page *page, const Levels *l) {
    if (page->type == PAGE_DATA)
        return levels_v1(page, leaf->max_rep, l->rep) && levels_v1(page, leaf->max_def, l->def);
    return (!leaf->max_rep || decode_levels(page->levels_rep, page->rep_bytes, leaf->max_rep,
                                            page->values, l->rep)) &&
           (!leaf->max_def ||
            decode_levels(page->levels_def, page->def_bytes, leaf->max_def, page->values, l->def));
}

// Room for the column's next leaves.
static Values values_tail(const Read *r) {
    const ParquetColumn *c = r->out;
    return c->kind == PARQUET_BYTES ? (Values){.bytes = c->bytes + c->count}
                                    : (Values){.numbers = c->numbers + c->count};
}

static bool values_damaged(const Read *r, Error *err) {
    return column_damaged(r, "a page does not hold the values it announces", err);
}

static bool decode_indices(Read *r, const Page *page, int64_t count, Values out, Error *err) {
    if (!room_for(r, &r->scratch, (size_t)count * sizeof(uint32_t), err)) return false;
    uint32_t *scratch = r->scratch.data;
    if (page->encoding == ENCODING_RLE)
        return r->leaf->type == TYPE_BOOLEAN
                   ? parquet_rle_booleans(page->data, page->bytes, count, out.numbers, scratch) ||
                         values_damaged(r, err)
                   : column_damaged(r, "RLE values that are no booleans", err);
    if (!r->has_dictionary) return column_damaged(r, "its dictionary is missing", err);
    return parquet_from_dictionary(r->dictionary, r->dictionary_size, page->data, page->bytes,
                                   count, out, scratch) ||
           values_damaged(r, err);
}

// Values that stand in the page in pieces.
static bool decode_pieces(Read *r, const Page *page, int64_t count, Values out, Error *err) {
    bool delta = page->encoding == ENCODING_DELTA_BYTE_ARRAY;
    size_t total = page->bytes;
    uint8_t *joined = NULL;
    if (delta && !parquet_delta_bytes_size(r->leaf, page->data, page->bytes, count, &total))
        return values_damaged(r, err);
    if (out.bytes) {
        if (!keep_room(r, total, &joined, err)) return false;
    } else if (delta) { // float16
        if (total != (size_t)count * (size_t)r->leaf->width) return values_damaged(r, err);
        if (!room_for(r, &r->scratch, total, err)) return false;
        joined = r->scratch.data;
    }
    return (delta ? parquet_delta_bytes(r->leaf, page->data, page->bytes, count, out, joined)
                  : parquet_split(r->leaf, page->data, page->bytes, count, out, joined)) ||
           values_damaged(r, err);
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
    case ENCODING_RLE:
        return decode_indices(r, page, count, out, err);
    case ENCODING_DELTA_BINARY_PACKED:
        ok = parquet_delta_packed(r->leaf, page->data, page->bytes, count, out);
        break;
    case ENCODING_DELTA_LENGTH_BYTE_ARRAY:
        ok = parquet_delta_length(r->leaf, page->data, page->bytes, count, out);
        break;
    case ENCODING_DELTA_BYTE_ARRAY:
    case ENCODING_BYTE_STREAM_SPLIT:
        return decode_pieces(r, page, count, out, err);
    default:
        return fail(err,
                    "%s: column %s has encoding %d, which is not supported: write it again with "
                    "pyarrow's defaults",
                    r->f->path, r->leaf->path, page->encoding);
    }
    return ok || values_damaged(r, err);
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

static bool levels_room(Read *r, int64_t count, Levels *l, Error *err) {
    size_t bytes = (size_t)count * sizeof(uint32_t);
    if (r->leaf->max_rep && !room_for(r, &r->rep, bytes, err)) return false;
    if (r->leaf->max_def && !room_for(r, &r->def, bytes, err)) return false;
    *l = (Levels){r->leaf->max_rep ? r->rep.data : NULL, r->leaf->max_def ? r->def.data : NULL};
    return true;
}

static bool read_data_page(Read *r, Page *page, Error *err) {
    Levels l;
    int64_t leaves, present;
    if (!levels_are_rle(r, page, err) || !levels_room(r, page->values, &l, err)) return false;
    if (!read_levels(r->leaf, page, &l))
        return column_damaged(r, "its levels do not hold together", err);
    if (!place_rows(r, &l, page->values, &leaves, &present))
        return column_damaged(r, "it has other rows than its row group", err);
    if (!decode_values(r, page, present, err)) return false;
    spread_present(r, &l, page->values, leaves, present);
    r->out->count += leaves;
    return true;
}

// Whether that many values can be in a dictionary of so many bytes.
static bool dictionary_fits(const Read *r, const Page *page) {
    const Leaf *leaf = r->leaf;
    size_t width = r->out->kind == PARQUET_NUMBERS ? parquet_number_width(leaf)
                   : leaf->type == TYPE_FIXED      ? (size_t)leaf->width
                                                   : 4; // their lengths alone
    return width ? (size_t)page->values <= page->bytes / width
                 : (size_t)page->values <= 8 * page->bytes;
}

static bool read_dictionary(Read *r, const Page *page, Error *err) {
    size_t n = (size_t)page->values;
    uint8_t *bytes = NULL;
    if (!dictionary_fits(r, page))
        return column_damaged(r, "its dictionary does not hold together", err);
    if (r->has_dictionary) return column_damaged(r, "it has two dictionaries in one place", err);
    r->dictionary = (Values){0};
    if (r->out->kind == PARQUET_BYTES) {
        if (!keep_room(r, (n + 1) * sizeof(ParquetBytes), &bytes, err)) return false;
        r->dictionary.bytes = (ParquetBytes *)(void *)bytes;
    } else {
        if (!room_for(r, &r->entries, (n + 1) * sizeof(double), err)) return false;
        r->dictionary.numbers = r->entries.data;
    }
    r->dictionary_size = page->values;
    r->has_dictionary = true;
    if (page->encoding != ENCODING_PLAIN && page->encoding != ENCODING_PLAIN_DICTIONARY)
        return fail(err, "%s: column %s has a dictionary in encoding %d; only PLAIN is supported",
                    r->f->path, r->leaf->path, page->encoding);
    return parquet_plain(r->leaf, page->data, page->bytes, page->values, r->dictionary) ||
           column_damaged(r, "its dictionary does not hold together", err);
}

// Gets the page's bytes: those of numbers where they are, or where the next page's will be, those
// of byte arrays into memory of the column's, since values point into them.
static bool page_bytes(Read *r, const Chunk *c, Page *page, Error *err) {
    uint8_t *out = NULL;
    if (r->out->kind == PARQUET_BYTES) {
        if (!keep_room(r, page->bytes, &out, err)) return false;
        if (!page->packed && page->bytes) memcpy(out, page->data, page->bytes);
        if (!page->packed) page->data = out;
    } else if (page->packed) {
        if (page->bytes > FREE_PAGE + PAGE_PER_VALUE * (size_t)page->values)
            return column_damaged(r, "a page unpacks to more than its values can take", err);
        if (!room_for(r, &r->page, page->bytes + 8, err)) return false;
        out = r->page.data;
    }
    return !page->packed || parquet_page_unpack(r->f, c, page, out, err);
}

static bool within_bounds(const ParquetColumn *out, int64_t first, const Chunk *c) {
    if (!c->bounded || out->kind != PARQUET_NUMBERS) return true;
    for (int64_t i = first; i < out->count; i++)
        if (out->numbers[i] < c->min || out->numbers[i] > c->max) return false; // a null is NaN
    return true;
}

static bool read_page(Read *r, const Chunk *c, Page *page, int64_t *seen, Error *err) {
    if (page->type == PAGE_DICTIONARY) {
        if (page->values > FREE_ENTRIES + c->values)
            return column_damaged(r, "its dictionary has more entries than there are values", err);
        return page_bytes(r, c, page, err) && read_dictionary(r, page, err);
    }
    if (page->values > c->values - *seen)
        return column_damaged(r, "its pages hold more values than it announces", err);
    if (page->values == 0) return true; // whatever it unpacks to
    *seen += page->values;
    return page_bytes(r, c, page, err) && read_data_page(r, page, err);
}

static bool read_chunk(Read *r, const RowGroup *g, Error *err) {
    int64_t first = r->out->count;
    const Chunk *c = &g->chunks[r->leaf - r->f->leaves];
    const uint8_t *at = r->f->data + c->start, *end = at + c->bytes;
    r->row_end = r->row + g->rows;
    r->in_row = r->has_dictionary = false;
    for (int64_t seen = 0; seen < c->values;) {
        Page page;
        if (at >= end) return column_damaged(r, "its pages end early", err);
        if (!parquet_page(r->f, c, &at, end, &page, err)) return false;
        if (page.type != PAGE_INDEX && !read_page(r, c, &page, &seen, err)) return false;
    }
    if (r->row != r->row_end) return column_damaged(r, "it has other rows than its row group", err);
    return within_bounds(r->out, first, c) ||
           column_damaged(r, "a value lies outside the range that its footer gives", err);
}

// Sizes of the whole read, from the footer, against the bytes that the column takes in the file:
// those of several chunks may be the same ones, but are no more than the file.
static bool plan_read(Read *r, int first, int groups, Error *err) {
    int64_t size = (int64_t)r->f->size, bytes = 0;
    for (int g = first; g < first + groups; g++) {
        const RowGroup *group = &r->f->groups[g];
        const Chunk *c = &group->chunks[r->leaf - r->f->leaves];
        if (c->encrypted)
            return fail(err,
                        "%s: column %s is encrypted, which is not supported: write the file again "
                        "unencrypted",
                        r->f->path, r->leaf->path);
        if (c->values > INT64_MAX / 64 - r->capacity || group->rows > c->values)
            return column_damaged(r, "it announces an impossible number of values", err);
        r->capacity += c->values;
        r->out->rows += group->rows;
        bytes = c->bytes < size - bytes ? bytes + c->bytes : size;
    }
    int64_t most = FREE_VALUES + VALUES_PER_BYTE * bytes;
    if (r->capacity > most && r->capacity > r->f->expected)
        return fail(err,
                    "%s: column %s: announces %lld values in %lld bytes, which is refused where "
                    "nothing else says so (a damaged file?): copy it again",
                    r->f->path, r->leaf->path, (long long)r->capacity, (long long)bytes);
    r->left = FREE_BYTES + BYTES_PER_BYTE * (size_t)bytes + BYTES_PER_VALUE * (size_t)r->capacity;
    return true;
}

// Memory that values do not reach is never touched.
static bool column_room(const Read *r, Error *err) {
    ParquetColumn *out = r->out;
    size_t n = (size_t)r->capacity + 1;
    size_t width = out->kind == PARQUET_BYTES ? sizeof *out->bytes : sizeof *out->numbers;
    void *values = mem_try_raw(n * width);
    if (!values) return no_memory(r, n * width, err);
    if (out->kind == PARQUET_BYTES)
        out->bytes = values;
    else
        out->numbers = values;
    if (r->leaf->max_rep == 0) return true;
    n = (size_t)out->rows + 1;
    out->offsets = mem_try_raw(n * sizeof *out->offsets);
    return out->offsets || no_memory(r, n * sizeof *out->offsets, err);
}

static bool read_groups(Read *r, int first, int groups, Error *err) {
    if (!plan_read(r, first, groups, err) || !column_room(r, err)) return false;
    for (int g = first; g < first + groups; g++)
        if (!read_chunk(r, &r->f->groups[g], err)) return false;
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
    if (leaf->unread)
        return fail(err, "%s: column %s %s; this is not supported", f->path, leaf->path,
                    leaf->unread);
    out->kind = leaf->type >= TYPE_BYTE_ARRAY && !leaf->half ? PARQUET_BYTES : PARQUET_NUMBERS;
    out->storage = TRY_NEW(Arena, 1);
    if (!out->storage) return fail_memory(err, "%s: column %s", f->path, leaf->path);
    Read r = {.f = f, .leaf = leaf, .out = out, .arena = out->storage};
    bool ok = read_groups(&r, first, groups, err);
    Room *rooms[] = {&r.page, &r.rep, &r.def, &r.scratch, &r.entries};
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) mem_free(rooms[i]->data);
    if (!ok) parquet_column_free(out);
    return ok;
}

void parquet_column_free(ParquetColumn *c) {
    if (c->storage) arena_free(c->storage);
    mem_free(c->storage);
    mem_free(c->offsets);
    mem_free(c->numbers);
    mem_free(c->bytes);
    *c = (ParquetColumn){0};
}
