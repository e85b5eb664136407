// SPDX-License-Identifier: Apache-2.0
// Frames of a camera that hung upside down.
#include "edit/edit_internal.h"

#include "base/memory.h"
#include "dataset/frames.h"
#include "formats/image_codec.h"
#include "formats/video.h"
#include <string.h>

bool piece_is_turned(const Edit *ed, const EditPiece *piece, int camera) {
    return piece->turned && (piece->turned >> piece_camera(ed, piece, camera) & 1) != 0;
}

// By half a turn, in place.
static void turn(uint8_t *rgb, int height, int width) {
    uint8_t *a = rgb, *b = rgb + 3 * ((size_t)height * (size_t)width - 1);
    for (; a < b; a += 3, b -= 3) {
        uint8_t pixel[3];
        memcpy(pixel, a, 3);
        memcpy(a, b, 3);
        memcpy(b, pixel, 3);
    }
}

bool turned_video(const Edit *ed, const EditPiece *piece, int camera, const char *path,
                  Error *err) {
    const Dataset *ds = piece_source(ed, piece);
    const WriterCamera *c = &ed->features.cameras[camera];
    const int64_t row = ds->episodes[piece->episode].first_row + piece->first;
    FrameReader *reader = NULL;
    VideoWriter *video = NULL;
    uint8_t *rgb = mem_try((size_t)c->height * (size_t)c->width * 3);
    bool ok = (rgb || fail_memory(err, "%s: a frame of '%s'", ed->o->root, c->name)) &&
              frames_open(ds, 0, 0, &reader, err) &&
              video_writer_open_part(path, c->height, c->width, ds->fps, WRITER_GOP, WRITER_CRF,
                                     &video, err);
    for (int64_t k = 0; ok && k < piece->length; k++) {
        ok = frames_read(reader, piece_camera(ed, piece, camera), row + k, rgb, err);
        if (ok) turn(rgb, c->height, c->width);
        ok = ok && video_writer_add(video, rgb, err);
    }
    if (ok)
        ok = video_writer_close(video, err);
    else
        video_writer_abort(video);
    frames_close(reader);
    mem_free(rgb);
    return ok;
}

bool turn_images(ParquetBytes *files, int64_t n, const char *name, Arena *arena, Error *err) {
    for (int64_t i = 0; i < n; i++) {
        Image image = {0};
        uint8_t *bytes = NULL;
        size_t size;
        if (!image_decode(files[i].data, files[i].size, name, &image, err)) return false;
        turn(image.rgb, image.height, image.width);
        bool ok = image_encode_png(&image, &bytes, &size, err);
        image_free(&image);
        if (!ok) return false;
        uint8_t *copy = arena_alloc(arena, size);
        memcpy(copy, bytes, size);
        mem_free(bytes);
        files[i] = (ParquetBytes){copy, size};
    }
    return true;
}
