// SPDX-License-Identifier: Apache-2.0
// Private to the report: its sections, in the order of the page.
#ifndef TACT_EVAL_REPORT_INTERNAL_H
#define TACT_EVAL_REPORT_INTERNAL_H

#include "dataset/frames.h"
#include "eval/report.h"

// What is shown at most; the page says so where it leaves something out.
enum {
    REPORT_MEASURES = 13,   // charts of errors by time ahead
    REPORT_DIMENSIONS = 64, // rows of the table of values
    REPORT_EPISODES = 100,  // rows of the table of episodes
    REPORT_CURVES = 14,     // values drawn of an episode
    REPORT_THUMBNAILS = 8,  // values drawn of a window
    REPORT_CAMERAS = 3,     // frames shown of a window
    REPORT_FRAME = 640,     // pixels, the widest a frame is stored
};

typedef struct Report {
    FILE *out;
    const EvalResult *r;
    const ReportOptions *o;
    FrameReader *frames; // NULL: the policy sees no camera
    double fps;
} Report;

extern const char report_style[]; // report_style.c

// report_figures.c
void report_head(const Report *p);
void report_horizon(const Report *p);
void report_dimensions(const Report *p);
void report_episodes(const Report *p);
void report_latency(const Report *p);
void report_settings(const Report *p);
// report_windows.c: the worst predictions with their frames. Error: a frame cannot be read.
CHECKED bool report_windows(const Report *p, Error *err);
void report_curves(const Report *p);
// report_frame.c: a frame as a figure, with the paths of a window's actions where the camera is
// known. camera: position in the policy's.
CHECKED bool report_frame(const Report *p, const EvalWindow *w, int camera, Error *err);

// "left_x" of an action's values; unit "m" or "rad" of a pose's, else "".
const char *report_unit(const EvalResult *r, int dimension);
// "12.3 s" of a frame in its episode.
void report_time(FILE *out, double seconds);

#endif
