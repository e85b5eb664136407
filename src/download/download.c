// SPDX-License-Identifier: Apache-2.0
#include "download/download.h"

#include "base/module.h"

static Module module = {
    .name = "tact_download",
    .what = "downloading",
    .built = "libcurl (libcurl4-openssl-dev)",
    .needs = {{"libcurl", "libcurl4"}},
};

bool download(const char *url, const char *file, FILE *f, int64_t *done,
              const DownloadProgress *progress, Error *err) {
    if (!module_load(&module, err)) return false;
    const DownloadModule *m = module_table(&module);
    return m->download(url, file, f, done, progress, err);
}
