// SPDX-License-Identifier: Apache-2.0
// Event files as TensorBoard reads them: records framed with their length and checksums, each one
// message of the protobuf type Event.
#ifndef TACT_CURVES_EVENT_FILE_H
#define TACT_CURVES_EVENT_FILE_H

#include "curves/append_file.h"
#include "curves/point.h"

typedef struct EventFile {
    AppendFile file;
    uint8_t *room; // (size) in which a record is put together, from its end to its beginning
    size_t size, at;
} EventFile;

// Begins a file of its own in the folder `dir`, which is made, named so that it is read after all
// that are there. first_step: of the first step that this file tells of; 0 in a new run. What
// earlier files of the folder say of this step and later ones, TensorBoard then forgets.
CHECKED bool event_file_open(EventFile *f, const char *dir, int64_t first_step, Error *err);
// One event with a scalar each, called GROUP/NAME.
CHECKED bool event_scalars(EventFile *f, int64_t step, const char *group, const CurvePoint *points,
                           int n, Error *err);
// A text in Markdown.
CHECKED bool event_text(EventFile *f, int64_t step, const char *tag, const char *text, Error *err);
// A picture; png: its `bytes` bytes as a PNG file.
CHECKED bool event_image(EventFile *f, int64_t step, const char *tag, int height, int width,
                         const uint8_t *png, size_t bytes, Error *err);
CHECKED bool event_file_sync(EventFile *f, Error *err);
void event_file_close(EventFile *f); // twice is once

// CRC-32C (Castagnoli) of some bytes, and the form of it that stands in a record.
uint32_t crc32c(const void *bytes, size_t size);
uint32_t crc32c_masked(const void *bytes, size_t size);

#endif
