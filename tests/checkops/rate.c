// SPDX-License-Identifier: Apache-2.0
// How far each convolution and dense layer of the whole model is from the rate at which the device
// multiplies large matrices.
#include "checkops.h"

#include "base/log.h"
#include "base/memory.h"
#include "ops/cpu/backend.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_ROWS = 512 };

// Time over arithmetic at the measured rate, of one op at one shape.
typedef struct Row {
    double ratio, milliseconds;
    char text[160];
} Row;

typedef struct Table {
    Device *device;
    double rate; // floating-point operations a second
    int count;
    Row rows[MOST_ROWS];
} Table;

static Tensor tensor_of(Device *d, int rank, const int64_t *shape) {
    Tensor t = tensor_view(NULL, DTYPE_F32, rank, shape);
    size_t bytes = (size_t)tensor_count(t) * sizeof(float);
    t.data = d->alloc(d, bytes);
    // Ones, not zeros: no processor is faster with them.
    for (int64_t i = 0; t.data && i < tensor_count(t); i++) f32(t)[i] = 1;
    return t;
}

// The least time of a call, over tries of TRY seconds in all.
#define TIME(seconds, ...)                                                                         \
    do {                                                                                           \
        const double try_for = 0.05;                                                               \
        __VA_ARGS__;                                                                               \
        (seconds) = 1e9;                                                                           \
        for (double begun = clock_seconds(), at; (at = clock_seconds()) - begun < try_for;) {      \
            __VA_ARGS__;                                                                           \
            at = clock_seconds() - at;                                                             \
            if (at < (seconds)) (seconds) = at;                                                    \
        }                                                                                          \
    } while (0)

static void add_row(Table *t, const char *op, const char *shape, double flops, double seconds,
                    const char *name) {
    if (t->count == MOST_ROWS) return;
    Row *r = &t->rows[t->count++];
    r->ratio = seconds / (flops / t->rate);
    r->milliseconds = seconds * 1e3;
    snprintf(r->text, sizeof r->text, "%-14s %-30s %s", op, shape, name);
}

static void rate_conv(Table *t, ConvSpec s) {
    Device *d = t->device;
    int64_t h = conv_out_size(s.in_h, s.kernel, s.stride, s.padding, s.dilation);
    int64_t w = conv_out_size(s.in_w, s.kernel, s.stride, s.padding, s.dilation);
    double flops = 2.0 * (double)(s.n * h * w * s.out_c * s.in_c) * s.kernel * s.kernel, seconds;
    Conv *c = d->conv_new(d, s);
    Tensor weights = tensor_of(d, 4, SHAPE(s.out_c, s.in_c, s.kernel, s.kernel));
    Tensor dw = tensor_of(d, 4, SHAPE(s.out_c, s.in_c, s.kernel, s.kernel));
    Tensor scale = tensor_of(d, 1, SHAPE(s.out_c)), shift = tensor_of(d, 1, SHAPE(s.out_c));
    Tensor x = tensor_of(d, 4, SHAPE(s.n, s.in_c, s.in_h, s.in_w));
    Tensor dx = tensor_of(d, 4, SHAPE(s.n, s.in_c, s.in_h, s.in_w));
    Tensor y = tensor_of(d, 4, SHAPE(s.n, s.out_c, h, w)), none = {0};
    Tensor all[] = {weights, dw, scale, shift, x, dx, y};
    char shape[64], name[96];
    snprintf(shape, sizeof shape, "%ldx%ldx%ldx%ld -> %ld, %dx%d/%d", (long)s.n, (long)s.in_c,
             (long)s.in_h, (long)s.in_w, (long)s.out_c, s.kernel, s.kernel, s.stride);
    cpu_conv_name(c, name, sizeof name);
    d->conv_load(d, c, weights, scale, shift);
    TIME(seconds, d->conv_forward(d, c, y, x, none));
    add_row(t, "conv_forward", shape, flops, seconds, name);
    if (s.train) {
        TIME(seconds, d->conv_backward(d, c, dx, dw, y, x));
        add_row(t, "conv_backward", shape, flops * (s.need_dx ? 2 : 1), seconds, name);
    }
    d->conv_free(d, c);
    for (int i = 0; i < COUNT(all); i++) d->release(d, all[i].data);
}

static void rate_linear(Table *t, int64_t m, int64_t n, int64_t k) {
    Device *d = t->device;
    Tensor x = tensor_of(d, 2, SHAPE(m, k)), w = tensor_of(d, 2, SHAPE(n, k));
    Tensor y = tensor_of(d, 2, SHAPE(m, n)), b = tensor_of(d, 1, SHAPE(n));
    Tensor dx = tensor_of(d, 2, SHAPE(m, k)), dw = tensor_of(d, 2, SHAPE(n, k));
    Tensor all[] = {x, w, y, b, dx, dw};
    double flops = 2.0 * (double)(m * n * k), seconds;
    char shape[64];
    snprintf(shape, sizeof shape, "%ld x %ld x %ld", (long)m, (long)n, (long)k);
    TIME(seconds, d->linear_forward(d, y, x, w, b));
    add_row(t, "linear_forward", shape, flops, seconds, "");
    TIME(seconds, d->linear_backward(d, dx, dw, b, y, x, w, false));
    add_row(t, "linear_backward", shape, 2 * flops, seconds, "");
    for (int i = 0; i < COUNT(all); i++) d->release(d, all[i].data);
}

// ResNet-18's convolutions of different shapes for n images.
static void rate_resnet(Table *t, int64_t n, int64_t h, int64_t w) {
    ConvSpec s = {.n = n,
                  .in_c = 3,
                  .in_h = h,
                  .in_w = w,
                  .out_c = 64,
                  .kernel = 7,
                  .stride = 2,
                  .padding = 3,
                  .dilation = 1,
                  .relu = true,
                  .train = true};
    rate_conv(t, s);
    s.in_h = pool_out_size((h + 1) / 2);
    s.in_w = pool_out_size((w + 1) / 2);
    s.kernel = 3;
    s.padding = 1;
    s.need_dx = true;
    for (int64_t c = 64; c <= 512; c *= 2) {
        s.in_c = c > 64 ? c / 2 : c;
        s.out_c = c;
        s.stride = 2;
        ConvSpec skip = s;
        skip.kernel = 1;
        skip.padding = 0;
        if (c > 64) {
            rate_conv(t, s);
            rate_conv(t, skip);
            s.in_h = (s.in_h + 1) / 2;
            s.in_w = (s.in_w + 1) / 2;
        }
        s.in_c = c;
        s.stride = 1;
        rate_conv(t, s);
    }
}

static int worst_first(const void *a, const void *b) {
    double x = ((const Row *)a)->ratio, y = ((const Row *)b)->ratio;
    return x < y ? 1 : -(x > y);
}

void rate_table(Device *d) {
    static const int64_t images[][3] = {{1, 32, 32},   {8, 32, 32},   {64, 32, 32},
                                        {1, 96, 96},   {8, 96, 128},  {64, 96, 96},
                                        {1, 240, 320}, {8, 240, 320}, {1, 480, 480}};
    enum { SIDE = 1024, WIDTH = 512, FEEDFORWARD = 3200 };
    Table *table = NEW(Table, 1);
    table->device = d;
    table->rate = 1;
    rate_linear(table, SIDE, SIDE, SIDE);
    table->rate = 2e3 * SIDE * SIDE * SIDE / table->rows[0].milliseconds;
    table->count = 0;
    printf(
        "%s\n%.1f GFLOP/s for a product of %d^3; time over that of the arithmetic, worst first\n",
        d->description, table->rate * 1e-9, SIDE);
    for (int i = 0; i < COUNT(images); i++) {
        int64_t n = images[i][0];
        rate_resnet(table, n, images[i][1], images[i][2]);
        int64_t tokens = n * (((images[i][1] + 31) / 32) * ((images[i][2] + 31) / 32) + 2);
        rate_linear(table, tokens, WIDTH, WIDTH);
        rate_linear(table, tokens, FEEDFORWARD, WIDTH);
        rate_linear(table, tokens, WIDTH, FEEDFORWARD);
    }
    qsort(table->rows, (size_t)table->count, sizeof *table->rows, worst_first);
    for (int i = 0; i < table->count; i++)
        printf("%6.2f %10.3f ms  %s\n", table->rows[i].ratio, table->rows[i].milliseconds,
               table->rows[i].text);
    mem_free(table);
}
