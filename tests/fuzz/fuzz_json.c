// SPDX-License-Identifier: Apache-2.0
// Any bytes as a JSON document, and as lines of them: refused, or what is written of it reads back
// as the same. Our parser and jansson's own agree on what is JSON and what it says, but for
// escapes of bytes that are no UTF-8.
#include "base/memory.h"
#include "dataset/reader/json_lines.h"
#include "driver.h"
#include <stdlib.h>
#include <string.h>

static void write_and_read(const json_t *value, int indent) {
    char *text = json_text(value, indent);
    json_t *again = json_parse(text, strlen(text), JSON_DECODE_ANY, NULL);
    if (!again || !json_equal(again, value)) abort();
    if (indent == 0 && strchr(text, '\n')) abort();
    json_decref(again);
    mem_free(text);
}

static void compare_parsers(const uint8_t *data, size_t size, size_t flags) {
    json_error_t problem;
    const char *text = (const char *)data;
    if (memchr(data, 0, size)) return; // jansson takes a zero for an end
    json_t *ours = json_parse(text, size, flags, &problem);
    json_t *theirs = json_loadb(text, size, flags, NULL);
    if (theirs && (!ours || !json_equal(ours, theirs))) abort();
    // Names that are no UTF-8, which jansson does not know.
    const bool escaped = memmem(data, size, "\\udc", 4) || memmem(data, size, "\\uDC", 4) ||
                         memmem(data, size, "\\udC", 4) || memmem(data, size, "\\uDc", 4);
    if (ours && !theirs && !escaped) abort();
    if (!ours && (json_lacked_memory(&problem) || !problem.text[0])) abort();
    json_decref(ours);
    json_decref(theirs);
}

void fuzz_input(const uint8_t *data, size_t size) {
    json_t *value = NULL;
    Error err = {""};
    compare_parsers(data, size, 0);
    compare_parsers(data, size, JSON_REJECT_DUPLICATES);
    compare_parsers(data, size, JSON_DECODE_ANY);
    if (fuzz_ok(json_read(fuzz_file(data, size), &value, &err), &err)) {
        write_and_read(value, 0);
        write_and_read(value, 4);
    }
    json_decref(value);
    JsonLines lines = {.path = "lines", .data = (char *)data, .size = size};
    const int64_t most = json_lines_count(&lines, 1);
    for (int64_t n = 0; fuzz_ok(json_lines_next(&lines, &value, &err), &err) && value; n++) {
        if (n == most || !json_is_object(value)) abort();
        json_decref(value);
    }
}
