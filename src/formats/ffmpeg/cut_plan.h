// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: which packets of a file are needed to show some of its frames, and
// whether they come at an even rate.
#ifndef TACT_FORMATS_FFMPEG_CUT_PLAN_H
#define TACT_FORMATS_FFMPEG_CUT_PLAN_H

#include "formats/ffmpeg/video_source.h"

// Sums of some such times are still numbers of 64 bits.
#define CUT_MOST_TICKS ((int64_t)1 << 56)

typedef struct CutPlan {
    int64_t key, end;   // numbers of the first and the last packet
    int64_t low, count; // what they show lies at these places in display order
    int64_t first;      // place of the first frame that was asked for,
    int64_t last;       // and of the last
    int reorder;        // most packets that come before another one and are shown after it
    AVRational rate;    // frames a second, 0 / 1 where they do not come at an even rate
} CutPlan;

// Packets from the last keyframe before the first frame to the one with which all pictures are
// there that are shown before the latest of them: then the display order has no hole. Packets in
// between that are shown before the keyframe are not taken.
// step: cut_usual_step.
CHECKED bool cut_plan(const VideoSource *in, int64_t step, int64_t first, int64_t last, CutPlan *p,
                      Error *err);

// Whether the packets of another plan for the same file, which are there already, can go on to
// those of *p: what it is decoded from is among them or comes next, and its frames come after
// theirs, at the same even rate. *p begins where `before` does then.
bool cut_plan_goes_on(const VideoSource *in, int64_t step, const CutPlan *before, CutPlan *p);

// The distance that more than nine in ten frames of the file have from the one before, or 0.
int64_t cut_usual_step(const VideoSource *in);

// Time of the packet at a place in display order.
int64_t cut_pts(const VideoSource *in, int64_t place);

#endif
