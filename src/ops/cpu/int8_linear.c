// SPDX-License-Identifier: Apache-2.0
// Dense layers of bytes: the threads make bytes of x's rows together, then each multiplies its
// share. Weights that last are kept in panels from their first use on.
#include "ops/cpu/int8.h"

#include "base/memory.h"
#include "ops/cpu/panels.h"
#include "ops/cpu/vector.h"

#include <math.h>
#include <omp.h>

// Of one device: those that last, and those that a product has just read.
struct Int8Kept {
    Int8Weights **lasting, *last;
    int n, room;
};

void int8_forget(Device *d) {
    struct Int8Kept *k = cpu_of(d)->int8;
    if (!k) return;
    for (int i = 0; i < k->n; i++) int8_weights_free(k->lasting[i]);
    int8_weights_free(k->last);
    mem_free(k->lasting);
    mem_free(k);
    cpu_of(d)->int8 = NULL;
}

static bool keep_room(Device *d, struct Int8Kept *k) {
    if (k->n < k->room) return true;
    const int room = k->room ? 2 * k->room : 64;
    Int8Weights **all = TRY_NEW(Int8Weights *, room);
    if (!all) {
        device_fail_memory(d, "a table of weights in 8 bits");
        return false;
    }
    for (int i = 0; i < k->n; i++) all[i] = k->lasting[i];
    mem_free(k->lasting);
    k->lasting = all;
    k->room = room;
    return true;
}

// NULL (and failed) without memory.
static const Int8Weights *weights_of(Device *d, Tensor w) {
    Cpu *cpu = cpu_of(d);
    const float *source = f32(w);
    const int64_t n = w.shape[0], depth = w.shape[1];
    const bool lasts =
        cpu->lasting && source >= cpu->weights && source < cpu->weights + cpu->weights_count;
    if (!cpu->int8) cpu->int8 = TRY_NEW(struct Int8Kept, 1);
    struct Int8Kept *k = cpu->int8;
    if (!k) {
        device_fail_memory(d, "weights in 8 bits");
        return NULL;
    }
    for (int i = 0; lasts && i < k->n; i++) {
        const Int8Weights *p = k->lasting[i];
        if (p->source == source && p->n == n && p->rounding.step == w.rounding.step &&
            p->rounding.positive == w.rounding.positive)
            return p;
    }
    if (lasts && !keep_room(d, k)) return NULL;
    Int8Weights *made = int8_weights_new(d, source, n, w.stride[0], NULL, depth, w.rounding);
    if (!made) return NULL;
    if (lasts) return k->lasting[k->n++] = made;
    int8_weights_free(k->last);
    return k->last = made;
}

// What a thread's blocks are taken from.
typedef struct Bytes {
    const uint8_t *rows;
    int64_t m, apart, out_apart; // rows; bytes between them; elements between those of y
} Bytes;

static const uint8_t *block_of(const void *user, int64_t i, uint8_t *room,
                               int64_t places[INT8_SIDE]) {
    const Bytes *b = user;
    (void)room;
    for (int64_t r = 0; r < INT8_SIDE; r++) {
        const int64_t row = i * INT8_SIDE + r;
        places[r] = row < b->m ? row * b->out_apart : -1;
    }
    return b->rows + i * INT8_SIDE * b->apart;
}

void int8_linear(Device *d, Rows y, Rows x, Tensor w, const float *bias, int64_t outer) {
    const Int8Weights *weights = d->failed ? NULL : weights_of(d, w);
    if (!weights || y.rows < 1) return;
    const int64_t apart = int8_apart(x.cols), blocks = rounded_up(y.rows, INT8_SIDE);
    uint8_t *rows = cpu_grow(d, &cpu_of(d)->int8_scratch, (size_t)(blocks * INT8_SIDE * apart));
    if (!rows) return;
    const Int8Bytes as = int8_bytes(d, w.rounding);
    const Bytes bytes = {.rows = rows, .m = y.rows, .apart = apart, .out_apart = y.row_stride};
    const Int8Product p = {
        .w = weights,
        .blocks = blocks,
        .apart = apart,
        .at = weights->at,
        .block = block_of,
        .user = &bytes,
        .finish = {.y = row_at(y, outer, 0), .half = y.half, .shift = bias, .least = -INFINITY}};
    int lost = 0;
#pragma omp parallel num_threads(d->threads)
    {
        const int me = omp_get_thread_num(), all = omp_get_num_threads();
        bool finite = true;
        for (int64_t i = y.rows * me / all; i < y.rows * (me + 1) / all; i++)
            finite &= int8_round(rows + i * apart, row_at(x, outer, i), x.half, x.cols, as);
        if (!finite) {
#pragma omp atomic write
            lost = 1;
        }
#pragma omp barrier
        if (!lost) int8_multiply(d, &p, NULL, me, all);
    }
    for (int64_t i = 0; lost && i < y.rows; i++) int8_lose(&p.finish, i * y.row_stride, weights->n);
}
