// SPDX-License-Identifier: Apache-2.0
// The names that --policy.pretrained_backbone_weights takes: torchvision's.
#ifndef TACT_CONFIG_BACKBONE_WEIGHTS_H
#define TACT_CONFIG_BACKBONE_WEIGHTS_H

#include "base/error.h"

// One set of weights that torchvision publishes. The eight digits before ".pth" are the first of
// the file's SHA-256.
typedef struct BackboneWeights {
    const char *name;     // "ResNet18_Weights.IMAGENET1K_V1"
    const char *backbone; // "resnet18"
    const char *file;     // "resnet18-f37072fd.pth"
} BackboneWeights;

extern const BackboneWeights backbone_weights[];
extern const int backbone_weights_count;

// Whether a value means a file of the user's: it has a slash or ends like a file of weights.
bool backbone_weights_is_path(const char *spec);

// What a value means for a vision_backbone. *out is NULL when it is a path, else one of the table:
// .DEFAULT is the newest of its network, and the class may be left out ("IMAGENET1K_V1"), as in
// torchvision. Errors: a name that is not known (the nearest is named), or another network's.
CHECKED bool backbone_weights_find(const char *spec, const char *vision_backbone,
                                   const BackboneWeights **out, Error *err);

#endif
