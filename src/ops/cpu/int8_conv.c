// SPDX-License-Identifier: Apache-2.0
// Convolutions of bytes. The image becomes bytes with its border, once; then each thread gathers
// what the kernel sees at 32 positions, side by side, and multiplies it with its share of the
// weights. What lies side by side in the image (the pixels of a row of the kernel) is copied
// together, in pieces of 32 bytes: what is beyond meets weights of 0.
#include "ops/cpu/int8.h"

#include "base/memory.h"
#include "ops/cpu/panels.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { PIECE = 32 };

struct Int8Conv {
    ConvSpec spec;
    int64_t out_h, out_w, positions;
    int64_t wide, high; // of the image with its border
    int64_t runs, run,
        run_bytes;   // what is copied together: how many, of how many bytes, rounded up
    int64_t *run_at; // where each begins, from the position's first byte on
    int32_t *from;   // of the depth's elements in a row of the weights, or -1
    Int8Weights *weights;
};

static int64_t depth_of(const Int8Conv *c) {
    return c->runs * c->run_bytes;
}

// Element (tap, channel) of the runs is (channel, tap) of the weights.
static void place_runs(Int8Conv *c) {
    const ConvSpec *s = &c->spec;
    const int64_t taps = s->kernel * s->kernel, together = taps / c->runs;
    for (int64_t i = 0; i < depth_of(c); i++) c->from[i] = -1;
    for (int64_t r = 0; r < c->runs; r++) {
        const int64_t first = r * together;
        c->run_at[r] =
            (first / s->kernel * s->dilation * c->wide + first % s->kernel * s->dilation) * s->in_c;
        for (int64_t i = 0; i < c->run; i++)
            c->from[r * c->run_bytes + i] = (int32_t)(i % s->in_c * taps + first + i / s->in_c);
    }
}

Int8Conv *int8_conv_new(Device *d, const ConvSpec *s) {
    Int8Conv *c = TRY_NEW(Int8Conv, 1);
    if (!c) {
        device_fail_memory(d, "a convolution's plan");
        return NULL;
    }
    c->spec = *s;
    c->out_h = conv_out_size(s->in_h, s->kernel, s->stride, s->padding, s->dilation);
    c->out_w = conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation);
    c->positions = s->n * c->out_h * c->out_w;
    c->wide = s->in_w + 2 * s->padding;
    c->high = s->in_h + 2 * s->padding;
    const int64_t together = s->dilation == 1 ? s->kernel : 1; // taps
    c->runs = s->kernel * s->kernel / together;
    c->run = together * s->in_c;
    c->run_bytes = rounded_up(c->run, PIECE) * PIECE;
    c->run_at = TRY_NEW(int64_t, c->runs);
    c->from = TRY_NEW(int32_t, depth_of(c));
    if (c->run_at && c->from) {
        place_runs(c);
        return c;
    }
    device_fail_memory(d, "a convolution's plan");
    int8_conv_free(c);
    return NULL;
}

void int8_conv_free(Int8Conv *c) {
    if (!c) return;
    int8_weights_free(c->weights);
    mem_free(c->run_at);
    mem_free(c->from);
    mem_free(c);
}

void int8_conv_load(Device *d, Int8Conv *c, const float *w) {
    const ConvSpec *s = &c->spec;
    int8_weights_free(c->weights);
    c->weights = int8_weights_new(d, w, s->out_c, s->in_c * s->kernel * s->kernel, c->from,
                                  depth_of(c), s->rounding);
}

// ---- forward ------------------------------------------------------------------------------------

// What a thread gathers from.
typedef struct Gather {
    const Int8Conv *conv;
    const uint8_t *image;
    int64_t apart;
} Gather;

static inline void copy_pieces(uint8_t *to, const uint8_t *from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += PIECE) memcpy(to + i, from + i, PIECE);
}

static void gather_rows(const void *user, int64_t i, uint8_t *out) {
    const Gather *g = user;
    const Int8Conv *c = g->conv;
    const ConvSpec *s = &c->spec;
    const int64_t n = least(c->positions - i, INT8_SIDE);
    int64_t x = i % c->out_w, y = i / c->out_w % c->out_h, image = i / c->out_w / c->out_h;
    for (int64_t r = 0; r < n; r++, out += g->apart) {
        const int64_t pixel = (image * c->high + y * s->stride) * c->wide + x * s->stride;
        const uint8_t *from = g->image + pixel * s->in_c;
        for (int64_t k = 0; k < c->runs; k++)
            copy_pieces(out + k * c->run_bytes, from + c->run_at[k], c->run_bytes);
        if (++x < c->out_w) continue;
        x = 0;
        if (++y == c->out_h) y = 0, image++;
    }
}

// Rows of the image with its border, from .. to of all images'. False where a number is not finite.
static bool round_rows(const Int8Conv *c, const void *x, bool half, uint8_t *image, int64_t from,
                       int64_t to, Int8Bytes b) {
    const ConvSpec *s = &c->spec;
    const int64_t row = s->in_w * s->in_c, border = s->padding * s->in_c;
    const int64_t row_bytes = row * (int64_t)(half ? sizeof(bf16) : sizeof(float));
    bool finite = true;
    for (int64_t i = from; i < to; i++) {
        const int64_t y = i % c->high - s->padding;
        uint8_t *out = image + i * c->wide * s->in_c;
        if (y < 0 || y >= s->in_h) {
            memset(out, int8_zero(b), (size_t)(c->wide * s->in_c));
            continue;
        }
        const char *in = (const char *)x + (i / c->high * s->in_h + y) * row_bytes;
        memset(out, int8_zero(b), (size_t)border);
        finite &= int8_round(out + border, in, half, row, b);
        memset(out + border + row, int8_zero(b), (size_t)border);
    }
    return finite;
}

void int8_conv_forward(Device *d, const Int8Conv *c, void *y, const void *x, const float *shift,
                       const void *residual) {
    const ConvSpec *s = &c->spec;
    if (!c->weights || d->failed || c->positions < 1) return;
    const int64_t rows = s->n * c->high, image = rows * c->wide * s->in_c;
    // The last run may be read beyond its end.
    const int64_t whole = rounded_up(image + c->run_bytes, INT8_DEPTH) * INT8_DEPTH;
    Gather g = {.conv = c, .apart = int8_apart(depth_of(c))};
    const Int8Product p = {.w = c->weights,
                           .m = c->positions,
                           .apart = g.apart,
                           .gather = gather_rows,
                           .user = &g,
                           .finish = {.y = y,
                                      .residual = residual,
                                      .half = cpu_bf16(d),
                                      .apart = s->out_c,
                                      .shift = shift,
                                      .least = s->relu ? 0 : -INFINITY}};
    const int64_t mine = int8_scratch(&p);
    uint8_t *room = cpu_grow(d, &cpu_of(d)->int8_scratch, (size_t)(whole + d->threads * mine));
    if (!room) return;
    g.image = room;
    const Int8Bytes bytes = int8_bytes(d, s->rounding);
    int lost = 0;
#pragma omp parallel num_threads(d->threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        if (!round_rows(c, x, cpu_bf16(d), room, rows * me / all, rows * (me + 1) / all, bytes)) {
#pragma omp atomic write
            lost = 1;
        }
#pragma omp barrier
        if (lost)
            int8_lose(&p.finish, p.m, s->out_c, me, all);
        else
            int8_multiply(d, &p, (char *)room + whole + me * mine, me, all);
    }
}
