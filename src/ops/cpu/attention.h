// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: one (sample, head) of attention, which is one thread's work from end to end.
#ifndef TACT_OPS_CPU_ATTENTION_H
#define TACT_OPS_CPU_ATTENTION_H

#include "ops/cpu/cpu.h"

typedef struct Head {
    const void *q, *k, *v; // (Lq, dh), (Lk, dh), with row strides; float, or bf16 if half
    bool half;             // and so are the gradients
    int64_t sq, sk, sv;
    const uint8_t *pad;       // (Lk) or NULL
    int64_t Lq, Lk, dh, row0; // row0: dropout row of query 0
    float scale;
} Head;

// Gradients of one head, with the row strides of dq, dk, dv, dout, o.
typedef struct HeadGrads {
    void *dq, *dk, *dv;
    const void *dout, *o;
    const float *lse;
    int64_t sdq, sdk, sdv, sdout, so;
} HeadGrads;

// attention_tiles.c: on a matrix unit. scratch: at least attention_tiles_bytes of the shape,
// aligned to 64.
size_t attention_tiles_bytes(int64_t Lq, int64_t Lk, int64_t dh, bool backward);
void head_forward_tiles(const Head *a, void *o, int64_t so, float *lse, Dropout drop,
                        void *scratch);
void head_backward_tiles(const Head *a, const HeadGrads *g, Dropout drop, void *scratch);

#endif
