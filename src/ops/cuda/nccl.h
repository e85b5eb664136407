// SPDX-License-Identifier: Apache-2.0
// NCCL, which adds up over cards: looked for when a card joins others, as cuBLASLt and cuDNN are
// when one is opened (libraries.h). Each function that is used is a member of one table and is
// called through it.
//
// What is used of its interface is declared here and has been the same since 2.14: nccl.h is part
// of no CUDA toolkit, and a build must not differ by whether it was there. Where it is,
// tests/emulation compares.
#ifndef TACT_OPS_CUDA_NCCL_H
#define TACT_OPS_CUDA_NCCL_H

extern "C" {
#include "base/error.h"
}
#include <cuda_runtime_api.h>

// Of ncclResult_t, ncclDataType_t and ncclRedOp_t.
enum { NCCL_SUCCESS = 0, NCCL_INVALID_USAGE = 5, NCCL_IN_PROGRESS = 7 };
enum { NCCL_FLOAT32 = 7, NCCL_SUM = 0 };
// The first version whose calls need not wait for other processes (NcclConfig.blocking).
enum { NCCL_OLDEST = 21400 };

typedef struct ncclComm *NcclComm; // this process's part of a group of cards

// Made by process 0; all pass the same.
typedef struct NcclId {
    char bytes[128];
} NcclId;

// Its form in 2.14. Later versions have more members, and take this one by its size and version.
typedef struct NcclConfig {
    size_t size;
    unsigned magic, version;
    // 0: a call that would wait for other processes gives NCCL_IN_PROGRESS instead, and no other
    // call may follow until ncclCommGetAsyncError gives something else.
    int blocking;
} NcclConfig;
static const unsigned NCCL_CONFIG_MAGIC = 0xcafebeef;

#define FOR_NCCL_FUNCTIONS(F)                                                                      \
    F(int, ncclGetVersion, (int *version))                                                         \
    F(const char *, ncclGetErrorString, (int result))                                              \
    F(const char *, ncclGetLastError, (NcclComm comm))                                             \
    F(int, ncclGetUniqueId, (NcclId * id))                                                         \
    F(int, ncclCommInitRankConfig,                                                                 \
      (NcclComm * comm, int count, NcclId id, int rank, NcclConfig *config))                       \
    F(int, ncclCommGetAsyncError, (NcclComm comm, int *result))                                    \
    F(int, ncclAllReduce,                                                                          \
      (const void *from, void *to, size_t count, int type, int operation, NcclComm comm,           \
       cudaStream_t stream))                                                                       \
    F(int, ncclCommFinalize, (NcclComm comm))                                                      \
    F(int, ncclCommDestroy, (NcclComm comm))                                                       \
    F(int, ncclCommAbort, (NcclComm comm))

#define NCCL_MEMBER(type, name, params) type(*name) params;
struct NcclLibrary {
    FOR_NCCL_FUNCTIONS(NCCL_MEMBER)
    char path[512]; // the file they came from
};
#undef NCCL_MEMBER

#ifdef TACT_CUDA_EMULATION
#define NCCL_FUNCTION(type, name, params) extern "C" type name params;
FOR_NCCL_FUNCTIONS(NCCL_FUNCTION)
#undef NCCL_FUNCTION
#endif

// Filled by nccl_library_load (libraries.cu), and read after it has returned true.
extern NcclLibrary nccl_lib;

// Finds and loads it, once for the process; it is never unloaded. False: one sentence that names
// what was looked for, where, and what to install.
CHECKED bool nccl_library_load(Error *err);

#endif
