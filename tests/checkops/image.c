// SPDX-License-Identifier: Apache-2.0
// Checks of images, convolution and pooling.
#include "checkops.h"

#include "base/memory.h"

// s = images, channels, height, width
static const int64_t image_real[][4] = {{1, 512, 8, 10}, {1, 64, 60, 80}};
static const int64_t image_max[] = {3, 129, 33, 65};

void check_image_normalize(Case *c) {
    static const int64_t real[][3] = {{1, 240, 320}, {1, 120, 160}};
    int64_t s[3];
    if (!case_sizes(c, 3, s, COUNT(real), real[0], SHAPE(5, 129, 129))) return;
    const float mean[3] = {0.485f, 0.456f, 0.406f};
    const float std[3] = {0.229f, 0.224f, case_chance(c, 4) ? 1e-3f : 0.225f};
    Tensor x = case_bytes(c, "x", 0, 4, SHAPE(s[0], s[1], s[2], 3));
    Tensor y = case_image(c, "y", ROLE_OUTPUT, 4, s[0], 3, s[1], s[2]);
    CALL(c, c->device->image_normalize(c->device, y, x, mean, std));
}

void check_image_from_plain(Case *c) {
    int64_t s[4];
    if (!case_sizes(c, 4, s, COUNT(image_real), image_real[0], image_max)) return;
    Tensor x = case_tensor(c, "x", ROLE_INPUT, 0, 4, s);
    Tensor y = case_image(c, "y", ROLE_OUTPUT, 0, s[0], s[1], s[2], s[3]);
    CALL(c, c->device->image_from_plain(c->device, y, x));
}

void check_image_to_plain(Case *c) {
    int64_t s[4];
    if (!case_sizes(c, 4, s, COUNT(image_real), image_real[0], image_max)) return;
    Tensor x = case_image(c, "x", ROLE_INPUT, 0, s[0], s[1], s[2], s[3]);
    Tensor y = case_tensor(c, "y", ROLE_OUTPUT, 0, 4, s);
    CALL(c, c->device->image_to_plain(c->device, y, x));
}

void check_tokens_from_image(Case *c) {
    int64_t s[4];
    if (!case_sizes(c, 4, s, COUNT(image_real), image_real[0], image_max)) return;
    Tensor x = case_image(c, "x", ROLE_INPUT, 0, s[0], s[1], s[2], s[3]);
    Tensor y = case_activation(c, "y", ROLE_OUTPUT, 0, 3, SHAPE(s[0], s[2] * s[3], s[1]));
    CALL(c, c->device->tokens_from_image(c->device, y, x));
}

void check_image_from_tokens(Case *c) {
    int64_t s[4];
    if (!case_sizes(c, 4, s, COUNT(image_real), image_real[0], image_max)) return;
    Tensor dy = case_activation(c, "dy", ROLE_INPUT, 0, 3, SHAPE(s[0], s[2] * s[3], s[1]));
    Tensor dx = case_image(c, "dx", ROLE_OUTPUT, 0, s[0], s[1], s[2], s[3]);
    CALL(c, c->device->image_from_tokens(c->device, dx, dy));
}

// The convolutions of ResNet-18 and -50 at 240 x 320, and one at an odd size.
// n, in_c, in_h, in_w, out_c, kernel, stride, dilation
static const int64_t conv_real[][8] = {
    {1, 3, 240, 320, 64, 7, 2, 1},  // stem
    {1, 64, 60, 80, 64, 3, 1, 1},   // layer1
    {1, 64, 60, 80, 128, 3, 2, 1},  // layer2, first
    {1, 128, 30, 40, 128, 3, 1, 1}, // layer2
    {1, 64, 60, 80, 128, 1, 2, 1},  // layer2, skip
    {1, 256, 15, 20, 256, 3, 1, 1}, // layer3
    {1, 512, 8, 10, 512, 3, 1, 1},  // layer4
    {1, 512, 15, 20, 512, 3, 1, 2}, // layer4 dilated instead of strided
    {1, 256, 60, 80, 64, 1, 1, 1},  // ResNet-50
    {1, 1024, 15, 20, 2048, 1, 2, 1},
    {1, 2048, 8, 10, 512, 1, 1, 1},
    {2, 37, 23, 17, 41, 3, 2, 1},
    // Maps of a few pixels, as small images leave them in the last layers, and dilated kernels: for
    // most of them oneDNN has no fast gradient of the weights without AVX-512. The last needs two
    // products on the cpu device. They are not timed.
    {4, 64, 1, 1, 64, 3, 1, 1},
    {3, 32, 1, 2, 64, 3, 1, 1},
    {5, 64, 2, 2, 32, 3, 1, 1},
    {2, 32, 2, 3, 64, 3, 2, 1},
    {7, 16, 2, 2, 32, 3, 2, 1},
    {4, 32, 2, 3, 64, 1, 2, 1},
    {3, 64, 1, 2, 32, 1, 1, 1},
    {2, 32, 2, 3, 32, 3, 1, 2},
    {8, 64, 33, 33, 16, 3, 1, 2},
    // On a matrix unit at bfloat16: odd sizes, several strips of an image, weights that outweigh
    // it.
    {3, 32, 21, 17, 96, 3, 1, 1},
    {3, 96, 13, 21, 64, 3, 2, 1},
    {1, 256, 61, 33, 32, 3, 1, 1},
    {2, 160, 3, 5, 224, 3, 2, 1},
    {2, 32, 90, 80, 32, 3, 1, 1},
    {9, 32, 40, 60, 32, 3, 2, 1},
    // There too: kernels whose rows are taps, up to the last position of a narrow image.
    {2, 3, 17, 17, 64, 7, 2, 1},
    {2, 1, 9, 40, 32, 7, 1, 1},
    {3, 8, 22, 13, 32, 3, 2, 1},
    // Their weights' gradients are wrong in oneDNN 2.6 at bfloat16.
    {2, 47, 17, 17, 16, 3, 1, 2},
    {2, 7, 16, 1, 8, 7, 2, 1},
    {3, 64, 5, 1, 5, 3, 2, 1},
};
enum { CONV_SMALL = 21 }; // at the end of conv_real

// Random sizes below; kernel, stride and dilation of random cases are made of s[5..7].
static bool conv_spec(Case *c, ConvSpec *spec) {
    int64_t s[8];
    int rows = COUNT(conv_real) - (c->bench ? CONV_SMALL : 0);
    if (!case_sizes(c, 8, s, rows, conv_real[0], SHAPE(3, 65, 33, 33, 65, 769, 769, 769)))
        return false;
    if (c->index >= COUNT(conv_real)) {
        s[5] = 1 + 2 * (s[5] % 3) + (s[5] % 3 == 2 ? 2 : 0); // 1, 3 or 7
        s[6] = 1 + s[6] % 2;
        s[7] = s[5] == 3 ? 1 + s[7] % 2 : 1;
    }
    int padding = (int)(s[7] * (s[5] / 2));
    *spec = (ConvSpec){s[0],
                       s[1],
                       s[2],
                       s[3],
                       s[4],
                       (int)s[5],
                       (int)s[6],
                       padding,
                       (int)s[7],
                       .relu = c->bench || case_chance(c, 2),
                       .residual = case_chance(c, 2),
                       .train = true,
                       .need_dx = s[1] != 3 && !case_chance(c, 4)};
    return true;
}

static int64_t out_h(const ConvSpec *s) {
    return conv_out_size(s->in_h, s->kernel, s->stride, s->padding, s->dilation);
}
static int64_t out_w(const ConvSpec *s) {
    return conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation);
}
static double conv_flops(const ConvSpec *s) {
    return 2.0 * (double)(s->n * out_h(s) * out_w(s) * s->out_c) *
           (double)(s->in_c * s->kernel * s->kernel);
}

// A convolution with its weights; sometimes loaded twice, for the second load must win.
static Conv *loaded_conv(Case *c, ConvSpec spec) {
    Device *d = c->device;
    Conv *conv = d->conv_new(d, spec);
    int64_t shape[] = {spec.out_c, spec.in_c, spec.kernel, spec.kernel};
    Tensor scale = case_tensor(c, "scale", ROLE_INPUT, 0, 1, shape);
    Tensor shift = case_tensor(c, "shift", ROLE_INPUT, 0, 1, shape);
    if (case_chance(c, 3)) {
        Tensor old = case_tensor(c, "old w", ROLE_INPUT, 0, 4, shape);
        d->conv_load(d, conv, old, shift, scale);
    }
    d->conv_load(d, conv, case_tensor(c, "w", ROLE_INPUT, 0, 4, shape), scale, shift);
    return conv;
}

void check_conv_load(Case *c) {
    ConvSpec s;
    if (!conv_spec(c, &s)) return;
    int64_t shape[] = {s.out_c, s.in_c, s.kernel, s.kernel};
    Device *d = c->device;
    Conv *conv = d->conv_new(d, s);
    Tensor scale = case_tensor(c, "scale", ROLE_INPUT, 0, 1, shape);
    Tensor shift = case_tensor(c, "shift", ROLE_INPUT, 0, 1, shape);
    Tensor w = case_tensor(c, "w", ROLE_INPUT, 0, 4, shape);
    CALL(c, d->conv_load(d, conv, w, scale, shift));
    // What was loaded shows in a forward.
    if (!c->bench) c->flops = conv_flops(&s);
    Tensor y = case_image(c, "y", ROLE_OUTPUT, (double)(s.in_c * s.kernel * s.kernel), s.n, s.out_c,
                          out_h(&s), out_w(&s));
    Tensor x = case_image(c, "x", ROLE_INPUT, 0, s.n, s.in_c, s.in_h, s.in_w), residual = {0};
    if (s.residual)
        residual = case_image(c, "residual", ROLE_INPUT, 0, s.n, s.out_c, out_h(&s), out_w(&s));
    d->conv_forward(d, conv, y, x, residual);
    d->conv_free(d, conv);
}

void check_conv_forward(Case *c) {
    ConvSpec s;
    if (!conv_spec(c, &s)) return;
    s.train = case_chance(c, 2);
    s.need_dx = s.train && s.need_dx;
    Device *d = c->device;
    Conv *conv = loaded_conv(c, s);
    Tensor x = case_image(c, "x", ROLE_INPUT, 0, s.n, s.in_c, s.in_h, s.in_w), residual = {0};
    if (s.residual)
        residual = case_image(c, "residual", ROLE_INPUT, 0, s.n, s.out_c, out_h(&s), out_w(&s));
    Tensor y = case_image(c, "y", ROLE_OUTPUT, (double)(s.in_c * s.kernel * s.kernel), s.n, s.out_c,
                          out_h(&s), out_w(&s));
    c->flops = conv_flops(&s);
    CALL(c, d->conv_forward(d, conv, y, x, residual));
    d->conv_free(d, conv);
}

void check_conv_backward(Case *c) {
    ConvSpec s;
    if (!conv_spec(c, &s)) return;
    Device *d = c->device;
    Conv *conv = loaded_conv(c, s);
    Tensor x = case_image(c, "x", ROLE_INPUT, 0, s.n, s.in_c, s.in_h, s.in_w), dx = {0};
    Tensor dz = case_image(c, "dz", ROLE_INPUT, 0, s.n, s.out_c, out_h(&s), out_w(&s));
    if (s.need_dx)
        dx = case_image(c, "dx", ROLE_OUTPUT, (double)(s.out_c * s.kernel * s.kernel), s.n, s.in_c,
                        s.in_h, s.in_w);
    Tensor dw = case_tensor(c, "dw", ROLE_ACCUMULATE, (double)(s.n * out_h(&s) * out_w(&s) + 1), 4,
                            SHAPE(s.out_c, s.in_c, s.kernel, s.kernel));
    c->flops = conv_flops(&s) * (s.need_dx ? 2 : 1);
    CALL(c, d->conv_backward(d, conv, dx, dw, dz, x));
    d->conv_free(d, conv);
}

void check_relu_backward(Case *c) {
    int64_t s[4];
    if (!case_sizes(c, 4, s, COUNT(image_real), image_real[0], image_max)) return;
    Tensor y = case_image(c, "y", ROLE_INPUT, 0, s[0], s[1], s[2], s[3]), dskip = {0}, dz;
    Tensor dy = case_image(c, "dy", ROLE_INPUT, 0, s[0], s[1], s[2], s[3]);
    if (!case_chance(c, 3)) dskip = case_image(c, "dskip", ROLE_INPUT, 0, s[0], s[1], s[2], s[3]);
    if (case_chance(c, 2))
        dz = case_in_place(c, dskip.data && case_chance(c, 2) ? dskip : dy, "dz in place", 0);
    else
        dz = case_image(c, "dz", ROLE_OUTPUT, 0, s[0], s[1], s[2], s[3]);
    CALL(c, c->device->relu_backward(c->device, dz, dy, dskip, y));
}

// Which of equal values gets the gradient is not agreed, so the nine of a window always differ:
// they are different modulo 9, and small enough for bfloat16 to hold.
static Tensor pool_input(Case *c, const int64_t *s) {
    int64_t n = s[0] * s[1] * s[2] * s[3];
    float *data = NEW(float, n);
    for (int64_t i = 0; i < n; i++) {
        int64_t y = i / s[3] % s[2], x = i % s[3];
        data[i] = ((float)(rng_next(&c->random) % 28) - 14) * 9 + (float)(y % 3 * 3 + x % 3);
    }
    Tensor t = case_given_image(c, "x", data, s[0], s[1], s[2], s[3]);
    mem_free(data);
    return t;
}

static const int64_t pool_real[][4] = {{1, 64, 120, 160}, {1, 64, 60, 80}};

void check_pool_forward(Case *c) {
    int64_t s[4];
    if (!case_sizes(c, 4, s, COUNT(pool_real), pool_real[0], image_max)) return;
    Device *d = c->device;
    Pool *pool = d->pool_new(d, s[0], s[1], s[2], s[3], case_chance(c, 2));
    Tensor x = pool_input(c, s);
    Tensor y =
        case_image(c, "y", ROLE_OUTPUT, 0, s[0], s[1], pool_out_size(s[2]), pool_out_size(s[3]));
    CALL(c, d->pool_forward(d, pool, y, x));
    d->pool_free(d, pool);
}

void check_pool_backward(Case *c) {
    int64_t s[4];
    if (!case_sizes(c, 4, s, COUNT(pool_real), pool_real[0], image_max)) return;
    Device *d = c->device;
    Pool *pool = d->pool_new(d, s[0], s[1], s[2], s[3], true);
    int64_t h = pool_out_size(s[2]), w = pool_out_size(s[3]);
    Tensor x = pool_input(c, s);
    Tensor y = case_image(c, "y", ROLE_OUTPUT, 0, s[0], s[1], h, w);
    d->pool_forward(d, pool, y, x);
    Tensor dy = case_image(c, "dy", ROLE_INPUT, 0, s[0], s[1], h, w);
    Tensor dx = case_image(c, "dx", ROLE_OUTPUT, 4, s[0], s[1], s[2], s[3]);
    CALL(c, d->pool_backward(d, pool, dx, dy));
    d->pool_free(d, pool);
}
