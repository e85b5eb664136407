// SPDX-License-Identifier: Apache-2.0
// Private to src/formats: which packets and frames a video file has.
#ifndef TACT_FORMATS_VIDEO_TABLE_H
#define TACT_FORMATS_VIDEO_TABLE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct VideoPacket {
    int64_t pts, dts; // stream time base; dts may be AV_NOPTS_VALUE
    int64_t frame;    // display number of its frame, -1 when an edit list hides it
    bool key;
} VideoPacket;

typedef struct VideoTable {
    int64_t packets, frames;
    VideoPacket *packet; // (packets), in decoding order
    int64_t *by_pts;     // (packets), packet numbers sorted by pts
    int64_t *shown;      // (frames), packet numbers in display order
    bool times_only;     // made for looking at times: packets and keyframes do not count
    int reorder;         // most packets that come before another one and are shown after it
    double unit;         // seconds in one step of the stream's time base
    double period;       // seconds between frames (average)
    int height, width;   // of the frames as they are given out: after turning
    // Of H.264 and HEVC, whose decoder keeps parameter sets until others take their place: packets
    // have some that the header does not have; keyframes are without a full set of their own.
    bool other_sets, bare_keys;
    int turn; // clockwise, in degrees, makes a stored frame upright: 0, 90, 180 or 270
} VideoTable;

void video_table_free(VideoTable *t);

// Time of a frame, by its display number, in seconds.
double video_table_time(const VideoTable *t, int64_t frame);

// Number of the packet with this pts, or -1.
int64_t video_table_packet(const VideoTable *t, int64_t pts);

// Number of packets, with those an edit list hides, whose pts is less.
int64_t video_table_place(const VideoTable *t, int64_t pts);

// Number of frames that are shown before a pts.
int64_t video_table_frames_before(const VideoTable *t, double pts);

// Display number of the frame nearest to a time in units of the stream's time base.
int64_t video_table_nearest(const VideoTable *t, double pts);

// Last keyframe packet from which packet `number` decodes right: before it in decoding order and
// not after it in display order (pictures that lead a keyframe need the one before). -1 if none.
int64_t video_table_keyframe(const VideoTable *t, int64_t number);

#endif
