// SPDX-License-Identifier: Apache-2.0
// Attention of one head on a matrix unit: q, k, v and dout, where they are float32, are rounded to
// bfloat16 as they go into tiles, and so are the probabilities and the gradients of the scores,
// which are made in float32, 32 queries at a time, and put into tiles by the pass that makes them.
// Sums are float32. Whatever is not a multiple of 32 is filled up with zeros.
#include "ops/cpu/attention.h"

#include "ops/cpu/dropout_table.h"
#include "ops/cpu/panels.h"
#include "ops/cpu/tile_kernel.h"

#ifdef TACT_TILES

// Scores and their gradients of so many queries are kept in tiles at once, for dk and dv: they stay
// in the second cache.
enum { KEPT_BYTES = 512 << 10 };

// Where things are in the scratch, in bytes. Factors are panels.
typedef struct Places {
    int64_t queries, keys, width, block; // rounded up to SIDE; block: queries that are kept at once
    int64_t q, k, v, there, columns, scores, out; // forward has these, and kept: the probabilities
    int64_t dout, q_turned, dout_turned;          // the turned ones: of their columns
    int64_t k_columns;                            // of k's columns, for dq
    int64_t products, gradients;                  // dout v^T; the scores' gradients, of 32 queries
    int64_t kept, kept_gradients; // probabilities, and those, as factors of a sum over queries
    int64_t dk, dv;               // turned: (width, keys)
    int64_t bytes;
} Places;

static int64_t take(Places *l, int64_t bytes) {
    const int64_t at = l->bytes;
    l->bytes += rounded_up(bytes, 64) * 64;
    return at;
}

static Places places_of(int64_t Lq, int64_t Lk, int64_t dh, bool backward) {
    enum { HALF = sizeof(bf16), WHOLE = sizeof(float) };
    Places l = {.queries = rounded_up(Lq, SIDE) * SIDE,
                .keys = rounded_up(Lk, SIDE) * SIDE,
                .width = rounded_up(dh, SIDE) * SIDE};
    l.k = take(&l, l.keys * l.width * HALF);
    l.v = take(&l, l.keys * l.width * HALF);
    l.there = take(&l, l.keys / 16 * HALF);
    l.columns = take(&l, l.keys / DROPOUT_CHUNK * (int64_t)sizeof(DropoutColumns));
    l.scores = take(&l, SIDE * l.keys * WHOLE);
    l.out = take(&l, SIDE * l.width * WHOLE);
    l.block = SIDE;
    if (backward) {
        l.block = KEPT_BYTES / (2 * l.keys * HALF) / SIDE * SIDE;
        l.block = least(l.block > SIDE ? l.block : SIDE, l.queries);
        l.q_turned = take(&l, l.queries * l.width * HALF);
        l.dout_turned = take(&l, l.queries * l.width * HALF);
        l.dout = take(&l, SIDE * l.width * HALF);
        l.k_columns = take(&l, l.keys * l.width * HALF);
        l.products = take(&l, SIDE * l.keys * WHOLE);
        l.gradients = take(&l, SIDE * l.keys * HALF);
        l.kept_gradients = take(&l, l.block * l.keys * HALF);
        l.dk = take(&l, l.width * l.keys * WHOLE);
        l.dv = take(&l, l.width * l.keys * WHOLE);
    }
    l.q = take(&l, SIDE * l.width * HALF);
    l.kept = take(&l, l.block * l.keys * HALF);
    return l;
}

size_t attention_tiles_bytes(int64_t Lq, int64_t Lk, int64_t dh, bool backward) {
    return (size_t)places_of(Lq, Lk, dh, backward).bytes;
}

// ---- factors ------------------------------------------------------------------------------------

// Rows first .. first + n of x (n, dh) as a factor whose depth is dh; second: the product's second.
static void pack_rows(const Head *a, const void *x, int64_t stride, int64_t first, int64_t n,
                      bool second, char *out) {
    const TilePanels p = {.data = x,
                          .half = a->half,
                          .across = stride,
                          .along = 1,
                          .first = first,
                          .n = n,
                          .depth = a->dh};
    tile_pack(&p, second, out);
}

// Columns of x (n, dh) as a factor whose depth is n.
static void pack_columns(const Head *a, const void *x, int64_t stride, int64_t n, bool second,
                         char *out) {
    const TilePanels p = {
        .data = x, .half = a->half, .across = 1, .along = stride, .n = a->dh, .depth = n};
    tile_pack(&p, second, out);
}

// Columns c .. c + 16 of a row, of which n are there.
TILES static inline void write_sixteen(const Head *a, void *row, int64_t c, int64_t n, __m512 x) {
    if (a->half)
        _mm256_mask_storeu_epi16((bf16 *)row + c, first_of_16(n), (__m256i)_mm512_cvtneps_pbh(x));
    else
        _mm512_mask_storeu_ps((float *)row + c, first_of_16(n), x);
}

// Row i of a matrix of q's type.
static inline void *row_of(const Head *a, const void *x, int64_t stride, int64_t i) {
    return (char *)(uintptr_t)x + i * stride * (int64_t)(a->half ? sizeof(bf16) : sizeof(float));
}

// n rows from `first` on of x (., dh) = rows of width columns, times a factor each.
TILES static void write_rows(const Head *a, void *x, int64_t stride, int64_t first, int64_t n,
                             const float *rows, int64_t width, const float *factor) {
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < a->dh; c += 16)
            write_sixteen(
                a, row_of(a, x, stride, first + i), c, a->dh - c,
                _mm512_mul_ps(_mm512_load_ps(rows + i * width + c), _mm512_set1_ps(factor[i])));
}

// C (rows, columns) from panels: `steps` of each, which are a_panel and b_panel bytes apart.
static void multiply(const char *a, int64_t a_panel, int64_t rows, const char *b, int64_t b_panel,
                     int64_t columns, int64_t steps, float *c, bool sum) {
    for (int64_t i = 0; i < rows; i += SIDE)
        for (int64_t j = 0; j < columns; j += SIDE)
            multiply_panels(a + i / SIDE * a_panel, b + j / SIDE * b_panel, steps,
                            c + i * columns + j, columns, sum ? WITH_C : WITH_ZERO, NULL,
                            &(Ahead){0});
}

// A bit for each key that is there, 16 a word.
static void note_keys(const Head *a, int64_t keys, uint16_t *there) {
    for (int64_t j = 0; j < keys; j += 16) {
        unsigned bits = 0;
        for (int64_t i = j; i < least(j + 16, a->Lk); i++)
            bits |= (unsigned)(!a->pad || !a->pad[i]) << (i - j);
        there[j / 16] = (uint16_t)bits;
    }
}

// ---- a row --------------------------------------------------------------------------------------

// e^(x scale - shift) where there is a key and its score not -inf; else 0. As exp_fast.
TILES static inline __m512 exp_scores(__m512 x, __mmask16 there, __m512 scale, __m512 shift) {
    const __m512 none = _mm512_set1_ps(-INFINITY);
    there = _mm512_mask_cmp_ps_mask(there, x, none, _CMP_NEQ_UQ); // NaN is there
    // Of a NaN the second operand is taken.
    x = _mm512_max_ps(_mm512_set1_ps(-87.0f), _mm512_fmsub_ps(x, scale, shift));
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), 0);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    r = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.3888889e-3f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3333333e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1666667e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666667e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_maskz_scalef_ps(there, p, n);
}

// The greatest of the scores that are there; -inf for none, and NaN is passed over.
TILES static float greatest(const float *s, const uint16_t *there, int64_t keys) {
    __m512 top[2] = {_mm512_set1_ps(-INFINITY), _mm512_set1_ps(-INFINITY)};
    for (int64_t j = 0; j < keys; j += SIDE)
        for (int i = 0; i < 2; i++)
            top[i] = _mm512_mask_max_ps(top[i], there[j / 16 + i], _mm512_load_ps(s + j + 16 * i),
                                        top[i]);
    return _mm512_reduce_max_ps(_mm512_max_ps(top[0], top[1]));
}

// The row's probabilities times their sum, after dropout, into a row of tiles `to`. Returns what
// they have to be divided by; log-sum-exp in *lse.
TILES static float softmax_row(const float *s, const uint16_t *there, int64_t keys, float scale,
                               const DropoutTable *drop, int64_t row, char *to, float *lse) {
    const float top = greatest(s, there, keys) * scale;
    const __m512 by = _mm512_set1_ps(scale), shift = _mm512_set1_ps(top);
    const uint64_t part = dropout_row(drop, (uint32_t)row);
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int64_t j = 0; j < keys; j += SIDE, to += STEP) {
        __m512 e[2], factor[2];
        for (int i = 0; i < 2; i++) {
            e[i] = exp_scores(_mm512_load_ps(s + j + 16 * i), there[j / 16 + i], by, shift);
            sums[i] = _mm512_add_ps(sums[i], e[i]);
        }
        if (drop->drop.p > 0) {
            dropout_by_table(factor, drop, part, j / DROPOUT_CHUNK);
            for (int i = 0; i < 2; i++) e[i] = _mm512_mul_ps(e[i], factor[i]);
        }
        _mm512_store_si512(to, (__m512i)_mm512_cvtne2ps_pbh(e[1], e[0]));
    }
    const float sum = _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
    *lse = top + logf(sum);
    return sum;
}

// Where row i of a panel of 32 begins.
static inline int64_t row_in_panel(int64_t i) {
    return i / 16 * TILE_BYTES + i % 16 * 64;
}

// ---- forward ------------------------------------------------------------------------------------

static void forward_rows(const Head *a, const Places *l, char *at, int64_t first, void *o,
                         int64_t so, float *lse, const DropoutTable *drop) {
    const int64_t n = least(a->Lq - first, SIDE), steps = l->width / TILE_DEPTH;
    float *scores = (float *)(at + l->scores), *out = (float *)(at + l->out), sums[SIDE];
    pack_rows(a, a->q, a->sq, first, n, false, at + l->q);
    multiply(at + l->q, 0, SIDE, at + l->k, steps * STEP, l->keys, steps, scores, false);
    for (int64_t i = 0; i < n; i++)
        sums[i] =
            softmax_row(scores + i * l->keys, (const uint16_t *)(at + l->there), l->keys, a->scale,
                        drop, a->row0 + first + i, at + l->kept + row_in_panel(i), lse + first + i);
    const int64_t deep = l->keys / TILE_DEPTH;
    multiply(at + l->kept, 0, SIDE, at + l->v, deep * STEP, l->width, deep, out, false);
    for (int64_t i = 0; i < n; i++) sums[i] = sums[i] == 0 ? 0 : 1.0f / sums[i];
    write_rows(a, o, so, first, n, out, l->width, sums);
}

void head_forward_tiles(const Head *a, void *o, int64_t so, float *lse, Dropout drop,
                        void *scratch) {
    const Places l = places_of(a->Lq, a->Lk, a->dh, false);
    char *at = scratch;
    const DropoutTable table =
        dropout_table(drop, (DropoutColumns *)(at + l.columns), l.keys / DROPOUT_CHUNK);
    note_keys(a, l.keys, (uint16_t *)(at + l.there));
    pack_rows(a, a->k, a->sk, 0, a->Lk, true, at + l.k);
    pack_columns(a, a->v, a->sv, a->Lk, true, at + l.v);
    tiles_begin();
    for (int64_t first = 0; first < a->Lq; first += SIDE)
        forward_rows(a, &l, at, first, o, so, lse, &table);
    tiles_end();
}

// ---- backward -----------------------------------------------------------------------------------

// Two rows of queries, for what is summed over queries takes pairs of them.
typedef struct Pair {
    float *scores[2], *products[2]; // become probabilities, and gradients of those
    float lse[2];
    uint64_t row[2]; // their part of dropout
    bool second;     // whether there is one
} Pair;

// Values of 16 keys, of two queries each, as a row of a tile.
TILES static inline __m512i interleaved(__m512 first, __m512 second) {
    const __m512i order =
        _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6,
                         21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

// Makes the probabilities of row r of a pair, of 32 keys from j on, in place, and of the products
// the gradients of those; dropped: probabilities after dropout. Returns sums of the first two's
// products.
TILES static inline __m512 chunk_probabilities(const Pair *p, int r, int64_t j,
                                               const uint16_t *there, float scale,
                                               const DropoutTable *drop, __m512 sum,
                                               __m512 dropped[2]) {
    __m512 factor[2] = {_mm512_set1_ps(1), _mm512_set1_ps(1)};
    if (drop->drop.p > 0) dropout_by_table(factor, drop, p->row[r], j / DROPOUT_CHUNK);
    for (int i = 0; i < 2; i++) {
        float *s = p->scores[r] + j + 16 * i, *g = p->products[r] + j + 16 * i;
        const __mmask16 here = there[j / 16 + i];
        __m512 e =
            exp_scores(_mm512_load_ps(s), here, _mm512_set1_ps(scale), _mm512_set1_ps(p->lse[r]));
        __m512 gradient = _mm512_maskz_load_ps(here, g);
        dropped[i] = _mm512_mul_ps(e, factor[i]);
        gradient = _mm512_mul_ps(gradient, factor[i]);
        sum = _mm512_fmadd_ps(e, gradient, sum);
        _mm512_store_ps(s, e);
        _mm512_store_ps(g, gradient);
    }
    return sum;
}

// Probabilities after dropout go to `kept`, rows of a panel's tiles. Returns in delta what is taken
// off the gradients of each row: their mean by the probabilities.
TILES static void pair_probabilities(const Pair *p, const Head *a, const Places *l,
                                     const uint16_t *there, const DropoutTable *drop, char *kept,
                                     float delta[2]) {
    const int64_t panel = l->block / TILE_DEPTH * STEP;
    __m512 sums[2] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
    for (int64_t j = 0; j < l->keys; j += SIDE, kept += panel) {
        __m512 dropped[2][2] = {0};
        for (int r = 0; r < 1 + p->second; r++)
            sums[r] = chunk_probabilities(p, r, j, there, a->scale, drop, sums[r], dropped[r]);
        for (int i = 0; i < 2; i++)
            _mm512_store_si512(kept + i * TILE_BYTES, interleaved(dropped[0][i], dropped[1][i]));
    }
    for (int r = 0; r < 2; r++) delta[r] = _mm512_reduce_add_ps(sums[r]);
}

// Gradients of the scores, but for the scale: `rows` are the first row of the pair as a factor of
// dq, kept as a factor of dk.
TILES static void pair_gradients(const Pair *p, const Places *l, const float delta[2], char *rows,
                                 char *kept) {
    const int64_t panel = l->block / TILE_DEPTH * STEP;
    for (int64_t j = 0; j < l->keys; j += SIDE, kept += panel, rows += STEP) {
        __m512 g[2][2] = {0};
        for (int r = 0; r < 1 + p->second; r++) {
            for (int i = 0; i < 2; i++)
                g[r][i] = _mm512_mul_ps(_mm512_load_ps(p->scores[r] + j + 16 * i),
                                        _mm512_sub_ps(_mm512_load_ps(p->products[r] + j + 16 * i),
                                                      _mm512_set1_ps(delta[r])));
            _mm512_store_si512(rows + 64 * r, (__m512i)_mm512_cvtne2ps_pbh(g[r][1], g[r][0]));
        }
        for (int i = 0; i < 2; i++)
            _mm512_store_si512(kept + i * TILE_BYTES, interleaved(g[0][i], g[1][i]));
    }
}

// Where there is no query: a sum over queries takes nothing of it.
TILES static void pair_of_none(const Places *l, char *kept, char *kept_gradients) {
    for (int64_t j = 0; j < 2 * (l->keys / SIDE); j++) {
        const int64_t at = j / 2 * (l->block / TILE_DEPTH * STEP) + j % 2 * TILE_BYTES;
        _mm512_store_si512(kept + at, _mm512_setzero_si512());
        _mm512_store_si512(kept_gradients + at, _mm512_setzero_si512());
    }
}

// n queries from `first` on, at most 32: dq; and their part of the sums over queries, of which they
// are step `step`.
static void backward_rows(const Head *a, const HeadGrads *g, const Places *l, char *at,
                          int64_t first, int64_t step, const DropoutTable *drop) {
    const int64_t n = least(a->Lq - first, SIDE), steps = l->width / TILE_DEPTH;
    float *scores = (float *)(at + l->scores), *products = (float *)(at + l->products);
    pack_rows(a, a->q, a->sq, first, n, false, at + l->q);
    pack_rows(a, g->dout, g->sdout, first, n, false, at + l->dout);
    multiply(at + l->q, 0, SIDE, at + l->k, steps * STEP, l->keys, steps, scores, false);
    multiply(at + l->dout, 0, SIDE, at + l->v, steps * STEP, l->keys, steps, products, false);
    for (int64_t i = 0; i < SIDE; i += 2) {
        char *kept = at + l->kept + step * STEP + i / 2 * 64;
        char *kept_gradients = at + l->kept_gradients + step * STEP + i / 2 * 64;
        if (i >= n) {
            pair_of_none(l, kept, kept_gradients);
            continue;
        }
        Pair p = {.second = i + 1 < n};
        for (int r = 0; r < 1 + p.second; r++) {
            p.scores[r] = scores + (i + r) * l->keys;
            p.products[r] = products + (i + r) * l->keys;
            p.lse[r] = g->lse[first + i + r];
            p.row[r] = dropout_row(drop, (uint32_t)(a->row0 + first + i + r));
        }
        float delta[2];
        pair_probabilities(&p, a, l, (const uint16_t *)(at + l->there), drop, kept, delta);
        pair_gradients(&p, l, delta, at + l->gradients + row_in_panel(i), kept_gradients);
    }
    const int64_t deep = l->keys / TILE_DEPTH;
    float *out = (float *)(at + l->out);
    multiply(at + l->gradients, 0, SIDE, at + l->k_columns, deep * STEP, l->width, deep, out,
             false);
    float scale[SIDE];
    for (int64_t i = 0; i < n; i++) scale[i] = a->scale;
    write_rows(a, g->dq, g->sdq, first, n, out, l->width, scale);
}

// to (Lk, dh) = scale times from (width, keys), turned.
TILES static void write_turned(const Head *a, const Places *l, const float *from, float scale,
                               void *to, int64_t stride) {
    for (int64_t j = 0; j < a->Lk; j += 16)
        for (int64_t c = 0; c < a->dh; c += 16) {
            __m512i v[16];
            for (int64_t i = 0; i < 16; i++) v[i] = _mm512_load_si512(from + (c + i) * l->keys + j);
            tile_turn(v);
            for (int64_t i = 0; i < least(16, a->Lk - j); i++)
                write_sixteen(a, row_of(a, to, stride, j + i), c, a->dh - c,
                              _mm512_mul_ps((__m512)v[i], _mm512_set1_ps(scale)));
        }
}

// As head_forward_tiles; the rows of dk and dv are summed over blocks of queries, in order.
void head_backward_tiles(const Head *a, const HeadGrads *g, Dropout drop, void *scratch) {
    const Places l = places_of(a->Lq, a->Lk, a->dh, true);
    const int64_t queries = l.queries / TILE_DEPTH * STEP, kept = l.block / TILE_DEPTH * STEP;
    char *at = scratch;
    float *dk = (float *)(at + l.dk), *dv = (float *)(at + l.dv);
    const DropoutTable table =
        dropout_table(drop, (DropoutColumns *)(at + l.columns), l.keys / DROPOUT_CHUNK);
    note_keys(a, l.keys, (uint16_t *)(at + l.there));
    pack_rows(a, a->k, a->sk, 0, a->Lk, true, at + l.k);
    pack_rows(a, a->v, a->sv, 0, a->Lk, true, at + l.v);
    pack_columns(a, a->k, a->sk, a->Lk, true, at + l.k_columns);
    pack_columns(a, a->q, a->sq, a->Lq, false, at + l.q_turned);
    pack_columns(a, g->dout, g->sdout, a->Lq, false, at + l.dout_turned);
    tiles_begin();
    for (int64_t begin = 0; begin < a->Lq; begin += l.block) {
        int64_t step = 0;
        for (int64_t i = begin; i < least(begin + l.block, a->Lq); i += SIDE)
            backward_rows(a, g, &l, at, i, step++, &table);
        const int64_t from = begin / TILE_DEPTH * STEP;
        multiply(at + l.dout_turned + from, queries, l.width, at + l.kept, kept, l.keys, step, dv,
                 begin > 0);
        multiply(at + l.q_turned + from, queries, l.width, at + l.kept_gradients, kept, l.keys,
                 step, dk, begin > 0);
    }
    tiles_end();
    write_turned(a, &l, dv, 1, g->dv, g->sdv);
    write_turned(a, &l, dk, a->scale, g->dk, g->sdk);
}

#else

size_t attention_tiles_bytes(int64_t Lq, int64_t Lk, int64_t dh, bool backward) {
    return (void)Lq, (void)Lk, (void)dh, (void)backward, 0;
}

void head_forward_tiles(const Head *a, void *o, int64_t so, float *lse, Dropout drop,
                        void *scratch) {
    (void)a, (void)o, (void)so, (void)lse, (void)drop, (void)scratch;
}

void head_backward_tiles(const Head *a, const HeadGrads *g, Dropout drop, void *scratch) {
    (void)a, (void)g, (void)drop, (void)scratch;
}

#endif
