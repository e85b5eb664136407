// SPDX-License-Identifier: Apache-2.0
// A library with the functions that are looked for, which do nothing: those of cuBLASLt, those of
// cuDNN, those of NCCL, or of cuDNN only the one that gives its version, as an old cuDNN may not
// have newer functions.
#include "ops/cuda/libraries.h"
#include "ops/cuda/nccl.h"

#define FUNCTION(name)                                                                             \
    extern "C" __attribute__((visibility("default"))) size_t pretended_##name() asm(#name);
#define BODY(name)                                                                                 \
    size_t pretended_##name() {                                                                    \
        return 130000;                                                                             \
    }
#ifdef PRETENDED_BLAS
FOR_BLAS_FUNCTIONS(FUNCTION)
FOR_BLAS_FUNCTIONS(BODY)
#elif defined PRETENDED_DNN
FOR_DNN_FUNCTIONS(FUNCTION)
FOR_DNN_FUNCTIONS(BODY)
#elif defined PRETENDED_NCCL
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define NCCL_BODY(type, name, params)                                                              \
    extern "C" __attribute__((visibility("default"))) type name params {                           \
        return 0;                                                                                  \
    }
FOR_NCCL_FUNCTIONS(NCCL_BODY)
#else
extern "C" __attribute__((visibility("default"))) size_t cudnnGetVersion(void) { // and nothing else
    return 130000;
}
#endif
