// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/orient.h"

#include <math.h>
#include <string.h>

bool orient_swaps(Orientation o) {
    return o >= ORIENT_TRANSPOSED;
}

// How to walk over the stored picture in the order of the upright one: the stored pixel that
// comes first, and the steps from a pixel to the one right of it and to the one below, in
// pixels.
typedef struct Walk {
    ptrdiff_t first, right, down;
} Walk;

static Walk walk_of_orientation(int height, int width, Orientation o) {
    ptrdiff_t w = width, end_of_row = w - 1, last_row = (height - 1) * w, last = last_row + w - 1;
    switch (o) {
    case ORIENT_MIRRORED:
        return (Walk){end_of_row, -1, w};
    case ORIENT_TURN_180:
        return (Walk){last, -1, -w};
    case ORIENT_FLIPPED:
        return (Walk){last_row, 1, -w};
    case ORIENT_TRANSPOSED:
        return (Walk){0, w, 1};
    case ORIENT_TURN_90:
        return (Walk){last_row, -w, 1};
    case ORIENT_TRANSVERSED:
        return (Walk){last, -w, -1};
    case ORIENT_TURN_270:
        return (Walk){end_of_row, w, -1};
    default:
        return (Walk){0, 1, w};
    }
}

void orient_rgb(uint8_t *out, const uint8_t *in, int height, int width, Orientation o) {
    enum { TILE = 32 }; // a turn by 90 degrees jumps a row a pixel: in tiles those rows stay near
    Walk step = walk_of_orientation(height, width, o);
    int out_h = orient_swaps(o) ? width : height, out_w = orient_swaps(o) ? height : width;
    for (int top = 0; top < out_h; top += TILE) {
        for (int left = 0; left < out_w; left += TILE) {
            int bottom = top + TILE < out_h ? top + TILE : out_h;
            int end = left + TILE < out_w ? left + TILE : out_w;
            for (int y = top; y < bottom; y++) {
                uint8_t *to = out + ((size_t)y * (size_t)out_w + (size_t)left) * 3;
                const uint8_t *from = in + (step.first + y * step.down + left * step.right) * 3;
                for (int x = left; x < end; x++, to += 3, from += step.right * 3) {
                    to[0] = from[0];
                    to[1] = from[1];
                    to[2] = from[2];
                }
            }
        }
    }
}

bool orient_from_matrix(const int32_t m[9], Orientation *out) {
    // Where a step to the right (a, b) and a step down (c, d) of the stored picture lead.
    double a = m[0], b = m[1], c = m[3], d = m[4];
    *out = ORIENT_UPRIGHT;
    if (a == 0 && b == 0 && c == 0 && d == 0) return true; // some writers leave it empty
    // How far it may be off a quarter turn, as a part of the step: less than a third of a
    // degree.
    const double slack = 0.005;
    // Not hypot, which would need a newer C library (2.35) than everything else does.
    double right = slack * sqrt(a * a + b * b), down = slack * sqrt(c * c + d * d);
    bool along = fabs(b) <= right && fabs(c) <= down, across = fabs(a) <= right && fabs(d) <= down;
    if (along && a > 0 && d > 0)
        *out = ORIENT_UPRIGHT;
    else if (along && a < 0 && d < 0)
        *out = ORIENT_TURN_180;
    else if (across && b > 0 && c < 0)
        *out = ORIENT_TURN_90;
    else if (across && b < 0 && c > 0)
        *out = ORIENT_TURN_270;
    else
        return false;
    return true;
}

// ---- EXIF (TIFF 6.0, section 2) ---------------------------------------------------------------

typedef struct Tiff {
    const uint8_t *data;
    size_t size;
    bool big; // numbers begin with their greatest byte
} Tiff;

// Beyond the end everything is zero.
static uint32_t tiff_number(const Tiff *t, size_t at, int bytes) {
    uint32_t v = 0;
    if (at > t->size || t->size - at < (size_t)bytes) return 0;
    for (int i = 0; i < bytes; i++)
        v |= (uint32_t)t->data[at + (size_t)i] << 8 * (t->big ? bytes - 1 - i : i);
    return v;
}

Orientation orient_from_exif(const uint8_t *tiff, size_t size) {
    enum { ORIENTATION = 274, SHORT = 3, LONG = 4, ENTRY = 12 };
    if (size < 8 || (memcmp(tiff, "II*\0", 4) != 0 && memcmp(tiff, "MM\0*", 4) != 0))
        return ORIENT_UPRIGHT;
    Tiff t = {tiff, size, tiff[0] == 'M'};
    size_t directory = tiff_number(&t, 4, 4);
    for (uint32_t i = 0, n = tiff_number(&t, directory, 2); i < n; i++) {
        size_t entry = directory + 2 + (size_t)i * ENTRY;
        if (tiff_number(&t, entry, 2) != ORIENTATION) continue;
        uint32_t kind = tiff_number(&t, entry + 2, 2);
        uint32_t value = tiff_number(&t, entry + 8, kind == LONG ? 4 : 2);
        bool known = (kind == SHORT || kind == LONG) && tiff_number(&t, entry + 4, 4) == 1 &&
                     value >= ORIENT_UPRIGHT && value <= ORIENT_TURN_270;
        return known ? (Orientation)value : ORIENT_UPRIGHT;
    }
    return ORIENT_UPRIGHT;
}
