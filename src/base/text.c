// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <string.h>

const char *after_last(const char *text, char mark) {
    const char *last = strrchr(text, mark);
    return last ? last + 1 : text;
}

void text_make_line(char *text) {
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127) *c = ' ';
}

int edit_distance(const char *a, const char *b) {
    enum { LONGEST = 64 };
    int row[LONGEST + 1];
    int n = (int)strnlen(a, LONGEST), m = (int)strnlen(b, LONGEST);
    for (int j = 0; j <= m; j++) row[j] = j;
    for (int i = 1; i <= n; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= m; j++) {
            int replace = diagonal + (a[i - 1] != b[j - 1]);
            int insert = row[j - 1] + 1, remove = row[j] + 1;
            diagonal = row[j];
            row[j] = replace < insert ? replace : insert;
            row[j] = remove < row[j] ? remove : row[j];
        }
    }
    return row[m];
}

bool is_near(int distance, const char *word) {
    int length = (int)strlen(word);
    return 3 * distance <= length || (distance == 2 && length > 3) || (distance == 1 && length > 1);
}
