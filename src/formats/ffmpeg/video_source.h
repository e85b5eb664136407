// SPDX-License-Identifier: Apache-2.0
// Private to src/formats/ffmpeg: a video file from which the packets of one stream are read, each
// checked against the table of what the file has.
#ifndef TACT_FORMATS_FFMPEG_VIDEO_SOURCE_H
#define TACT_FORMATS_FFMPEG_VIDEO_SOURCE_H

#include "formats/video.h"
#include "formats/video_table.h"
#include <libavformat/avformat.h>

#define DAMAGED "the file is damaged; copy or record it again"

typedef struct VideoSource {
    char *path;
    AVFormatContext *format;
    AVPacket *packet;        // the one read last
    const VideoTable *table; // `own`, or a shared one
    VideoTable own;
    int stream;
    double unit;  // seconds
    int64_t sent; // number of the packet read last, -1 at the start
    bool running; // the demuxer stands where `sent` says; else a seek is due
} VideoSource;

// As video_open, or with times_only as video_look, without a decoder. *in is zeroed before, and
// source_close is due whether or not it succeeds.
CHECKED bool source_open(VideoSource *in, const char *path, VideoTables *tables, bool times_only,
                         Error *err);
void source_close(VideoSource *in); // a zeroed struct is allowed

// Reads the next packet into in->packet and its number into in->sent. *end when there is none.
// Checks that packets come in the table's order, so that none is lost unnoticed.
CHECKED bool source_next(VideoSource *in, bool *end, Error *err);

// Goes to a packet, which is left in in->packet. running tells whether it succeeded.
CHECKED bool source_seek(VideoSource *in, int64_t key, Error *err);

#endif
