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

// What comes of a text takes at most 64 MB and 32 times as much memory as the text, as an array of
// numbers of one digit does. (Brackets alone take 80 times as much: more than a few MB of them are
// nothing that anybody wrote.)
enum { JSON_FREE = 64 << 20, JSON_PER_BYTE = 32 };
// As json_loadb within that bound, for a document with bytes written as above, with its flags
// JSON_REJECT_DUPLICATES and JSON_DECODE_ANY, and in its place: where memory is missing jansson's
// own parser leaves out characters without a word, or says that the text is wrong. NULL after a
// failure; problem (may be NULL) has the line and what is wrong. The caller owns the result.
json_t *json_parse(const char *text, size_t size, size_t flags, json_error_t *problem);
// The same for text of a command line, in which such bytes may also stand as they are.
json_t *json_parse_argument(const char *text, size_t flags, json_error_t *problem);
// Whether that was too little memory, and not the text.
bool json_lacked_memory(const json_error_t *problem);
// ---- values that cannot be made -----------------------------------------------------------------

// A number that is not finite and a text that is not UTF-8 have no form in JSON. jansson gives NULL
// for them, and leaves what is NULL out of an object without a word, so a file would lack a key.
// Here such a value is json_lost instead: it stands at its place in the tree, and what writes the
// tree refuses it by its key (json_whole). The macros do that for every value that is made where
// this header is included; so code that makes JSON has nothing to check. They leave jansson's
// functions themselves to (json_string)(text), for code that has another answer to NULL.
//
// Missing memory is not among the reasons: in the program jansson's memory is had, or the process
// ends (json_take_memory), as it is with mem_alloc.
extern json_t json_lost; // is a null to jansson, and belongs to nobody
static inline json_t *json_or_lost(json_t *made) {
    return made ? made : &json_lost;
}
#define json_object() json_or_lost(json_object())
#define json_array() json_or_lost(json_array())
#define json_string(text) json_or_lost(json_string(text))
#define json_integer(value) json_or_lost(json_integer(value))
#define json_real(value) json_or_lost(json_real(value))
#define json_pack(...) json_or_lost(json_pack(__VA_ARGS__))
#define json_copy(value) json_or_lost(json_copy(value))
#define json_deep_copy(value) json_or_lost(json_deep_copy(value))
// A key that is not UTF-8 is found like a value that cannot be made.
int json_object_set_or_lose(json_t *object, const char *key, json_t *value);
#define json_object_set_new(object, key, value) json_object_set_or_lose(object, key, value)

// Fails, naming the key, where something of a tree could not be made. path: for the message.
CHECKED bool json_whole(const json_t *value, const char *path, Error *err);
// From now on jansson takes its memory like mem_alloc: a block is had, or the process ends. For the
// program's main; never in libtact, whose host may have a jansson of its own to care for.
void json_take_memory(void);
// json_text, never NULL: for the program, which ends where there is no memory for it.
char *json_text_had(const json_t *value, int indent);

// ---- files --------------------------------------------------------------------------------------

// Reads one JSON document. The caller owns *out (json_decref). Objects keep their key order.
CHECKED bool json_read(const char *path, json_t **out, Error *err);
// The same of a file that Python wrote, whose NaN and Infinity are no JSON. Each becomes a value
// that is no number: one feature's bad number is no reason to lose all else.
CHECKED bool json_read_python(const char *path, json_t **out, Error *err);
// Does that to a text, in place.
void json_hide_odd_numbers(char *text);
// DIR/NAME, or NULL where it is not there; one that cannot be read is warned of. New reference.
json_t *json_read_optional(const char *dir, const char *name);

// A string of any bytes; NULL gives null.
json_t *json_bytes(const char *text);

// The length in bytes of the UTF-8 character that text (size bytes) begins with, or 0 where it
// begins with none.
size_t utf8_length(const char *text, size_t size);
// Whether all of a text is UTF-8.
bool utf8_is_whole(const char *text);

// Text of a value in LeRobot's style: indent spaces per level, keys in insertion order, floats in
// their shortest form that reads back the same, spelled as Python does (1e-05, 10.0). indent 0
// gives one line. A lost value is a null in it. Free with mem_free. NULL where there is too little
// memory.
char *json_text(const json_t *value, int indent);

// Writes json_text(value, indent) whole or not at all, without a trailing newline. What was written
// is read and compared with value before it gets its name.
CHECKED bool json_write(const char *path, const json_t *value, int indent, Error *err);
// Writes DIR/NAME with 4 spaces a level, as LeRobot does, and takes the reference to value, as
// jansson's functions of such a name do: for a value that is made for the file.
CHECKED bool json_write_new(const char *dir, const char *name, json_t *value, Error *err);

#endif
