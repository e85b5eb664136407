// SPDX-License-Identifier: Apache-2.0
#include "report/jpeg_url.h"

#include "base/memory.h"
#include "formats/image_codec.h"
#include <string.h>

char *jpeg_url(const uint8_t *bytes, size_t size) {
    static const char head[] = "data:image/jpeg;base64,";
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *url = mem_alloc(sizeof head + (size + 2) / 3 * 4), *to = stpcpy(url, head);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        *to++ = digits[word >> 18];
        *to++ = digits[word >> 12 & 63];
        *to++ = left > 1 ? digits[word >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[word & 63] : '=';
    }
    *to = 0;
    return url;
}

bool jpeg_url_of(const Image *image, int widest, char **url, Error *err) {
    Image small = {0};
    uint8_t *jpeg;
    size_t size;
    if (image->width > widest) {
        int height = (int)((int64_t)image->height * widest / image->width);
        small = (Image){height > 0 ? height : 1, widest, NULL};
        small.rgb = mem_alloc(image_rgb_bytes(small.height, small.width));
        image_resize(small.rgb, small.height, small.width, image->rgb, image->height, image->width,
                     NULL);
    }
    bool ok = image_encode_jpeg(small.rgb ? &small : image, &jpeg, &size, err);
    if (ok) {
        *url = jpeg_url(jpeg, size);
        mem_free(jpeg);
    }
    image_free(&small);
    return ok;
}
