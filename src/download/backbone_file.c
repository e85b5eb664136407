// SPDX-License-Identifier: Apache-2.0
#include "download/backbone_file.h"

#include "base/file.h"
#include "config/backbone_weights.h"

bool backbone_file_find(const char *spec, const char *vision_backbone,
                        const DownloadProgress *progress, char *path, size_t size, Error *err) {
    const BackboneWeights *weights = NULL;
    if (!backbone_weights_find(spec, vision_backbone, &weights, err)) return false;
    if (weights) return torch_cache_fetch(weights->file, progress, path, size, err);
    if (!file_exists(spec))
        return fail(err, "--policy.pretrained_backbone_weights=%s: there is no such file", spec);
    if ((size_t)snprintf(path, size, "%s", spec) >= size)
        return fail(err, "%s: the path is too long", spec);
    return true;
}
