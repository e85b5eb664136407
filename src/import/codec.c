// SPDX-License-Identifier: Apache-2.0
#include "import/codec.h"

#include <blosc.h>
#include <limits.h>
#include <lz4.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

// ---- which --------------------------------------------------------------------------------------

static const struct {
    const char *id;
    CodecKind kind;
    const char *name;
} codecs[] = {
    {"blosc", CODEC_BLOSC, "blosc"},
    {"zlib", CODEC_ZLIB, "zlib"},
    {"gzip", CODEC_GZIP, "gzip"},
    {"zstd", CODEC_ZSTD, "zstd"},
    {"lz4", CODEC_LZ4, "lz4"},
    {"imagecodecs_jpegxl", CODEC_JPEGXL, "JPEG XL"},
    {"imagecodecs_jpeg", CODEC_JPEG, "JPEG"},
    {"imagecodecs_png", CODEC_PNG, "PNG"},
    {"imagecodecs_webp", CODEC_WEBP, "WebP"},
};

bool codec_parse(const json_t *description, Codec *out, Error *err) {
    *out = (Codec){.kind = CODEC_NONE, .name = "none"};
    if (!description || json_is_null(description)) return true;
    const char *id = json_string_value(json_object_get(description, "id"));
    if (!id) return fail(err, "names no compressor that can be understood: the file is damaged");
    for (size_t i = 0; i < sizeof codecs / sizeof *codecs; i++) {
        if (strcmp(id, codecs[i].id) != 0) continue;
        const char *inner = json_string_value(json_object_get(description, "cname"));
        if (codecs[i].kind != CODEC_BLOSC) inner = NULL;
        out->kind = codecs[i].kind;
        snprintf(out->name, sizeof out->name, "%s%s%.16s", codecs[i].name, inner ? " " : "",
                 inner ? inner : "");
        return true;
    }
    return fail(err,
                "is compressed with %.60s, which is not read: write the array again with blosc, "
                "zstd, zlib, gzip, lz4 or imagecodecs_jpegxl (in Python: zarr.copy with "
                "compressor=numcodecs.Blosc())",
                id);
}

// ---- before memory is asked for -----------------------------------------------------------------

// Nothing that these compressors make unpacks to more than so many times its size.
enum { ZLIB_MOST = 1032, LZ4_MOST = 255, ZSTD_MOST = 32768 };

static uint32_t u32(const uint8_t *p) {
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

CHECKED static bool other_size(size_t is, size_t wanted, Error *err) {
    return fail(err, "holds %zu bytes, but a chunk of the array has %zu: the file is damaged", is,
                wanted);
}

CHECKED static bool is_damaged(const Codec *c, Error *err) {
    return fail(err, "is no whole data of %s: the file is cut short or damaged", c->name);
}

CHECKED static bool check_blosc(const Codec *c, const uint8_t *in, size_t n, size_t wanted,
                                Error *err) {
    size_t bytes = 0;
    if (n < BLOSC_MIN_HEADER_LENGTH || blosc_cbuffer_validate(in, n, &bytes) != 0)
        return is_damaged(c, err);
    return bytes == wanted || other_size(bytes, wanted, err);
}

// Frames that were written as a stream do not say their size; a block of four bytes can be 128 KiB.
CHECKED static bool check_zstd(const Codec *c, const uint8_t *in, size_t n, size_t wanted,
                               Error *err) {
    unsigned long long bytes = ZSTD_getFrameContentSize(in, n);
    if (bytes == ZSTD_CONTENTSIZE_ERROR) return is_damaged(c, err);
    if (bytes == ZSTD_CONTENTSIZE_UNKNOWN) return wanted / ZSTD_MOST <= n || is_damaged(c, err);
    return bytes == wanted || other_size((size_t)bytes, wanted, err);
}

bool codec_check(const Codec *c, CodecState **state, const uint8_t *in, size_t n,
                 const CodecWish *wish, Error *err) {
    size_t wanted = wish->bytes;
    if (wanted > CODEC_FREE + CODEC_PER_BYTE * n)
        return fail(err,
                    "holds %zu bytes for a chunk of %zu, which is refused (a damaged file?): write "
                    "the array again in smaller chunks",
                    n, wanted);
    switch (c->kind) {
    case CODEC_NONE:
        return n == wanted || other_size(n, wanted, err);
    case CODEC_BLOSC:
        return check_blosc(c, in, n, wanted, err);
    case CODEC_ZLIB:
    case CODEC_GZIP:
        return wanted / ZLIB_MOST <= n || is_damaged(c, err);
    case CODEC_ZSTD:
        return check_zstd(c, in, n, wanted, err);
    case CODEC_LZ4:
        if (n < 4 || n > INT_MAX || wanted / LZ4_MOST > n) return is_damaged(c, err);
        return u32(in) == wanted || other_size(u32(in), wanted, err);
    case CODEC_JPEGXL:
        return jxl_check(state, in, n, wish->height, wish->width, err);
    case CODEC_JPEG:
    case CODEC_PNG:
    case CODEC_WEBP:
        return true; // image_decode sees to it
    }
    return false;
}

// ---- unpacking ----------------------------------------------------------------------------------

static bool inflate_whole(const uint8_t *in, size_t n, int window, uint8_t *out, size_t bytes) {
    z_stream z = {.next_in = (Bytef *)in, .next_out = out};
    if (n > UINT_MAX || bytes > UINT_MAX || inflateInit2(&z, window) != Z_OK) return false;
    z.avail_in = (uInt)n;
    z.avail_out = (uInt)bytes;
    bool ok = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == bytes;
    inflateEnd(&z);
    return ok;
}

CHECKED static bool unpack_image(const Codec *c, const uint8_t *in, size_t n, const CodecWish *wish,
                                 uint8_t *out, Error *err) {
    Image image = {0};
    Error why;
    if (!wish->decode(in, n, "its image", &image, &why))
        return fail_because(err, &why, "holds no readable %s: %.700s", c->name, why.text);
    bool ok = (image.height == wish->height && image.width == wish->width) ||
              fail(err, "holds an image of %d x %d, but the array's are %d x %d", image.height,
                   image.width, wish->height, wish->width);
    if (ok) memcpy(out, image.rgb, wish->bytes);
    image_free(&image);
    return ok;
}

bool codec_unpack(const Codec *c, CodecState **state, const uint8_t *in, size_t n,
                  const CodecWish *wish, uint8_t *out, Error *err) {
    size_t bytes = wish->bytes;
    bool ok = false;
    switch (c->kind) {
    case CODEC_NONE:
        memcpy(out, in, bytes);
        return true;
    case CODEC_BLOSC:
        ok = blosc_decompress_ctx(in, out, bytes, 1) == (int)bytes;
        break;
    case CODEC_ZLIB:
        ok = inflate_whole(in, n, MAX_WBITS, out, bytes);
        break;
    case CODEC_GZIP:
        ok = inflate_whole(in, n, MAX_WBITS + 16, out, bytes);
        break;
    case CODEC_ZSTD:
        ok = ZSTD_decompress(out, bytes, in, n) == bytes;
        break;
    case CODEC_LZ4:
        ok = LZ4_decompress_safe((const char *)in + 4, (char *)out, (int)n - 4, (int)bytes) ==
             (int)bytes;
        break;
    case CODEC_JPEGXL:
        return jxl_unpack(state, in, n, wish->height, wish->width, out, err);
    case CODEC_JPEG:
    case CODEC_PNG:
    case CODEC_WEBP:
        return unpack_image(c, in, n, wish, out, err);
    }
    return ok || is_damaged(c, err);
}
