// SPDX-License-Identifier: Apache-2.0
#include "serve/openpi/access.h"

#include "base/sha256.h"
#include <string.h>
#include <strings.h>

static const char *token_in(const char *authorization) {
    static const char *const schemes[] = {"Api-Key ", "Bearer "};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        const size_t n = strlen(schemes[i]);
        if (strncasecmp(authorization, schemes[i], n) == 0) return authorization + n;
    }
    return "";
}

static void digest(const char *text, char out[65]) {
    Sha256 s;
    sha256_init(&s);
    sha256_add(&s, text, strlen(text));
    sha256_hex(&s, out);
}

bool access_allowed(const char *authorization, const char *token) {
    const char *shown = token_in(authorization);
    char a[65], b[65];
    unsigned char differs = 0;
    // Digests have one length, and where two of them first differ says nothing about the token.
    digest(shown, a);
    digest(token, b);
    for (size_t i = 0; i < sizeof a; i++) differs |= (unsigned char)(a[i] ^ b[i]);
    return differs == 0;
}
