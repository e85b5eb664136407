// SPDX-License-Identifier: Apache-2.0
// Attention by tiles of query rows: scores of one tile against all keys live in a thread's scratch,
// never those of a whole layer. Backward makes the probabilities again from the saved log-sum-exp,
// and the dropout mask from its counters. One (sample, head) is one thread's work from end to end,
// so sums over tiles have one order. On a matrix unit attention_tiles.c does that work.
#include "ops/cpu/attention.h"
#include "ops/cpu/panels.h"
#include "ops/cpu/vector.h"

#include <omp.h>

// Query rows of a tile: few enough for its scores to stay in a core's cache, many enough for the
// products to be worth their call, and a multiple of the rows that one of panels takes at a time.
static int64_t tile_rows(int64_t Lq, int64_t Lk) {
    enum { SCORES = 48 << 10, LEAST = 72, STEP = 12 };
    int64_t rows = Lk ? SCORES / Lk / STEP * STEP : Lq;
    return least(rows > LEAST ? rows : LEAST, Lq);
}

static Head head_of(Tensor q, Tensor k, Tensor v, Tensor key_pad, int heads, int64_t b, int64_t h) {
    int64_t dh = q.shape[2] / heads;
    return (Head){
        .q = element(q, b * q.stride[0] + h * dh),
        .k = element(k, b * k.stride[0] + h * dh),
        .v = element(v, b * v.stride[0] + h * dh),
        .half = is_half(q),
        .sq = q.stride[1],
        .sk = k.stride[1],
        .sv = v.stride[1],
        .Lq = q.shape[1],
        .Lk = k.shape[1],
        .dh = dh,
        .pad = key_pad.data ? (const uint8_t *)key_pad.data + b * k.shape[1] : NULL,
        .row0 = (b * heads + h) * q.shape[1],
        .scale = 1.0f / sqrtf((float)dh),
    };
}

// x^T (dh, Lk), times `scale`, in panels at *at, which moves behind them; x (Lk, dh).
static float *turned_panels(const Head *a, const void *x, int64_t stride, float scale, float **at) {
    float *out = *at;
    int64_t floats = panels_floats(a->dh, a->Lk);
    panels_pack(out, x, 1, stride, a->dh, a->Lk, 0, a->Lk);
#pragma omp simd
    for (int64_t i = 0; i < floats; i++) out[i] *= scale;
    *at += floats;
    return out;
}

// x (Lk, dh) in panels, likewise.
static float *plain_panels(const Head *a, const void *x, int64_t stride, float **at) {
    float *out = *at;
    panels_pack(out, x, stride, 1, a->Lk, a->dh, 0, a->dh);
    *at += panels_floats(a->Lk, a->dh);
    return out;
}

// s (n, Lk) = rows (n, dh) times turned panels.
static void times_turned(const Head *a, int64_t n, const float *rows, int64_t stride,
                         const float *panels, float *s) {
    const PanelProduct p = {.m = n,
                            .n = a->Lk,
                            .k = a->dh,
                            .lda = stride,
                            .ldc = a->Lk,
                            .depth = a->dh,
                            .a = rows,
                            .panels = panels,
                            .c = s};
    panels_multiply(&p, 0, a->Lk);
}

// out (n, dh) = s (n, Lk) times plain panels; 0 where there are no keys.
static void times_plain(const Head *a, int64_t n, const float *s, const float *panels, float *out,
                        int64_t stride) {
    const PanelProduct p = {.m = n,
                            .n = a->dh,
                            .k = a->Lk,
                            .lda = a->Lk,
                            .ldc = stride,
                            .depth = a->Lk,
                            .a = s,
                            .panels = panels,
                            .c = out};
    for (int64_t i = 0; a->Lk == 0 && i < n; i++)
        memset(out + i * stride, 0, (size_t)a->dh * sizeof *out);
    panels_multiply(&p, 0, a->dh);
}

// s (n, Lk) = scale * q[first ...] k^T, padded keys at -inf; keys: turned panels of them, scaled.
static void tile_scores(const Head *a, const float *keys, int64_t first, int64_t n, float *s) {
    times_turned(a, n, (const float *)a->q + first * a->sq, a->sq, keys, s);
    for (int64_t i = 0; a->pad && i < n; i++)
        for (int64_t j = 0; j < a->Lk; j++)
            if (a->pad[j]) s[i * a->Lk + j] = -INFINITY;
}

// The greatest of n values; -inf for none, and NaN is passed over. As many maxima side by side as
// the widest registers hold: a single one waits for itself, and clang makes no vector code of it.
static float row_top(const float *s, int64_t n) {
    enum { LANES = 16 };
    float lane[LANES], top = -INFINITY;
    for (int i = 0; i < LANES; i++) lane[i] = -INFINITY;
    int64_t j = 0;
    for (; j + LANES <= n; j += LANES) {
#pragma omp simd
        for (int i = 0; i < LANES; i++) lane[i] = s[j + i] > lane[i] ? s[j + i] : lane[i];
    }
    for (; j < n; j++) top = s[j] > top ? s[j] : top;
    for (int i = 0; i < LANES; i++) top = lane[i] > top ? lane[i] : top;
    return top;
}

// Row to probabilities in place; returns log-sum-exp. Where every key is padded all are 0, and it
// is -inf.
static float softmax_row(float *s, int64_t n) {
    float top = row_top(s, n), sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t j = 0; j < n; j++) {
        float e = s[j] == -INFINITY ? 0 : exp_fast(s[j] - top);
        s[j] = e;
        sum += e;
    }
    float inverse = sum == 0 ? 0 : 1.0f / sum;
#pragma omp simd
    for (int64_t j = 0; j < n; j++) s[j] *= inverse;
    return top + logf(sum);
}

// a and b times the row's dropout mask, in place; b may be NULL.
static void drop_row(float *a, float *b, int64_t n, Dropout drop, int64_t row) {
    float scale[DROPOUT_CHUNK];
    for (int64_t at = 0; at < n; at += DROPOUT_CHUNK) {
        int64_t m = n - at < DROPOUT_CHUNK ? n - at : DROPOUT_CHUNK;
        dropout_scales(scale, drop, (uint32_t)row, (uint32_t)(at / DROPOUT_CHUNK));
        for (int64_t j = 0; j < m; j++) a[at + j] *= scale[j];
        for (int64_t j = 0; b && j < m; j++) b[at + j] *= scale[j];
    }
}

static void head_forward(const Head *a, float *o, int64_t so, float *lse, Dropout drop, float *s) {
    int64_t tile = tile_rows(a->Lq, a->Lk);
    const float *keys = turned_panels(a, a->k, a->sk, a->scale, &s);
    const float *values = plain_panels(a, a->v, a->sv, &s);
    for (int64_t first = 0; first < a->Lq; first += tile) {
        int64_t n = a->Lq - first < tile ? a->Lq - first : tile;
        tile_scores(a, keys, first, n, s);
        for (int64_t i = 0; i < n; i++) {
            float *row = s + i * a->Lk;
            lse[first + i] = softmax_row(row, a->Lk);
            if (drop.p > 0) drop_row(row, NULL, a->Lk, drop, a->row0 + first + i);
        }
        times_plain(a, n, s, values, o + first * so, so);
    }
}

// dp (n, Lk) holds dout v^T on entry and becomes the gradient of the scores; p holds scores and
// becomes the probabilities, dropped (n, Lk) the probabilities after dropout.
static void score_gradients(const Head *a, const HeadGrads *g, int64_t first, int64_t n,
                            Dropout drop, float *p, float *dropped, float *dp) {
    for (int64_t i = 0; i < n; i++) {
        float *pr = p + i * a->Lk, *mr = dropped + i * a->Lk, *gr = dp + i * a->Lk, delta = 0;
        const float *dr = (const float *)g->dout + (first + i) * g->sdout;
        const float *r = (const float *)g->o + (first + i) * g->so;
        float lse = g->lse[first + i];
#pragma omp simd reduction(+ : delta)
        for (int64_t c = 0; c < a->dh; c++) delta += dr[c] * r[c];
#pragma omp simd
        for (int64_t j = 0; j < a->Lk; j++) pr[j] = pr[j] == -INFINITY ? 0 : exp_fast(pr[j] - lse);
        memcpy(mr, pr, (size_t)a->Lk * sizeof(float));
        if (drop.p > 0) drop_row(mr, gr, a->Lk, drop, a->row0 + first + i);
#pragma omp simd
        for (int64_t j = 0; j < a->Lk; j++) gr[j] = pr[j] * (gr[j] - delta);
    }
}

static void head_backward(Device *d, const Head *a, const HeadGrads *g, Dropout drop, float *s) {
    int64_t tile = tile_rows(a->Lq, a->Lk);
    const float *keys = turned_panels(a, a->k, a->sk, a->scale, &s);
    const float *values = turned_panels(a, a->v, a->sv, 1, &s);
    float *p = s, *dropped = s + tile * a->Lk, *dp = s + 2 * tile * a->Lk;
    for (int64_t first = 0; first < a->Lq; first += tile) {
        int64_t n = a->Lq - first < tile ? a->Lq - first : tile, Lk = a->Lk, dh = a->dh;
        const float *dout = (const float *)g->dout + first * g->sdout;
        float *dq = (float *)g->dq + first * g->sdq;
        float beta = first > 0;
        tile_scores(a, keys, first, n, p);
        times_turned(a, n, dout, g->sdout, values, dp);
        score_gradients(a, g, first, n, drop, p, dropped, dp);
        cpu_gemm(d, 'T', 'N', Lk, dh, n, 1, dropped, Lk, dout, g->sdout, beta, g->dv, g->sdv);
        cpu_gemm(d, 'N', 'N', n, dh, Lk, a->scale, dp, Lk, a->k, a->sk, 0, dq, g->sdq);
        cpu_gemm(d, 'T', 'N', Lk, dh, n, a->scale, dp, Lk, (const float *)a->q + first * a->sq,
                 a->sq, beta, g->dk, g->sdk);
    }
}

// ---- without a matrix unit, of bfloat16 ---------------------------------------------------------

// Floats that all a head has of bfloat16 takes, and of whose results.
static int64_t head_floats(int64_t Lq, int64_t Lk, int64_t dh, bool backward) {
    return (backward ? 4 * Lq + 4 * Lk : 2 * Lq + 2 * Lk) * dh;
}

// n rows of x (n, dh) as float32, from *at on, which moves behind them.
static float *widened(const void *x, int64_t stride, int64_t n, int64_t dh, float **at) {
    float *out = *at;
    for (int64_t i = 0; i < n; i++) {
#pragma omp simd
        for (int64_t c = 0; c < dh; c++) out[i * dh + c] = value_at(x, true, i * stride + c);
    }
    *at += n * dh;
    return out;
}

static void narrowed(void *x, int64_t stride, int64_t n, int64_t dh, const float *in) {
    for (int64_t i = 0; i < n; i++) {
#pragma omp simd
        for (int64_t c = 0; c < dh; c++) set_value(x, true, i * stride + c, in[i * dh + c]);
    }
}

static Head widened_head(const Head *a, float **at) {
    Head w = *a;
    w.half = false;
    w.q = widened(a->q, a->sq, a->Lq, a->dh, at);
    w.k = widened(a->k, a->sk, a->Lk, a->dh, at);
    w.v = widened(a->v, a->sv, a->Lk, a->dh, at);
    w.sq = w.sk = w.sv = a->dh;
    return w;
}

static void head_forward_halves(const Head *a, void *o, int64_t so, float *lse, Dropout drop,
                                float *s) {
    const Head w = widened_head(a, &s);
    float *out = s;
    head_forward(&w, out, a->dh, lse, drop, out + a->Lq * a->dh);
    narrowed(o, so, a->Lq, a->dh, out);
}

static void head_backward_halves(Device *d, const Head *a, const HeadGrads *g, Dropout drop,
                                 float *s) {
    const int64_t dh = a->dh;
    const Head w = widened_head(a, &s);
    HeadGrads wg = {.lse = g->lse, .sdq = dh, .sdk = dh, .sdv = dh, .sdout = dh, .so = dh};
    wg.dout = widened(g->dout, g->sdout, a->Lq, dh, &s);
    wg.o = widened(g->o, g->so, a->Lq, dh, &s);
    float *dq = s, *dk = dq + a->Lq * dh, *dv = dk + a->Lk * dh;
    wg.dq = dq, wg.dk = dk, wg.dv = dv;
    head_backward(d, &w, &wg, drop, dv + a->Lk * dh);
    narrowed(g->dq, g->sdq, a->Lq, dh, dq);
    narrowed(g->dk, g->sdk, a->Lk, dh, dk);
    narrowed(g->dv, g->sdv, a->Lk, dh, dv);
}

// ---- the ops ------------------------------------------------------------------------------------

// Per thread, for that shape. False (and failed) without memory.
static bool room(Device *d, int64_t Lq, int64_t Lk, int64_t dh, bool half, bool backward) {
    int64_t floats = (backward ? 3 : 1) * tile_rows(Lq, Lk) * Lk + panels_floats(dh, Lk) +
                     (backward ? panels_floats(dh, Lk) : panels_floats(Lk, dh));
    if (half) floats += head_floats(Lq, Lk, dh, backward);
    if (cpu_of(d)->matrix_unit)
        floats = (int64_t)(attention_tiles_bytes(Lq, Lk, dh, backward) / sizeof(float));
    return cpu_scratch(d, (size_t)floats);
}

static void attention_forward(Device *d, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                              Tensor key_pad, int heads, Dropout drop) {
    if (d->failed) return;
    int64_t B = q.shape[0], Lq = q.shape[1], Lk = k.shape[1], dh = q.shape[2] / heads;
    if (!room(d, Lq, Lk, dh, is_half(q), false)) return;
    float **scratch = cpu_of(d)->scratch;
#pragma omp parallel for num_threads(d->threads) schedule(dynamic)
    for (int64_t bh = 0; bh < B * heads; bh++) {
        int64_t b = bh / heads, h = bh % heads;
        Head a = head_of(q, k, v, key_pad, heads, b, h);
        float *s = scratch[omp_get_thread_num()];
        void *to = element(o, b * o.stride[0] + h * dh);
        if (cpu_of(d)->matrix_unit)
            head_forward_tiles(&a, to, o.stride[1], f32(lse) + bh * Lq, drop, s);
        else if (a.half)
            head_forward_halves(&a, to, o.stride[1], f32(lse) + bh * Lq, drop, s);
        else
            head_forward(&a, to, o.stride[1], f32(lse) + bh * Lq, drop, s);
    }
}

static void attention_backward(Device *d, Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor o,
                               Tensor lse, Tensor q, Tensor k, Tensor v, Tensor key_pad, int heads,
                               Dropout drop) {
    if (d->failed) return;
    int64_t B = q.shape[0], Lq = q.shape[1], Lk = k.shape[1], dh = q.shape[2] / heads;
    if (!room(d, Lq, Lk, dh, is_half(q), true)) return;
    float **scratch = cpu_of(d)->scratch;
#pragma omp parallel for num_threads(d->threads) schedule(dynamic)
    for (int64_t bh = 0; bh < B * heads; bh++) {
        int64_t b = bh / heads, h = bh % heads, c = h * dh;
        Head a = head_of(q, k, v, key_pad, heads, b, h);
        HeadGrads g = {
            .dq = element(dq, b * dq.stride[0] + c),
            .sdq = dq.stride[1],
            .dk = element(dk, b * dk.stride[0] + c),
            .sdk = dk.stride[1],
            .dv = element(dv, b * dv.stride[0] + c),
            .sdv = dv.stride[1],
            .dout = element(dout, b * dout.stride[0] + c),
            .sdout = dout.stride[1],
            .o = element(o, b * o.stride[0] + c),
            .so = o.stride[1],
            .lse = f32(lse) + bh * Lq,
        };
        float *s = scratch[omp_get_thread_num()];
        if (cpu_of(d)->matrix_unit)
            head_backward_tiles(&a, &g, drop, s);
        else if (a.half)
            head_backward_halves(d, &a, &g, drop, s);
        else
            head_backward(d, &a, &g, drop, s);
    }
}

void cpu_attention_ops(Device *d) {
    d->attention_forward = attention_forward;
    d->attention_backward = attention_backward;
}
