// SPDX-License-Identifier: Apache-2.0
#include "formats/image_codec.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/video_module.h"

bool image_decode(const void *bytes, size_t size, const char *name, Image *out, Error *err) {
    const VideoModule *m;
    *out = (Image){0};
    return video_module(&m, err) && m->image_decode(bytes, size, name, out, err);
}

bool image_encode_png(const Image *image, uint8_t **out, size_t *size, Error *err) {
    const VideoModule *m;
    *out = NULL;
    *size = 0;
    return video_module(&m, err) && m->image_encode_png(image, out, size, err);
}

bool image_encode_jpeg(const Image *image, uint8_t **out, size_t *size, Error *err) {
    const VideoModule *m;
    *out = NULL;
    *size = 0;
    return video_module(&m, err) && m->image_encode_jpeg(image, out, size, err);
}

bool image_encode_jpeg_fine(const Image *image, uint8_t **out, size_t *size, Error *err) {
    const VideoModule *m;
    *out = NULL;
    *size = 0;
    return video_module(&m, err) && m->image_encode_jpeg_fine(image, out, size, err);
}

bool image_write_png(const char *path, const Image *image, Error *err) {
    uint8_t *bytes;
    size_t size;
    if (!image_encode_png(image, &bytes, &size, err)) return fail(err, "%s: %s", path, err->text);
    bool ok = file_write(path, bytes, size, err);
    mem_free(bytes);
    return ok;
}
