// SPDX-License-Identifier: Apache-2.0
// Pretrained backbones: from what --policy.pretrained_backbone_weights says to a file on disk, and
// from that to the parameters.
#ifndef TACT_MODEL_PRETRAINED_H
#define TACT_MODEL_PRETRAINED_H

#include "model/params.h"

// Told how a download goes on. `total` is 0 while it is not known. Returning false ends the
// download; what has come stays for the next try.
typedef struct PretrainedProgress {
    bool (*report)(void *user, const char *file, int64_t done, int64_t total);
    void *user;
} PretrainedProgress;

// The file that `spec` means for a vision_backbone: spec itself when it is a path, else the file of
// that torchvision name (config/backbone_weights.h), as pretrained_fetch finds it. path gets it.
// progress may be NULL.
CHECKED bool pretrained_find(const char *spec, const char *vision_backbone,
                             const PretrainedProgress *progress, char *path, size_t size,
                             Error *err);

// Looks for `file` ("NAME-DIGITS.pth", the digits the first of its SHA-256) where PyTorch keeps
// what it downloads: $TORCH_HOME/hub/checkpoints, else $XDG_CACHE_HOME/torch/..., else
// ~/.cache/torch/... . What is not there is downloaded to it from
// https://download.pytorch.org/models/, or from $TACT_WEIGHTS_URL, into FILE.part, which a later
// try goes on with; FILE is there whole or not at all. Two processes at once share one download.
// The digits are checked either way. The error for want of a network names the file, its URL and
// the folder to put it in.
CHECKED bool pretrained_fetch(const char *file, const PretrainedProgress *progress, char *path,
                              size_t size, Error *err);

// Copies a ResNet's weights from a file (of torch.save, or safetensors) into the backbone of p,
// which was made for vision_backbone: "conv1.weight", "layer1.0.bn1.running_mean" ..., all of them
// with or without "module.", "backbone." or "model.backbone." before. The classifier fc.* and
// num_batches_tracked are left out; any other tensor the network lacks, one it has and the file
// lacks, a wrong shape, a value that is not finite, a negative variance are errors, and then p may
// have part of the new values. A p without a backbone is an error.
CHECKED bool pretrained_load(Params *p, const char *file, const char *vision_backbone, Error *err);

#endif
