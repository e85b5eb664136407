// SPDX-License-Identifier: Apache-2.0
// UTF-8, and strings of jansson that need not be.
#include "formats/json.h"
#include <string.h>

size_t utf8_length(const char *text, size_t size) {
    const unsigned char *s = (const unsigned char *)text;
    if (size == 0) return 0;
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n == 0 || s[0] > 0xf4 || n > size) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    // Spelled too long, surrogates, and beyond the last character.
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : n;
}

bool utf8_is_whole(const char *text) {
    for (size_t size = strlen(text), n; size > 0; text += n, size -= n)
        if ((n = utf8_length(text, size)) == 0) return false;
    return true;
}

json_t *json_bytes(const char *text) {
    return text ? json_string_nocheck(text) : json_null();
}
