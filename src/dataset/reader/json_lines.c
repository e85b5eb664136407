// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/json_lines.h"

#include "base/file.h"
#include <string.h>

bool json_lines_read(JsonLines *l, Error *err) {
    if (!file_read(l->path, &l->data, &l->size, err)) return false;
    json_hide_odd_numbers(l->data);
    return true;
}

static bool is_blank(char c) {
    return c == ' ' || c == '\t' || c == '\r';
}

// The next line without the blanks behind it.
static size_t next_line(const JsonLines *l, size_t *at, const char **line) {
    const char *start = l->data + *at, *newline = memchr(start, '\n', l->size - *at);
    size_t n = newline ? (size_t)(newline - start) : l->size - *at;
    *at += n + (newline != NULL);
    while (n && is_blank(start[n - 1])) n--;
    *line = start;
    return n;
}

int64_t json_lines_count(const JsonLines *l, size_t least) {
    int64_t n = 0;
    const char *line;
    for (size_t at = 0; at < l->size;) {
        size_t size = next_line(l, &at, &line);
        while (size && is_blank(*line)) line++, size--;
        n += size >= least;
    }
    return n;
}

bool json_lines_next(JsonLines *l, json_t **out, Error *err) {
    *out = NULL;
    while (l->at < l->size) {
        const char *line;
        size_t n = next_line(l, &l->at, &line);
        l->number++;
        if (n == 0) continue;
        json_error_t problem;
        *out = json_parse(line, n, 0, &problem);
        if (json_is_object(*out)) return true;
        if (!*out && json_lacked_memory(&problem))
            return fail_memory(err, "%s: line %lld", l->path, (long long)l->number);
        json_decref(*out);
        *out = NULL;
        return fail(err, "%s: line %lld is not a JSON object; copy the file again", l->path,
                    (long long)l->number);
    }
    return true;
}
