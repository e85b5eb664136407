// SPDX-License-Identifier: Apache-2.0
// Pretrained backbones: from a file to the parameters. download/backbone_file.h finds the file.
#ifndef TACT_MODEL_PRETRAINED_H
#define TACT_MODEL_PRETRAINED_H

#include "model/params.h"

// Copies a ResNet's weights from a file (of torch.save, or safetensors) into the backbone of p,
// which was made for vision_backbone: "conv1.weight", "layer1.0.bn1.running_mean" ..., all of them
// with or without "module.", "backbone." or "model.backbone." before. The classifier fc.* and
// num_batches_tracked are left out. Errors: any other tensor that the network does not have, a
// tensor of the network that is not in the file, a wrong shape, a value that is not finite, a
// negative variance; p may have part of the new values then. A p without a backbone is an error.
CHECKED bool pretrained_load(Params *p, const char *file, const char *vision_backbone, Error *err);

#endif
