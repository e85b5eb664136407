// SPDX-License-Identifier: Apache-2.0
// The shape of a torchvision ResNet, walked by the tensor table and by the network alike.
#ifndef TACT_MODEL_RESNET_SHAPE_H
#define TACT_MODEL_RESNET_SHAPE_H

#include "base/error.h"
#include <stdint.h>

enum { RESNET_STAGES = 4, RESNET_MAX_CONVS = 3 };

typedef struct ResNetShape {
    bool bottleneck; // ResNet-50 and up: 1x1, 3x3, 1x1 with four times the width at the end
    int blocks[RESNET_STAGES];
    bool dilate_last; // last stage: stride replaced by dilation
} ResNetShape;

// One convolution of a block, with the names it has under "model.backbone.layerS.B.".
typedef struct BlockConv {
    const char *conv, *norm; // "conv1", "bn1"; "downsample.0", "downsample.1"
    int in_c, out_c, kernel, stride, padding, dilation;
} BlockConv;

// One residual block: n convolutions in a row, and one beside them when downsample.
typedef struct BlockShape {
    int n;
    BlockConv convs[RESNET_MAX_CONVS];
    bool downsample;
    BlockConv down;
    int out_c;
} BlockShape;

// "resnet18", 34, 50, 101 or 152; others are refused.
CHECKED bool resnet_shape(const char *name, bool dilate_last, ResNetShape *out, Error *err);
// Block b of stage s (both from 0).
BlockShape resnet_block(const ResNetShape *r, int s, int b);
// Channels of the feature map: 512 or 2048.
int resnet_channels(const ResNetShape *r);

#endif
