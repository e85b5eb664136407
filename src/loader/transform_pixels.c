// SPDX-License-Identifier: Apache-2.0
// The transforms themselves, on uint8 frames. Where torchvision rounds down or in float32, so does
// this.
#include "image/image.h"
#include "loader/image_transforms.h"

#include <math.h>
#include <string.h>

static uint8_t clamp_byte(float x) {
    return (uint8_t)(x < 0 ? 0 : x > 255 ? 255 : x);
}

// ITU-R BT.601 with torchvision's four digits, rounded down.
static float grey(const uint8_t *p) {
    return floorf(0.2989F * (float)p[0] + 0.587F * (float)p[1] + 0.114F * (float)p[2]);
}

static void apply_table(uint8_t *rgb, size_t n, const uint8_t table[256]) {
    for (size_t i = 0; i < n; i++) rgb[i] = table[rgb[i]];
}

static void apply_brightness(uint8_t *rgb, size_t pixels, float factor) {
    uint8_t table[256];
    for (int i = 0; i < 256; i++) table[i] = clamp_byte((float)i * factor);
    apply_table(rgb, 3 * pixels, table);
}

// Away from the frame's mean grey.
static void apply_contrast(uint8_t *rgb, size_t pixels, float factor) {
    uint8_t table[256];
    double sum = 0;
    for (size_t i = 0; i < pixels; i++) sum += (double)grey(rgb + 3 * i);
    float mean = (float)(sum / (double)pixels);
    for (int i = 0; i < 256; i++) table[i] = clamp_byte((float)i * factor + (1 - factor) * mean);
    apply_table(rgb, 3 * pixels, table);
}

// Away from each pixel's grey.
static void apply_saturation(uint8_t *rgb, size_t pixels, float factor) {
    for (size_t i = 0; i < pixels; i++, rgb += 3) {
        float base = (1 - factor) * grey(rgb);
        for (int k = 0; k < 3; k++) rgb[k] = clamp_byte((float)rgb[k] * factor + base);
    }
}

// One pixel, through HSV with h in turns. Scaling back to 0 .. 255 is torchvision's.
static void turn_hue(uint8_t *p, float turn) {
    const float scale = 1.0F / 255, back = 256 - 1e-3F;
    float r = (float)p[0] * scale, g = (float)p[1] * scale, b = (float)p[2] * scale;
    float v = fmaxf(r, fmaxf(g, b)), range = v - fminf(r, fminf(g, b));
    if (range == 0) {
        p[0] = p[1] = p[2] = (uint8_t)(v * back);
        return;
    }
    float s = range / v, rc = (v - r) / range, gc = (v - g) / range, bc = (v - b) / range;
    float h = v == r ? bc - gc : v == g ? 2 + rc - bc : 4 + gc - rc;
    h = h * (1.0F / 6) + 1;
    h -= floorf(h);
    h += turn;
    h -= floorf(h);
    float sixth = floorf(h * 6), f = h * 6 - sixth;
    float low = v * (1 - s), down = v * (1 - s * f), up = v * (1 - s * (1 - f));
    const float out[6][3] = {{v, up, low},   {down, v, low}, {low, v, up},
                             {low, down, v}, {up, low, v},   {v, low, down}};
    const float *to = out[(int)sixth % 6];
    for (int k = 0; k < 3; k++) p[k] = (uint8_t)(fminf(fmaxf(to[k], 0), 1) * back);
}

static void apply_hue(uint8_t *rgb, size_t pixels, float turn) {
    for (size_t i = 0; i < pixels; i++) turn_hue(rgb + 3 * i, turn);
}

// Away from the mean of a pixel and its neighbours, itself counted five times. The border stays.
static void apply_sharpness(uint8_t *rgb, int height, int width, float factor, uint8_t *before) {
    size_t row = (size_t)width * 3;
    if (height <= 2 || width <= 2) return;
    memcpy(before, rgb, (size_t)height * row);
    for (int y = 1; y < height - 1; y++) {
        const uint8_t *m = before + (size_t)y * row, *a = m - row, *b = m + row;
        uint8_t *out = rgb + (size_t)y * row;
        for (size_t i = 3; i < row - 3; i++) {
            int sum = a[i - 3] + a[i] + a[i + 3] + m[i - 3] + 5 * m[i] + m[i + 3] + b[i - 3] +
                      b[i] + b[i + 3];
            float own = (float)m[i], blurred = (float)((2 * sum + 13) / 26);
            out[i] = clamp_byte(own + (1 - factor) * (blurred - own));
        }
    }
}

// Rotates about the frame's middle by `degrees` clockwise, then shifts; the nearest pixel is taken,
// and black where there is none.
static void apply_affine(uint8_t *rgb, int height, int width, const DrawnTransform *t,
                         uint8_t *before) {
    double turn = t->factor * M_PI / 180, c = cos(turn), s = sin(turn);
    double middle_x = 0.5 * (width - 1), middle_y = 0.5 * (height - 1);
    size_t bytes = image_rgb_bytes(height, width);
    memcpy(before, rgb, bytes);
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++, rgb += 3) {
            double dx = x - middle_x - t->dx, dy = y - middle_y - t->dy;
            int from_x = (int)rint(c * dx + s * dy + middle_x);
            int from_y = (int)rint(-s * dx + c * dy + middle_y);
            bool inside = from_x >= 0 && from_x < width && from_y >= 0 && from_y < height;
            if (inside)
                memcpy(rgb, before + ((size_t)from_y * (size_t)width + (size_t)from_x) * 3, 3);
            else
                memset(rgb, 0, 3);
        }
}

void image_transform_apply(const DrawnTransform *t, uint8_t *rgb, int height, int width,
                           uint8_t *scratch) {
    size_t pixels = (size_t)height * (size_t)width;
    float factor = (float)t->factor;
    switch (t->kind) {
    case TRANSFORM_IDENTITY:
        return;
    case TRANSFORM_BRIGHTNESS:
        apply_brightness(rgb, pixels, factor);
        return;
    case TRANSFORM_CONTRAST:
        apply_contrast(rgb, pixels, factor);
        return;
    case TRANSFORM_SATURATION:
        apply_saturation(rgb, pixels, factor);
        return;
    case TRANSFORM_HUE:
        apply_hue(rgb, pixels, factor);
        return;
    case TRANSFORM_SHARPNESS:
        apply_sharpness(rgb, height, width, factor, scratch);
        return;
    case TRANSFORM_AFFINE:
        apply_affine(rgb, height, width, t, scratch);
        return;
    }
}
