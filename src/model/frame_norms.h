// SPDX-License-Identifier: Apache-2.0
// The frozen batch norms of a ResNet from scratch, filled from frames of the dataset.
//
// torchvision's frozen norms of random weights have mean 0 and variance 1, which is to say none.
// What is the same in all frames then outweighs what differs between them, layer by layer. With the
// mean and variance of some frames every channel starts centred and of one size, as batch norm
// would have it at the first step (Ioffe and Szegedy, "Batch Normalization", 2015; for weights that
// are scaled once instead: Kraehenbuehl et al., "Data-dependent Initializations of Convolutional
// Neural Networks", 2016). They are buffers of the checkpoint, so LeRobot reads them as it reads
// ImageNet's.
#ifndef TACT_MODEL_FRAME_NORMS_H
#define TACT_MODEL_FRAME_NORMS_H

#include "model/act.h"

// Fills running_mean and running_var of every norm of the backbone. frames: for every camera n
// frames (n, h, w, 3) of its own size; those of the first camera's size are looked at. images: what
// each camera is normalised with. The policy has cameras and its shapes are filled in. To be called
// before a model is made of p. Takes memory for n frames' activations meanwhile. Errors: the
// device's.
CHECKED bool frame_norms_fill(Device *d, const PolicyConfig *c, Params *p,
                              const uint8_t *const *frames, int n, const ImageStats *images,
                              Error *err);

#endif
