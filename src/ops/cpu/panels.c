// SPDX-License-Identifier: Apache-2.0
// The scheme is Goto's ("Anatomy of High-Performance Matrix Multiplication", 2008) with one factor
// packed: a slab of a panel stays in the first cache while all rows of A pass it, and the slab of A
// in the second.
#include "ops/cpu/panels.h"

#include <string.h>

// Rows x 2 vectors of sums stay in registers, with two vectors of B and one of A beside them.
#ifdef __AVX512F__
enum { WIDE = 16, ROWS = 12 };
#elif defined __AVX__
enum { WIDE = 8, ROWS = 6 };
#elif defined __ARM_NEON
enum { WIDE = 4, ROWS = 12 };
#else
enum { WIDE = 4, ROWS = 6 };
#endif
enum { PANEL = 2 * WIDE, SLAB = 256, BLOCK = 16 * ROWS };
typedef float Wide __attribute__((vector_size(WIDE * sizeof(float)), aligned(4)));
#define AT(pointer) (*(Wide *)(pointer))
#define READ(pointer) (*(const Wide *)(pointer))

int64_t panel_columns(void) {
    return PANEL;
}

static int64_t panels_of(int64_t n) {
    return rounded_up(n, PANEL);
}

int64_t panels_floats(int64_t k, int64_t n) {
    return panels_of(n) * PANEL * k;
}

int64_t panel_at(int64_t k, int64_t i, int64_t j) {
    return (j / PANEL * k + i) * PANEL + j % PANEL;
}

void panels_pack(float *panels, const float *b, int64_t row, int64_t column, int64_t k, int64_t n,
                 int64_t from, int64_t to) {
    for (int64_t j = from; j < to; j += PANEL) {
        float *out = panels + j * k;
        int64_t columns = least(PANEL, n - j);
        for (int64_t i = 0; i < k; i++, out += PANEL)
            for (int64_t l = 0; l < PANEL; l++)
                out[l] = l < columns ? b[i * row + (j + l) * column] : 0;
    }
}

// What a tile of C begins with.
typedef struct Start {
    const float *bias; // NULL: none
    bool sum;
} Start;

// What is fetched from the third cache, or from memory, while a tile is worked on: one address for
// each row of B. A burst of them beforehand would wait for the few misses that a core can have
// open.
typedef struct Ahead {
    const float *at;
    int64_t step;
} Ahead;

// Sanitizers would make these loops ten times as slow. What they read and write are whole rows of
// factors whose sizes the functions below keep to.
#define UNCHECKED __attribute__((no_sanitize("address", "undefined", "thread")))

static inline UNCHECKED __attribute__((always_inline)) void tile(const int rows, const float *a,
                                                                 int64_t lda, const float *b,
                                                                 int64_t k, float *c, int64_t ldc,
                                                                 Start start, Ahead ahead) {
    Wide sums[ROWS][2];
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = (Wide){0};
    for (int64_t p = 0; p < k; p++, b += PANEL, ahead.at += ahead.step) {
        __builtin_prefetch(ahead.at, 0, 2);
        const Wide left = READ(b), right = READ(b + WIDE);
#pragma GCC unroll 12
        for (int r = 0; r < rows; r++) {
            const Wide x = a[r * lda + p] - (Wide){0};
            sums[r][0] += x * left;
            sums[r][1] += x * right;
        }
    }
    const Wide none = {0};
    const Wide left = start.bias ? READ(start.bias) : none,
               right = start.bias ? READ(start.bias + WIDE) : none;
#pragma GCC unroll 12
    for (int r = 0; r < rows; r++) {
        float *out = c + r * ldc;
        if (start.sum) {
            sums[r][0] += READ(out);
            sums[r][1] += READ(out + WIDE);
        }
        AT(out) = sums[r][0] + left;
        AT(out + WIDE) = sums[r][1] + right;
    }
}

static UNCHECKED void tile_of(int64_t rows, const float *a, int64_t lda, const float *b, int64_t k,
                              float *c, int64_t ldc, Start start, Ahead ahead) {
    switch (rows) {
#define CASE(n)                                                                                    \
    case n:                                                                                        \
        tile(n <= ROWS ? n : ROWS, a, lda, b, k, c, ldc, start, ahead);                            \
        break;
        CASE(1)
        CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
    }
}

// The last panel, of which only some columns are C's.
static void narrow_tile(int64_t rows, const float *a, int64_t lda, const float *b, int64_t k,
                        float *c, int64_t ldc, int64_t columns, Start start) {
    float whole[ROWS * PANEL] = {0}, bias[PANEL] = {0};
    size_t bytes = (size_t)columns * sizeof *c;
    for (int64_t r = 0; start.sum && r < rows; r++) memcpy(whole + r * PANEL, c + r * ldc, bytes);
    if (start.bias) memcpy(bias, start.bias, bytes);
    tile_of(rows, a, lda, b, k, whole, PANEL, (Start){start.bias ? bias : NULL, start.sum},
            (Ahead){b, 0});
    for (int64_t r = 0; r < rows; r++) memcpy(c + r * ldc, whole + r * PANEL, bytes);
}

// The rows first .. last of C in the panel of column j, from its slab that begins at row s of B.
static void multiply_slab(const PanelProduct *p, int64_t s, int64_t j, float *out, int64_t first,
                          int64_t last, const float *next) {
    int64_t k = least(SLAB, p->k - s), columns = least(PANEL, p->n - j);
    const float *b = p->panels + panel_at(p->depth, p->first + s, j);
    const Start start = {s == 0 && p->bias ? p->bias + j : NULL, s > 0 || p->sum};
    int64_t parts = rounded_up(last - first, ROWS);
    Ahead ahead = next ? (Ahead){next, rounded_up(PANEL, parts)} : (Ahead){b, 0};
    for (int64_t i = first; i < last; i += ROWS, ahead.at += k * ahead.step) {
        int64_t rows = least(ROWS, last - i);
        const float *a = p->a + i * p->lda + s;
        float *c = out + i * p->ldc;
        if (columns == PANEL)
            tile_of(rows, a, p->lda, b, k, c, p->ldc, start, ahead);
        else
            narrow_tile(rows, a, p->lda, b, k, c, p->ldc, columns, start);
    }
}

void panels_multiply(const PanelProduct *p, int64_t from, int64_t to) {
    for (int64_t first = 0; first < p->m; first += BLOCK) {
        int64_t last = least(p->m, first + BLOCK);
        for (int64_t s = 0; s < p->k; s += SLAB)
            for (int64_t j = from; j < to; j += PANEL) {
                // The same slab of the next panel, or the next slab of the first one.
                bool turns = j + PANEL >= to;
                int64_t row = p->first + (turns ? s + SLAB : s), column = turns ? from : j + PANEL;
                const float *next = p->panels + panel_at(p->depth, row, column);
                multiply_slab(p, s, j, p->c + j - from, first, last,
                              turns && s + SLAB >= p->k ? NULL : next);
            }
    }
}

void panels_share(const Device *d, const PanelProduct *p) {
    enum { SHARES = 8 }; // of a thread: enough that none waits long for the last
    int64_t panels = panels_of(p->n), rows = p->m;
    int64_t step = panels / ((int64_t)SHARES * d->threads);
    step = (step ? step : 1) * PANEL;
    // Where there are few panels the rows are shared too.
    if (panels < 2 * d->threads)
        rows = rounded_up(rounded_up(p->m, rounded_up(2 * d->threads, panels)), ROWS) * ROWS;
#pragma omp parallel for num_threads(d->threads) collapse(2) schedule(dynamic)
    for (int64_t i = 0; i < p->m; i += rows)
        for (int64_t j = 0; j < p->n; j += step) {
            PanelProduct part = *p;
            part.m = least(rows, p->m - i);
            part.a += i * p->lda;
            part.c += i * p->ldc + j;
            panels_multiply(&part, j, least(j + step, p->n));
        }
}
