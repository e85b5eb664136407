// SPDX-License-Identifier: Apache-2.0
// Compression of pages.
#include "formats/parquet_internal.h"

#include <brotli/decode.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

bool parquet_codec_known(int codec) {
    return codec >= CODEC_NONE && codec <= CODEC_LZ4_RAW && codec != CODEC_LZO &&
           codec != CODEC_LZ4_OLD;
}

const char *parquet_codec_name(int codec) {
    static const char *const names[] = {
        "none", "snappy", "gzip", "lzo", "brotli", "lz4 as Hadoop frames it", "zstd", "lz4_raw"};
    return codec >= CODEC_NONE && codec <= CODEC_LZ4_RAW ? names[codec] : "unknown";
}

// A page may be several members of gzip behind each other.
static bool inflate_exactly(const uint8_t *in, size_t n, uint8_t *out, size_t size, bool *memory) {
    z_stream z = {
        .next_in = (Bytef *)in, .avail_in = (uInt)n, .next_out = out, .avail_out = (uInt)size};
    int status = inflateInit2(&z, 15 + 32); // gzip or zlib wrapping
    *memory = status == Z_MEM_ERROR;
    if (status != Z_OK) return false;
    status = inflate(&z, Z_FINISH);
    while (status == Z_STREAM_END && z.avail_in > 0 && z.avail_out > 0 && inflateReset(&z) == Z_OK)
        status = inflate(&z, Z_FINISH);
    bool ok = status == Z_STREAM_END && z.avail_out == 0;
    inflateEnd(&z);
    *memory = status == Z_MEM_ERROR;
    return ok;
}

static bool unsnap(const uint8_t *in, size_t n, uint8_t *out, size_t size) {
    size_t length;
    return snappy_uncompressed_length((const char *)in, n, &length) == SNAPPY_OK &&
           length == size &&
           snappy_uncompress((const char *)in, n, (char *)out, &length) == SNAPPY_OK;
}

static bool unbrotli(const uint8_t *in, size_t n, uint8_t *out, size_t size, bool *memory) {
    BrotliDecoderState *s = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    *memory = !s;
    if (!s) return false;
    size_t room = size;
    bool ok = BrotliDecoderDecompressStream(s, &n, &in, &room, &out, NULL) ==
                  BROTLI_DECODER_RESULT_SUCCESS &&
              room == 0;
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(s);
    *memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
              code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
    BrotliDecoderDestroyInstance(s);
    return ok;
}

static bool unzstd(const uint8_t *in, size_t n, uint8_t *out, size_t size, bool *memory) {
    size_t made = ZSTD_decompress(out, size, in, n);
    *memory = ZSTD_isError(made) && ZSTD_getErrorCode(made) == ZSTD_error_memory_allocation;
    return made == size;
}

// A page and its unpacked bytes have at most INT32_MAX bytes, as its header gives them.
static bool unlz4(const uint8_t *in, size_t n, uint8_t *out, size_t size) {
    return n <= LZ4_MAX_INPUT_SIZE && size <= LZ4_MAX_INPUT_SIZE &&
           LZ4_decompress_safe((const char *)in, (char *)out, (int)n, (int)size) == (int)size;
}

bool parquet_unpack(int codec, const uint8_t *in, size_t n, uint8_t *out, size_t size,
                    bool *memory) {
    switch (codec) {
    case CODEC_SNAPPY:
        return unsnap(in, n, out, size);
    case CODEC_GZIP:
        return inflate_exactly(in, n, out, size, memory);
    case CODEC_BROTLI:
        return unbrotli(in, n, out, size, memory);
    case CODEC_ZSTD:
        return unzstd(in, n, out, size, memory);
    case CODEC_LZ4_RAW:
        return unlz4(in, n, out, size);
    default:
        return false;
    }
}
