// SPDX-License-Identifier: Apache-2.0
// A CPU device: oneDNN's convolutions and matrix products, OpenMP loops for the rest. Reductions
// are split by rows and columns, never by arrival, so that one thread count gives one result.
#include "ops/cpu/cpu.h"
#include "ops/cpu/blas.h"
#include "ops/cpu/int8.h"
#include "ops/cpu/tiles.h"

#include "base/memory.h"
#include <errno.h>
#include <omp.h>
#include <string.h>

static void cpu_release(Device *d) {
    Cpu *cpu = cpu_of(d);
    cpu_matmul_free(d);
    mem_free(cpu->folded.data);
    mem_free(cpu->gradients.data);
    mem_free(cpu->widened.data);
    mem_free(cpu->blocks.data);
    mem_free(cpu->tiles.data);
    mem_free(cpu->columns.data);
    mem_free(cpu->int8_scratch.data);
    int8_forget(d);
    if (cpu->stream) dnnl_stream_destroy(cpu->stream);
    if (cpu->engine) dnnl_engine_destroy(cpu->engine);
    for (int i = 0; cpu->scratch && i < d->threads; i++) mem_free(cpu->scratch[i]);
    mem_free(cpu->scratch);
    mem_free(cpu);
}

static void cpu_close(Device *d) {
    cpu_release(d);
    mem_free(d);
}

static bool start_engine(Device *d) {
    Cpu *cpu = cpu_of(d);
    dnnl_status_t status = dnnl_engine_create(&cpu->engine, dnnl_cpu, 0);
    if (status == dnnl_success)
        status = dnnl_stream_create(&cpu->stream, cpu->engine, dnnl_stream_default_flags);
    return cpu_status(d, status, "oneDNN cannot start its CPU engine on this machine");
}

// What may follow "cpu:".
CHECKED static bool check_argument(const Device *d, const char *argument, Error *err) {
    if (!argument || strcmp(argument, "onednn") == 0) return true;
    if (strcmp(argument, "blas") != 0)
        return fail(err, "--policy.device=cpu:%s: use cpu, cpu:onednn or cpu:blas", argument);
    if (d->precision != PRECISION_FLOAT32)
        return fail(err,
                    "--policy.device=cpu:blas computes in float32; leave out --policy.dtype=%s, or "
                    "use cpu",
                    precision_name(d->precision));
    return blas_open(err);
}

// The first products of a process generate many kernels, and where they find no memory for one
// oneDNN ends the process; so they are made here, when there is room for all. That takes 20 ms;
// where all products are on our own tiles (cpu_gemm is called by no op then) there is no need.
static void multiply_once(Device *d) {
    enum { N = 16, KERNELS = 96 << 20 };
    static const char ways[][2] = {{'N', 'N'}, {'N', 'T'}, {'T', 'N'}, {'T', 'T'}};
    const float a[N * N] = {0}, b[N * N] = {0};
    float c[N * N];
    if (d->failed || cpu_of(d)->blas || cpu_of(d)->matrix_unit) return;
    if (!mem_could(KERNELS)) device_fail_memory(d, "oneDNN's products, some %d MiB", KERNELS >> 20);
    for (int i = 0; i < 4 && !d->failed; i++)
        for (int adds = 0; adds < 2; adds++) {
            memset(c, 0, sizeof c);
            cpu_gemm(d, ways[i][0], ways[i][1], N, N, N, 1, a, N, b, N, (float)adds, c, N);
        }
}

bool cpu_open(Device *d, const char *argument, Error *err) {
    if (!check_argument(d, argument, err)) return false;
#ifndef __x86_64__
    if (!argument && !blas_open(err)) return false; // choice.c says why
#endif
    Cpu *cpu = TRY_NEW(Cpu, 1);
    if (!cpu) return fail_memory(err, "a CPU device");
    // oneDNN takes its thread count from OpenMP's; our own loops name theirs.
    omp_set_num_threads(d->threads);
    d->impl = cpu;
    cpu->blas = argument && strcmp(argument, "blas") == 0; // nothing is generated then
    cpu->packed.device = d;
    cpu->scratch = TRY_NEW(float *, d->threads);
    if (!cpu->scratch) device_fail_memory(d, "scratch of %d threads", d->threads);
    if (!d->failed && cpu_room(d) && start_engine(d)) cpu_choose(d, argument);
    cpu->matrix_unit = cpu_bf16(d) && tiles_here();
    cpu->int8_tiles = d->precision == PRECISION_INT8 && int8_tiles_here();
    // Images are (N, H, W, C), which convolutions of bytes read.
    if (d->precision == PRECISION_INT8 && !cpu_bf16(d)) cpu->products = true;
    multiply_once(d);
    if (!device_check(d, err)) {
        cpu_release(d);
        return false;
    }
    d->close = cpu_close;
    d->weights_load = cpu_weights_load;
    cpu_conv_ops(d);
    cpu_pool_ops(d);
    cpu_image_ops(d);
    cpu_linear_ops(d);
    cpu_elementwise_ops(d);
    cpu_activation_ops(d);
    cpu_layernorm_ops(d);
    cpu_attention_ops(d);
    cpu_optimizer_ops(d);
    if (cpu_bf16(d)) cpu_bf16_image_ops(d);
    return true;
}

dnnl_format_tag_t cpu_image_tag(Device *d, int64_t channels) {
    if (cpu_bf16(d) || cpu_of(d)->products) return dnnl_nhwc;
    if (!cpu_blocked(cpu_of(d), channels)) return dnnl_nchw;
    return cpu_of(d)->block == 16 ? dnnl_nChw16c : dnnl_nChw8c;
}

void *cpu_grow(Device *d, Grown *g, size_t bytes) {
    if (bytes <= g->bytes) return g->data;
    mem_free(g->data);
    g->data = mem_try(bytes);
    g->bytes = g->data ? bytes : 0;
    if (!g->data) device_fail_memory(d, "%zu bytes of scratch", bytes);
    return g->data;
}

bool cpu_room(Device *d) {
    enum { ROOM = 16 << 20 }; // the code and the small blocks of many primitives
    if (d->failed) return false;
    bool fits = mem_could(ROOM), runs = cpu_of(d)->blas || (fits && mem_could_run());
    if (!fits || (!runs && errno == ENOMEM))
        device_fail_memory(d, "oneDNN needs some %d MiB", ROOM >> 20);
    else if (!runs)
        device_fail(d, "this process may not make memory executable, as oneDNN does with the code "
                       "that it generates; allow it (systemd: MemoryDenyWriteExecute=no; SELinux: "
                       "execmem), or use --policy.device=cpu:blas");
    return !d->failed;
}

bool cpu_status(Device *d, dnnl_status_t status, const char *what) {
    if (status == dnnl_out_of_memory)
        device_fail_memory(d, "%s", what);
    else if (status != dnnl_success)
        device_fail(d, "%s: oneDNN status %d", what, (int)status);
    return status == dnnl_success;
}

void cpu_execute(Device *d, const char *what, dnnl_primitive_t p, int n,
                 const dnnl_exec_arg_t *args) {
    dnnl_status_t status = dnnl_primitive_execute(p, cpu_of(d)->stream, n, args);
    if (status == dnnl_success) status = dnnl_stream_wait(cpu_of(d)->stream);
    cpu_status(d, status, what);
}

void cpu_gemm(Device *d, char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
              const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
              int64_t ldc) {
    if (cpu_of(d)->blas)
        blas_gemm(d->threads, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
    else
        cpu_status(d, dnnl_sgemm(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc),
                   "matrix product");
}

bool cpu_scratch(Device *d, size_t floats) {
    Cpu *cpu = cpu_of(d);
    if (floats <= cpu->scratch_floats) return true;
    for (int i = 0; i < d->threads; i++) {
        mem_free(cpu->scratch[i]);
        cpu->scratch[i] = mem_try(floats * sizeof(float));
        if (!cpu->scratch[i]) {
            cpu->scratch_floats = 0;
            device_fail_memory(d, "attention: %zu values of scratch", floats);
            return false;
        }
    }
    cpu->scratch_floats = floats;
    return true;
}

Rows rows_of(Tensor t) {
    Rows r = {.data = t.data, .half = is_half(t), .outer = 1, .rows = 1, .cols = tensor_columns(t)};
    if (t.rank > 3 || tensor_contiguous(t)) {
        r.rows = tensor_count(t) / r.cols;
        r.row_stride = r.cols;
    } else if (t.rank == 3) {
        r.outer = t.shape[0];
        r.outer_stride = t.stride[0];
        r.rows = t.shape[1];
        r.row_stride = t.stride[1];
        // Evenly spaced samples are one run of rows.
        if (r.outer_stride == r.rows * r.row_stride) {
            r.rows *= r.outer;
            r.outer = 1;
        }
    } else if (t.rank == 2) {
        r.rows = t.shape[0];
        r.row_stride = t.stride[0];
    }
    return r;
}
