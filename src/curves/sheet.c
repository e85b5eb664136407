// SPDX-License-Identifier: Apache-2.0
#include "curves/sheet.h"

#include "base/memory.h"
#include "formats/video.h"
#include <string.h>

// Puts a frame (height, width) into a sheet, with its upper left corner at a row and a column.
static void place(Image *sheet, const uint8_t *frame, int height, int width, int row, int column) {
    size_t bytes = (size_t)width * 3;
    for (int y = 0; y < height; y++)
        memcpy(sheet->rgb + ((size_t)(row + y) * (size_t)sheet->width + (size_t)column) * 3,
               frame + (size_t)y * bytes, bytes);
}

CHECKED static bool fill_sheet(Video *v, Image *sheet, int height, int width, Error *err) {
    const int H = video_height(v), W = video_width(v), frames = SHEET_ROWS * SHEET_COLUMNS;
    uint8_t *whole = NEW(uint8_t, image_rgb_bytes(H, W));
    uint8_t *small = NEW(uint8_t, image_rgb_bytes(height, width));
    int64_t last = video_frames(v) - 1;
    bool ok = true;
    for (int i = 0; ok && i < frames; i++) {
        ok = video_read_index(v, last * i / (frames - 1), whole, err);
        if (!ok) break;
        image_resize(small, height, width, whole, H, W, NULL);
        place(sheet, small, height, width, i / SHEET_COLUMNS * height, i % SHEET_COLUMNS * width);
    }
    mem_free(whole);
    mem_free(small);
    return ok;
}

bool video_sheet(const char *path, Image *out, Error *err) {
    Video *v = NULL;
    *out = (Image){0};
    if (!video_open(path, NULL, &v, err)) return false;
    int H = video_height(v), height = H < SHEET_FRAME_HEIGHT ? H : SHEET_FRAME_HEIGHT;
    int width = video_width(v) * height / H;
    bool ok = video_frames(v) > 0 && width > 0 ? true : fail(err, "%s: nothing to see in it", path);
    if (ok) {
        *out = (Image){.height = height * SHEET_ROWS, .width = width * SHEET_COLUMNS};
        out->rgb = NEW(uint8_t, image_rgb_bytes(out->height, out->width));
        ok = fill_sheet(v, out, height, width, err);
    }
    if (!ok) image_free(out);
    video_close(v);
    return ok;
}
