// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/json_lines.h"

#include <string.h>

int64_t json_lines_count(const JsonLines *l) {
    int64_t n = 0;
    bool empty = true;
    for (size_t i = 0; i < l->size; i++) {
        if (l->data[i] == '\n') {
            empty = true;
        } else if (empty && !strchr(" \t\r", l->data[i])) {
            empty = false;
            n++;
        }
    }
    return n;
}

bool json_lines_next(JsonLines *l, json_t **out, Error *err) {
    *out = NULL;
    while (l->at < l->size) {
        const char *start = l->data + l->at;
        const char *newline = memchr(start, '\n', l->size - l->at);
        size_t n = newline ? (size_t)(newline - start) : l->size - l->at;
        l->at += n + (newline != NULL);
        l->number++;
        size_t text = n;
        while (text && strchr(" \t\r", start[text - 1])) text--;
        if (text == 0) continue;
        json_error_t problem;
        *out = json_parse(start, text, 0, &problem);
        if (json_is_object(*out)) return true;
        json_decref(*out);
        *out = NULL;
        return fail(err, "%s: line %lld is not a JSON object; copy the file again", l->path,
                    (long long)l->number);
    }
    return true;
}
