// SPDX-License-Identifier: Apache-2.0
// Any bytes as an image's file, as EXIF data and as a video's display matrix: refused, or one of
// the eight orientations. FFmpeg, which decodes what is in a file, is not called.
#include "driver.h"
#include "formats/ffmpeg/image_file.h"
#include <stdlib.h>
#include <string.h>

static bool is_orientation(Orientation o) {
    return o >= ORIENT_UPRIGHT && o <= ORIENT_TURN_270;
}

// A quarter turn, and of a picture that has every pixel another value each one comes once.
static void turn(Orientation o) {
    enum { HEIGHT = 3, WIDTH = 5, PIXELS = HEIGHT * WIDTH };
    uint8_t in[PIXELS * 3], out[PIXELS * 3], seen[PIXELS] = {0};
    for (int i = 0; i < PIXELS * 3; i++) in[i] = (uint8_t)(i / 3);
    orient_rgb(out, in, HEIGHT, WIDTH, o);
    for (int i = 0; i < PIXELS; i++)
        if (out[3 * i] >= PIXELS || out[3 * i + 1] != out[3 * i] || seen[out[3 * i]]++) abort();
}

void fuzz_input(const uint8_t *data, size_t size) {
    Error err = {""};
    ImageFile file;
    int32_t matrix[9];
    Orientation o = orient_from_exif(data, size);
    if (!is_orientation(o)) abort();
    turn(o);
    if (fuzz_ok(image_file_look(data, size, "image", &file, &err), &err) &&
        !is_orientation(file.orientation))
        abort();
    if (size != sizeof matrix) return;
    memcpy(matrix, data, sizeof matrix);
    if (orient_from_matrix(matrix, &o)) turn(o);
}
