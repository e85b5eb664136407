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

typedef struct VideoCut VideoCut;

// Puts stretches of video files one behind the other in an MP4 without encoding anew: the packets
// are copied, with new times. A display matrix is kept.
CHECKED bool video_cut_open(const char *path, VideoCut **out, Error *err);
// Adds the frames first .. last (display order, as video_read_index counts them) of a file. What
// they are decoded from goes along, so that the new file has frames between the stretches that
// belong to none: those from the keyframe before `first` on, and those behind `last` that are
// decoded before it. They stand before *from or at *to and later. Where the frames follow in their
// file those that were added last, no second copy of what both are decoded from is made.
// *from: the time in the new file, in seconds, at which `first` is shown; *to: that at which the
// frame after `last` is or would be. Frame k stands at from + video_time(k) - video_time(first).
// Where the frames of the stretch come at an even rate, those of the new file do so from its first
// to its last, with none left out: frame number n stands at n / rate (to a step of the file's
// clock, where that is too coarse for the rate). So it is found by its time as well as by a number
// that is computed from the time, as LeRobot does with the average rate.
// *fits false, with true returned: the stretch cannot follow what is in the new file, which stays
// as it was; another one must be begun. It is encoded otherwise (codec, size, parameters, colours,
// clock, even rate, display matrix, depth of reordering), or it is HEVC and its first picture has
// the number of one that a decoder may still keep. The first stretch always fits.
// `tables` (NULL allowed) outlives the cut. Refused are frames that no keyframe comes before,
// frames among which an edit list hides others, and what an MP4 cannot hold. After an error the new
// file can only be given up.
CHECKED bool video_cut_add(VideoCut *c, const char *file, VideoTables *tables, int64_t first,
                           int64_t last, double *from, double *to, bool *fits, Error *err);
// Bytes written so far, without the index that closing adds.
int64_t video_cut_bytes(const VideoCut *c);
// As video_writer_close.
CHECKED bool video_cut_close(VideoCut *c, Error *err);
void video_cut_abort(VideoCut *c); // NULL allowed

#endif
