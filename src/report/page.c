// SPDX-License-Identifier: Apache-2.0
#include "report/page.h"

#include "base/file.h"
#include "base/memory.h"
#include <string.h>

// JSON for an element <script type="application/json">: as json_text(value, 0), but without a "<",
// so that no name in it can end the element. Free with mem_free.
static char *page_json(const json_t *value) {
    static const char escaped[] = "\\u003c"; // "<" stands in strings only
    char *text = json_text_had(value, 0);
    size_t length = strlen(text), found = 0;
    for (const char *c = text; *c; c++) found += *c == '<';
    char *out = mem_alloc(length + found * (sizeof escaped - 2) + 1), *to = out;
    for (const char *c = text; *c; c++)
        if (*c == '<')
            to = stpcpy(to, escaped);
        else
            *to++ = *c;
    *to = 0;
    mem_free(text);
    return out;
}

// Writes the parts of the page one behind the other, and compares them with what is there then.
CHECKED static bool write_parts(AtomicFile *file, const char *const parts[3], const size_t sizes[3],
                                Error *err) {
    InputFile written;
    size_t at = 0;
    // What cannot be written is seen when it is read back.
    for (int i = 0; i < 3; i++) fwrite(parts[i], 1, sizes[i], file->stream);
    bool ok = atomic_look(file, &written, err);
    for (int i = 0; ok && i < 3; at += sizes[i++])
        ok = input_holds(&written, at, parts[i], sizes[i], err);
    input_close(&written);
    return ok;
}

bool page_write(const char *path, const unsigned char *html, const json_t *numbers, Error *err) {
    static const char mark[] = "@JSON@";
    const char *page = (const char *)html, *at = strstr(page, mark);
    if (!json_whole(numbers, path, err)) return false;
    char *text = page_json(numbers);
    const char *const parts[] = {page, text, at + strlen(mark)};
    const size_t sizes[] = {(size_t)(at - page), strlen(text), strlen(parts[2])};
    AtomicFile file = {0};
    bool ok = atomic_open(&file, path, err) && write_parts(&file, parts, sizes, err) &&
              atomic_commit(&file, err);
    atomic_abort(&file);
    mem_free(text);
    return ok;
}
