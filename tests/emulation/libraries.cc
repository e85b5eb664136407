// SPDX-License-Identifier: Apache-2.0
// The search for cuBLASLt and cuDNN as a program, or with any argument that for NCCL: says where
// they were found, or the sentence that a user gets. Needs no card and no driver: they are loaded,
// and asked for their versions. Compiled twice, once with names that no machine has, for
// libraries.sh.
#include "ops/cuda/libraries.h"
#include "ops/cuda/nccl.h"

#include <stdio.h>

static int find_nccl() {
    Error err;
    int version = 0;
    bool found = nccl_library_load(&err);
    if (found) nccl_lib.ncclGetVersion(&version);
    if (found)
        printf("NCCL %d %s\n", version, nccl_lib.path);
    else
        printf("%s\n", err.text);
    return found ? 0 : 1;
}

int main(int argc, char **) {
    Error err;
    if (argc > 1) return find_nccl();
    if (!cuda_libraries_load("--policy.device=cuda:0", &err)) {
        printf("%s\n", err.text);
        return 1;
    }
    printf("cuBLASLt %zu %s\n", cuda_lib.cublasLtGetVersion(), cuda_lib.blas_path);
    printf("cuDNN %zu %s\n", cuda_lib.cudnnGetVersion(), cuda_lib.dnn_path);
    return 0;
}
