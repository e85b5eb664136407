// SPDX-License-Identifier: Apache-2.0
// The report of an evaluation: one HTML file that needs nothing else, for a screen, a phone or
// paper. Style, charts (SVG) and frames (JPEG, base64) are inside; there is no script in it.
#ifndef TACT_EVAL_REPORT_H
#define TACT_EVAL_REPORT_H

#include "eval/camera.h"
#include "eval/open_loop.h"

typedef struct ReportOptions {
    CameraModel camera;  // with one that is known, paths are drawn on its frames
    time_t now;          // when the evaluation ran
    const char *command; // that made it, or NULL
} ReportOptions;

// Checks what can be checked before the run: a camera of that name, an arm of that number, poses to
// draw. Sets camera.position, and its lens for frames of that camera.
CHECKED bool report_check(const PolicyConfig *policy, CameraModel *camera, Error *err);

// Writes the report, whole or not at all. Frames are read from the dataset again.
CHECKED bool report_write(const char *path, const EvalResult *r, const ReportOptions *o,
                          Error *err);

#endif
