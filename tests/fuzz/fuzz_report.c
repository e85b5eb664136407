// SPDX-License-Identifier: Apache-2.0
// Any files as the directory of a training: its page is refused, or is written with the numbers in
// it, and nothing of them ends the element that they stand in.
#include "base/file.h"
#include "base/memory.h"
#include "driver.h"
#include "report/page.h"
#include "report/runs.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// A page of nothing but the numbers, so that writing it takes no time.
static const unsigned char html[] = "<script type=\"application/json\">@JSON@</script>";

static void write_page(const char *dir, const json_t *description) {
    char path[512], *text;
    size_t size;
    Error err = {""};
    snprintf(path, sizeof path, "%s/page.html", dir);
    if (!fuzz_ok(page_write(path, html, description, &err), &err)) return;
    if (!file_read(path, &text, &size, &err)) abort();
    const char *end = strstr(text, "</script"), *begin = strchr(text, '>') + 1;
    if (!end || strcmp(end, "</script>") != 0 || strstr(begin, "<!--")) abort();
    json_t *again = json_parse(begin, (size_t)(end - begin), 0, NULL);
    if (!again || !json_equal(again, description)) abort();
    json_decref(again);
    mem_free(text);
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    const int n = fuzz_split(data, size, parts);
    const char *dir = fuzz_folder(parts, n, "");
    RunList runs = {0};
    json_t *description = NULL;
    Error err = {""};
    if (fuzz_ok(runs_find(&dir, 1, &runs, &err), &err) &&
        fuzz_ok(runs_describe(&runs, dir, &description, &err), &err))
        write_page(dir, description);
    json_decref(description);
    runs_free(&runs);
}
