// SPDX-License-Identifier: Apache-2.0
// Any bytes as a JSON document, and as lines of them: refused, or what is written of it reads back
// as the same.
#include "base/memory.h"
#include "dataset/reader/json_lines.h"
#include "driver.h"
#include <stdlib.h>
#include <string.h>

static void write_and_read(const json_t *value, int indent) {
    char *text = json_text(value, indent);
    json_t *again = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!again || !json_equal(again, value)) abort();
    if (indent == 0 && strchr(text, '\n')) abort();
    json_decref(again);
    mem_free(text);
}

void fuzz_input(const uint8_t *data, size_t size) {
    json_t *value = NULL;
    Error err = {""};
    if (fuzz_ok(json_read(fuzz_file(data, size), &value, &err), &err)) {
        write_and_read(value, 0);
        write_and_read(value, 4);
    }
    json_decref(value);
    JsonLines lines = {.path = "lines", .data = (char *)data, .size = size};
    const int64_t most = json_lines_count(&lines);
    for (int64_t n = 0; fuzz_ok(json_lines_next(&lines, &value, &err), &err) && value; n++) {
        if (n == most || !json_is_object(value)) abort();
        json_decref(value);
    }
}
