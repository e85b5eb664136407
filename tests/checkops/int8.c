// SPDX-License-Identifier: Apache-2.0
// Checks of products of 8-bit integers, on devices at int8 only. The integers are the reference's,
// and their sums exact: what differs is float32's rounding at the end, or the images' type.
#include "checkops.h"

#include "base/memory.h"
#include <math.h>

// Wide enough for nearly all of the numbers, so that some are beyond.
static Rounding any_rounding(Case *c) {
    bool positive = case_chance(c, 2);
    return (Rounding){.step = (float)(positive ? 1.6 / 255 : 1.5 / 127), .positive = positive};
}

// One number in many is what is not finite, in some cases.
static void maybe_spoil(Case *c, float *x, int64_t n) {
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    if (!case_chance(c, 4)) return;
    float which = bad[case_below(c, COUNT(bad))];
    x[case_below(c, n)] = which;
}

// Numbers as bfloat16 has them, so that images of either type begin alike.
static float *numbers(Case *c, int64_t n) {
    float *x = NEW(float, n);
    for (int64_t i = 0; i < n; i++)
        x[i] = ldexpf((float)((int)(rng_next(&c->random) % 511) - 255), -7);
    maybe_spoil(c, x, n);
    return x;
}

static void int8_linear(Case *c) {
    // rows, inputs, outputs
    static const int64_t real[][3] = {{163, 512, 1024}, {100, 512, 3200}, {100, 3200, 512},
                                      {80, 512, 512},   {1, 64, 32},      {33, 65, 33},
                                      {31, 4608, 7},    {2, 129, 16},     {64, 63, 48}};
    static const int64_t most[] = {129, 513, 513};
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(real), real[0], most)) return;
    float *given = numbers(c, s[0] * s[1]);
    Tensor x = case_given(c, "x", DTYPE_F32, given, 2, s), b = {0};
    Tensor w = case_tensor(c, "w", ROLE_INPUT, 0, 2, SHAPE(s[2], s[1]));
    if (!case_chance(c, 3)) b = case_tensor(c, "b", ROLE_INPUT, 0, 1, SHAPE(s[2]));
    Tensor y = case_strided(c, "y", ROLE_OUTPUT, 16, 2, SHAPE(s[0], s[2]));
    w.rounding = any_rounding(c);
    c->edges = true;
    bool lasting = case_chance(c, 2);
    if (lasting) c->device->weights_load(c->device, w, true);
    Tensor other = w; // kept for another rounding, they are not what is wanted
    other.rounding.step *= 2;
    c->device->linear_forward(c->device, y, x, other, b);
    for (int i = 0; i < 2; i++) // made, and kept
        CALL(c, c->device->linear_forward(c->device, y, x, w, b));
    c->device->weights_load(c->device, tensor_view(w.data, DTYPE_F32, 1, SHAPE(0)), false);
    mem_free(given);
}

static void int8_conv(Case *c) {
    // n, in_c, in_h, in_w, out_c, kernel, stride, dilation
    static const int64_t real[][8] = {{1, 3, 96, 128, 64, 7, 2, 1},   {1, 64, 24, 32, 64, 3, 1, 1},
                                      {1, 64, 24, 32, 128, 3, 2, 1},  {1, 64, 24, 32, 128, 1, 2, 1},
                                      {1, 256, 15, 20, 256, 3, 1, 1}, {1, 512, 8, 10, 512, 3, 1, 1},
                                      {1, 256, 9, 10, 64, 3, 1, 2},   {1, 256, 20, 20, 64, 1, 1, 1},
                                      {2, 37, 23, 17, 41, 3, 2, 1},   {4, 64, 1, 1, 64, 3, 1, 1},
                                      {3, 32, 2, 3, 64, 3, 2, 1},     {5, 16, 3, 2, 32, 1, 1, 1}};
    int64_t s[8];
    if (!case_sizes(c, 8, s, COUNT(real), real[0], SHAPE(3, 65, 33, 33, 65, 769, 769, 769))) return;
    if (c->index >= COUNT(real)) {
        s[5] = 1 + 2 * (s[5] % 3) + (s[5] % 3 == 2 ? 2 : 0); // 1, 3 or 7
        s[6] = 1 + s[6] % 2;
        s[7] = s[5] == 3 ? 1 + s[7] % 2 : 1;
    }
    const int padding = (int)(s[7] * (s[5] / 2));
    const int64_t h = conv_out_size(s[2], (int)s[5], (int)s[6], padding, (int)s[7]),
                  w = conv_out_size(s[3], (int)s[5], (int)s[6], padding, (int)s[7]);
    const ConvSpec spec = {.n = s[0],
                           .in_c = s[1],
                           .in_h = s[2],
                           .in_w = s[3],
                           .out_c = s[4],
                           .kernel = (int)s[5],
                           .stride = (int)s[6],
                           .padding = padding,
                           .dilation = (int)s[7],
                           .relu = case_chance(c, 2),
                           .residual = case_chance(c, 2),
                           .rounding = any_rounding(c)};
    const int64_t shape[] = {s[4], s[1], s[5], s[5]};
    Device *d = c->device;
    float *given = numbers(c, s[0] * s[1] * s[2] * s[3]);
    Tensor x = case_given_image(c, "x", given, s[0], s[1], s[2], s[3]), residual = {0};
    if (spec.residual) residual = case_image(c, "residual", ROLE_INPUT, 0, s[0], s[4], h, w);
    Tensor scale = case_tensor(c, "scale", ROLE_INPUT, 0, 1, shape),
           shift = case_tensor(c, "shift", ROLE_INPUT, 0, 1, shape),
           weights = case_tensor(c, "w", ROLE_INPUT, 0, 4, shape),
           y = case_image(c, "y", ROLE_OUTPUT, 16, s[0], s[4], h, w);
    c->edges = true;
    Conv *conv = d->conv_new(d, spec);
    if (case_chance(c, 3))
        d->conv_load(d, conv, case_tensor(c, "old w", ROLE_INPUT, 0, 4, shape), scale, shift);
    d->conv_load(d, conv, weights, scale, shift);
    CALL(c, d->conv_forward(d, conv, y, x, residual));
    d->conv_free(d, conv);
    mem_free(given);
}

const OpCheck int8_checks[] = {
    {"int8_linear_forward", int8_linear},
    {"int8_conv_forward", int8_conv},
    {0},
};
