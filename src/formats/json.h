// SPDX-License-Identifier: Apache-2.0
// JSON through libjansson, with the file handling and the number spelling of this project.
//
// Names of files are bytes, and not everywhere UTF-8. A string or a key of a tree may hold any
// bytes but zero here. In a document a byte that is no UTF-8 is written as Python's os.fsdecode and
// json have it, 0xe9 as "\\udce9", and read back from there, so that os.fsencode gives the same
// name to a reader in Python. jansson makes such strings with json_bytes, such keys with
// json_object_set_new_nocheck; its json_string and json_pack("s") refuse them, and are for text
// that is known to be UTF-8, or to have come out of a tree.
#ifndef TACT_FORMATS_JSON_H
#define TACT_FORMATS_JSON_H

#include "base/error.h"
#include <jansson.h>

// Reads one JSON document. The caller owns *out (json_decref). Objects keep their key order.
CHECKED bool json_read(const char *path, json_t **out, Error *err);
// DIR/NAME, or NULL where it is not there or cannot be read. New reference.
json_t *json_read_optional(const char *dir, const char *name);

// As json_loadb, for a document with bytes written as above. The caller owns the result.
json_t *json_parse(const char *text, size_t size, size_t flags, json_error_t *problem);
// The same for text of a command line, in which such bytes may also stand as they are.
json_t *json_parse_argument(const char *text, size_t flags, json_error_t *problem);
// A string of any bytes; NULL gives null.
json_t *json_bytes(const char *text);

// The length in bytes of the UTF-8 character that text (size bytes) begins with, or 0 where it
// begins with none.
size_t utf8_length(const char *text, size_t size);
// Whether all of a text is UTF-8.
bool utf8_is_whole(const char *text);

// Text of a value in LeRobot's style: indent spaces per level, keys in insertion order, floats in
// their shortest form that reads back the same, spelled as Python does (1e-05, 10.0). indent 0
// gives one line. Free with mem_free.
char *json_text(const json_t *value, int indent);

// Writes json_text(value, indent) whole or not at all, without a trailing newline.
CHECKED bool json_write(const char *path, const json_t *value, int indent, Error *err);
// Writes DIR/NAME with 4 spaces a level, as LeRobot does, and takes the reference to value, as
// jansson's functions of such a name do: for a value that is made for the file.
CHECKED bool json_write_new(const char *dir, const char *name, json_t *value, Error *err);

#endif
