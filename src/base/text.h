// SPDX-License-Identifier: Apache-2.0
// Small questions about strings.
#ifndef TACT_BASE_TEXT_H
#define TACT_BASE_TEXT_H

#include <stdbool.h>

// What stands behind the last `mark` of a text ("c" of "a/b/c" with '/'), or all of it where there
// is no mark. Borrowed from the text.
const char *after_last(const char *text, char mark);

// Makes one line of a text that may hold names of anybody's choice: each control character, a
// line's end among them, becomes a blank.
void text_make_line(char *text);

// Levenshtein distance of two names (of their first 64 characters).
int edit_distance(const char *a, const char *b);
// Whether so few mistakes in a word make a suggestion worth giving: one in three letters, or two
// letters that changed places.
bool is_near(int distance, const char *word);

#endif
