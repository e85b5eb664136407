// SPDX-License-Identifier: Apache-2.0
// A page: one HTML file that needs nothing from a network. It is a template, which the build
// embeds (cmake/report.cmake), with numbers in it; its script draws the page from them.
#ifndef TACT_REPORT_PAGE_H
#define TACT_REPORT_PAGE_H

#include "base/error.h"
#include "formats/json.h"

// Writes a page, whole or not at all. html: the template, with a zero behind it and "@JSON@" where
// the numbers go, in an element <script type="application/json">.
CHECKED bool page_write(const char *path, const unsigned char *html, const json_t *numbers,
                        Error *err);

#endif
