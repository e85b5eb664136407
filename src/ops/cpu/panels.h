// SPDX-License-Identifier: Apache-2.0
// Matrix products with a factor that was put in order beforehand: its columns in panels as wide as
// a kernel's registers, row by row. For weights, which are the same for many products. float32, one
// thread a call.
#ifndef TACT_OPS_CPU_PANELS_H
#define TACT_OPS_CPU_PANELS_H

#include "ops/cpu/level.h"
#include "ops/ops.h"

static inline int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}
// a / b, rounded up.
static inline int64_t rounded_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

// Columns of a panel; a share of a product begins at a multiple of it.
int64_t panel_columns(void);
// Floats that B (k, n) takes in panels: the last one is filled up with zeros.
int64_t panels_floats(int64_t k, int64_t n);
// Where B's element (i, j) goes.
int64_t panel_at(int64_t k, int64_t i, int64_t j);
// Puts columns of B (k, n) into panels, `from` and `to` multiples of panel_columns or n. Element
// (i, j) is at b[i * row + j * column].
void panels_pack(float *panels, const float *b, int64_t row, int64_t column, int64_t k, int64_t n,
                 int64_t from, int64_t to);

// C (m, n) = A (m, k) B (k, n), plus the bias (n) unless that is NULL, plus C if `sum`. B's rows
// are `first` .. first + k of the `depth` that the panels have.
typedef struct PanelProduct {
    int64_t m, n, k, lda, ldc, depth, first;
    const float *a, *panels, *bias;
    float *c;
    bool sum;
} PanelProduct;
// The columns from .. to of C, as in panels_pack, the first of them at p->c. An element is summed
// in the same order whatever is asked for along with it.
void panels_multiply(const PanelProduct *p, int64_t from, int64_t to);
// All of C by the device's threads.
void panels_share(const Device *d, const PanelProduct *p);

#endif
