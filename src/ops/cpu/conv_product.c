// SPDX-License-Identifier: Apache-2.0
// Convolutions as matrix products over unfolded patches, in blocks of pixels whose patches stay in
// a core's cache. Backward data gathers as forward does, from the gradients around each pixel: a
// stride divides the pixels into phases, each of which sees its own part of the kernel.
#include "ops/cpu/products.h"

#include "base/memory.h"
#include <omp.h>
#include <string.h>

enum {
    BLOCK_PIXELS = 128,     // of one product: enough to be worth packing its other factor
    BLOCK_FLOATS = 3 << 15, // of unfolded patches
    LEAST_OUTPUTS = 32,     // channels of one product, where one block is shared by threads
};

float *product_scratch(Device *d, int64_t floats) {
    return cpu_grow(d, &cpu_of(d)->blocks, (size_t)(floats * d->threads) * sizeof(float));
}

// ---- reading and writing images -----------------------------------------------------------------

// Taps from the top left on, as forward's are, so that neighbours read neighbours.
static void note_runs(Window *v) {
    for (int t = v->taps - 1; t >= 0; t--) {
        const Tap *next = &v->tap[t + 1];
        bool beside = t + 1 < v->taps && next->dy == v->tap[t].dy && next->dx == v->tap[t].dx + 1;
        v->tap[t].run = beside ? next->run + 1 : 1;
    }
}

// Where all channels of a pixel lie side by side, so do those of a run of pixels.
static float *gather_runs(const Window *v, const float *image, int64_t y, int64_t x, int from,
                          int to, float *out) {
    int64_t c = v->channels;
    for (int t = from, run; t < to; t += run) {
        int64_t sy = y * v->stride + v->tap[t].dy, sx = x * v->stride + v->tap[t].dx;
        run = v->tap[t].run < to - t ? v->tap[t].run : to - t;
        int64_t left = sx < 0 ? least(-sx, run) : 0;
        int64_t right = sx + run > v->w ? (sx > v->w ? 0 : v->w - sx) : run;
        if (sy < 0 || sy >= v->h || left >= right) left = right = run;
        for (int64_t i = 0; i < left * c; i++) out[i] = 0;
        if (right > left)
            memcpy(out + left * c, image + (sy * v->w + sx + left) * c,
                   (size_t)((right - left) * c) * sizeof *out);
        for (int64_t i = right * c; i < run * c; i++) out[i] = 0;
        out += run * c;
    }
    return out;
}

static float *gather_blocks(const Window *v, const float *image, int64_t y, int64_t x, int from,
                            int to, float *out) {
    int64_t lanes = v->lanes, plane = v->h * v->w * lanes;
    for (int t = from; t < to; t++) {
        int64_t sy = y * v->stride + v->tap[t].dy, sx = x * v->stride + v->tap[t].dx;
        bool inside = sy >= 0 && sy < v->h && sx >= 0 && sx < v->w;
        const float *in = image + (inside ? (sy * v->w + sx) * lanes : 0);
        for (int64_t b = 0; b < v->channels / lanes; b++, in += plane, out += lanes)
            for (int64_t l = 0; l < lanes; l++) out[l] = inside ? in[l] : 0;
    }
    return out;
}

// The patches of `count` pixels from `first` on, counted through all images, under the taps from ..
// to: rows of (tap, channel), ld apart.
static void gather(const Window *v, const float *x, int64_t first, int64_t count, int from, int to,
                   float *out, int64_t ld) {
    int64_t grid = v->grid_h * v->grid_w, image = v->h * v->w * v->channels;
    bool runs = v->lanes == v->channels;
    for (int64_t i = first; i < first + count; i++, out += ld)
        (runs ? gather_runs : gather_blocks)(v, x + i / grid * image, i % grid / v->grid_w,
                                             i % v->grid_w, from, to, out);
}

// Stores `count` channels from c on of one pixel.
static void store_pixel(const Sink *s, int64_t n, int64_t y, int64_t x, int64_t c, int64_t count,
                        const float *sums) {
    for (int64_t end = c + count, run; c < end; c += run, sums += run) {
        run = least(s->lanes - c % s->lanes, end - c);
        int64_t at = image_at(s->channels, s->lanes, s->h, s->w, n, c, y, x);
        float *out = s->y + at;
        memcpy(out, sums, (size_t)run * sizeof *out);
        for (int64_t i = 0; s->shift && i < run; i++) out[i] += s->shift[c + i];
        for (int64_t i = 0; s->residual && i < run; i++) out[i] += s->residual[at + i];
        for (int64_t i = 0; s->relu && i < run; i++) out[i] = out[i] < 0 ? 0 : out[i];
    }
}

// ---- products of patches and weights ------------------------------------------------------------

// How a product is cut: blocks of pixels, and where those are fewer than threads, of outputs too.
typedef struct Cut {
    int64_t pixels, block, blocks, outputs, parts;
    int taps; // of one product: their patches are BLOCK_FLOATS at most
} Cut;

static Cut cut_of(const Device *d, const Window *v, int64_t outputs) {
    Cut c = {.pixels = v->n * v->grid_h * v->grid_w};
    c.block = least(BLOCK_PIXELS, c.pixels);
    c.blocks = rounded_up(c.pixels, c.block);
    c.block = rounded_up(c.pixels, c.blocks);
    int64_t parts = rounded_up(d->threads, c.blocks), most = rounded_up(outputs, LEAST_OUTPUTS);
    c.parts = parts < most ? parts : most;
    c.outputs = rounded_up(rounded_up(outputs, c.parts), panel_columns()) * panel_columns();
    c.parts = rounded_up(outputs, c.outputs);
    c.taps = (int)(BLOCK_FLOATS / (c.block * v->channels));
    c.taps = c.taps < 1 ? 1 : (c.taps < v->taps ? c.taps : v->taps);
    return c;
}

// Whether the image itself is its patches.
static bool is_unfolded(const Window *v) {
    return v->taps == 1 && v->stride == 1 && v->lanes == v->channels && v->tap[0].dy == 0 &&
           v->tap[0].dx == 0 && v->grid_h == v->h && v->grid_w == v->w;
}

// sums (count, outputs) of the pixels' patches times the weights of `outputs` channels from o on.
static void multiply_block(const Window *v, const Cut *c, const float *x, const float *weights,
                           int64_t channels, int64_t first, int64_t count, int64_t o,
                           int64_t outputs, float *patches, float *sums) {
    int64_t patch = product_ld(c->taps * v->channels), wide = product_ld(c->outputs);
    if (v->taps == 0) memset(sums, 0, (size_t)(count * wide) * sizeof *sums);
    for (int t = 0, to; t < v->taps; t = to) {
        const bool unfolded = is_unfolded(v);
        to = t + c->taps < v->taps ? t + c->taps : v->taps;
        if (!unfolded) gather(v, x, first, count, t, to, patches, patch);
        const PanelProduct p = {.m = count,
                                .n = channels,
                                .k = (to - t) * v->channels,
                                .lda = unfolded ? v->channels : patch,
                                .ldc = wide,
                                .depth = v->taps * v->channels,
                                .first = t * v->channels,
                                .a = unfolded ? x + first * v->channels : patches,
                                .panels = weights,
                                .c = sums,
                                .sum = t > 0};
        panels_multiply(&p, o, o + outputs);
    }
}

static void multiply_window(Device *d, const Window *v, const float *x, const float *weights,
                            const Sink *sink) {
    Cut c = cut_of(d, v, sink->channels);
    int64_t patches = c.block * product_ld(c.taps * v->channels);
    int64_t floats = patches + c.block * product_ld(c.outputs), grid = v->grid_h * v->grid_w;
    float *scratch = product_scratch(d, floats);
    if (!scratch) return;
#pragma omp parallel for num_threads(d->threads) collapse(2) schedule(dynamic)
    for (int64_t b = 0; b < c.blocks; b++)
        for (int64_t part = 0; part < c.parts; part++) {
            float *mine = scratch + omp_get_thread_num() * floats, *sums = mine + patches;
            int64_t first = b * c.block, count = least(c.block, c.pixels - first);
            int64_t o = part * c.outputs, outputs = least(c.outputs, sink->channels - o);
            if (count <= 0) continue;
            multiply_block(v, &c, x, weights, sink->channels, first, count, o, outputs, mine, sums);
            for (int64_t i = first; i < first + count; i++, sums += product_ld(c.outputs))
                store_pixel(sink, i / grid, i % grid / v->grid_w * sink->step + sink->top,
                            i % v->grid_w * sink->step + sink->left, o, outputs, sums);
        }
}

// ---- the gradient of weights --------------------------------------------------------------------

// dw from `slices` partial sums (out_c, taps, in_c), added in order.
static void add_slices(Device *d, const ConvProduct *p, float *dw, const float *scale,
                       const float *sums, int64_t slices) {
    int64_t in_c = p->spec.in_c, all = p->spec.kernel * p->spec.kernel;
#pragma omp parallel for num_threads(d->threads)
    for (int64_t o = 0; o < p->spec.out_c; o++)
        for (int64_t t = 0; t < p->window.taps; t++) {
            const float *row = sums + o * p->ld + t * in_c;
            float *out = dw + o * in_c * all + p->window.tap[t].at;
            for (int64_t i = 0; i < in_c; i++) {
                float sum = 0;
                for (int64_t s = 0; s < slices; s++) sum += row[s * p->spec.out_c * p->ld + i];
                out[i * all] += scale[o] * sum;
            }
        }
}

// A thread's work is the gradient of some taps over a slice of the pixels: dz^T times patches,
// block by block. Slices are few, and only as many as keep the threads busy.
static void unfolded_weights(Device *d, const ConvProduct *p, float *dw, const float *scale,
                             const float *dz, const float *x) {
    enum { COLUMNS = 640, BLOCK = 256, TASKS = 4 };
    Tap self = {.run = 1};
    const Window *v = &p->window, gradients = {.n = v->n,
                                               .h = p->out_h,
                                               .w = p->out_w,
                                               .channels = p->spec.out_c,
                                               .lanes = p->out_lanes,
                                               .grid_h = p->out_h,
                                               .grid_w = p->out_w,
                                               .stride = 1,
                                               .taps = 1,
                                               .tap = &self};
    int64_t pixels = v->n * p->out_h * p->out_w, block = least(BLOCK, pixels);
    int taps = (int)(COLUMNS / v->channels);
    taps = taps < 1 ? 1 : (taps < v->taps ? taps : v->taps);
    int64_t groups = rounded_up(v->taps, taps), blocks = rounded_up(pixels, block);
    int64_t slices = least(rounded_up((int64_t)TASKS * d->threads, groups), blocks);
    if (groups >= TASKS * d->threads || d->threads == 1) slices = 1;
    int64_t slice = rounded_up(blocks, slices), outputs = p->spec.out_c;
    int64_t wide = product_ld(outputs), patch = product_ld(taps * v->channels);
    int64_t floats = block * (wide + patch), sums = slices * outputs * p->ld;
    float *scratch = product_scratch(d, floats + rounded_up(sums, d->threads));
    if (!scratch) return;
    float *partial = scratch + floats * d->threads;
#pragma omp parallel for num_threads(d->threads) collapse(2) schedule(dynamic)
    for (int64_t g = 0; g < groups; g++)
        for (int64_t s = 0; s < slices; s++) {
            int from = (int)g * taps, to = from + taps < v->taps ? from + taps : v->taps;
            float *z = scratch + omp_get_thread_num() * floats, *patches = z + block * wide;
            float *out = partial + s * outputs * p->ld + from * v->channels;
            int64_t columns = (to - from) * v->channels, end = least((s + 1) * slice, blocks);
            if (s * slice >= end)
                for (int64_t o = 0; o < outputs; o++)
                    memset(out + o * p->ld, 0, (size_t)columns * sizeof *out);
            for (int64_t b = s * slice; b < end; b++) {
                int64_t first = b * block, count = least(block, pixels - first);
                gather(&gradients, dz, first, count, 0, 1, z, wide);
                gather(v, x, first, count, from, to, patches, patch);
                cpu_gemm(d, 'T', 'N', outputs, columns, count, 1, z, wide, patches, patch,
                         b > s * slice, out, p->ld);
            }
        }
    add_slices(d, p, dw, scale, partial, slices);
}

// ---- plans --------------------------------------------------------------------------------------

// Whether a tap reads pixels at all: with small maps many read nothing but padding.
static bool reads(const Tap *tap, const Window *v) {
    bool row = false, column = false;
    for (int64_t y = 0; y < v->grid_h && !row; y++)
        row = y * v->stride + tap->dy >= 0 && y * v->stride + tap->dy < v->h;
    for (int64_t x = 0; x < v->grid_w && !column; x++)
        column = x * v->stride + tap->dx >= 0 && x * v->stride + tap->dx < v->w;
    return row && column;
}

static void add_tap(Window *v, Tap tap) {
    if (reads(&tap, v)) v->tap[v->taps++] = tap;
}

static Tap *taps_new(Device *d, const ConvSpec *s) {
    Tap *taps = TRY_NEW(Tap, s->kernel * s->kernel);
    if (!taps) device_fail_memory(d, "the taps of a convolution");
    return taps;
}

static void plan_window(Device *d, ConvProduct *p) {
    const ConvSpec *s = &p->spec;
    p->window = (Window){.n = s->n,
                         .h = s->in_h,
                         .w = s->in_w,
                         .channels = s->in_c,
                         .lanes = p->lanes,
                         .grid_h = p->out_h,
                         .grid_w = p->out_w,
                         .stride = s->stride,
                         .tap = taps_new(d, s)};
    if (d->failed) return;
    for (int t = 0; t < s->kernel * s->kernel; t++)
        add_tap(&p->window, (Tap){.dy = t / s->kernel * s->dilation - s->padding,
                                  .dx = t % s->kernel * s->dilation - s->padding,
                                  .at = t});
    note_runs(&p->window);
    p->ld = product_ld(p->window.taps * s->in_c);
}

// dx at (stride * y + top) takes dz at y + (top + padding - ky * dilation) / stride, where that
// divides.
static void plan_phase(Device *d, ConvProduct *p, Phase *phase, int top, int left) {
    const ConvSpec *s = &p->spec;
    Window *v = &phase->window;
    phase->top = top;
    phase->left = left;
    *v = (Window){.n = s->n,
                  .h = p->out_h,
                  .w = p->out_w,
                  .channels = s->out_c,
                  .lanes = p->out_lanes,
                  .grid_h = rounded_up(s->in_h - top, s->stride),
                  .grid_w = rounded_up(s->in_w - left, s->stride),
                  .stride = 1,
                  .tap = taps_new(d, s)};
    if (d->failed) return;
    for (int t = s->kernel * s->kernel - 1; t >= 0; t--) {
        int64_t y = top + s->padding - t / s->kernel * s->dilation;
        int64_t x = left + s->padding - t % s->kernel * s->dilation;
        if (y % s->stride == 0 && x % s->stride == 0)
            add_tap(v, (Tap){.dy = y / s->stride, .dx = x / s->stride, .at = t});
    }
    note_runs(v);
}

// Panels for B (k, n), all zeros: those that fill the last one up stay so.
static float *panels_new(Device *d, int64_t k, int64_t n) {
    return d->alloc(d, (size_t)panels_floats(k, n) * sizeof(float));
}

static float *filters_new(Device *d, int tile, int64_t rows, int64_t columns) {
    return d->alloc(d, (size_t)winograd_filter_floats(tile, rows, columns) * sizeof(float));
}

static void plan_phases(Device *d, ConvProduct *p) {
    int stride = p->spec.stride;
    p->phases = TRY_NEW(Phase, stride * stride);
    if (p->phases)
        p->n_phases = stride * stride;
    else
        device_fail_memory(d, "a convolution's plan");
    for (int i = 0; i < p->n_phases; i++) {
        Phase *phase = &p->phases[i];
        plan_phase(d, p, phase, i / stride, i % stride);
        if (phase->window.taps)
            phase->weights = panels_new(d, phase->window.taps * p->spec.out_c, p->spec.in_c);
    }
}

int cpu_winograd_tile(const ConvSpec *s, Direction way) {
    enum { LARGE = 4, SMALL = 2, FEWEST = 16 };
    int64_t large = s->n * rounded_up(s->in_h, LARGE) * rounded_up(s->in_w, LARGE);
    int64_t small = s->n * rounded_up(s->in_h, SMALL) * rounded_up(s->in_w, SMALL);
    int64_t pixels = s->n * s->in_h * s->in_w;
    if (s->kernel != 3 || s->stride != 1 || s->dilation != 1 || s->padding != 1 || s->in_c % 8 ||
        s->out_c % 8 || s->in_c < 16 || s->out_c < 16)
        return 0;
    if (way == BACKWARD_WEIGHTS) return large >= 96 && 6 * large <= pixels ? LARGE : 0;
    if (large >= FEWEST && 6 * large <= pixels) return LARGE;
    return small >= FEWEST && 2 * small <= pixels ? SMALL : 0;
}

ConvProduct *cpu_product_new(Device *d, const ConvSpec *s, const bool used[DIRECTIONS]) {
    ConvProduct *p = TRY_NEW(ConvProduct, 1);
    if (!p) {
        device_fail_memory(d, "a convolution's plan");
        return NULL;
    }
    *p = (ConvProduct){
        .spec = *s,
        .out_h = conv_out_size(s->in_h, s->kernel, s->stride, s->padding, s->dilation),
        .out_w = conv_out_size(s->in_w, s->kernel, s->stride, s->padding, s->dilation),
        .lanes = cpu_lanes(d, s->in_c),
        .out_lanes = cpu_lanes(d, s->out_c),
    };
    for (int i = 0; i < DIRECTIONS; i++) {
        p->used[i] = used[i];
        p->winograd[i] = used[i] ? cpu_winograd_tile(s, (Direction)i) : 0;
    }
    plan_window(d, p);
    if (d->failed) goto error;
    if (p->winograd[FORWARD])
        p->filters = filters_new(d, p->winograd[FORWARD], s->out_c, s->in_c);
    else if (p->used[FORWARD])
        p->weights = panels_new(d, p->window.taps * s->in_c, s->out_c);
    if (p->winograd[BACKWARD_DATA])
        p->filters_of = filters_new(d, p->winograd[BACKWARD_DATA], s->in_c, s->out_c);
    else if (p->used[BACKWARD_DATA])
        plan_phases(d, p);
    if (!d->failed) return p;
error:
    cpu_product_free(p);
    return NULL;
}

void cpu_product_free(ConvProduct *p) {
    if (!p) return;
    for (int i = 0; i < p->n_phases; i++) {
        mem_free(p->phases[i].window.tap);
        mem_free(p->phases[i].weights);
    }
    mem_free(p->phases);
    mem_free(p->window.tap);
    mem_free(p->weights);
    mem_free(p->filters);
    mem_free(p->filters_of);
    mem_free(p);
}

const char *cpu_product_name(const ConvProduct *p, Direction way) {
    return p->winograd[way] ? "winograd" : "product";
}

// ---- loading and running ------------------------------------------------------------------------

// Weights (outputs, inputs, taps), `down` and `across` apart, into panels of (taps, inputs) rows,
// tap t from `at` of the kernel's.
static void load_panels(Device *d, float *panels, const float *w, const Window *v, int64_t down,
                        int64_t across, int64_t outputs) {
    int64_t inputs = v->channels, depth = v->taps * inputs, panel = panel_columns();
#pragma omp parallel for num_threads(d->threads)
    for (int64_t o = 0; o < outputs; o += panel)
        for (int64_t i = 0; i < inputs; i++)
            for (int t = 0; t < v->taps; t++) {
                float *to = panels + panel_at(depth, t * inputs + i, o);
                const float *in = w + o * down + i * across + v->tap[t].at;
                for (int64_t l = 0; l < least(panel, outputs - o); l++) to[l] = in[l * down];
            }
}

void cpu_product_load(Device *d, ConvProduct *p, const float *w) {
    const ConvSpec *s = &p->spec;
    int64_t taps = s->kernel * s->kernel, row = s->in_c * taps;
    if (p->weights) load_panels(d, p->weights, w, &p->window, row, taps, s->out_c);
    if (p->filters)
        winograd_filters(d, p->winograd[FORWARD], p->filters, w, s->out_c, s->in_c, false);
    if (p->filters_of)
        winograd_filters(d, p->winograd[BACKWARD_DATA], p->filters_of, w, s->out_c, s->in_c, true);
    for (int i = 0; i < p->n_phases; i++)
        load_panels(d, p->phases[i].weights, w, &p->phases[i].window, taps, row, s->in_c);
}

void cpu_product_forward(Device *d, const ConvProduct *p, float *y, const float *x,
                         const float *shift, const float *residual) {
    const ConvSpec *s = &p->spec;
    Sink sink = {.h = p->out_h,
                 .w = p->out_w,
                 .channels = s->out_c,
                 .lanes = p->out_lanes,
                 .step = 1,
                 .relu = s->relu,
                 .y = y,
                 .shift = shift,
                 .residual = residual};
    if (p->filters)
        winograd_convolve(d, p->winograd[FORWARD], &sink, x, p->filters, s->n, s->in_c, p->lanes);
    else
        multiply_window(d, &p->window, x, p->weights, &sink);
}

void cpu_product_data(Device *d, const ConvProduct *p, float *dx, const float *dz) {
    const ConvSpec *s = &p->spec;
    Sink sink = {.h = s->in_h,
                 .w = s->in_w,
                 .channels = s->in_c,
                 .lanes = p->lanes,
                 .step = s->stride,
                 .y = dx};
    if (p->filters_of) {
        winograd_convolve(d, p->winograd[BACKWARD_DATA], &sink, dz, p->filters_of, s->n, s->out_c,
                          p->out_lanes);
        return;
    }
    for (int i = 0; i < p->n_phases && !d->failed; i++) {
        const Phase *phase = &p->phases[i];
        sink.top = phase->top;
        sink.left = phase->left;
        if (phase->window.grid_h > 0 && phase->window.grid_w > 0)
            multiply_window(d, &phase->window, dz, phase->weights, &sink);
    }
}

void cpu_product_weights(Device *d, const ConvProduct *p, float *dw, const float *scale,
                         const float *dz, const float *x) {
    (p->winograd[BACKWARD_WEIGHTS] ? winograd_weights : unfolded_weights)(d, p, dw, scale, dz, x);
}
