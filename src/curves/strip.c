// SPDX-License-Identifier: Apache-2.0
#include "curves/strip.h"

#include "base/memory.h"
#include "formats/video.h"
#include <string.h>

// Puts a frame into the strip at a column.
static void place(Image *strip, const uint8_t *frame, int width, int column) {
    size_t row = (size_t)width * 3;
    for (int y = 0; y < strip->height; y++)
        memcpy(strip->rgb + ((size_t)y * (size_t)strip->width + (size_t)column) * 3,
               frame + (size_t)y * row, row);
}

CHECKED static bool fill_strip(Video *v, Image *strip, int frames, Error *err) {
    const int H = video_height(v), W = video_width(v), width = strip->width / frames;
    uint8_t *whole = NEW(uint8_t, image_rgb_bytes(H, W));
    uint8_t *small = NEW(uint8_t, image_rgb_bytes(strip->height, width));
    int64_t last = video_frames(v) - 1;
    bool ok = true;
    for (int i = 0; ok && i < frames; i++) {
        ok = video_read_index(v, frames > 1 ? last * i / (frames - 1) : 0, whole, err);
        if (!ok) break;
        image_resize(small, strip->height, width, whole, H, W, NULL);
        place(strip, small, width, width * i);
    }
    mem_free(whole);
    mem_free(small);
    return ok;
}

bool video_strip(const char *path, Image *out, Error *err) {
    Video *v = NULL;
    *out = (Image){0};
    if (!video_open(path, NULL, &v, err)) return false;
    int64_t there = video_frames(v);
    int frames = there < STRIP_FRAMES ? (int)there : STRIP_FRAMES;
    int H = video_height(v), height = H < STRIP_HEIGHT ? H : STRIP_HEIGHT;
    int width = video_width(v) * height / H;
    bool ok = frames > 0 && width > 0 ? true : fail(err, "%s: nothing to see in it", path);
    if (ok) {
        *out = (Image){.height = height, .width = width * frames};
        out->rgb = NEW(uint8_t, image_rgb_bytes(height, out->width));
        ok = fill_strip(v, out, frames, err);
    }
    if (!ok) image_free(out);
    video_close(v);
    return ok;
}
