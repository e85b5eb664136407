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

#endif
