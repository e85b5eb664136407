// SPDX-License-Identifier: Apache-2.0
// What jansson makes of a text, told before it makes it: a pair of brackets is 3 bytes with its
// comma, and an object of 240 in memory.
#include "formats/json_bound.h"

#include <stdio.h>
#include <string.h>

// Bytes of memory, from the sizes of jansson's structs and glibc's blocks: an object with its first
// buckets, an array with its first places; a value with its place in an array, which was copied
// when the array grew; what a key has beside its letters.
enum { OBJECT = 240, ARRAY = 144, VALUE = 64, KEY = 96 };
// Texts below it cannot take JSON_FREE bytes, whatever stands in them.
enum { SMALL = 1 << 18 };

// The end of the text that begins at `at`, or of all.
static size_t end_of_string(const char *text, size_t size, size_t at) {
    for (at++; at < size && text[at] != '"'; at++)
        if (text[at] == '\\') at++;
    return at;
}

static size_t bytes_in_memory(const char *text, size_t size) {
    size_t sum = VALUE;
    for (size_t i = 0; i < size; i++) switch (text[i]) {
        case '{':
            sum += OBJECT;
            break;
        case '[':
            sum += ARRAY;
            break;
        case ',':
            sum += VALUE;
            break;
        case ':':
            sum += KEY;
            break;
        case '"': {
            size_t end = end_of_string(text, size, i);
            sum += end - i;
            i = end;
            break;
        }
        default:
            break;
        }
    return sum;
}

bool json_within_bound(const char *text, size_t size, json_error_t *problem) {
    if (size < SMALL || bytes_in_memory(text, size) <= JSON_FREE + JSON_PER_BYTE * size)
        return true;
    *problem = (json_error_t){.line = 1, .column = 0, .position = 0};
    snprintf(problem->text, sizeof problem->text,
             "its %zu bytes would take more than %d MB and %d times as much in memory", size,
             JSON_FREE >> 20, JSON_PER_BYTE);
    return false;
}
