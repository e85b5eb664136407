// SPDX-License-Identifier: Apache-2.0
// How smoothly chunks follow each other: the way from each action of an episode to the next, at the
// borders between chunks and within them.
#ifndef TACT_EVAL_SEAM_H
#define TACT_EVAL_SEAM_H

#include "formats/json.h"
#include <stdint.h>
#include <stdio.h>

// From an action to the next.
typedef struct SeamStep {
    double translation, rotation; // metres, radians; of the arm that goes farthest
    int place;                    // of the next one in its chunk as it is played, from 0; -1: in an
                                  // episode's first chunk, before which there is none
} SeamStep;
// actions: arms * 7 each.
SeamStep seam_step(const double *from, const double *to, int arms, int place);

// Of one kind of step, of one measure. All 0 where there is none.
typedef struct SeamSizes {
    int64_t count;
    double median, max;
} SeamSizes;
typedef struct SeamMeasure {
    // Into a chunk's first action; into the blend_steps after it, which the blend moves too;
    // others.
    SeamSizes border, blend, interior;
    // The largest of border and blend, divided by the interior's median and by its largest; NaN
    // where there is no such number.
    double over_median, over_max;
} SeamMeasure;
typedef struct Seam {
    int64_t borders;
    int blend_steps;
    SeamMeasure translation, rotation;
} Seam;
// Of n steps of all episodes.
Seam seam_measure(const SeamStep *steps, int64_t n, int blend_steps);
// New reference. JSON has no NaN: null.
json_t *seam_to_json(const Seam *s);
// One line; nothing where there was no border.
void seam_print(const Seam *s, FILE *out);

#endif
