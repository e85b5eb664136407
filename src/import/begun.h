// SPDX-License-Identifier: Apache-2.0
// ROOT.partial, the folder of a conversion that is not finished: what it was begun with stands in
// import.json, and a lock is held while a program works on it.
#ifndef TACT_IMPORT_BEGUN_H
#define TACT_IMPORT_BEGUN_H

#include "base/sha256.h"
#include "import/plan.h"

typedef Sha256 Digest;

// Begins the digest of a source: its form, episodes, vectors, cameras and size. What a vector holds
// is added as it is read.
CHECKED bool digest_source(Digest *d, const ImportSource *source, Error *err);
void digest_add(Digest *d, const void *data, size_t size);

typedef struct Begun {
    char dir[4096]; // "": not open
    int lock;       // of it; -1: none
    bool fresh;     // begun by this call
    bool drop;      // there is nothing in it that is worth keeping: begun_close removes it
} Begun;

// Makes the folder, or takes the one that is there, and locks it; removes what a killed process
// left half-written in it. ROOT may not be there.
CHECKED bool begun_open(Begun *b, const Plan *plan, Error *err);
// Whether it was begun with this source and these options; if it is new, writes them down.
CHECKED bool begun_check(Begun *b, const Plan *plan, Digest *source, Error *err);
// Removes the folder: the dataset is in its place.
void begun_finished(Begun *b);
void begun_close(Begun *b); // a zeroed struct is allowed

#endif
