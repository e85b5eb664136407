// SPDX-License-Identifier: Apache-2.0
// Arrays: how they look, whether their storage can hold that, and their rows.
#include "import/hdf5_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

// ---- number types -------------------------------------------------------------------------------

static void name_number(hid_t type, H5T_class_t class, Hdf5Shape *out) {
    size_t bits = 8 * H5Tget_size(type);
    bool power = bits == 8 || bits == 16 || bits == 32 || bits == 64;
    if (!power || (class == H5T_FLOAT && bits == 8)) return;
    const char *kind = class == H5T_FLOAT ? "float" : "int";
    bool is_unsigned = class == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_NONE;
    snprintf(out->dtype, sizeof out->dtype, "%s%s%zu", is_unsigned ? "u" : "", kind, bits);
    out->numbers = true;
    out->bytes = is_unsigned && bits == 8;
}

// The type's part of a shape. Returns the size of one value, 0 for what cannot be used.
static size_t describe_type(hid_t type, Hdf5Shape *out) {
    H5T_class_t class = H5Tget_class(type);
    snprintf(out->dtype, sizeof out->dtype, "object");
    if (class == H5T_INTEGER || class == H5T_FLOAT) {
        name_number(type, class, out);
    } else if (class == H5T_ENUM && H5Tget_size(type) == 1) { // h5py's truth values
        snprintf(out->dtype, sizeof out->dtype, "bool");
        out->numbers = true;
    } else if ((class == H5T_STRING && H5Tis_variable_str(type) <= 0) || class == H5T_OPAQUE) {
        snprintf(out->dtype, sizeof out->dtype, "bytes");
        out->bytes = true;
    } else if (class == H5T_VLEN) {
        hid_t item = H5Tget_super(type);
        out->pieces = item >= 0 && H5Tget_class(item) == H5T_INTEGER && H5Tget_size(item) == 1;
        if (item >= 0) H5Tclose(item);
    }
    return H5Tget_size(type);
}

// ---- storage ------------------------------------------------------------------------------------

static const char *filter_name(H5Z_filter_t filter) {
    switch (filter) {
    case H5Z_FILTER_DEFLATE:
        return "gzip";
    case H5Z_FILTER_SZIP:
        return "szip";
    case FILTER_LZF:
        return "lzf";
    case FILTER_BLOSC:
        return "blosc";
    case FILTER_LZ4:
        return "lz4";
    case FILTER_ZSTD:
        return "zstd";
    case H5Z_FILTER_SHUFFLE:
    case H5Z_FILTER_FLETCHER32:
        return NULL; // compress nothing
    default:
        return "compressed";
    }
}

// The codec of an array, and how many times smaller than itself its storage may be.
static bool describe_filters(hid_t made, const char *path, const char *array, Hdf5Shape *out,
                             double *most, Error *err) {
    enum { GZIP_AT_MOST = 1100, OTHERS_AT_MOST = 20000 };
    int n = H5Pget_nfilters(made);
    *most = 1;
    out->codec = "none";
    for (int i = 0; i < n; i++) {
        unsigned flags, config;
        size_t values = 0;
        H5Z_filter_t filter =
            H5Pget_filter2(made, (unsigned)i, &flags, &values, NULL, 0, NULL, &config);
        const char *name = filter_name(filter);
        if (H5Zfilter_avail(filter) <= 0)
            return fail(
                err,
                "%s: %s: compressed with filter %d (%s), which is not read here; install its "
                "plugin for libhdf5 (HDF5_PLUGIN_PATH), or write the file again with "
                "h5repack -f GZIP=4 IN OUT where it can be read",
                path, array, (int)filter, name ? name : "without a name");
        if (!name) continue;
        out->codec = name;
        *most = filter == H5Z_FILTER_DEFLATE ? GZIP_AT_MOST : OTHERS_AT_MOST;
    }
    return true;
}

// The number of an array's chunks and the bytes of all of them, which may reach beyond the array;
// 0: not in chunks.
static uint64_t count_chunks(hid_t made, const Hdf5Shape *s, int rank, size_t size, double *bytes) {
    hsize_t chunk[HDF5_MOST_DIMS];
    uint64_t n = 1;
    if (H5Pget_layout(made) != H5D_CHUNKED || H5Pget_chunk(made, rank, chunk) != rank) return 0;
    *bytes = (double)size;
    for (int i = 0; i < rank; i++) {
        uint64_t along = ((uint64_t)s->dims[i] + chunk[i] - 1) / chunk[i];
        n *= along;
        *bytes *= (double)along * (double)chunk[i];
    }
    return n;
}

// Whether an array of so many bytes was written whole, and can be read.
static bool check_storage(const Hdf5 *f, const char *array, hid_t data, hid_t made, hid_t space,
                          size_t size, double bytes, Hdf5Shape *out, Error *err) {
    double most;
    if (H5Pget_external_count(made) > 0 || H5Pget_layout(made) == H5D_VIRTUAL)
        return fail(err,
                    "%s: %s: its rows lie in other files; write it into one file (h5repack, or "
                    "h5py's [...] into a new array)",
                    f->path, array);
    if (!describe_filters(made, f->path, array, out, &most, err)) return false;
    uint64_t chunks = count_chunks(made, out, out->rank, size, &bytes);
    double stored = (double)H5Dget_storage_size(data);
    hsize_t written = 0;
    if (chunks > 0 && H5Dget_num_chunks(data, space, &written) < 0)
        return hdf5_fail(err, f->path, array, "its chunks cannot be found; copy the file again");
    if (written < chunks)
        return fail(err,
                    "%s: %s: only %llu of its %llu chunks were ever written, as when a recording "
                    "breaks off; record it again, or leave it out",
                    f->path, array, (unsigned long long)written, (unsigned long long)chunks);
    if (stored > (double)f->bytes || bytes > most * stored)
        return fail(err,
                    "%s: %s: its %.0f bytes cannot be in the %.0f that it has in a file of %llu; "
                    "nothing was written into it, or the file is damaged",
                    f->path, array, bytes, stored, (unsigned long long)f->bytes);
    return true;
}

// ---- shapes -------------------------------------------------------------------------------------

// The dimensions, and the product of them and `size` in *bytes; the first may be 0.
static bool describe_space(const Hdf5 *f, const char *array, hid_t space, size_t size,
                           uint64_t *bytes, Hdf5Shape *out, Error *err) {
    hsize_t dims[H5S_MAX_RANK];
    int rank = H5Sget_simple_extent_type(space) == H5S_NULL
                   ? 0
                   : H5Sget_simple_extent_dims(space, dims, NULL);
    *bytes = size;
    if (rank < 0 || rank >= HDF5_MOST_DIMS)
        return fail(err, "%s: %s: it has %d dimensions, which nothing here has", f->path, array,
                    rank);
    for (int i = 0; i < rank; i++) {
        if (__builtin_mul_overflow(*bytes, dims[i], bytes) || *bytes > INT64_MAX)
            return fail(err, "%s: %s: a shape of more bytes than there are", f->path, array);
        out->dims[i] = (int64_t)dims[i];
        // Such a row is several pieces, and who reads one has room for one.
        if (i > 0 && dims[i] != 1) out->pieces = false;
    }
    out->rank = rank;
    return true;
}

// The bytes that a value takes in the file: of what has no fixed length a length and a place, an
// address and a number there.
static size_t size_in_file(const Hdf5 *f, hid_t type, size_t size) {
    size_t address = 8, length;
    if (H5Tget_class(type) != H5T_VLEN && H5Tis_variable_str(type) <= 0) return size;
    hid_t made = H5Fget_create_plist(f->file);
    if (made >= 0) {
        H5Pget_sizes(made, &address, &length);
        H5Pclose(made);
    }
    return 4 + address + 4;
}

static bool describe(const Hdf5 *f, const char *array, hid_t data, Hdf5Shape *out, Error *err) {
    hid_t type = H5Dget_type(data), space = H5Dget_space(data), made = H5Dget_create_plist(data);
    uint64_t bytes;
    bool ok = (type >= 0 && space >= 0 && made >= 0) ||
              hdf5_fail(err, f->path, array, "cannot be read; copy the file again");
    *out = (Hdf5Shape){.codec = "none"};
    size_t size = ok ? describe_type(type, out) : 0;
    if (size > 0) size = size_in_file(f, type, size);
    ok = ok && describe_space(f, array, space, size, &bytes, out, err) &&
         check_storage(f, array, data, made, space, size, (double)bytes, out, err);
    if (ok && out->bytes && !out->numbers) out->dims[out->rank++] = (int64_t)size;
    if (made >= 0) H5Pclose(made);
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    return ok;
}

// Opens an array and describes it; negative after a failure.
static hid_t open_array(const Hdf5 *f, const char *array, hid_t access, Hdf5Shape *shape,
                        Error *err) {
    hid_t data = H5Dopen2(f->file, array, access);
    if (data < 0) {
        hdf5_fail(err, f->path, array, "there is no such array");
        return -1;
    }
    if (describe(f, array, data, shape, err)) return data;
    H5Dclose(data);
    return -1;
}

bool hdf5_shape(const Hdf5 *f, const char *array, Hdf5Shape *out, Error *err) {
    hdf5_enter();
    hid_t data = open_array(f, array, H5P_DEFAULT, out, err);
    if (data >= 0) H5Dclose(data);
    hdf5_leave();
    return data >= 0;
}

// ---- reading ------------------------------------------------------------------------------------

// An open array.
struct Hdf5Rows {
    hid_t data, type; // type: of the values in memory
    Hdf5Shape shape;
    char *path, *array;
};

static int rank_in_file(const Hdf5Shape *s) {
    return s->rank - (s->bytes && !s->numbers);
}

// Reads rows first .. first + n - 1.
static bool read_rows(const Hdf5Rows *r, hid_t type, int64_t first, int64_t n, void *out,
                      Error *err) {
    const Hdf5Shape *s = &r->shape;
    hsize_t start[HDF5_MOST_DIMS] = {(hsize_t)first}, count[HDF5_MOST_DIMS] = {(hsize_t)n};
    int rank = rank_in_file(s);
    if (rank < 1 || first < 0 || n < 1 || first > s->dims[0] - n)
        return fail(err, "%s: %s: there is no row %lld in it", r->path, r->array,
                    (long long)(first + n - 1));
    for (int i = 1; i < rank; i++) count[i] = (hsize_t)s->dims[i];
    hid_t file = H5Dget_space(r->data), memory = H5Screate_simple(rank, count, NULL);
    bool ok = (file >= 0 && memory >= 0 &&
               H5Sselect_hyperslab(file, H5S_SELECT_SET, start, NULL, count, NULL) >= 0 &&
               H5Dread(r->data, type, memory, file, H5P_DEFAULT, out) >= 0) ||
              hdf5_fail(err, r->path, r->array, "cannot be read; copy the file again");
    if (memory >= 0) H5Sclose(memory);
    if (file >= 0) H5Sclose(file);
    return ok;
}

// Whole numbers of 8 bytes became doubles, in which those from 2^53 on may be others by now.
static bool check_exact(const Hdf5Rows *r, int64_t first, int64_t n, const double *values,
                        Error *err) {
    int64_t width = 1;
    if (!strstr(r->shape.dtype, "int64")) return true;
    for (int i = 1; i < r->shape.rank; i++) width *= r->shape.dims[i];
    for (int64_t i = 0; i < n * width; i++)
        if (!(fabs(values[i]) < 0x1p53))
            return fail(
                err,
                "%s: %s: value %lld of row %lld is %.0f or a neighbour of it, a whole number "
                "of 2^53 or beyond, which a dataset does not hold: write the array again as "
                "float64, or leave it out",
                r->path, r->array, (long long)(i % width), (long long)(first + i / width),
                values[i]);
    return true;
}

bool hdf5_read_doubles(const Hdf5 *f, const char *array, int64_t first, int64_t n, double *out,
                       Error *err) {
    Hdf5Rows r = {.path = f->path, .array = (char *)array};
    hdf5_enter();
    r.data = open_array(f, array, H5P_DEFAULT, &r.shape, err);
    bool ok =
        r.data >= 0 && (r.shape.numbers || fail(err, "%s: %s: holds no numbers", f->path, array)) &&
        read_rows(&r, H5T_NATIVE_DOUBLE, first, n, out, err) && check_exact(&r, first, n, out, err);
    if (r.data >= 0) H5Dclose(r.data);
    hdf5_leave();
    return ok;
}

// n strings of one length, which zeros fill up.
static bool read_fixed_strings(const Hdf5Rows *r, int64_t n, size_t size, Arena *arena,
                               const char **out, Error *err) {
    char *all = mem_try((size_t)n * size);
    bool ok = (all || fail_memory(err, "%s: %s", r->path, r->array)) &&
              read_rows(r, r->type, 0, n, all, err);
    for (int64_t i = 0; ok && i < n; i++)
        out[i] = arena_printf(arena, "%.*s", (int)size, all + (size_t)i * size);
    mem_free(all);
    return ok;
}

static bool read_variable_strings(const Hdf5Rows *r, int64_t n, Arena *arena, const char **out,
                                  Error *err) {
    char **all = NEW(char *, n);
    bool ok = read_rows(r, r->type, 0, n, all, err);
    for (int64_t i = 0; i < n; i++) {
        if (ok) out[i] = arena_strdup(arena, all[i] ? all[i] : "");
        if (all[i]) H5free_memory(all[i]);
    }
    mem_free(all);
    return ok;
}

bool hdf5_read_strings(const Hdf5 *f, const char *array, Arena *arena, const char *const **out,
                       int64_t *n, Error *err) {
    enum { MOST_NAMES = 1 << 18 };
    Hdf5Rows r = {.path = f->path, .array = (char *)array, .type = -1};
    *n = 0;
    hdf5_enter();
    r.data = open_array(f, array, H5P_DEFAULT, &r.shape, err);
    bool ok = r.data >= 0;
    if (ok) r.type = H5Dget_type(r.data);
    if (ok && (r.type < 0 || H5Tget_class(r.type) != H5T_STRING || rank_in_file(&r.shape) != 1))
        ok = fail(err, "%s: %s: it is no list of names", f->path, array);
    // A name takes 64 bytes in memory, and next to none in the file where all are the same.
    if (ok && r.shape.dims[0] > MOST_NAMES + (int64_t)(f->bytes / 4))
        ok = fail(err, "%s: %s: %lld names in a file of %llu bytes; the file is damaged", f->path,
                  array, (long long)r.shape.dims[0], (unsigned long long)f->bytes);
    if (ok && r.shape.dims[0] > 0) {
        const char **names = arena_alloc(arena, sizeof *names * (size_t)r.shape.dims[0]);
        ok = H5Tis_variable_str(r.type) > 0
                 ? read_variable_strings(&r, r.shape.dims[0], arena, names, err)
                 : read_fixed_strings(&r, r.shape.dims[0], H5Tget_size(r.type), arena, names, err);
        *out = names;
        if (ok) *n = r.shape.dims[0];
    }
    if (r.type >= 0) H5Tclose(r.type);
    if (r.data >= 0) H5Dclose(r.data);
    hdf5_leave();
    return ok;
}

// ---- row by row ---------------------------------------------------------------------------------

// How an array is opened to be read row by row: the chunks that a row lies in stay in memory while
// the rows after it are read, so that each is decompressed once.
static hid_t row_access(const Hdf5 *f, const char *array) {
    enum { LEAST = 1 << 20, MOST = 256 << 20, SLOTS = 4093 };
    hid_t access = H5Pcreate(H5P_DATASET_ACCESS), data = H5Dopen2(f->file, array, H5P_DEFAULT);
    hid_t made = data < 0 ? -1 : H5Dget_create_plist(data),
          type = data < 0 ? -1 : H5Dget_type(data);
    hid_t space = data < 0 ? -1 : H5Dget_space(data);
    hsize_t chunk[H5S_MAX_RANK], dims[H5S_MAX_RANK];
    int rank = space < 0 ? -1 : H5Sget_simple_extent_dims(space, dims, NULL);
    if (rank > 0 && made >= 0 && type >= 0 && H5Pget_layout(made) == H5D_CHUNKED &&
        H5Pget_chunk(made, rank, chunk) == rank) {
        double bytes = (double)H5Tget_size(type) * (double)chunk[0];
        for (int i = 1; i < rank; i++)
            bytes *= (double)((dims[i] + chunk[i] - 1) / chunk[i]) * (double)chunk[i];
        size_t cache = bytes < LEAST ? LEAST : bytes > MOST ? MOST : (size_t)bytes;
        H5Pset_chunk_cache(access, SLOTS, cache, 1);
    }
    if (space >= 0) H5Sclose(space);
    if (type >= 0) H5Tclose(type);
    if (made >= 0) H5Pclose(made);
    if (data >= 0) H5Dclose(data);
    return access;
}

bool hdf5_rows_open(const Hdf5 *f, const char *array, Hdf5Rows **out, Error *err) {
    Hdf5Rows r = {.type = -1};
    *out = NULL;
    hdf5_enter();
    hid_t access = row_access(f, array);
    r.data = open_array(f, array, access, &r.shape, err);
    bool ok = r.data >= 0;
    if (ok && r.shape.pieces)
        r.type = H5Tvlen_create(H5T_NATIVE_UCHAR);
    else if (ok && r.shape.bytes)
        r.type = H5Dget_type(r.data);
    else if (ok)
        ok = fail(err, "%s: %s: holds no bytes", f->path, array);
    if (access >= 0) H5Pclose(access);
    if (!ok && r.data >= 0) H5Dclose(r.data);
    hdf5_leave();
    if (!ok) return false;
    r.path = mem_strdup(f->path);
    r.array = mem_strdup(array);
    *out = NEW(Hdf5Rows, 1);
    **out = r;
    return true;
}

static bool read_piece(const Hdf5Rows *r, int64_t row, uint8_t **bytes, size_t *size, Error *err) {
    hvl_t piece = {0};
    if (!read_rows(r, r->type, row, 1, &piece, err)) return false;
    *size = piece.len;
    *bytes = mem_try_raw(piece.len + 1);
    bool ok = *bytes || fail_memory(err, "%s: %s", r->path, r->array);
    if (ok && piece.len) memcpy(*bytes, piece.p, piece.len);
    if (piece.p) H5free_memory(piece.p);
    return ok;
}

bool hdf5_rows_read(Hdf5Rows *rows, int64_t row, uint8_t **bytes, size_t *size, Error *err) {
    const Hdf5Shape *s = &rows->shape;
    bool ok = true;
    *bytes = NULL;
    *size = 1;
    for (int i = 1; i < s->rank; i++) *size *= (size_t)s->dims[i];
    if (!s->pieces) *bytes = mem_try_raw(*size + 1);
    if (!s->pieces && !*bytes) return fail_memory(err, "%s: %s", rows->path, rows->array);
    hdf5_enter();
    ok = s->pieces ? read_piece(rows, row, bytes, size, err)
                   : read_rows(rows, rows->type, row, 1, *bytes, err);
    hdf5_leave();
    if (ok) return true;
    mem_free(*bytes);
    *bytes = NULL;
    return false;
}

void hdf5_rows_close(Hdf5Rows *rows) {
    if (!rows) return;
    hdf5_enter();
    H5Tclose(rows->type);
    H5Dclose(rows->data);
    hdf5_leave();
    mem_free(rows->path);
    mem_free(rows->array);
    mem_free(rows);
}
