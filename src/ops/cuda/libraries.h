// SPDX-License-Identifier: Apache-2.0
// cuBLASLt and cuDNN, looked for when a card is opened and not when the program starts: people have
// them in a toolkit's folder, in the loader's path or in a Python environment. Each function that
// is used is a member of one table and is called through it. No CUDA compiler is needed to read
// this.
#ifndef TACT_OPS_CUDA_LIBRARIES_H
#define TACT_OPS_CUDA_LIBRARIES_H

extern "C" {
#include "base/error.h"
}
#include <cublasLt.h>
#include <cudnn.h>

#define FOR_BLAS_FUNCTIONS(F)                                                                      \
    F(cublasLtGetVersion)                                                                          \
    F(cublasLtGetStatusString)                                                                     \
    F(cublasLtCreate)                                                                              \
    F(cublasLtDestroy)                                                                             \
    F(cublasLtMatmulDescCreate)                                                                    \
    F(cublasLtMatmulDescDestroy)                                                                   \
    F(cublasLtMatmulDescSetAttribute)                                                              \
    F(cublasLtMatrixLayoutCreate)                                                                  \
    F(cublasLtMatrixLayoutDestroy)                                                                 \
    F(cublasLtMatrixLayoutSetAttribute)                                                            \
    F(cublasLtMatmulPreferenceCreate)                                                              \
    F(cublasLtMatmulPreferenceDestroy)                                                             \
    F(cublasLtMatmulPreferenceSetAttribute)                                                        \
    F(cublasLtMatmulAlgoGetHeuristic)                                                              \
    F(cublasLtMatmul)

#if CUDNN_MAJOR >= 9
#define FOR_DNN_9_FUNCTIONS(F) F(cudnnGetLastErrorString)
#else
#define FOR_DNN_9_FUNCTIONS(F)
#endif

#define FOR_DNN_FUNCTIONS(F)                                                                       \
    F(cudnnGetVersion)                                                                             \
    F(cudnnGetErrorString)                                                                         \
    F(cudnnCreate)                                                                                 \
    F(cudnnDestroy)                                                                                \
    F(cudnnSetStream)                                                                              \
    F(cudnnCreateTensorDescriptor)                                                                 \
    F(cudnnDestroyTensorDescriptor)                                                                \
    F(cudnnSetTensor4dDescriptor)                                                                  \
    F(cudnnCreateFilterDescriptor)                                                                 \
    F(cudnnDestroyFilterDescriptor)                                                                \
    F(cudnnSetFilter4dDescriptor)                                                                  \
    F(cudnnCreateActivationDescriptor)                                                             \
    F(cudnnDestroyActivationDescriptor)                                                            \
    F(cudnnSetActivationDescriptor)                                                                \
    F(cudnnCreateConvolutionDescriptor)                                                            \
    F(cudnnDestroyConvolutionDescriptor)                                                           \
    F(cudnnSetConvolution2dDescriptor)                                                             \
    F(cudnnSetConvolutionMathType)                                                                 \
    F(cudnnGetConvolutionForwardAlgorithm_v7)                                                      \
    F(cudnnGetConvolutionBackwardDataAlgorithm_v7)                                                 \
    F(cudnnGetConvolutionBackwardFilterAlgorithm_v7)                                               \
    F(cudnnGetConvolutionForwardWorkspaceSize)                                                     \
    F(cudnnGetConvolutionBackwardDataWorkspaceSize)                                                \
    F(cudnnGetConvolutionBackwardFilterWorkspaceSize)                                              \
    F(cudnnConvolutionForward)                                                                     \
    F(cudnnConvolutionBiasActivationForward)                                                       \
    F(cudnnConvolutionBackwardData)                                                                \
    F(cudnnConvolutionBackwardFilter)                                                              \
    F(cudnnBackendCreateDescriptor)                                                                \
    F(cudnnBackendDestroyDescriptor)                                                               \
    F(cudnnBackendSetAttribute)                                                                    \
    F(cudnnBackendGetAttribute)                                                                    \
    F(cudnnBackendFinalize)                                                                        \
    F(cudnnBackendExecute)                                                                         \
    FOR_DNN_9_FUNCTIONS(F)

#define LIBRARY_MEMBER(name) decltype(&::name) name;
struct CudaLibraries {
    FOR_BLAS_FUNCTIONS(LIBRARY_MEMBER)
    FOR_DNN_FUNCTIONS(LIBRARY_MEMBER)
    char blas_path[512], dnn_path[512]; // the files they came from
};
#undef LIBRARY_MEMBER

// Filled by cuda_libraries_load, and read after it has returned true.
extern CudaLibraries cuda_lib;

// Finds and loads both, once for the process; they are never unloaded. False: one sentence that
// names what was looked for, where, and what to install. `option` begins it: the flag that asked
// for a card.
CHECKED bool cuda_libraries_load(const char *option, Error *err);

#endif
