// SPDX-License-Identifier: Apache-2.0
// A curve for a page, however many points it has: thinned so that no extreme is lost.
#ifndef TACT_REPORT_CURVE_H
#define TACT_REPORT_CURVE_H

#include "formats/json.h"
#include "report/run_log.h"

// Columns of one width that a curve's steps are cut into; narrower ones at its beginning come to
// them, for logarithmic axes.
enum { CURVE_COLUMNS = 800 };

// {"count": points of the series, "steps": [...], "values": [...]}, null for what is not finite. A
// series of at most 2 * columns points is whole. Of a longer one each column of the steps has its
// least and its largest value and one that is not finite, at their own steps, as have the first
// and the last point; and there is "mean": {"steps", "values"}, over the finite points of each
// column. A new reference.
json_t *curve_json(const LogSeries *series, int columns);

// Of a series whose values only grow: the last point of each column, as {"steps", "values"}.
json_t *curve_ends_json(const LogSeries *series, const double *values, int columns);

#endif
