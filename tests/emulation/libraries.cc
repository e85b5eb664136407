// SPDX-License-Identifier: Apache-2.0
// The search for cuBLASLt and cuDNN as a program: says where both were found, or the sentence that
// a user gets. Needs no card and no driver: they are loaded, and asked for their versions. Compiled
// twice, once with names that no machine has, for libraries.sh.
#include "ops/cuda/libraries.h"

#include <stdio.h>

int main() {
    Error err;
    if (!cuda_libraries_load("--policy.device=cuda:0", &err)) {
        printf("%s\n", err.text);
        return 1;
    }
    printf("cuBLASLt %zu %s\n", cuda_lib.cublasLtGetVersion(), cuda_lib.blas_path);
    printf("cuDNN %zu %s\n", cuda_lib.cudnnGetVersion(), cuda_lib.dnn_path);
    return 0;
}
