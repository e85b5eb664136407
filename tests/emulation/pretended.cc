// SPDX-License-Identifier: Apache-2.0
// A library that has the functions that are looked for, with nothing in them: cuBLASLt's, cuDNN's,
// or of cuDNN's the version only, as an old one may lack what is newer.
#include "ops/cuda/libraries.h"

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
#else
extern "C" __attribute__((visibility("default"))) size_t cudnnGetVersion(void) { // and nothing else
    return 130000;
}
#endif
