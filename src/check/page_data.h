// SPDX-License-Identifier: Apache-2.0
// Private to check/: what the page shows beside the report, as JSON. All give new references.
#ifndef TACT_CHECK_PAGE_DATA_H
#define TACT_CHECK_PAGE_DATA_H

#include "check/series.h"

enum {
    CURVES = 16,            // values that are shown as curves, and twice as many as distributions
    FINDINGS_OF_RULE = 1000 // findings of one rule; the others are only counted
};

// How each episode stands by its findings: found once, for all parts of the page.
typedef struct Standing {
    double score; // 100 an error, 10 a warning, 1 a note
    int findings;
    int worst; // CheckSeverity, -1: no finding
} Standing;
// (n_episodes), by position; mem_free. Takes time like episodes and findings, not their product.
Standing *page_standings(const Check *c);

// A number of five digits: more than a pixel shows, and half of the bytes.
json_t *page_number(double x);
// The values of a row, the first `most` of them.
json_t *page_row(const Vector *v, int64_t row, int most);

// report_json.c: as check_report_json, but of each rule at most so many findings.
json_t *page_report(const Dataset *ds, const CheckReport *report, int64_t most);

// page_episodes.c
// [{"index", "length", "task", "worst", "findings", "speeds", "pictures"}]: all episodes, or of
// more than CELLS_MOST those with findings, as far as they fit, and evenly spaced others.
json_t *page_cells(const Check *c, const Standing *standings);
// The episodes that stand worst, with curves and frames.
json_t *page_worst(const Check *c, const Standing *standings);

#endif
