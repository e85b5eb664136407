// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/image_file.h"

#include <string.h>

#define DAMAGED "the image is cut short or damaged; copy or record it again"

static uint32_t big32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t little32(const uint8_t *p) {
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

// Some writers put JPEG's mark before EXIF data in other files as well.
static Orientation orientation_of(const uint8_t *exif, size_t size) {
    size_t mark = size >= 6 && memcmp(exif, "Exif\0\0", 6) == 0 ? 6 : 0;
    return orient_from_exif(exif + mark, size - mark);
}

// Walks the chunks of a PNG (ISO/IEC 15948, clause 5) to IEND: a cut file never gets there.
static bool walk_png(const uint8_t *p, size_t size, ImageFile *out) {
    size_t at = 8;
    while (size - at >= 12) {
        size_t length = big32(p + at);
        if (length > size - at - 12) return false;
        if (memcmp(p + at + 4, "eXIf", 4) == 0)
            out->orientation = orientation_of(p + at + 8, length);
        if (memcmp(p + at + 4, "IEND", 4) == 0) return true;
        at += 12 + length;
    }
    return false;
}

// Walks the segments of a JPEG (ITU-T T.81, annex B) to EOI.
static bool walk_jpeg(const uint8_t *p, size_t size, ImageFile *out) {
    size_t at = 2;
    bool seen = false; // EXIF data; a thumbnail may bring others
    while (size - at >= 2) {
        if (p[at] != 0xff) { // entropy-coded data
            at++;
            continue;
        }
        uint8_t marker = p[at + 1];
        if (marker == 0xd9) return true;
        if (marker == 0xff) { // fill byte
            at++;
        } else if (marker <= 0x01 || (marker >= 0xd0 && marker <= 0xd7)) { // no length follows
            at += 2;
        } else {
            if (size - at < 4) return false;
            size_t length = (size_t)p[at + 2] << 8 | p[at + 3];
            if (length < 2 || length > size - at - 2) return false;
            if (marker == 0xe1 && !seen && length >= 8 && memcmp(p + at + 4, "Exif\0\0", 6) == 0) {
                out->orientation = orientation_of(p + at + 4, length - 2);
                seen = true;
            }
            at += 2 + length;
        }
    }
    return false;
}

// Walks the chunks of a WebP (RFC 9649, section 2). It is whole when it is as long as it says and
// has a picture in it.
static bool walk_webp(const uint8_t *p, size_t size, ImageFile *out, bool *animated) {
    size_t length = little32(p + 4), at = 12;
    bool picture = false;
    if (length > size - 8) return false;
    size_t end = 8 + length;
    while (at < end) {
        if (end - at < 8) return false;
        size_t bytes = little32(p + at + 4);
        const uint8_t *name = p + at, *data = p + at + 8;
        if (bytes > end - at - 8) return false;
        picture |= memcmp(name, "VP8 ", 4) == 0 || memcmp(name, "VP8L", 4) == 0;
        *animated |= memcmp(name, "ANIM", 4) == 0 || memcmp(name, "ANMF", 4) == 0;
        if (memcmp(name, "EXIF", 4) == 0) out->orientation = orientation_of(data, bytes);
        at += 8 + bytes;
        if (bytes % 2 && at < end) at++; // chunks begin at even places
    }
    return picture || *animated;
}

// The header chunk comes first and has 13 bytes; bit depth and kind of colour are its ninth and
// tenth.
static bool is_grey_of_16_bits(const uint8_t *png, size_t size) {
    return size >= 8 + 12 + 13 && memcmp(png + 12, "IHDR", 4) == 0 && png[24] == 16 && png[25] == 0;
}

bool image_file_look(const uint8_t *bytes, size_t size, const char *name, ImageFile *out,
                     Error *err) {
    static const uint8_t png[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    bool whole, animated = false;
    *out = (ImageFile){.orientation = ORIENT_UPRIGHT};
    if (size >= 8 && memcmp(bytes, png, 8) == 0) {
        out->codec = AV_CODEC_ID_PNG;
        whole = walk_png(bytes, size, out);
    } else if (size >= 3 && memcmp(bytes, "\xff\xd8\xff", 3) == 0) {
        out->codec = AV_CODEC_ID_MJPEG;
        whole = walk_jpeg(bytes, size, out);
    } else if (size >= 12 && memcmp(bytes, "RIFF", 4) == 0 && memcmp(bytes + 8, "WEBP", 4) == 0) {
        out->codec = AV_CODEC_ID_WEBP;
        whole = walk_webp(bytes, size, out, &animated);
    } else {
        return fail(err, "%s: neither PNG, JPEG nor WebP; store the image as one of these", name);
    }
    if (size > INT32_MAX / 2) return fail(err, "%s: image of more than 1 GiB", name);
    if (!whole) return fail(err, "%s: " DAMAGED, name);
    if (animated) return fail(err, "%s: an animation; store each of its frames as an image", name);
    if (out->codec == AV_CODEC_ID_PNG && is_grey_of_16_bits(bytes, size))
        return fail(
            err,
            "%s: a 16-bit grey PNG, which is how depths are stored: as brightness they would "
            "be nearly black. Say \"info\": {\"is_depth_map\": true} of this camera in "
            "meta/info.json, and it is left out, or store it as an 8-bit image",
            name);
    return true;
}
