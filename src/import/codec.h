// SPDX-License-Identifier: Apache-2.0
// The compressors of zarr's chunks, as numcodecs and imagecodecs write them.
#ifndef TACT_IMPORT_CODEC_H
#define TACT_IMPORT_CODEC_H

#include "base/error.h"
#include "image/image.h"
#include <jansson.h>
#include <stdint.h>

typedef bool ImageDecode(const void *bytes, size_t size, const char *name, Image *out, Error *err);

typedef enum CodecKind {
    CODEC_NONE,
    CODEC_BLOSC,
    CODEC_ZLIB,
    CODEC_GZIP,
    CODEC_ZSTD,
    CODEC_LZ4,
    CODEC_JPEGXL, // the image codecs: a chunk is one image, (1, height, width, 3) of uint8
    CODEC_JPEG,
    CODEC_PNG,
    CODEC_WEBP,
} CodecKind;

typedef struct Codec {
    CodecKind kind;
    char name[32]; // for people: "blosc lz4", "JPEG XL", "none"
} Codec;

static inline bool codec_is_image(const Codec *c) {
    return c->kind >= CODEC_JPEGXL;
}

// What a thread keeps from chunk to chunk; NULL at first.
typedef struct CodecState CodecState;

// What a chunk is to become.
typedef struct CodecWish {
    size_t bytes;
    int height, width;   // of an image codec
    ImageDecode *decode; // of JPEG, PNG and WebP
} CodecWish;

// Reads zarr's description of a compressor, null or an object with an id. An error is a part of a
// sentence: "is compressed with bz2, which ...".
CHECKED bool codec_parse(const json_t *description, Codec *out, Error *err);

// What a chunk may unpack to: 64 MiB, and so many times its bytes.
enum { CODEC_FREE = 64 << 20, CODEC_PER_BYTE = 128 };

// Whether the bytes claim to become what is wished for, and can: what it takes to ask for that much
// memory. Errors of this and the next are parts of a sentence: "holds 12 bytes, ...".
CHECKED bool codec_check(const Codec *c, CodecState **state, const uint8_t *in, size_t n,
                         const CodecWish *wish, Error *err);
// Unpacks into out, wish->bytes bytes of it. After codec_check.
CHECKED bool codec_unpack(const Codec *c, CodecState **state, const uint8_t *in, size_t n,
                          const CodecWish *wish, uint8_t *out, Error *err);
void codec_state_free(CodecState *state); // NULL allowed

// ---- JPEG XL (codec_jxl.c) ----------------------------------------------------------------------

CHECKED bool jxl_check(CodecState **state, const uint8_t *in, size_t n, int height, int width,
                       Error *err);
// out: (height, width, 3), sRGB as the image's own profile says.
CHECKED bool jxl_unpack(CodecState **state, const uint8_t *in, size_t n, int height, int width,
                        uint8_t *out, Error *err);

#endif
