// SPDX-License-Identifier: Apache-2.0
// The compressors that recordings are written with and libhdf5 does not bring: h5py's own lzf, and
// blosc and zstd of the package hdf5plugin. For reading alone. A chunk may not grow by more than
// the compressor can make of it, so memory is asked for by the bytes that are there.
#include "import/hdf5_internal.h"

#include <blosc.h>
#include <string.h>
#include <zstd.h>

// A filter's function: unpacks n bytes of *buffer into a block of at most *room bytes, which takes
// the place of *buffer. Returns its bytes, 0 for a failure.
typedef size_t Unpack(const uint8_t *in, size_t n, const unsigned *values, size_t n_values,
                      uint8_t **out);

static size_t run_filter(Unpack *unpack, unsigned flags, size_t n_values, const unsigned *values,
                         size_t n, size_t *room, void **buffer) {
    uint8_t *out = NULL;
    if (!(flags & H5Z_FLAG_REVERSE)) return 0;
    size_t bytes = unpack(*buffer, n, values, n_values, &out);
    if (bytes == 0) {
        if (out) H5free_memory(out);
        return 0;
    }
    H5free_memory(*buffer);
    *buffer = out;
    *room = bytes;
    return bytes;
}

// ---- lzf ----------------------------------------------------------------------------------------

// Runs of control bytes: below 32, that many bytes and one stand behind it; else its upper three
// bits (7: and the next byte) and 2 are a length, its lower five and the next byte the distance
// less one to the bytes that are repeated.
static size_t lzf_decode(const uint8_t *in, size_t n, uint8_t *out, size_t room) {
    const uint8_t *end = in + n;
    size_t at = 0;
    while (in < end) {
        size_t control = *in++;
        if (control < 32) {
            size_t run = control + 1;
            if (run > (size_t)(end - in) || run > room - at) return 0;
            memcpy(out + at, in, run);
            in += run;
            at += run;
            continue;
        }
        size_t length = control >> 5;
        if (length == 7) {
            if (in == end) return 0;
            length += *in++;
        }
        if (in == end) return 0;
        size_t back = ((control & 31) << 8 | *in++) + 1;
        length += 2;
        if (back > at || length > room - at) return 0;
        for (; length > 0; length--, at++) out[at] = out[at - back]; // they may overlap
    }
    return at;
}

static size_t unpack_lzf(const uint8_t *in, size_t n, const unsigned *values, size_t n_values,
                         uint8_t **out) {
    enum { SIZE = 2, MOST_TIMES = 100 };
    size_t room = n_values > SIZE ? values[SIZE] : 0;
    if (room == 0 || room / MOST_TIMES > n) return 0;
    *out = H5allocate_memory(room, false);
    return *out ? lzf_decode(in, n, *out, room) : 0;
}

// ---- blosc, zstd --------------------------------------------------------------------------------

enum { MOST_TIMES = 20000 }; // as OTHERS_AT_MOST of hdf5_array.c

static size_t unpack_blosc(const uint8_t *in, size_t n, const unsigned *values, size_t n_values,
                           uint8_t **out) {
    size_t room = 0;
    (void)values, (void)n_values;
    if (n < BLOSC_MIN_HEADER_LENGTH || blosc_cbuffer_validate(in, n, &room) != 0 || room == 0 ||
        room / MOST_TIMES > n)
        return 0;
    *out = H5allocate_memory(room, false);
    return *out && blosc_decompress_ctx(in, *out, room, 1) == (int)room ? room : 0;
}

static size_t unpack_zstd(const uint8_t *in, size_t n, const unsigned *values, size_t n_values,
                          uint8_t **out) {
    unsigned long long room = ZSTD_getFrameContentSize(in, n);
    (void)values, (void)n_values;
    if (room == ZSTD_CONTENTSIZE_UNKNOWN || room == ZSTD_CONTENTSIZE_ERROR || room == 0 ||
        room / MOST_TIMES > n)
        return 0;
    *out = H5allocate_memory((size_t)room, false);
    return *out && ZSTD_decompress(*out, (size_t)room, in, n) == room ? (size_t)room : 0;
}

// ---- libhdf5's side -----------------------------------------------------------------------------

#define FILTER(name)                                                                               \
    static size_t filter_##name(unsigned flags, size_t n_values, const unsigned *values, size_t n, \
                                size_t *room, void **buffer) {                                     \
        return run_filter(unpack_##name, flags, n_values, values, n, room, buffer);                \
    }
FILTER(lzf)
FILTER(blosc)
FILTER(zstd)

void hdf5_add_filters(void) {
    static const H5Z_class2_t filters[] = {
        {H5Z_CLASS_T_VERS, FILTER_LZF, 0, 1, "lzf", NULL, NULL, filter_lzf},
        {H5Z_CLASS_T_VERS, FILTER_BLOSC, 0, 1, "blosc", NULL, NULL, filter_blosc},
        {H5Z_CLASS_T_VERS, FILTER_ZSTD, 0, 1, "zstd", NULL, NULL, filter_zstd},
    };
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) H5Zregister(&filters[i]);
}
