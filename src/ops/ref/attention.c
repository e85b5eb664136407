// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention (Vaswani et al., "Attention Is All You Need", 2017).
// B batch, Lq queries, Lk keys, NH heads, E = D/NH width of a head. With i a query, j a key:
//     s_ij = q_i . k_j / sqrt(E)      P_ij = softmax over j of s_ij, 0 for padded keys
//     w_ij = P_ij m_ij                m the dropout factor: 0 or 1/(1-p)
//     o_i  = sum over j of w_ij v_j
// The P of one head are written out in full.
#include "base/memory.h"
#include "ops/ref/ref.h"
#include <assert.h>
#include <math.h>
#include <string.h>

// One head of one element of the batch.
typedef struct Head {
    Tensor q, k, v;     // (Lq, E), (Lk, E), (Lk, E)
    const uint8_t *pad; // (Lk) or NULL
    double scale;       // 1 / sqrt(E)
    int64_t Lq, Lk, E;
    int64_t first_row; // dropout row of query 0
    Dropout drop;
} Head;

// The columns of head h of element b of a (B, L, D) tensor: (L, E).
static Tensor head_view(Tensor t, int64_t b, int64_t h, int64_t E) {
    Tensor rows = tensor_slice(t, 0, b, 1);
    Tensor view = {.data = rows.data, .dtype = t.dtype, .rank = 2};
    view.shape[0] = t.shape[1];
    view.shape[1] = t.shape[2];
    view.stride[0] = t.stride[1];
    view.stride[1] = 1;
    return tensor_slice(view, 1, h * E, E);
}

static Head head_new(Tensor q, Tensor k, Tensor v, Tensor key_pad, int heads, int64_t b, int64_t h,
                     Dropout drop) {
    int64_t E = q.shape[2] / heads;
    Head head = {.q = head_view(q, b, h, E),
                 .k = head_view(k, b, h, E),
                 .v = head_view(v, b, h, E),
                 .scale = 1 / sqrt((double)E),
                 .Lq = q.shape[1],
                 .Lk = k.shape[1],
                 .E = E,
                 .first_row = (b * heads + h) * q.shape[1],
                 .drop = drop};
    if (key_pad.data) head.pad = (const uint8_t *)key_pad.data + b * key_pad.stride[0];
    return head;
}

// scores (Lk) of query i; -infinity for padded keys.
static void head_scores(const Head *a, double *scores, int64_t i) {
    for (int64_t j = 0; j < a->Lk; j++) {
        scores[j] = ref_dot(ref_row(a->q, i), ref_row(a->k, j), a->E) * a->scale;
        if (a->pad && a->pad[j]) scores[j] = -INFINITY;
    }
}

// p (Lq, Lk), lse (Lq). A query whose keys are all padded attends to nothing: P = 0.
static void head_softmax(const Head *a, double *p, float *lse) {
    for (int64_t i = 0; i < a->Lq; i++, p += a->Lk) {
        head_scores(a, p, i);
        double max = -INFINITY, sum = 0;
        for (int64_t j = 0; j < a->Lk; j++)
            if (!(p[j] <= max)) max = p[j];
        for (int64_t j = 0; j < a->Lk; j++) sum += p[j] = max == -INFINITY ? 0 : exp(p[j] - max);
        for (int64_t j = 0; j < a->Lk; j++) p[j] = sum == 0 ? 0 : p[j] / sum;
        if (lse) lse[i] = (float)(max + log(sum));
    }
}

// o (Lq, E) = w v; sum (E) is scratch.
static void head_output(const Head *a, Tensor o, const double *p, double *sum) {
    for (int64_t i = 0; i < a->Lq; i++, p += a->Lk) {
        memset(sum, 0, (size_t)a->E * sizeof *sum);
        for (int64_t j = 0; j < a->Lk; j++) {
            double w = p[j] * ref_dropout_factor(a->drop, a->first_row + i, j);
            ref_axpy(sum, w, ref_row(a->v, j), a->E);
        }
        for (int64_t c = 0; c < a->E; c++) ref_row(o, i)[c] = (float)sum[c];
    }
}

void ref_attention_forward(Device *d, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                           Tensor key_pad, int heads, Dropout drop) {
    if (d->failed) return;
    int64_t B = q.shape[0], Lq = q.shape[1], Lk = k.shape[1], E = q.shape[2] / heads;
    assert(E * heads == q.shape[2] && v.shape[1] == Lk);
    double *p = ref_sums(d, Lq * Lk), *sum = ref_sums(d, E);
    for (int64_t b = 0; !d->failed && b < B; b++)
        for (int64_t h = 0; h < heads; h++) {
            Head head = head_new(q, k, v, key_pad, heads, b, h, drop);
            head_softmax(&head, p, lse.data ? f32(lse) + (b * heads + h) * Lq : NULL);
            head_output(&head, head_view(o, b, h, E), p, sum);
        }
    mem_free(sum);
    mem_free(p);
}

// Sums of one head's gradients, each laid out like q, k and v.
typedef struct HeadGrad {
    double *dq, *dk, *dv; // (E) of the current query, (Lk, E), (Lk, E)
} HeadGrad;

// Adds query i's part to dk and dv, and sets dq. delta = dout_i . o_i is the sum over j of
// P_ij dP_ij that the softmax needs, because dP_ij = m_ij (dout_i . v_j).
static void query_backward(const Head *a, HeadGrad *g, double *p, const float *dout, double delta,
                           double lse, int64_t i) {
    head_scores(a, p, i);
    memset(g->dq, 0, (size_t)a->E * sizeof *g->dq);
    for (int64_t j = 0; j < a->Lk; j++) {
        if (p[j] == -INFINITY) continue; // a padded key has no part in anything
        double P = exp(p[j] - lse);
        double m = ref_dropout_factor(a->drop, a->first_row + i, j);
        double dP = m * ref_dot(dout, ref_row(a->v, j), a->E);
        double ds = P * (dP - delta) * a->scale;
        ref_axpy(g->dv + j * a->E, P * m, dout, a->E);
        ref_axpy(g->dk + j * a->E, ds, ref_row(a->q, i), a->E);
        ref_axpy(g->dq, ds, ref_row(a->k, j), a->E);
    }
}

static void store_rows(Tensor to, const double *from) {
    for (int64_t i = 0; i < to.shape[0]; i++)
        for (int64_t c = 0; c < to.shape[1]; c++)
            ref_row(to, i)[c] = (float)from[i * to.shape[1] + c];
}

void ref_attention_backward(Device *d, Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor o,
                            Tensor lse, Tensor q, Tensor k, Tensor v, Tensor key_pad, int heads,
                            Dropout drop) {
    if (d->failed) return;
    int64_t B = q.shape[0], Lq = q.shape[1], Lk = k.shape[1], E = q.shape[2] / heads;
    double *p = ref_sums(d, Lk);
    HeadGrad g = {ref_sums(d, E), ref_sums(d, Lk * E), ref_sums(d, Lk * E)};
    for (int64_t b = 0; !d->failed && b < B; b++)
        for (int64_t h = 0; h < heads; h++) {
            Head head = head_new(q, k, v, key_pad, heads, b, h, drop);
            Tensor grad = head_view(dout, b, h, E), out = head_view(o, b, h, E);
            memset(g.dk, 0, (size_t)(Lk * E) * sizeof *g.dk);
            memset(g.dv, 0, (size_t)(Lk * E) * sizeof *g.dv);
            for (int64_t i = 0; i < Lq; i++) {
                double delta = ref_dot(ref_row(grad, i), ref_row(out, i), E);
                query_backward(&head, &g, p, ref_row(grad, i), delta,
                               f32(lse)[(b * heads + h) * Lq + i], i);
                store_rows(tensor_slice(head_view(dq, b, h, E), 0, i, 1), g.dq);
            }
            store_rows(head_view(dk, b, h, E), g.dk);
            store_rows(head_view(dv, b, h, E), g.dv);
        }
    mem_free(p);
    mem_free(g.dq);
    mem_free(g.dk);
    mem_free(g.dv);
}
