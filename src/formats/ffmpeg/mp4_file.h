// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: an MP4 file with one video stream that appears whole or not at
// all.
#ifndef TACT_FORMATS_FFMPEG_MP4_FILE_H
#define TACT_FORMATS_FFMPEG_MP4_FILE_H

#include "base/file.h"
#include <libavformat/avformat.h>

typedef struct Mp4File {
    char *path; // for messages
    AtomicFile file;
    AVIOContext *io; // into file
    AVFormatContext *format;
    int error;   // errno of the first write that failed
    bool broken; // something failed: the file must not appear
} Mp4File;

// An empty file and its container; *m is zeroed before. After a failure mp4_abort is due.
CHECKED bool mp4_open(Mp4File *m, const char *path, Error *err);
// Adds the stream and writes the header.
CHECKED bool mp4_header(Mp4File *m, const AVCodecParameters *parameters, AVRational time_base,
                        AVRational rate, Error *err);
// Writes a packet whose times are in time_base; what it refers to is taken.
CHECKED bool mp4_packet(Mp4File *m, AVPacket *packet, AVRational time_base, Error *err);
// Writes the index: m->file.temporary is a whole file then.
CHECKED bool mp4_finish(Mp4File *m, Error *err);
// The same, syncs and moves the file into place.
CHECKED bool mp4_commit(Mp4File *m, Error *err);
// Drops what was not committed, and frees; a zeroed struct is allowed.
void mp4_abort(Mp4File *m);
// Marks the file as broken. A failed write is the cause of whatever the library says after it.
bool mp4_broken(Mp4File *m, const char *what, int code, Error *err);
// Frames a second as a fraction: 59.94005994... is 60000/1001.
AVRational mp4_rate(double fps);

#endif
