// SPDX-License-Identifier: Apache-2.0
// The module tact_cuda.
#include "base/module.h"
#include "ops/ops.h"

extern const Backend cuda_backend; // open.cu

MODULE_ENTRY(&cuda_backend)
