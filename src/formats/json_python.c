// SPDX-License-Identifier: Apache-2.0
// JSON as Python's json module writes it.
#include "formats/json.h"

#include "base/file.h"
#include "base/memory.h"
#include <string.h>

void json_hide_odd_numbers(char *text) {
    static const char *const odd[][2] = {
        {"-Infinity", "null     "}, {"Infinity", "null    "}, {"NaN", "\"\" "}};
    bool quoted = false;
    for (char *p = text; *p; p++) {
        if (quoted && *p == '\\' && p[1]) {
            p++;
        } else if (*p == '"') {
            quoted = !quoted;
        } else if (!quoted) {
            for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
                size_t n = strlen(odd[i][0]);
                if (strncmp(p, odd[i][0], n) != 0) continue;
                memcpy(p, odd[i][1], n);
                p += n - 1;
                break;
            }
        }
    }
}

bool json_read_python(const char *path, json_t **out, Error *err) {
    char *text;
    size_t size;
    json_error_t problem;
    if (!file_read(path, &text, &size, err)) return false;
    json_hide_odd_numbers(text);
    *out = json_parse(text, strlen(text), 0, &problem);
    mem_free(text);
    if (!*out && json_lacked_memory(&problem)) return fail_memory(err, "%s: JSON", path);
    return *out || fail(err, "%s: line %d is not valid JSON: %s", path, problem.line, problem.text);
}
