// SPDX-License-Identifier: Apache-2.0
#include "report/page.h"

#include "base/file.h"
#include "base/memory.h"
#include <string.h>

// JSON for an element <script type="application/json">: as json_text(value, 0), but without a "<",
// so that no name in it can end the element. Free with mem_free.
static char *page_json(const json_t *value) {
    static const char escaped[] = "\\u003c"; // "<" stands in strings only
    char *text = json_text(value, 0);
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

bool page_write(const char *path, const unsigned char *html, const json_t *numbers, Error *err) {
    static const char mark[] = "@JSON@";
    const char *page = (const char *)html, *at = strstr(page, mark);
    char *text = page_json(numbers);
    AtomicFile file;
    bool ok = atomic_open(&file, path, err);
    if (ok) { // what cannot be written is seen when the file is committed
        fwrite(page, 1, (size_t)(at - page), file.stream);
        fputs(text, file.stream);
        fputs(at + strlen(mark), file.stream);
        ok = atomic_commit(&file, err);
    }
    mem_free(text);
    return ok;
}
