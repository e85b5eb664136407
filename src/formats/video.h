// SPDX-License-Identifier: Apache-2.0
// Video files through FFmpeg: reading a frame by its time, writing AV1 as LeRobot does. FFmpeg is
// called by a module (base/module.h); opening a file for reading or writing fails where it cannot
// be loaded.
// What opening a file takes is bounded by its bytes: 64 MB and 128 times as many, and some twenty
// frames of its size for the decoder; frames have at most 2^24 pixels and 64 for each byte.
#ifndef TACT_FORMATS_VIDEO_H
#define TACT_FORMATS_VIDEO_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

// One open video file with its decoder. Not thread-safe: every loader thread opens its own.
typedef struct Video Video;

// Where the frames of files lie, kept for the next time they are opened, by whatever thread:
// finding it out means reading a whole H.264 or HEVC file.
typedef struct VideoTables VideoTables;
VideoTables *video_tables_new(void);
void video_tables_free(VideoTables *t); // after every Video opened with it is closed; NULL allowed

// Opens the file and builds the table of its frames' times and keyframes from the container's index
// (packets are scanned if there is none), without decoding, or takes it from `tables` (NULL
// allowed) where the file was opened before. Decoding uses one thread. A file whose frames are to
// be mirrored, or turned by anything but quarter turns, is refused.
CHECKED bool video_open(const char *path, VideoTables *tables, Video **out, Error *err);
void video_close(Video *v); // NULL allowed
// Opens a file for the functions from here to video_time and for video_frame_at, but not for
// reading frames: there is no decoder, and the file is not read through where the container's
// index tells when its frames are shown.
CHECKED bool video_look(const char *path, VideoTables *tables, Video **out, Error *err);
// The size of the frames that are given out, to which the file's display matrix has been
// applied: phones and action cameras store pictures lying on their side or upside down, and say
// how to turn them.
int video_height(const Video *v);
int video_width(const Video *v);
int64_t video_frames(const Video *v);
// Frames per second (average).
double video_rate(const Video *v);
// Time of a frame, 0 .. video_frames - 1 in display order, in seconds from the file's start.
double video_time(const Video *v, int64_t frame);

// Decodes the frame whose time is nearest to t (seconds from the file's start as LeRobot counts
// them) into rgb (height, width, 3). It must lie within half a frame period of t, else an error
// that names the file, the time asked for and the nearest one. After an error other frames can be
// read. Going on from the frame read before costs one decode; a jump seeks to the keyframe before.
// Range and matrix (BT.601, BT.709, ...) as the stream says, limited BT.601 if it does not say,
// through swscale's fast path, which is what LeRobot's decoders use.
CHECKED bool video_read(Video *v, double t, uint8_t *rgb, Error *err);

// As video_read, by frame number in display order.
CHECKED bool video_read_index(Video *v, int64_t frame, uint8_t *rgb, Error *err);

// Number of the frame that video_read takes for t, whether or not it lies near enough.
int64_t video_frame_at(const Video *v, double t);

// The frames first .. last that decode from the keyframe which `frame` decodes from: reading them
// in order decodes each of them once. Where no keyframe comes for long, last is some hundred after
// frame.
void video_segment(const Video *v, int64_t frame, int64_t *first, int64_t *last);

// The name of what turns a file's bits into pixels here: frames that were decoded under another
// name may differ in their last bits. False where the module cannot be loaded.
bool video_decoder_name(char *out, size_t size);

typedef struct VideoWriter VideoWriter;

enum { VIDEO_MAX_FPS = 100000 };

// Writes MP4 with libsvtav1 (libaom-av1 where that is missing): yuv420p, `fps` constant frame rate
// (a fraction such as 60000/1001 is kept exactly: frame k stands at k / fps), keyframe every `gop`
// frames (LeRobot: 2), quality `crf` (LeRobot: 30). Even sizes only. The file appears under its
// name at video_writer_close. codec NULL means AV1; "h264" and "hevc" are for tests and are refused
// where FFmpeg has no such encoder.
CHECKED bool video_writer_open(const char *path, const char *codec, int height, int width,
                               double fps, int gop, int crf, VideoWriter **out, Error *err);
// The same in AV1 for one of several files that are written at once: the encoder keeps to one
// thread, as far as it can, and closing does not wait for the disk (AtomicFile.unsynced). The same
// frames make the same bytes.
CHECKED bool video_writer_open_part(const char *path, int height, int width, double fps, int gop,
                                    int crf, VideoWriter **out, Error *err);
CHECKED bool video_writer_add(VideoWriter *w, const uint8_t *rgb, Error *err);
// Flushes, closes, syncs and moves the file into place. The writer is freed, also on failure.
CHECKED bool video_writer_close(VideoWriter *w, Error *err);
void video_writer_abort(VideoWriter *w); // NULL allowed

typedef struct VideoJoin VideoJoin;

// Puts files of video_writer_open_part one behind the other without encoding anew, as LeRobot
// joins those of its episodes: all of one size and quality. Frame k of the whole stands at k / fps.
CHECKED bool video_join_open(const char *path, double fps, VideoJoin **out, Error *err);
// Adds a file; *frames is how many it had.
CHECKED bool video_join_add(VideoJoin *j, const char *part, int64_t *frames, Error *err);
// As video_writer_close.
CHECKED bool video_join_close(VideoJoin *j, Error *err);
void video_join_abort(VideoJoin *j); // NULL allowed

#endif
