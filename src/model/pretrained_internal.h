// SPDX-License-Identifier: Apache-2.0
// Private to pretrained*.c.
#ifndef TACT_MODEL_PRETRAINED_INTERNAL_H
#define TACT_MODEL_PRETRAINED_INTERNAL_H

#include "model/pretrained.h"
#include <stdio.h>

// Appends what `url` has from byte *done on to f, whose end that is, moving *done along. Where the
// server can only send all of it, f is emptied first. err gets the reason alone, to be put into a
// sentence ("Could not resolve host: ..."). libcurl does it, in a module (base/module.h).
CHECKED bool download(const char *url, const char *file, FILE *f, int64_t *done,
                      const PretrainedProgress *progress, Error *err);

// What tact_download, the module made of curl/, gives: that function.
typedef struct DownloadModule {
    bool (*download)(const char *url, const char *file, FILE *f, int64_t *done,
                     const PretrainedProgress *progress, Error *err);
} DownloadModule;

#endif
