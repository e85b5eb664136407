// SPDX-License-Identifier: Apache-2.0
// Convolutions of bytes. The image becomes bytes with its border, once, and its rows are laid apart
// by their number's remainder of the stride, so that what a tap of the kernel sees at positions one
// behind the other lies one behind the other, too. Where channels fill steps of the depth, rows of
// a product are taken from where they lie; positions then go on over the border to the next row,
// and what is summed there is thrown away. Else, and where that would be too much, each thread
// gathers what the kernel sees at 32 positions: what lies side by side (the pixels of a row of the
// kernel) is copied together, in pieces of 32 bytes; what is beyond meets weights of 0.
#include "ops/cpu/int8.h"

#include "base/memory.h"
#include "ops/cpu/panels.h"

#include <math.h>
#include <omp.h>
#include <string.h>

enum { PIECE = 32 };

struct Int8Conv {
    ConvSpec spec;
    int64_t out_h, out_w;
    int64_t wide, high;           // pixels of a row, and rows, of an image with its border
    int64_t planes, tall;         // rows are in so many planes, each of `tall` rows
    int64_t runs, run, run_bytes; // what lies side by side: how many, of how many bytes, rounded up
    int64_t *run_at;              // where each begins, from the position's first byte on
    int32_t *from;                // of the depth's elements in a row of the weights, or -1
    bool gathers;
    int64_t *at;      // without: where each step of the depth is, from the position's first byte on
    int64_t grid_w;   // positions of a row, thrown away ones too
    int64_t an_image; // blocks of an image; with gathering they are not an image's own
    Int8Weights *weights;
};

static int64_t depth_of(const Int8Conv *c) {
    return c->runs * c->run_bytes;
}

static int64_t image_bytes(const Int8Conv *c) {
    return c->planes * c->tall * c->wide * c->spec.in_c;
}

// Element (tap, channel) of the runs is (channel, tap) of the weights.
static void place_runs(Int8Conv *c) {
    const ConvSpec *s = &c->spec;
    const int64_t taps = s->kernel * s->kernel, together = taps / c->runs;
    for (int64_t i = 0; i < depth_of(c); i++) c->from[i] = -1;
    for (int64_t r = 0; r < c->runs; r++) {
        const int64_t first = r * together, y = first / s->kernel * s->dilation,
                      x = first % s->kernel * s->dilation;
        c->run_at[r] = ((y % s->stride * c->tall + y / s->stride) * c->wide + x) * s->in_c;
        for (int64_t i = 0; i < c->run; i++)
            c->from[r * c->run_bytes + i] = (int32_t)(i % s->in_c * taps + first + i / s->in_c);
    }
    for (int64_t k = 0; c->at && k < int8_steps(depth_of(c)); k++)
        c->at[k] = c->run_at[k * INT8_DEPTH / c->run_bytes] + k * INT8_DEPTH % c->run_bytes;
}

// In the cycles of block_parts (int8.c): is it less to gather rows than to sum over the border?
static bool gathering_pays(const Int8Conv *c) {
    const int64_t cycles = 64 * rounded_up(c->spec.out_c, INT8_SIDE);
    return c->spec.in_c % INT8_DEPTH || c->grid_w * cycles > c->out_w * (cycles + 48);
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
    c->grid_w = rounded_up(s->in_w + 2 * s->padding, s->stride);
    c->wide = c->grid_w * s->stride;
    c->high = s->in_h + 2 * s->padding;
    c->planes = s->stride;
    c->tall = rounded_up(c->high, s->stride);
    const int64_t together = s->dilation == 1 ? s->kernel : 1; // taps
    c->runs = s->kernel * s->kernel / together;
    c->run = together * s->in_c;
    c->run_bytes = rounded_up(c->run, PIECE) * PIECE;
    c->gathers = gathering_pays(c);
    if (c->gathers) c->grid_w = c->out_w;
    c->an_image = rounded_up((c->out_h - 1) * c->grid_w + c->out_w, INT8_SIDE);
    c->run_at = TRY_NEW(int64_t, c->runs);
    c->from = TRY_NEW(int32_t, depth_of(c));
    if (!c->gathers) c->at = TRY_NEW(int64_t, int8_steps(depth_of(c)));
    if (c->run_at && c->from && (c->gathers || c->at)) {
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
    mem_free(c->at);
    mem_free(c);
}

void int8_conv_load(Device *d, Int8Conv *c, const float *w) {
    const ConvSpec *s = &c->spec;
    int8_weights_free(c->weights);
    c->weights = int8_weights_new(d, w, s->out_c, s->in_c * s->kernel * s->kernel, c->from,
                                  depth_of(c), s->rounding);
}

// ---- blocks -------------------------------------------------------------------------------------

// What a thread takes its blocks from.
typedef struct Images {
    const Int8Conv *conv;
    const uint8_t *bytes;
    int64_t apart;
} Images;

static const uint8_t *pixel_at(const Images *m, int64_t image, int64_t y, int64_t x) {
    const Int8Conv *c = m->conv;
    return m->bytes + image * image_bytes(c) + (y * c->wide + x * c->spec.stride) * c->spec.in_c;
}

static inline void copy_pieces(uint8_t *to, const uint8_t *from, int64_t bytes) {
    for (int64_t i = 0; i < bytes; i += PIECE) memcpy(to + i, from + i, PIECE);
}

// The positions of block i, which are those of one image; the last ones may be none.
static const uint8_t *block_of(const void *user, int64_t i, uint8_t *room,
                               int64_t places[INT8_SIDE]) {
    const Images *m = user;
    const Int8Conv *c = m->conv;
    const int64_t image = i / c->an_image, q = i % c->an_image * INT8_SIDE;
    int64_t y = q / c->grid_w, x = q % c->grid_w;
    const uint8_t *first = pixel_at(m, image, y, x);
    for (int64_t r = 0; r < INT8_SIDE; r++) {
        const bool there = y < c->out_h && x < c->out_w;
        places[r] = there ? ((image * c->out_h + y) * c->out_w + x) * c->spec.out_c : -1;
        if (c->gathers && there)
            for (int64_t k = 0; k < c->runs; k++)
                copy_pieces(room + r * m->apart + k * c->run_bytes,
                            pixel_at(m, image, y, x) + c->run_at[k], c->run_bytes);
        if (++x == c->grid_w) x = 0, y++;
    }
    return c->gathers ? room : first;
}

// ---- forward ------------------------------------------------------------------------------------

// Rows of the images with their borders, from .. to. False where a number is not finite.
static bool round_rows(const Int8Conv *c, const void *x, bool half, uint8_t *bytes, int64_t from,
                       int64_t to, Int8Bytes b) {
    const ConvSpec *s = &c->spec;
    const int64_t row = s->in_w * s->in_c, border = s->padding * s->in_c, all = c->wide * s->in_c,
                  tall = c->planes * c->tall;
    const int64_t row_bytes = row * (int64_t)(half ? sizeof(bf16) : sizeof(float));
    bool finite = true;
    for (int64_t i = from; i < to; i++) {
        const int64_t place = i % tall,
                      y = place % c->tall * c->planes + place / c->tall - s->padding;
        uint8_t *out = bytes + i * all;
        if (y < 0 || y >= s->in_h) {
            memset(out, int8_zero(b), (size_t)all);
            continue;
        }
        const char *in = (const char *)x + (i / tall * s->in_h + y) * row_bytes;
        memset(out, int8_zero(b), (size_t)border);
        finite &= int8_round(out + border, in, half, row, b);
        memset(out + border + row, int8_zero(b), (size_t)(all - border - row));
    }
    return finite;
}

static Int8Product product_of(const Int8Conv *c, const Images *m) {
    return (Int8Product){.w = c->weights,
                         .blocks = c->spec.n * c->an_image,
                         .apart = m->apart,
                         .at = c->gathers ? c->weights->at : c->at,
                         .block = block_of,
                         .user = m,
                         .gathers = c->gathers};
}

void int8_conv_forward(Device *d, const Int8Conv *c, void *y, const void *x, const float *shift,
                       const void *residual) {
    const ConvSpec *s = &c->spec;
    if (!c->weights || d->failed || c->out_h < 1 || c->out_w < 1) return;
    Images images = {.conv = c,
                     .apart = c->gathers ? int8_apart(depth_of(c)) : s->stride * s->in_c};
    Int8Product p = product_of(c, &images);
    p.finish = (Int8Finish){.y = y,
                            .residual = residual,
                            .half = cpu_bf16(d),
                            .shift = shift,
                            .least = s->relu ? 0 : -INFINITY};
    const int64_t rows = s->n * c->planes * c->tall, room = int8_room(&p);
    // The last block may be read beyond the images' end: its positions, and the last run.
    const int64_t beyond = INT8_SIDE * s->stride * s->in_c + c->run_bytes;
    const int64_t whole = rounded_up(s->n * image_bytes(c) + beyond, INT8_DEPTH) * INT8_DEPTH;
    uint8_t *bytes = cpu_grow(d, &cpu_of(d)->int8_scratch, (size_t)(whole + d->threads * room));
    if (!bytes) return;
    images.bytes = bytes;
    const Int8Bytes as = int8_bytes(d, s->rounding);
    int lost = 0;
#pragma omp parallel num_threads(d->threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        if (!round_rows(c, x, cpu_bf16(d), bytes, rows * me / all, rows * (me + 1) / all, as)) {
#pragma omp atomic write
            lost = 1;
        }
#pragma omp barrier
        if (!lost) int8_multiply(d, &p, bytes + whole + me * room, me, all);
    }
    if (lost) int8_lose(&p.finish, 0, s->n * c->out_h * c->out_w * s->out_c);
}
