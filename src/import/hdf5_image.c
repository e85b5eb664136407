// SPDX-License-Identifier: Apache-2.0
#include "import/hdf5_image.h"

#include <string.h>

// ---- JPEG: markers (0xFF, code), most with a segment behind them --------------------------------

enum { SOF0 = 0xC0, SOF15 = 0xCF, DHT = 0xC4, JPG = 0xC8, DAC = 0xCC, SOI = 0xD8, EOI, SOS };

static bool is_frame_header(int code) {
    return code >= SOF0 && code <= SOF15 && code != DHT && code != JPG && code != DAC;
}

// From the compressed data behind a scan's header to the next marker: in the data every 0xFF is
// followed by 0 or by the number of a restart.
static size_t skip_scan(const uint8_t *bytes, size_t size, size_t at) {
    while (at + 1 < size) {
        const uint8_t *mark = memchr(bytes + at, 0xFF, size - 1 - at);
        if (!mark) return size;
        at = (size_t)(mark - bytes);
        int code = mark[1];
        if (code != 0 && code != 0xFF && !(code >= 0xD0 && code < SOI)) return at;
        at += code == 0xFF ? 1 : 2;
    }
    return size;
}

static bool look_jpeg(const uint8_t *bytes, size_t size, EncodedImage *out) {
    size_t at = 2;
    while (at + 1 < size && bytes[at] == 0xFF) {
        int code = bytes[at + 1];
        if (code == 0xFF) { // filling before a marker
            at++;
            continue;
        }
        at += 2;
        if (code == EOI) {
            out->size = at;
            return out->height > 0 && out->width > 0;
        }
        if (at + 2 > size) return false;
        size_t segment = (size_t)(bytes[at] << 8 | bytes[at + 1]);
        if (segment < 2 || segment > size - at) return false;
        if (is_frame_header(code) && segment >= 7 && out->height == 0) {
            out->height = bytes[at + 3] << 8 | bytes[at + 4];
            out->width = bytes[at + 5] << 8 | bytes[at + 6];
        }
        at += segment;
        if (code == SOS) at = skip_scan(bytes, size, at);
    }
    return false;
}

// ---- PNG: chunks of length, name, data, checksum ------------------------------------------------

static const uint8_t png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};

static uint32_t big_endian(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool look_png(const uint8_t *bytes, size_t size, EncodedImage *out) {
    enum { AROUND = 12, MOST = 1 << 24 };
    for (size_t at = sizeof png_signature; size - at >= AROUND;) {
        uint32_t length = big_endian(bytes + at);
        const uint8_t *name = bytes + at + 4;
        if (length > size - at - AROUND) return false;
        if (memcmp(name, "IHDR", 4) == 0 && length >= 8) {
            uint32_t width = big_endian(name + 4), height = big_endian(name + 8);
            if (width > MOST || height > MOST) return false;
            out->width = (int)width;
            out->height = (int)height;
        }
        at += AROUND + length;
        out->size = at;
        if (memcmp(name, "IEND", 4) == 0) return out->height > 0 && out->width > 0;
    }
    return false;
}

bool encoded_image_look(const uint8_t *bytes, size_t size, EncodedImage *out) {
    *out = (EncodedImage){0};
    if (size > 4 && bytes[0] == 0xFF && bytes[1] == SOI) {
        out->codec = "JPEG";
        return look_jpeg(bytes, size, out);
    }
    if (size > sizeof png_signature && memcmp(bytes, png_signature, sizeof png_signature) == 0) {
        out->codec = "PNG";
        return look_png(bytes, size, out);
    }
    return false;
}
