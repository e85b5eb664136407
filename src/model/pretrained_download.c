// SPDX-License-Identifier: Apache-2.0
#include "model/pretrained_internal.h"

#include "base/module.h"

static const Module module = {
    .name = "tact_download",
    .what = "downloading",
    .built = "libcurl (libcurl4-openssl-dev)",
    .needs = {{"libcurl", "libcurl4"}},
};

bool download(const char *url, const char *file, FILE *f, int64_t *done,
              const PretrainedProgress *progress, Error *err) {
    const void *table;
    if (!module_load(&module, &table, err)) return false;
    return ((const DownloadModule *)table)->download(url, file, f, done, progress, err);
}
