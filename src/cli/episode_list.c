// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "cli/cli.h"
#include <stdlib.h>

// A whole number at *text, which then points behind it.
static bool take_number(const char **text, int64_t *out) {
    char *end;
    if (**text < '0' || **text > '9') return false;
    *out = strtoll(*text, &end, 10);
    *text = end;
    return true;
}

bool cli_episode_list(const char *flag, const char *text, int64_t n, Arena *arena, int64_t **out,
                      int64_t *count, Error *err) {
    const char *p = text;
    int64_t *list = arena_alloc(arena, sizeof *list * (size_t)(n + 1)), used = 0;
    bool bracket = *p == '[', ok = true;
    p += bracket;
    do {
        int64_t first, end;
        while (*p == ' ') p++;
        ok = take_number(&p, &first);
        end = first + 1;
        if (ok && *p == ':') {
            p++;
            ok = take_number(&p, &end) && end > first;
        }
        if (ok && (first >= n || end > n))
            return fail(err, "--%s=%.300s: there are episodes 0 to %lld", flag, text,
                        (long long)n - 1);
        for (int64_t i = first; ok && i < end; i++) {
            ok = used == 0 || list[used - 1] < i;
            if (ok) list[used++] = i;
        }
    } while (ok && *p == ',' && p++);
    if (ok && bracket) ok = *p++ == ']';
    *out = list;
    *count = used;
    return (ok && *p == '\0') ||
           fail(err, "--%s=%.300s: expected numbers that increase, as [0,1,5], or a range, as 0:50",
                flag, text);
}
