// SPDX-License-Identifier: Apache-2.0
// From what --policy.pretrained_backbone_weights says to a file on this machine.
#ifndef TACT_DOWNLOAD_BACKBONE_FILE_H
#define TACT_DOWNLOAD_BACKBONE_FILE_H

#include "download/download.h"
#include <stddef.h>

// The file that `spec` means for a vision_backbone: spec itself when it is a path, else the file of
// that torchvision name (config/backbone_weights.h), as torch_cache_fetch finds it. path (size
// bytes) gets it. progress may be NULL.
CHECKED bool backbone_file_find(const char *spec, const char *vision_backbone,
                                const DownloadProgress *progress, char *path, size_t size,
                                Error *err);

// ---- torch_cache.c: the folder where PyTorch keeps the weights it downloads ---------------------
// Looks for `file` ("NAME-DIGITS.pth", the digits the first of its SHA-256) where PyTorch keeps
// what it downloads: $TORCH_HOME/hub/checkpoints, else $XDG_CACHE_HOME/torch/..., else
// ~/.cache/torch/... . What is not there is downloaded to it from
// https://download.pytorch.org/models/, or from $TACT_WEIGHTS_URL, into FILE.part, which a later
// try goes on with; FILE is there whole or not at all. Two processes at once share one download.
// The digits are checked either way. path (size bytes) gets where it lies; progress may be NULL.
// The error for want of a network names the file, its URL and the folder to put it in.
CHECKED bool torch_cache_fetch(const char *file, const DownloadProgress *progress, char *path,
                               size_t size, Error *err);

#endif
