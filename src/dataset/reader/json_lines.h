// SPDX-License-Identifier: Apache-2.0
// A JSON-lines file of Python's (formats/json.h), read whole and walked line by line.
#ifndef TACT_DATASET_READER_JSON_LINES_H
#define TACT_DATASET_READER_JSON_LINES_H

#include "base/error.h"
#include "formats/json.h"
#include <stddef.h>
#include <stdint.h>

typedef struct JsonLines {
    const char *path;
    char *data;
    size_t size, at;
    int64_t number; // of the line last given
} JsonLines;

// Reads the file of l->path; data is the caller's to mem_free.
CHECKED bool json_lines_read(JsonLines *l, Error *err);
// The number of lines of at least so many bytes, blanks at their ends not counted: not more than
// the lines that can be what is wanted, when as much is made ready for each.
int64_t json_lines_count(const JsonLines *l, size_t least);
// Gives the next line as an object (json_decref it), or *out NULL at the end.
CHECKED bool json_lines_next(JsonLines *l, json_t **out, Error *err);

#endif
