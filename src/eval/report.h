// SPDX-License-Identifier: Apache-2.0
// The report of an evaluation: one HTML file that needs nothing from a network. It is
// report/report.html with the run's numbers in it; its script draws the page from them. Videos lie
// beside it.
#ifndef TACT_EVAL_REPORT_H
#define TACT_EVAL_REPORT_H

#include "base/error.h"
#include "formats/json.h"

// Writes the report, whole or not at all. eval: what eval.json has. figures: what the page shows
// beside it (figures.h), under the key "figures" of the page's copy; NULL: nothing. Both stay the
// caller's.
CHECKED bool report_write(const char *path, const json_t *eval, json_t *figures, Error *err);

#endif
