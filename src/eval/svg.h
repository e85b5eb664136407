// SPDX-License-Identifier: Apache-2.0
// Private to eval/: small charts as inline SVG. Colours and strokes are the page's, by class.
#ifndef TACT_EVAL_SVG_H
#define TACT_EVAL_SVG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Range {
    double low, high;
} Range;

// Nothing yet: range_add makes it grow. NaN and infinity are passed over.
Range range_empty(void);
void range_add(Range *r, double value);
// Widened by a part of its length at both ends; made one that has a length when it has none.
Range range_padded(Range r, double part);

enum { MOST_TICKS = 12 };
// Round numbers (1, 2 or 5 times a power of ten apart) within a range, ascending: at most `most`
// (2 to MOST_TICKS), as many as go. *decimals: digits that tell them apart.
int svg_ticks(Range r, int most, double ticks[MOST_TICKS], int *decimals);

typedef struct Chart {
    FILE *out;
    double width, height;            // of the picture
    double left, right, top, bottom; // of the field in it
    Range x, y;
} Chart;

// A field with grid, ticks and their numbers; label: what it shows, for who cannot see it; x_unit
// stands at the axis' end, "" for none. Small: a thumbnail.
Chart chart_begin(FILE *out, Range x, Range y, const char *label, const char *x_unit, bool small);
void chart_end(const Chart *c);
// Points x0 + i dx, y[i], i < n, as one line that is broken where y is NaN; at most about 600 of
// them.
void chart_line(const Chart *c, double x0, double dx, const double *y, int64_t n, const char *css);
// The area between two lines over the same points.
void chart_band(const Chart *c, double x0, double dx, const double *low, const double *high,
                int64_t n, const char *css);
void chart_dot(const Chart *c, double x, double y, double radius, const char *css);
// A bar from 0 to y between two x.
void chart_bar(const Chart *c, double x0, double x1, double y, const char *css);

#endif
