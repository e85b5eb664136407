// SPDX-License-Identifier: Apache-2.0
// Shows what the products of a model are given, while it runs: for a calibration of int8.
#ifndef TACT_OPS_WATCH_H
#define TACT_OPS_WATCH_H

#include "ops/ops.h"

// x: what a product multiplies with the weights w, in the device's memory. Of an IMAGE tensor all
// values are one run of tensor_count floats.
typedef void ProductSeen(void *user, Tensor w, Tensor x);

// From now on `seen` is called before each linear_forward and conv_forward of a device at float32
// in host memory; of those convolutions whose weights are loaded from now on.
CHECKED bool watch_products(Device *d, ProductSeen *seen, void *user, Error *err);
void watch_stop(Device *d); // nothing if it was not started

#endif
