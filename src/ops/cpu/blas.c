// SPDX-License-Identifier: Apache-2.0
#include "ops/cpu/blas.h"

#include <dlfcn.h>
#include <omp.h>
#include <pthread.h>
#include <stdio.h>

// CBLAS's numbers.
enum { ROW_MAJOR = 101, AS_STORED = 111, TRANSPOSED = 112 };

typedef void Sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                   int lda, const float *b, int ldb, float beta, float *c, int ldc);

static struct {
    Sgemm *sgemm;
    char description[128];
    char problem[256];
} blas;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_openblas(void) {
    static const char file[] = "libopenblas.so.0";
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(blas.problem, sizeof blas.problem, "%.200s", dlerror());
        return;
    }
    // Functions are found as data pointers; these unions make functions of them.
    union {
        void *found;
        Sgemm *sgemm;
        void (*set_num_threads)(int);
        char *(*get_text)(void);
    } sgemm = {dlsym(library, "cblas_sgemm")},
      threads = {dlsym(library, "openblas_set_num_threads")},
      config = {dlsym(library, "openblas_get_config")};
    if (!sgemm.found || !threads.found || !config.found) {
        snprintf(blas.problem, sizeof blas.problem, "%s has no %s", file,
                 !sgemm.found
                     ? "cblas_sgemm"
                     : (!threads.found ? "openblas_set_num_threads" : "openblas_get_config"));
        dlclose(library);
        return;
    }
    threads.set_num_threads(1);
    snprintf(blas.description, sizeof blas.description, "%s", config.get_text());
    blas.sgemm = sgemm.sgemm;
}

bool blas_open(Error *err) {
    pthread_once(&once, find_openblas);
    return blas.sgemm || fail(err,
                              "OpenBLAS is needed for matrix products and was not found (%s); "
                              "install the package libopenblas0",
                              blas.problem);
}

const char *blas_description(void) {
    return blas.description;
}

static void multiply(char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha, const float *a,
                     int64_t lda, const float *b, int64_t ldb, float beta, float *c, int64_t ldc) {
    blas.sgemm(ROW_MAJOR, ta == 'T' ? TRANSPOSED : AS_STORED, tb == 'T' ? TRANSPOSED : AS_STORED,
               (int)m, (int)n, (int)k, alpha, a, (int)lda, b, (int)ldb, beta, c, (int)ldc);
}

void blas_gemm(int threads, char ta, char tb, int64_t m, int64_t n, int64_t k, float alpha,
               const float *a, int64_t lda, const float *b, int64_t ldb, float beta, float *c,
               int64_t ldc) {
    enum { TILE = 16 }; // rows or columns of its kernels, about: no part is less
    int64_t side = m > n ? m : n, part = (side + threads - 1) / threads;
    part = (part + TILE - 1) / TILE * TILE;
    if (threads == 1 || omp_in_parallel() || part >= side) {
        multiply(ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t at = 0; at < side; at += part) {
        int64_t size = side - at < part ? side - at : part;
        if (m > n)
            multiply(ta, tb, size, n, k, alpha, a + at * (ta == 'T' ? 1 : lda), lda, b, ldb, beta,
                     c + at * ldc, ldc);
        else
            multiply(ta, tb, m, size, k, alpha, a, lda, b + at * (tb == 'T' ? ldb : 1), ldb, beta,
                     c + at, ldc);
    }
}
