// SPDX-License-Identifier: Apache-2.0
// Matrix products through oneDNN's matmul, which has a kernel for the processor's matrix units
// where it has any. A plan is made the first time a shape comes and kept. Weights that last are
// kept in the kernel's own order too, one copy for each plan that reads them.
#include "ops/cpu/cpu.h"
#include "ops/cpu/int8.h"
#include "ops/cpu/panels.h"
#include "ops/cpu/tiles.h"
#include "ops/cpu/vector.h"

#include "base/memory.h"
#include <stdio.h>
#include <string.h>

enum { A, B, BIAS, C, SCRATCH, MAX_ARGS };

typedef struct Matmul {
    MatmulSpec spec;
    dnnl_primitive_t primitive;
    int n;
    dnnl_exec_arg_t args[MAX_ARGS];
    int at[MAX_ARGS]; // index in args, or -1
    void *packed;     // B in the kernel's own order, within Cpu.packed
} Matmul;

static bool same_spec(const MatmulSpec *x, const MatmulSpec *y) {
    return x->m == y->m && x->n == y->n && x->k == y->k && x->lda == y->lda && x->ldb == y->ldb &&
           x->ldc == y->ldc && x->ta == y->ta && x->tb == y->tb && x->bias == y->bias &&
           x->sum == y->sum && x->half == y->half && x->half_c == y->half_c &&
           x->lasting == y->lasting;
}

static uint64_t hash_spec(const MatmulSpec *s) {
    const uint64_t words[] = {(uint64_t)s->m,
                              (uint64_t)s->n,
                              (uint64_t)s->k,
                              (uint64_t)s->lda,
                              (uint64_t)s->ldb,
                              (uint64_t)s->ldc,
                              (uintptr_t)s->lasting,
                              (uint64_t)(s->ta | s->tb << 1 | s->bias << 2 | s->sum << 3 |
                                         s->half << 4 | s->half_c << 5)};
    uint64_t h = 1469598103934665603u;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        h = (h ^ words[i]) * 0x9E3779B97F4A7C15u;
        h ^= h >> 29;
    }
    return h;
}

static void matmul_plan_free(Matmul *p) {
    if (!p) return;
    for (int i = 0; i < p->n; i++) dnnl_memory_destroy(p->args[i].memory);
    if (p->primitive) dnnl_primitive_destroy(p->primitive);
    mem_free(p);
}

void cpu_matmul_free(Device *d) {
    Cpu *cpu = cpu_of(d);
    for (int i = 0; i < cpu->room; i++) matmul_plan_free(cpu->plans[i]);
    mem_free(cpu->plans);
    tensor_arena_free(&cpu->packed);
    mem_free(cpu->halves);
    mem_free(cpu->scratchpad.data);
    for (int i = 0; i < 2; i++) mem_free(cpu->factors[i].data);
}

// ---- planning -----------------------------------------------------------------------------------

static bool matmul_refused(Device *d, const MatmulSpec *s, dnnl_status_t status) {
    char what[96];
    if (status == dnnl_success) return false;
    snprintf(what, sizeof what, "matrix product %ld x %ld x %ld", (long)s->m, (long)s->n,
             (long)s->k);
    return !cpu_status(d, status, what);
}

static void add_arg(Device *d, Matmul *p, int which, int name, ConstDnnlLayout md, void *data) {
    if (matmul_refused(d, &p->spec,
                       dnnl_memory_create(&p->args[p->n].memory, md, cpu_of(d)->engine, data)))
        return;
    p->args[p->n].arg = name;
    p->at[which] = p->n++;
}

static DnnlLayout matrix_layout(int64_t rows, int64_t cols, int64_t ld, bool transposed,
                                dnnl_data_type_t type) {
    const dnnl_dims_t dims = {rows, cols};
    const dnnl_dims_t strides = {transposed ? 1 : ld, transposed ? ld : 1};
    return onednn_layout_strided(2, dims, type, strides);
}

// Copies B, as it is stored, into the order that the primitive chose.
static void pack_weights(Device *d, Matmul *p, ConstDnnlLayout stored, ConstDnnlLayout chosen,
                         const void *b) {
    dnnl_engine_t e = cpu_of(d)->engine;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_primitive_t reorder = NULL;
    dnnl_memory_t from = NULL, to = NULL;
    int64_t bytes = (int64_t)dnnl_memory_desc_get_size(chosen);
    p->packed = arena_tensor(&cpu_of(d)->packed, DTYPE_U8, 1, SHAPE(bytes)).data;
    bool ok =
        p->packed &&
        !matmul_refused(d, &p->spec,
                        dnnl_reorder_primitive_desc_create(&pd, stored, e, chosen, e, NULL)) &&
        !matmul_refused(d, &p->spec, dnnl_primitive_create(&reorder, pd)) &&
        !matmul_refused(d, &p->spec, dnnl_memory_create(&from, stored, e, (void *)(uintptr_t)b)) &&
        !matmul_refused(d, &p->spec, dnnl_memory_create(&to, chosen, e, p->packed));
    if (ok) {
        const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
        cpu_execute(d, "packing of weights", reorder, 2, args);
    }
    dnnl_memory_destroy(from);
    dnnl_memory_destroy(to);
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(pd);
}

typedef struct MatmulLayouts {
    DnnlLayout a, stored, b, c,
        bias; // stored: B as it lies in memory; b: as the primitive is to take it
} MatmulLayouts;

static MatmulLayouts matmul_layouts(const MatmulSpec *s) {
    dnnl_data_type_t type = s->half ? dnnl_bf16 : dnnl_f32;
    const dnnl_dims_t b = {s->k, s->n};
    return (MatmulLayouts){
        .a = matrix_layout(s->m, s->k, s->lda, s->ta, type),
        .stored = matrix_layout(s->k, s->n, s->ldb, s->tb, s->lasting ? dnnl_f32 : type),
        .b = s->lasting ? onednn_layout(2, b, type, dnnl_format_tag_any)
                        : matrix_layout(s->k, s->n, s->ldb, s->tb, type),
        .c = matrix_layout(s->m, s->n, s->ldc, false, s->half_c ? dnnl_bf16 : dnnl_f32),
        .bias = s->bias ? matrix_layout(1, s->n, s->n, false, dnnl_f32) : NULL,
    };
}

static void free_matmul_layouts(MatmulLayouts *l) {
    DnnlLayout owned[] = {l->a, l->stored, l->b, l->c, l->bias};
    for (int i = 0; i < 5; i++) onednn_layout_free(owned[i]);
}

// NULL, with the failure recorded, when oneDNN refuses.
static dnnl_primitive_desc_t matmul_desc(Device *d, const MatmulSpec *s, const MatmulLayouts *l) {
    dnnl_primitive_attr_t attr = NULL;
    dnnl_post_ops_t ops = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t made = onednn_attr_new(&attr, &ops);
    if (!made && s->sum) made = onednn_append_sum(ops);
    if (!made) made = dnnl_primitive_attr_set_post_ops(attr, ops);
    if (!made && (!l->stored || (s->bias && !l->bias))) made = dnnl_out_of_memory;
    if (!made) made = onednn_matmul(&pd, cpu_of(d)->engine, l->a, l->b, l->bias, l->c, attr);
    matmul_refused(d, s, made);
    dnnl_post_ops_destroy(ops);
    dnnl_primitive_attr_destroy(attr);
    return pd;
}

// For our own product: no primitive, and one plan whatever it is multiplied with.
static bool plan_panels(Device *d, Matmul *p, const float *b) {
    const MatmulSpec *s = &p->spec;
    int64_t bytes = panels_floats(s->k, s->n) * (int64_t)sizeof(float);
    p->packed = arena_tensor(&cpu_of(d)->packed, DTYPE_U8, 1, SHAPE(bytes)).data;
    if (!p->packed) return false;
    int64_t step = panel_columns();
#pragma omp parallel for num_threads(d->threads)
    for (int64_t j = 0; j < s->n; j += step)
        panels_pack(p->packed, b, s->tb ? 1 : s->ldb, s->tb ? s->ldb : 1, s->k, s->n, j,
                    least(j + step, s->n));
    return true;
}

// For our own product on a matrix unit, likewise.
static bool plan_tiles(Device *d, Matmul *p, const float *w) {
    const MatmulSpec *s = &p->spec;
    const TileFactor b = {.data = w, .row = 1, .column = s->k};
    p->packed = arena_tensor(&cpu_of(d)->packed, DTYPE_U8, 1, SHAPE(tiles_bytes(s->k, s->n))).data;
    if (p->packed) tiles_pack(d, &b, s->k, s->n, p->packed);
    return p->packed != NULL;
}

static bool by_tiles(Device *d, const MatmulSpec *s) {
    return cpu_of(d)->matrix_unit && s->lasting && s->half;
}

static bool by_panels(Device *d, const MatmulSpec *s) {
    return cpu_of(d)->panels && s->lasting && !s->half && !s->ta;
}

static Matmul *matmul_plan_new(Device *d, const MatmulSpec *s, const void *b) {
    Matmul *p = TRY_NEW(Matmul, 1);
    if (!p) matmul_refused(d, s, dnnl_out_of_memory);
    if (!p) return NULL;
    *p = (Matmul){.spec = *s, .at = {-1, -1, -1, -1, -1}};
    if (by_panels(d, s) || by_tiles(d, s)) {
        if ((by_tiles(d, s) ? plan_tiles : plan_panels)(d, p, b)) return p;
        matmul_plan_free(p);
        return NULL;
    }
    MatmulLayouts l = cpu_room(d) ? matmul_layouts(s) : (MatmulLayouts){0};
    dnnl_primitive_desc_t pd = d->failed ? NULL : matmul_desc(d, s, &l);
    if (pd && !matmul_refused(d, s, dnnl_primitive_create(&p->primitive, pd))) {
        ConstDnnlLayout chosen = dnnl_primitive_desc_query_md(pd, dnnl_query_weights_md, 0);
        ConstDnnlLayout pad = dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        size_t bytes = dnnl_memory_desc_get_size(pad);
        if (s->lasting) pack_weights(d, p, l.stored, chosen, b);
        add_arg(d, p, A, DNNL_ARG_SRC, l.a, DNNL_MEMORY_NONE);
        add_arg(d, p, B, DNNL_ARG_WEIGHTS, chosen, p->packed);
        add_arg(d, p, C, DNNL_ARG_DST, l.c, DNNL_MEMORY_NONE);
        if (s->bias) add_arg(d, p, BIAS, DNNL_ARG_BIAS, l.bias, DNNL_MEMORY_NONE);
        if (bytes && cpu_grow(d, &cpu_of(d)->scratchpad, bytes))
            add_arg(d, p, SCRATCH, DNNL_ARG_SCRATCHPAD, pad, DNNL_MEMORY_NONE);
    }
    if (pd) dnnl_primitive_desc_destroy(pd);
    free_matmul_layouts(&l);
    if (!d->failed) return p;
    matmul_plan_free(p);
    return NULL;
}

// ---- the table of plans: open addressing, at most half full -------------------------------------

static Matmul **plan_place(Matmul **plans, int room, const MatmulSpec *s) {
    int i = (int)(hash_spec(s) % (uint64_t)room);
    while (plans[i] && !same_spec(&plans[i]->spec, s)) i = (i + 1) % room;
    return &plans[i];
}

// False, and the table is what it was, without memory.
static bool resize_plans(Cpu *cpu, int room) {
    Matmul **plans = TRY_NEW(Matmul *, room);
    if (!plans) return false;
    for (int i = 0; i < cpu->room; i++)
        if (cpu->plans[i]) *plan_place(plans, room, &cpu->plans[i]->spec) = cpu->plans[i];
    mem_free(cpu->plans);
    cpu->plans = plans;
    cpu->room = room;
    return true;
}

static Matmul *matmul_plan_of(Device *d, const MatmulSpec *s, const void *b) {
    enum { FIRST_ROOM = 256 };
    Cpu *cpu = cpu_of(d);
    if (2 * cpu->n_plans >= cpu->room &&
        !resize_plans(cpu, cpu->room ? 2 * cpu->room : FIRST_ROOM)) {
        device_fail_memory(d, "a table of matrix products");
        return NULL;
    }
    Matmul **place = plan_place(cpu->plans, cpu->room, s);
    if (!*place && (*place = matmul_plan_new(d, s, b))) cpu->n_plans++;
    return *place;
}

// Frees the plans of weights that last, because those weights have changed.
static void forget_lasting(Device *d) {
    Cpu *cpu = cpu_of(d);
    tensor_arena_free(&cpu->packed);
    for (int i = 0; i < cpu->room; i++) {
        if (!cpu->plans[i] || !cpu->plans[i]->spec.lasting) continue;
        matmul_plan_free(cpu->plans[i]);
        cpu->plans[i] = NULL;
        cpu->n_plans--;
    }
    // The others to where they are looked for, now that there are holes.
    if (cpu->room && !resize_plans(cpu, cpu->room))
        device_fail_memory(d, "a table of matrix products");
}

static void set_data(const Matmul *p, int which, const void *data) {
    if (p->at[which] >= 0)
        dnnl_memory_set_data_handle(p->args[p->at[which]].memory, (void *)(uintptr_t)data);
}

static void run_panels(Device *d, const MatmulSpec *s, const float *a, const float *b,
                       const float *bias, float *c) {
    const MatmulSpec key = {
        .n = s->n, .k = s->k, .ldb = s->ldb, .tb = s->tb, .lasting = s->lasting};
    const Matmul *plan = matmul_plan_of(d, &key, b);
    if (!plan) return;
    const PanelProduct p = {.m = s->m,
                            .n = s->n,
                            .k = s->k,
                            .lda = s->lda,
                            .ldc = s->ldc,
                            .depth = s->k,
                            .a = a,
                            .panels = plan->packed,
                            .bias = bias,
                            .c = c,
                            .sum = s->sum};
    panels_share(d, &p);
}

const void *cpu_lasting_tiles(Device *d, const float *w, int64_t n, int64_t k) {
    const MatmulSpec key = {.n = n, .k = k, .ldb = k, .tb = true, .lasting = w, .half = true};
    const Matmul *plan = d->failed ? NULL : matmul_plan_of(d, &key, w);
    return plan ? plan->packed : NULL;
}

static void run_matmul(Device *d, const MatmulSpec *s, const void *a, const void *b,
                       const float *bias, void *c) {
    if (d->failed) return;
    if (by_panels(d, s)) {
        run_panels(d, s, a, b, bias, c);
        return;
    }
    Matmul *p = matmul_plan_of(d, s, b);
    if (!p) return;
    set_data(p, A, a);
    if (!p->packed) set_data(p, B, b);
    set_data(p, BIAS, bias);
    set_data(p, C, c);
    set_data(p, SCRATCH, cpu_of(d)->scratchpad.data);
    cpu_execute(d, "matrix product", p->primitive, p->n, p->args);
}

static int largest_divisor(int64_t n, int from, int to) {
    int i = to;
    while (i >= from && n % i) i--;
    return i; // from - 1: none
}

// oneDNN's kernel for matrix units works on blocks of rows, as many as the largest divisor of m
// from 32 to 64, and within a block on as many as the largest divisor of that up to 16: a block of
// 59 rows goes row by row, at a seventh of the speed (measured for all m to 420, oneDNN 2.6).
static bool slow_rows(int64_t m) {
    int block = largest_divisor(m, 32, 64);
    return block > 48 && largest_divisor(block, 1, 16) <= 3;
}

// Rows of the first of two products that are fast: near half of m.
static int64_t fast_part(int64_t m) {
    int64_t first = (m / 2 + 15) / 16 * 16;
    while (first > 16 && (slow_rows(first) || slow_rows(m - first))) first -= 16;
    return first;
}

void cpu_matmul(Device *d, const MatmulSpec *s, const void *a, const void *b, const float *bias,
                void *c) {
    if (!s->half || !slow_rows(s->m)) {
        run_matmul(d, s, a, b, bias, c);
        return;
    }
    MatmulSpec first = *s, second = *s;
    first.m = fast_part(s->m);
    second.m = s->m - first.m;
    run_matmul(d, &first, a, b, bias, c);
    run_matmul(d, &second, (const bf16 *)a + first.m * (s->ta ? 1 : s->lda), b, bias,
               (char *)c + first.m * s->ldc * (int64_t)(s->half_c ? sizeof(bf16) : sizeof(float)));
}

// ---- parameters ---------------------------------------------------------------------------------

void cpu_weights_load(Device *d, Tensor flat, bool lasting) {
    Cpu *cpu = cpu_of(d);
    if (cpu->lasting) forget_lasting(d);
    int8_forget(d);
    if (cpu_bf16(d) && cpu->weights_count != tensor_count(flat)) {
        mem_free(cpu->halves);
        cpu->halves = NULL;
    }
    cpu->weights = f32(flat);
    cpu->weights_count = tensor_count(flat);
    cpu->lasting = lasting && (cpu->panels || !cpu->blas);
    cpu->halves_fresh = false;
}

// Rounds the parameters to bfloat16 when the first product asks for them: whether any product of a
// step will is not known before.
static bool make_halves(Device *d) {
    Cpu *cpu = cpu_of(d);
    int64_t n = cpu->weights_count;
    if (!cpu->halves) cpu->halves = mem_try((size_t)n * sizeof(bf16));
    if (!cpu->halves) {
        device_fail_memory(d, "the %ld parameters in bfloat16", (long)n);
        return false;
    }
#pragma omp parallel for simd num_threads(d->threads)
    for (int64_t i = 0; i < n; i++) cpu->halves[i] = bf16_of_float(cpu->weights[i]);
    return cpu->halves_fresh = true;
}

const bf16 *cpu_halves(Device *d, const float *w) {
    Cpu *cpu = cpu_of(d);
    if (!cpu->weights || w < cpu->weights || w >= cpu->weights + cpu->weights_count) return NULL;
    if (!cpu->halves_fresh && !make_halves(d)) return NULL;
    return cpu->halves + (w - cpu->weights);
}
