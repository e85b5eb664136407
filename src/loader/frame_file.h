// SPDX-License-Identifier: Apache-2.0
// Private to the loader: one file of the frame cache.
//
//   0      magic "tactfrm\0", version, height, width, 0 (4 bytes each), rows (8), key (64),
//          decoder (128), 0 ..., checksum of what stands before it (8): 4096 bytes
//   4096   a checksum for every row (8 each), 0: the frame is not there
//   then   from the next multiple of 4096 on the frames (height, width, 3), without gaps
//
// Numbers are the machine's own: a file serves the kind of machine that made it.
//
// Frames are read and written with pread and pwrite, not through a mapping: where the disk fails,
// or someone cuts the file short, that is an error code, while a mapping would end the process
// (SIGBUS).
#ifndef TACT_LOADER_FRAME_FILE_H
#define TACT_LOADER_FRAME_FILE_H

#include "base/error.h"
#include <stddef.h>
#include <stdint.h>

enum { FRAME_FILE_VERSION = 2, FRAME_KEY = 65, FRAME_DECODER = 128 };

typedef struct FrameFile {
    int fd; // holds a shared lock as long as the file is in use; -1: none
    char path[4096];
    char key[FRAME_KEY]; // hexadecimal
    // What made the pixels (video_decoder_name). "" where nothing here can: then opening takes the
    // file of whatever decoder there is, and frames that are not in it cannot be had.
    char decoder[FRAME_DECODER];
    int height, width;
    int64_t rows;
    uint64_t seed; // of checksums, so that a frame of another file or row does not pass
} FrameFile;

// The size of a whole file, in bytes.
int64_t frame_file_bytes(int height, int width, int64_t rows);
// Fills in an empty f->decoder: the one of the whole file in dir for f's key, height, width and
// rows that was used last. It stays empty where there is none.
void frame_file_find_decoder(FrameFile *f, const char *dir);
// Whether there is a whole file for f's key, decoder, height, width and rows in dir: opening it
// takes no space.
bool frame_file_exists(const FrameFile *f, const char *dir);
// Opens dir/DIGEST.frames, the digest of key and decoder, for f's key, decoder, height, width and
// rows; makes it, or makes it anew when it does not fit them or is damaged. All its space is
// reserved first, so that a disk that is full says so here.
CHECKED bool frame_file_open(FrameFile *f, const char *dir, Error *err);
void frame_file_close(FrameFile *f);

// Reads all checksums into sums (rows).
CHECKED bool frame_file_table(const FrameFile *f, uint64_t *sums, Error *err);
uint64_t frame_file_entry(const FrameFile *f, int64_t row);
// False where the frame does not match `sum` or cannot be read.
bool frame_file_read(const FrameFile *f, int64_t row, uint64_t sum, uint8_t *rgb);
// Writes the frame, then its checksum, which is also returned in *sum.
CHECKED bool frame_file_write(const FrameFile *f, int64_t row, const uint8_t *rgb, uint64_t *sum,
                              Error *err);
// Marks a frame as not there.
void frame_file_clear(const FrameFile *f, int64_t row);

// Removes files of dir that nobody uses, those used longest ago first, until all of them and `more`
// bytes come to at most `limit`. False if they do not in the end.
bool frame_files_evict(const char *dir, int64_t more, int64_t limit);
// Bytes of all files in dir, and bytes that its disk has free.
void frame_files_space(const char *dir, int64_t *used, int64_t *left);

#endif
