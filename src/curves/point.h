// SPDX-License-Identifier: Apache-2.0
// A figure of a step, as the files of curves take them.
#ifndef TACT_CURVES_POINT_H
#define TACT_CURVES_POINT_H

typedef struct CurvePoint {
    const char *name; // as in metrics.jsonl
    double value;
} CurvePoint;

#endif
