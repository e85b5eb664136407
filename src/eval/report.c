// SPDX-License-Identifier: Apache-2.0
#include "eval/report.h"

#include "base/file.h"
#include "base/memory.h"
#include <string.h>

// report/report.html and a zero; the build makes it (cmake/report.cmake).
extern const unsigned char report_template[];

// JSON for an element <script type="application/json">: as json_text(value, 0), but without a "<",
// so that no name in it can end the element. Free with mem_free.
static char *report_json(const json_t *value) {
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

bool report_write(const char *path, const json_t *eval, json_t *figures, Error *err) {
    static const char mark[] = "@EVAL@";
    const char *page = (const char *)report_template, *at = strstr(page, mark);
    json_t *all = json_copy((json_t *)eval); // its values are shared
    if (figures) json_object_set(all, "figures", figures);
    char *text = report_json(all);
    AtomicFile file;
    bool ok = atomic_open(&file, path, err);
    if (ok) { // what cannot be written is seen when the file is committed
        fwrite(page, 1, (size_t)(at - page), file.stream);
        fputs(text, file.stream);
        fputs(at + strlen(mark), file.stream);
        ok = atomic_commit(&file, err);
    }
    mem_free(text);
    json_decref(all);
    return ok;
}
