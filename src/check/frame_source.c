// SPDX-License-Identifier: Apache-2.0
#include "check/frame_source.h"

#include "dataset/frames.h"

bool frame_source_open(const Dataset *ds, const CheckSource *source, FrameSource *out, Error *err) {
    *out = (FrameSource){.ds = ds, .source = source};
    return source || frames_open(ds, 0, 0, &out->reader, err);
}

bool frame_source_read(FrameSource *f, int camera, const Episode *episode, int64_t row,
                       uint8_t *rgb, Error *err) {
    const CheckSource *s = f->source;
    return s ? s->frame(s->user, &f->cursor, episode->index, camera, row, rgb, err)
             : frames_read(f->reader, camera, episode->first_row + row, rgb, err);
}

void frame_source_close(FrameSource *f) {
    if (f->source) f->source->cursor_free(f->source->user, f->cursor);
    frames_close(f->reader);
    *f = (FrameSource){0};
}
