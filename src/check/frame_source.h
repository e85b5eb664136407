// SPDX-License-Identifier: Apache-2.0
// Private to check/: frames of what is checked, be it a dataset or a source of `tact import`. One a
// thread.
#ifndef TACT_CHECK_FRAME_SOURCE_H
#define TACT_CHECK_FRAME_SOURCE_H

#include "check/check.h"

typedef struct FrameSource {
    const Dataset *ds;
    const CheckSource *source; // NULL: reader has the frames
    struct FrameReader *reader;
    void *cursor; // the source's
} FrameSource;

// After a failure there is nothing to close.
CHECKED bool frame_source_open(const Dataset *ds, const CheckSource *source, FrameSource *out,
                               Error *err);
// The frame of a camera (position in ds->cameras) at a row of an episode into rgb (the camera's
// height, width, 3).
CHECKED bool frame_source_read(FrameSource *f, int camera, const Episode *episode, int64_t row,
                               uint8_t *rgb, Error *err);
void frame_source_close(FrameSource *f); // a zeroed struct is allowed

#endif
