// SPDX-License-Identifier: Apache-2.0
// Between the parts of the fake cuDNN: descriptors, and convolutions as plain loops over NHWC
// tensors and filters of one type, float or bf16, with float accumulation.
#ifndef TACT_EMULATION_CUDNN_H
#define TACT_EMULATION_CUDNN_H

#include "library.h"

#include <cudnn.h>
#include <vector>

// The "N" of a filter is its number of outputs.
struct cudnnTensorStruct {
    cudnnDataType_t type = CUDNN_DATA_FLOAT;
    int n = 0, c = 0, h = 0, w = 0;
    int64_t sn = 0, sc = 0, sh = 0, sw = 0; // strides

    bool bf16() const {
        return type == CUDNN_DATA_BFLOAT16;
    }
    size_t at(int64_t in, int64_t ic, int64_t ih, int64_t iw) const {
        return (size_t)(in * sn + ic * sc + ih * sh + iw * sw);
    }
    size_t count() const {
        return (size_t)n * c * h * w;
    }
    size_t bytes() const {
        return count() ? (at(n - 1, c - 1, h - 1, w - 1) + 1) * emulation::element_size(bf16()) : 0;
    }
    bool channels_last() const {
        return sc == 1;
    }
};
struct cudnnFilterStruct : cudnnTensorStruct {};
struct cudnnConvolutionStruct {
    int pad_h = 0, pad_w = 0, stride_h = 1, stride_w = 1, dilation_h = 1, dilation_w = 1,
        groups = 1;
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    cudnnMathType_t math = CUDNN_DEFAULT_MATH;
};
struct cudnnActivationStruct {
    cudnnActivationMode_t mode = CUDNN_ACTIVATION_IDENTITY;
};
struct cudnnContext {
    cudaStream_t stream = nullptr;
    int card = emulation::current_card();
};

namespace emulation {

typedef cudnnTensorStruct Tensor;
typedef cudnnConvolutionStruct Conv;

constexpr size_t WORKSPACE = 16384; // what every algorithm and every plan wants

// Keeps the reason for cudnnGetLastErrorString, prints it, and gives the status back.
cudnnStatus_t refuse(cudnnStatus_t status, const char *why);
const char *last_refusal();
int out_size(int in, int kernel, int pad, int stride, int dilation);

// The elements as floats, contiguous NHWC; tf32: rounded as the tensor cores would.
std::vector<float> read(const Tensor &t, const void *p, bool tf32);
// y = alpha * value + beta * y
void write(const Tensor &t, void *p, const std::vector<float> &values, float alpha, float beta);
std::vector<float> forward(const Tensor &xd, const std::vector<float> &x, const Tensor &wd,
                           const std::vector<float> &w, const Conv &c, const Tensor &yd);
std::vector<float> backward_data(const Tensor &xd, const Tensor &wd, const std::vector<float> &w,
                                 const Conv &c, const Tensor &yd, const std::vector<float> &dy);
std::vector<float> backward_filter(const Tensor &xd, const std::vector<float> &x, const Tensor &wd,
                                   const Conv &c, const Tensor &yd, const std::vector<float> &dy);

// End the program where a pointer is not as cuDNN was told.
void require(const Tensor &t, const void *p, const char *what);
bool overlap(const void *a, size_t a_bytes, const void *b, size_t b_bytes);
// The real algorithms leave their own data there.
void use_workspace(void *workspace, size_t bytes, const char *what);
cudnnStatus_t done(cudaError_t e);

} // namespace emulation

#endif
