// SPDX-License-Identifier: Apache-2.0
// Private to model/: what a robot's control step issues, recorded (Device.record_begin), one
// recording for each combination of frame slots that it reads or writes. A history is a ring, so
// there are as many as it has places; the first time round ops are issued, the second time
// recorded, and from then on each is one launch.
#ifndef TACT_MODEL_RECORDINGS_H
#define TACT_MODEL_RECORDINGS_H

#include "ops/ops.h"

// Beyond so many (many sessions of a server on one model) ops are issued each time.
enum { MAX_RECORDINGS = 128 };

typedef struct Recording {
    Record *record;
    const void *memory; // of the slots
    int what, n, *slots;
    Tensor result; // where what was recorded leaves it
} Recording;

typedef struct Recordings {
    int n;
    Recording list[MAX_RECORDINGS];
} Recordings;

// The recording of `what` (any number) over these slots, a new one where there is none yet. NULL
// where there is to be none: on a device that computes at once, without slots, beyond
// MAX_RECORDINGS, or for want of memory.
Recording *recording_for(Recordings *r, Device *d, const void *memory, int what, const int *slots,
                         int n);
// Whether the caller is to issue the ops between these two; r may be NULL.
bool recording_begin(Recording *r, Device *d);
void recording_end(Recording *r, Device *d);
void recordings_free(Recordings *r, Device *d);

#endif
