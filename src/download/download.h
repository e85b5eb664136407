// SPDX-License-Identifier: Apache-2.0
// The network is one function, which libcurl does and which lies in a module (base/module.h).
#ifndef TACT_DOWNLOAD_DOWNLOAD_H
#define TACT_DOWNLOAD_DOWNLOAD_H

#include "base/error.h"
#include <stdint.h>
#include <stdio.h>

// Told how a download goes on. `total` is 0 while it is not known. Returning false ends the
// download; what has come stays for the next try.
typedef struct DownloadProgress {
    bool (*report)(void *user, const char *file, int64_t done, int64_t total);
    void *user;
} DownloadProgress;

// Appends what `url` has from byte *done on to f, whose end that is, moving *done along. Where the
// server can only send all of it, f is emptied first. `file` is what progress (may be NULL) is
// told. err gets the reason alone, to be put into a sentence ("Could not resolve host: ...").
CHECKED bool download(const char *url, const char *file, FILE *f, int64_t *done,
                      const DownloadProgress *progress, Error *err);

// What tact_download, the module made of curl/, gives: that function.
typedef struct DownloadModule {
    bool (*download)(const char *url, const char *file, FILE *f, int64_t *done,
                     const DownloadProgress *progress, Error *err);
} DownloadModule;

#endif
