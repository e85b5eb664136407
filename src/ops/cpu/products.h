// SPDX-License-Identifier: Apache-2.0
// Convolutions as matrix products, for shapes and processors that oneDNN has no generated kernel
// for: over unfolded patches (conv_product.c) or by Winograd's algorithm (winograd.c). Each of the
// three directions can be used alone, in place of a oneDNN primitive. float32, but for one
// function. Images have any number of lanes that divides the channels (cpu_lanes).
//
// Every block of the work is one thread's: it gathers a factor into scratch of its own, multiplies
// it and stores the result. No sum depends on which thread comes first.
#ifndef TACT_OPS_CPU_PRODUCTS_H
#define TACT_OPS_CPU_PRODUCTS_H

#include "ops/cpu/cpu.h"
#include "ops/cpu/panels.h"

typedef enum Direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, DIRECTIONS } Direction;

// One weight of a kernel, and where it reads beside the pixel it is centred on.
typedef struct Tap {
    int64_t dy, dx;
    int run; // taps from here on that read pixels side by side
    int at;  // ky * kernel + kx
} Tap;

// How an image is read: pixel (y, x) of a grid has the patch of the pixels (y * stride + dy,
// x * stride + dx) under its taps, outside the image 0.
typedef struct Window {
    int64_t n, h, w, channels, lanes; // the image that is read
    int64_t grid_h, grid_w;
    int stride, taps;
    Tap *tap;
} Window;

// Where sums for a grid's pixels go: to pixel (y * step + top, x * step + left).
typedef struct Sink {
    int64_t h, w, channels, lanes;
    int step, top, left;
    bool relu;
    float *y;
    const float *shift, *residual; // per channel, an image like y; or NULL
} Sink;

// Pixels of one remainder of the stride, whose gradients come through the same weights.
typedef struct Phase {
    Window window;
    int top, left;
    float *weights; // in panels, of (taps, out_c) rows and in_c columns
} Phase;

typedef struct ConvProduct {
    ConvSpec spec;
    int64_t out_h, out_w, lanes, out_lanes;
    bool used[DIRECTIONS];
    int winograd[DIRECTIONS]; // the tiles' size, 0: not by that algorithm
    Window window;            // forward's, over x
    float *weights;           // in panels, of (taps, in_c) rows and out_c columns
    int64_t ld;               // of rows of (taps, in_c), the weights' gradients
    int n_phases;
    Phase *phases;               // backward data
    float *filters, *filters_of; // Winograd's, forward and backward data
} ConvProduct;

// A plan for the directions that are `used`; NULL (and failed) without memory.
ConvProduct *cpu_product_new(Device *d, const ConvSpec *s, const bool used[DIRECTIONS]);
void cpu_product_free(ConvProduct *p);
// w (O, I, k, k), the norm's scale already in it.
void cpu_product_load(Device *d, ConvProduct *p, const float *w);
// y = x * w + shift + residual, then relu if the spec says so; NaN stays NaN. residual may be NULL.
void cpu_product_forward(Device *d, const ConvProduct *p, float *y, const float *x,
                         const float *shift, const float *residual);
void cpu_product_data(Device *d, const ConvProduct *p, float *dx, const float *dz);
// dw (O, I, k, k) += scale (O) * the gradient.
void cpu_product_weights(Device *d, const ConvProduct *p, float *dw, const float *scale,
                         const float *dz, const float *x);
// conv_halves.c: whether oneDNN makes a direction wrong at bfloat16; and the two it does, of images
// that are made float32 of, and back.
bool cpu_onednn_errs(const ConvSpec *s, Direction way);
void cpu_product_forward_of_halves(Device *d, const ConvProduct *p, bf16 *y, const bf16 *x,
                                   const float *shift, const bf16 *residual);
void cpu_product_weights_of_halves(Device *d, const ConvProduct *p, float *dw, const float *scale,
                                   const bf16 *dz, const bf16 *x);
// The way that a direction would take, for people.
const char *cpu_product_name(const ConvProduct *p, Direction way);
// The tiles' size with which Winograd's algorithm takes less time than a direct convolution, or 0:
// a rule over the shape alone, so that a run repeats to the bit.
int cpu_winograd_tile(const ConvSpec *s, Direction way);

// ---- shared by the two files --------------------------------------------------------------------

// Rows of a factor this long, and no power of two apart, for those fall on the same lines of cache.
static inline int64_t product_ld(int64_t columns) {
    return columns % 128 ? columns : columns + 16;
}
// Scratch of so many floats for each thread; NULL (and failed) without memory. A thread's begins at
// the returned pointer + omp_get_thread_num() * floats.
float *product_scratch(Device *d, int64_t floats);
// Where channel c of pixel (y, x) of image n lies.
static inline int64_t image_at(int64_t channels, int64_t lanes, int64_t h, int64_t w, int64_t n,
                               int64_t c, int64_t y, int64_t x) {
    return ((n * (channels / lanes) + c / lanes) * h * w + y * w + x) * lanes + c % lanes;
}

// winograd.c, for tiles of 4 x 4 or 2 x 2 outputs: filters of a 3x3 convolution at 36 or 16 points,
// panels (panels.h) of `columns` rows each. turned: of backward data, where rows are the inputs'
// channels.
int64_t winograd_filter_floats(int tile, int64_t rows, int64_t columns);
void winograd_filters(Device *d, int tile, float *out, const float *w, int64_t out_c, int64_t in_c,
                      bool turned);
// y = x convolved with the filters, of the same height and width.
void winograd_convolve(Device *d, int tile, const Sink *y, const float *x, const float *filters,
                       int64_t n, int64_t channels, int64_t lanes);
void winograd_weights(Device *d, const ConvProduct *p, float *dw, const float *scale,
                      const float *dz, const float *x);

#endif
