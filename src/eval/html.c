// SPDX-License-Identifier: Apache-2.0
#include "eval/html.h"

#include <math.h>
#include <string.h>

// Bytes of the UTF-8 character at p, 0 if it is none (RFC 3629, section 4).
static int utf8_length(const unsigned char *p) {
    int n = p[0] < 0x80                   ? 1
            : p[0] >= 0xc2 && p[0] < 0xe0 ? 2
            : (p[0] & 0xf0) == 0xe0       ? 3
            : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                          : 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80) return 0;
    if (n == 3 && ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] >= 0xa0))) return 0;
    if (n == 4 && ((p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] >= 0x90))) return 0;
    return n;
}

void html_text(FILE *out, const char *text) {
    for (const unsigned char *p = (const unsigned char *)text; *p;) {
        int n = utf8_length(p);
        const char *name = *p == '&'    ? "&amp;"
                           : *p == '<'  ? "&lt;"
                           : *p == '>'  ? "&gt;"
                           : *p == '"'  ? "&quot;"
                           : *p == '\'' ? "&#39;"
                                        : NULL;
        if (name)
            fputs(name, out);
        else if (n == 0 || *p < ' ' || *p == 127)
            fputs("\xef\xbf\xbd", out);
        else
            fwrite(p, 1, (size_t)n, out);
        p += n > 0 ? n : 1;
    }
}

void html_base64(FILE *out, const uint8_t *bytes, size_t size) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        char four[4] = {digits[word >> 18], digits[word >> 12 & 63],
                        left > 1 ? digits[word >> 6 & 63] : '=',
                        left > 2 ? digits[word & 63] : '='};
        fwrite(four, 1, 4, out);
    }
}

void html_number(FILE *out, double x) {
    double size = fabs(x);
    if (isnan(x))
        fputs("–", out);
    else if (size != 0 && (size < 1e-4 || size >= 1e6))
        fprintf(out, "%.2e", x);
    else
        fprintf(out, "%.*f", size >= 100 || size == 0 ? 0 : 2 - (int)floor(log10(size)), x);
}
