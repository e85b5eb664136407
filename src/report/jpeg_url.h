// SPDX-License-Identifier: Apache-2.0
// Images within a page: as URLs that hold the JPEG themselves.
#ifndef TACT_REPORT_JPEG_URL_H
#define TACT_REPORT_JPEG_URL_H

#include "base/error.h"
#include "image/image.h"

// "data:image/jpeg;base64,..." (RFC 4648, with padding) of some bytes. Free with mem_free.
char *jpeg_url(const uint8_t *bytes, size_t size);
// The same of an image, at most `widest` pixels wide: a wider one is scaled down.
CHECKED bool jpeg_url_of(const Image *image, int widest, char **url, Error *err);

#endif
