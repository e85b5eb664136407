// SPDX-License-Identifier: Apache-2.0
// JSON through libjansson, with the file handling and the number spelling of this project.
#ifndef TACT_FORMATS_JSON_H
#define TACT_FORMATS_JSON_H

#include "base/error.h"
#include <jansson.h>

// What comes of a text takes at most 64 MB and 32 times as much memory as the text, as an array of
// numbers of one digit does. (Brackets alone take 80 times as much: more than a few MB of them are
// nothing that anybody wrote.)
enum { JSON_FREE = 64 << 20, JSON_PER_BYTE = 32 };
// As json_loadb within that bound, with its flags JSON_REJECT_DUPLICATES and JSON_DECODE_ANY, and
// in its place: where memory is missing jansson's own parser leaves out characters without a word,
// or says that the text is wrong. NULL after a failure; problem (may be NULL) has the line and what
// is wrong.
json_t *json_values(const char *text, size_t size, size_t flags, json_error_t *problem);
// Whether that was too little memory, and not the text.
bool json_lacked_memory(const json_error_t *problem);
// Reads one JSON document. The caller owns *out (json_decref). Objects keep their key order.
CHECKED bool json_read(const char *path, json_t **out, Error *err);
// DIR/NAME, or NULL where it is not there or cannot be read. New reference.
json_t *json_read_optional(const char *dir, const char *name);

// Text of a value in LeRobot's style: indent spaces per level, keys in insertion order, floats in
// their shortest form that reads back the same, spelled as Python does (1e-05, 10.0). indent 0
// gives one line. Free with mem_free. NULL where there is too little memory.
char *json_text(const json_t *value, int indent);

// Writes json_text(value, indent) whole or not at all, without a trailing newline.
CHECKED bool json_write(const char *path, const json_t *value, int indent, Error *err);
// Writes DIR/NAME with 4 spaces a level, as LeRobot does, and takes the reference to value, as
// jansson's functions of such a name do: for a value that is made for the file.
CHECKED bool json_write_new(const char *dir, const char *name, json_t *value, Error *err);

#endif
