// SPDX-License-Identifier: Apache-2.0
// Private to eval/: writing HTML. Failures of the stream are seen when it is committed
// (base/file.h).
#ifndef TACT_EVAL_HTML_H
#define TACT_EVAL_HTML_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

// Text as content or in a quoted attribute: & < > " ' escaped, control characters and what is not
// UTF-8 replaced by U+FFFD.
void html_text(FILE *out, const char *text);
// RFC 4648, with padding.
void html_base64(FILE *out, const uint8_t *bytes, size_t size);
// A number with about three significant digits, never with an exponent where it need not be:
// 0.0312, 3.12, 31.2, 312, 3120; "–" for NaN.
void html_number(FILE *out, double x);

#endif
