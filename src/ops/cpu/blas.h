// SPDX-License-Identifier: Apache-2.0
// OpenBLAS's product of float32 matrices, for machines where oneDNN has only plain loops. The
// library is looked for when a device that wants it opens: nobody else needs it.
#ifndef TACT_OPS_CPU_BLAS_H
#define TACT_OPS_CPU_BLAS_H

#include "base/error.h"
#include <stdint.h>

// Finds OpenBLAS, once in a process, and keeps it to one thread a call: who calls it splits the
// work. The error says what to install.
CHECKED bool blas_open(Error *err);
// Its version and the processor it chose its kernels for. After blas_open.
const char *blas_description(void);
// Row-major C (m, n) = alpha * op(A) op(B) + beta * C, as cpu_gemm. Outside parallel regions the
// longer side of C is split among `threads`, the same way each time. After blas_open.
void blas_gemm(int threads, char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
               const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
               int64_t ldc);

#endif
