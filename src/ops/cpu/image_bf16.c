// SPDX-License-Identifier: Apache-2.0
// Images, pooling and passes over images where they are bfloat16, (N, H, W, C). Sums are float32.
#include "ops/cpu/cpu.h"
#include "ops/cpu/vector.h"

static bf16 *halves_of(Tensor t) {
    return t.data;
}

static size_t image_bytes(Device *d, int64_t n, int64_t c, int64_t h, int64_t w) {
    (void)d;
    return (size_t)n * (size_t)c * (size_t)h * (size_t)w * sizeof(bf16);
}

static void image_normalize(Device *d, Tensor y, Tensor x, const float mean[3],
                            const float std[3]) {
    if (d->failed) return;
    int64_t pixels = x.shape[0] * x.shape[1] * x.shape[2];
    bf16 table[3][256];
    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            table[c][v] = bf16_of_float(((float)v / 255.0f - mean[c]) / (std[c] + 1e-8f));
    const uint8_t *in = x.data;
    bf16 *out = halves_of(y);
#pragma omp parallel for num_threads(d->threads)
    for (int64_t i = 0; i < pixels; i++)
        for (int c = 0; c < 3; c++) out[3 * i + c] = table[c][in[3 * i + c]];
}

static void halves_to_floats(Device *d, float *out, const bf16 *in, int64_t n) {
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) out[i] = float_of_bf16(in[i]);
}

static void floats_to_halves(Device *d, bf16 *out, const float *in, int64_t n) {
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) out[i] = bf16_of_float(in[i]);
}

static void copy_halves(Device *d, bf16 *out, const bf16 *in, int64_t n) {
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) out[i] = in[i];
}

static void image_from_plain(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    int64_t N = y.shape[0], C = y.shape[1], HW = y.shape[2] * y.shape[3];
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < HW; i++)
            for (int64_t c = 0; c < C; c++)
                halves_of(y)[(n * HW + i) * C + c] = bf16_of_float(f32(x)[(n * C + c) * HW + i]);
}

static void image_to_plain(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    int64_t N = x.shape[0], C = x.shape[1], HW = x.shape[2] * x.shape[3];
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < N; n++)
        for (int64_t c = 0; c < C; c++)
            for (int64_t i = 0; i < HW; i++)
                f32(y)[(n * C + c) * HW + i] = float_of_bf16(halves_of(x)[(n * HW + i) * C + c]);
}

// A pixel is a token. Tests have tokens in float32 (backend.h).
static void tokens_from_image(Device *d, Tensor y, Tensor x) {
    if (d->failed) return;
    if (is_half(y))
        copy_halves(d, y.data, x.data, tensor_count(x));
    else
        halves_to_floats(d, f32(y), halves_of(x), tensor_count(x));
}

static void image_from_tokens(Device *d, Tensor dx, Tensor dy) {
    if (d->failed) return;
    if (is_half(dy))
        copy_halves(d, dx.data, dy.data, tensor_count(dx));
    else
        floats_to_halves(d, halves_of(dx), f32(dy), tensor_count(dx));
}

// ---- passes over images -------------------------------------------------------------------------

static inline bool is_finite(bf16 x) {
    return (x & 0x7f80) != 0x7f80;
}

static void relu_backward(Device *d, Tensor dz, Tensor dy, Tensor dskip, Tensor y) {
    if (d->failed) return;
    int64_t n = tensor_count(y);
    bf16 *out = halves_of(dz);
    const bf16 *g = halves_of(dy), *skip = halves_of(dskip), *v = halves_of(y), nan = 0x7fc0;
    if (skip) {
#pragma omp parallel for simd num_threads(d->threads)
        for (int64_t i = 0; i < n; i++) {
            bf16 sum = bf16_of_float(float_of_bf16(g[i]) + float_of_bf16(skip[i]));
            bf16 slope = float_of_bf16(v[i]) > 0 ? sum : 0;
            out[i] = is_finite(v[i]) ? slope : nan;
        }
    } else {
#pragma omp parallel for simd num_threads(d->threads)
        for (int64_t i = 0; i < n; i++) {
            bf16 slope = float_of_bf16(v[i]) > 0 ? g[i] : 0;
            out[i] = is_finite(v[i]) ? slope : nan;
        }
    }
}

void cpu_relu_halves(Device *d, bf16 *image, int64_t n) {
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) image[i] = float_of_bf16(image[i]) < 0 ? 0 : image[i];
}

void cpu_add_halves(Device *d, Tensor y, Tensor a, Tensor b) {
    int64_t n = tensor_count(y);
    bf16 *out = halves_of(y);
    const bf16 *p = halves_of(a), *q = halves_of(b);
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++)
        out[i] = bf16_of_float(float_of_bf16(p[i]) + float_of_bf16(q[i]));
}

// ---- pooling ------------------------------------------------------------------------------------

// Values are compared as integers in their order, 0 and -0 as the same; NaN, the greatest, wins
// over itself. LANES channels at a time, as a vector: the compiler makes none of such loops itself.
enum { LANES = 32, NAN_ORDER = 0x7fff, BELOW_ALL = -0x7f80 }; // the last: of -infinity
typedef int16_t Lanes __attribute__((vector_size(LANES * sizeof(int16_t))));
typedef uint8_t Places __attribute__((vector_size(LANES)));

// Not functions of vectors: of one that is wider than the processor's they would have no ABI.
#define CHOSEN(where, a, b) (((where) & (a)) | (~(where) & (b)))

static inline void to_order(Lanes *x) {
    const Lanes size = *x & 0x7fff, order = CHOSEN(*x < 0, -size, size);
    *x = CHOSEN(size > 0x7f80, (Lanes){0} + NAN_ORDER, order);
}

static inline void to_value(Lanes *order) {
    const Lanes value = CHOSEN(*order < 0, -*order | INT16_MIN, *order);
    *order = CHOSEN(*order == NAN_ORDER, (Lanes){0} + 0x7fc0, value);
}

// One output pixel's channels [0, lanes) of one image.
static inline void pool_pixel(const Pool *p, const bf16 *in, int64_t oy, int64_t ox, int64_t lanes,
                              bf16 *out, uint8_t *from) {
    Lanes best = (Lanes){0} + BELOW_ALL, at = (Lanes){0} + pool_first(oy, ox);
    for (int16_t i = 0; i < 9; i++) {
        int64_t y = 2 * oy - 1 + i / 3, x = 2 * ox - 1 + i % 3;
        if (y < 0 || y >= p->h || x < 0 || x >= p->w) continue;
        Lanes v = {0};
        memcpy(&v, in + (y * p->w + x) * p->lanes, (size_t)lanes * sizeof *in);
        to_order(&v);
        const Lanes wins = (v > best) | (v == NAN_ORDER);
        at = CHOSEN(wins, i, at);
        best = CHOSEN(wins, v, best);
    }
    to_value(&best);
    memcpy(out, &best, (size_t)lanes * sizeof *out);
    const Places places = __builtin_convertvector(at, Places);
    if (from) memcpy(from, &places, (size_t)lanes);
}

static void pool_forward(Device *d, Pool *p, Tensor yt, Tensor xt) {
    if (d->failed) return;
    if (!p) return;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->planes; n++)
        for (int64_t oy = 0; oy < p->out_h; oy++)
            for (int64_t ox = 0; ox < p->out_w; ox++)
                for (int64_t c = 0; c < p->lanes; c += LANES) {
                    int64_t lanes = p->lanes - c < LANES ? p->lanes - c : LANES;
                    int64_t at = ((n * p->out_h + oy) * p->out_w + ox) * p->lanes + c;
                    const bf16 *in = halves_of(xt) + n * p->h * p->w * p->lanes + c;
                    uint8_t *from = p->from ? p->from + at : NULL;
                    if (lanes == LANES)
                        pool_pixel(p, in, oy, ox, LANES, halves_of(yt) + at, from);
                    else
                        pool_pixel(p, in, oy, ox, lanes, halves_of(yt) + at, from);
                }
}

// An input pixel's gradient: of the up to four windows over it, those whose maximum it was.
static inline void unpool_pixel(const Pool *p, const bf16 *dy, int64_t n, int64_t y, int64_t x,
                                int64_t c, int64_t lanes, bf16 *dx) {
    float sum[LANES] = {0};
    for (int64_t oy = y / 2; oy <= (y + 1) / 2 && oy < p->out_h; oy++)
        for (int64_t ox = x / 2; ox <= (x + 1) / 2 && ox < p->out_w; ox++) {
            int64_t at = ((n * p->out_h + oy) * p->out_w + ox) * p->lanes + c;
            Places places = {0};
            Lanes own = {0};
            memcpy(&places, p->from + at, (size_t)lanes);
            memcpy(&own, dy + at, (size_t)lanes * sizeof *dy);
            own &= __builtin_convertvector(places, Lanes) ==
                   (int16_t)((y - 2 * oy + 1) * 3 + x - 2 * ox + 1);
            for (int64_t l = 0; l < LANES; l++) sum[l] += float_of_bf16((bf16)own[l]);
        }
    for (int64_t l = 0; l < lanes; l++) dx[l] = bf16_of_float(sum[l]);
}

static void pool_backward(Device *d, Pool *p, Tensor dx, Tensor dy) {
    if (d->failed) return;
    if (!p) return;
#pragma omp parallel for collapse(2) num_threads(d->threads)
    for (int64_t n = 0; n < p->planes; n++)
        for (int64_t y = 0; y < p->h; y++)
            for (int64_t x = 0; x < p->w; x++)
                for (int64_t c = 0; c < p->lanes; c += LANES) {
                    bf16 *to = halves_of(dx) + ((n * p->h + y) * p->w + x) * p->lanes + c;
                    if (p->lanes - c >= LANES)
                        unpool_pixel(p, halves_of(dy), n, y, x, c, LANES, to);
                    else
                        unpool_pixel(p, halves_of(dy), n, y, x, c, p->lanes - c, to);
                }
}

void cpu_bf16_image_ops(Device *d) {
    d->image_bytes = image_bytes;
    d->image_normalize = image_normalize;
    d->image_from_plain = image_from_plain;
    d->image_to_plain = image_to_plain;
    d->tokens_from_image = tokens_from_image;
    d->image_from_tokens = image_from_tokens;
    d->relu_backward = relu_backward;
    d->pool_forward = pool_forward;
    d->pool_backward = pool_backward;
}
