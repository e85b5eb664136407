// SPDX-License-Identifier: Apache-2.0
#include "eval/report.h"

#include "report/page.h"

extern const unsigned char eval_page[]; // report/report.html, by cmake/report.cmake

bool report_write(const char *path, const json_t *eval, json_t *figures, Error *err) {
    json_t *all = json_copy((json_t *)eval); // its values are shared
    if (figures) json_object_set(all, "figures", figures);
    bool ok = page_write(path, eval_page, all, err);
    json_decref(all);
    return ok;
}
