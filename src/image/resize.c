// SPDX-License-Identifier: Apache-2.0
// Resizing in whole numbers: per axis the weights are integers over a common divisor, so the result
// is the exactly rounded weighted mean, whatever the machine.
#include "image/image.h"

#include "base/memory.h"
#include <string.h>

// The input samples that make up one output sample: weights of input `first`, `first` + 1, ...
typedef struct Taps {
    int32_t first, count;
    int64_t weights; // place of the first weight in the table
    int64_t divisor; // their sum
} Taps;

// Upper bound of the number of weights of a whole axis: an output sample of a shrinking axis takes
// at most in/out + 2 input samples by area, 2 in/out + 2 by a triangle.
static size_t axis_weights(int in, int out) {
    return 2 * (size_t)in + 2 * (size_t)out;
}

// Output i covers [i*in, (i+1)*in) of input samples that are `out` wide each.
static Taps box_taps(int in, int out, int i, int32_t *w) {
    int64_t from = (int64_t)i * in, to = from + in;
    Taps t = {.first = (int32_t)(from / out), .divisor = in};
    for (int64_t j = t.first; j * out < to; j++) {
        int64_t start = j * out > from ? j * out : from;
        int64_t end = (j + 1) * out < to ? (j + 1) * out : to;
        w[t.count++] = (int32_t)(end - start);
    }
    return t;
}

static int greatest_common_divisor(int a, int b) {
    while (b) {
        int rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

// A triangle around the centre of output i that reaches one output sample to either side, in units
// of 1 / (2 out) of an input sample. What would lie outside of the image does not count.
static Taps triangle_taps(int in, int out, int i, int32_t *w) {
    const int common = greatest_common_divisor(in, out);
    const int64_t reach = 2 * (int64_t)(in / common), unit = out / common;
    const int64_t centre = (2 * (int64_t)i + 1) * (in / common);
    int64_t j = ((centre - reach) / unit - 1) / 2 - 1;
    Taps t = {.first = 0};
    for (j = j < 0 ? 0 : j; j < in; j++) {
        int64_t away = (2 * j + 1) * unit - centre;
        int64_t weight = reach - (away < 0 ? -away : away);
        if (weight <= 0 && away > 0) break;
        if (weight <= 0) continue;
        if (t.count == 0) t.first = (int32_t)j;
        w[t.count++] = (int32_t)weight;
        t.divisor += weight;
    }
    return t;
}

// Taps of output sample i; its weights are written to w.
static Taps axis_taps(ImageFilter filter, int in, int out, int i, int32_t *w) {
    if (in == out) {
        w[0] = 1;
        return (Taps){.first = i, .count = 1, .divisor = 1};
    }
    if (out < in)
        return filter == IMAGE_BILINEAR ? triangle_taps(in, out, i, w) : box_taps(in, out, i, w);
    // The centre of output i in input samples is x / (2 out), counted from the centre of input 0.
    int64_t x = (2 * (int64_t)i + 1) * in - out, unit = 2 * (int64_t)out;
    int64_t last = (int64_t)(in - 1) * unit;
    x = x < 0 ? 0 : x > last ? last : x;
    Taps t = {.first = (int32_t)(x / unit), .count = 1, .divisor = unit};
    w[0] = (int32_t)unit;
    if (x % unit) {
        w[1] = (int32_t)(x % unit);
        w[0] -= w[1];
        t.count = 2;
    }
    return t;
}

static size_t scratch_aligned(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}

size_t image_resize_scratch(int h, int w, int out_h, int out_w) {
    return scratch_aligned((size_t)w * 3 * sizeof(uint32_t)) +
           scratch_aligned((size_t)out_w * sizeof(Taps)) +
           scratch_aligned(axis_weights(w, out_w) * sizeof(int32_t)) +
           scratch_aligned(axis_weights(h, out_h) * sizeof(int32_t));
}

// sums (n): weighted sum of rows. in is the first row of the taps.
static void sum_rows(uint32_t *restrict sums, const uint8_t *restrict in, size_t stride, size_t n,
                     Taps t, const int32_t *weights) {
    memset(sums, 0, n * sizeof *sums);
    for (int32_t j = 0; j < t.count; j++, in += stride) {
        uint32_t k = (uint32_t)weights[j];
        for (size_t x = 0; x < n; x++) sums[x] += k * in[x];
    }
}

// One row of the output from the column sums, each of which is `rows` times too large.
static void sum_columns(uint8_t *restrict out, const uint32_t *restrict sums, const Taps *taps,
                        const int32_t *weights, int out_w, int64_t rows) {
    // sum / divisor + 1/2 is either an integer or at least 1 / (2 divisor) below the next one. Half
    // of that outweighs a double's rounding, so the division may be a multiplication.
    double scale = 0, half = 0;
    int64_t divisor = 0;
    for (int x = 0; x < out_w; x++) {
        const uint32_t *s = sums + (size_t)taps[x].first * 3;
        const int32_t *w = weights + taps[x].weights;
        uint64_t r = 0, g = 0, b = 0;
        if (taps[x].divisor != divisor) { // most have one
            divisor = taps[x].divisor;
            scale = 1.0 / (double)(rows * divisor);
            half = 0.5 + 0.25 * scale;
        }
        for (int32_t j = 0; j < taps[x].count; j++, s += 3) {
            r += (uint64_t)s[0] * (uint32_t)w[j];
            g += (uint64_t)s[1] * (uint32_t)w[j];
            b += (uint64_t)s[2] * (uint32_t)w[j];
        }
        out[3 * x] = (uint8_t)((double)r * scale + half);
        out[3 * x + 1] = (uint8_t)((double)g * scale + half);
        out[3 * x + 2] = (uint8_t)((double)b * scale + half);
    }
}

static void copy_rows(uint8_t *out, const uint8_t *in, size_t stride, int h, size_t row) {
    if (stride == row)
        memcpy(out, in, (size_t)h * row);
    else
        for (int y = 0; y < h; y++, in += stride, out += row) memcpy(out, in, row);
}

void image_resize(uint8_t *out, int out_h, int out_w, const uint8_t *in, int h, int w,
                  void *scratch) {
    const ImageFit whole = {
        .height = out_h, .width = out_w, .rows = out_h, .columns = out_w, .filter = IMAGE_AREA};
    image_fit(out, &whole, in, (size_t)w * 3, h, w, scratch);
}

void image_fit(uint8_t *out, const ImageFit *fit, const uint8_t *in, size_t stride, int h, int w,
               void *scratch) {
    const size_t row = (size_t)w * 3, made = (size_t)fit->columns * 3;
    if (fit->height == h && fit->width == w) {
        copy_rows(out, in + (size_t)fit->top * stride + (size_t)fit->left * 3, stride, fit->rows,
                  made);
        return;
    }
    void *own = scratch ? NULL : mem_alloc(image_resize_scratch(h, w, fit->height, fit->width));
    uint8_t *at = scratch ? scratch : own;
    uint32_t *sums = (uint32_t *)at;
    at += scratch_aligned(row * sizeof *sums);
    Taps *columns = (Taps *)at;
    at += scratch_aligned((size_t)fit->width * sizeof *columns);
    int32_t *column_weights = (int32_t *)at;
    at += scratch_aligned(axis_weights(w, fit->width) * sizeof *column_weights);
    int32_t *row_weights = (int32_t *)at;

    int64_t used = 0;
    for (int x = 0; x < fit->columns; x++) {
        columns[x] = axis_taps(fit->filter, w, fit->width, fit->left + x, column_weights + used);
        columns[x].weights = used;
        used += columns[x].count;
    }
    for (int y = 0; y < fit->rows; y++) {
        Taps t = axis_taps(fit->filter, h, fit->height, fit->top + y, row_weights);
        sum_rows(sums, in + (size_t)t.first * stride, stride, row, t, row_weights);
        sum_columns(out + (size_t)y * made, sums, columns, column_weights, fit->columns, t.divisor);
    }
    mem_free(own);
}
