// SPDX-License-Identifier: Apache-2.0
// The parts of a conversion: some hundred frames of one camera each. A part is a video, or, for
// images, a file of image files; beside it stands a note with its size and the pixel statistics,
// which stays when the part has gone into a file of the dataset.
#ifndef TACT_IMPORT_PARTS_H
#define TACT_IMPORT_PARTS_H

#include "import/plan.h"
#include <pthread.h>

typedef struct Part {
    int64_t episode; // of the dataset
    int camera;
    int64_t first, n; // rows of the episode
    bool done;
    bool noted;          // its note is there, though the part may not be
    int64_t bytes;       // of it, known where it is noted
    uint32_t sum;        // likewise: crc32
    PixelCounts *pixels; // likewise
} Part;

typedef struct Parts {
    const Plan *plan;
    ImportSource *source;
    char dir[4096];
    int64_t rows; // of a part, but for the last of an episode
    int64_t n;
    Part *part;
    int64_t *first; // (n_episodes + 1) number of an episode's first part
    // Shared by the threads, under the lock.
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int64_t next; // part to look at next
    bool failed;
    Error error; // of the first that failed
    int n_threads;
    pthread_t *threads;
    _Atomic bool drop;      // all threads are to end
    _Atomic int64_t frames; // done, of all cameras
} Parts;

// Lists the parts and reads the notes that are in dir.
void parts_list(Parts *parts, const Plan *plan, ImportSource *source, const char *dir);
// The path of a part ("mp4", "images") or its note ("note").
void part_path(const Parts *parts, const Part *part, const char *ending, char *out, size_t size);
// Starts the threads that make what is not done; *found: frames of what is.
CHECKED bool parts_start(Parts *parts, int64_t *found, Error *err);
// Waits until all parts of an episode are done.
CHECKED bool parts_wait(Parts *parts, int64_t episode, Error *err);
// Ends the threads; whether any part is done, of this or an earlier run.
bool parts_any(Parts *parts);
// Ends the threads and frees; what was listed and not started too.
void parts_end(Parts *parts);

#endif
