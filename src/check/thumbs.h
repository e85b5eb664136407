// SPDX-License-Identifier: Apache-2.0
// Private to check/: small pictures of episodes, taken while frames are decoded, for the page.
#ifndef TACT_CHECK_THUMBS_H
#define TACT_CHECK_THUMBS_H

#include "check/check.h"
#include "image/image.h"

enum { CELLS_MOST = 1000 }; // episodes that the page shows in brief

typedef struct CheckThumbs {
    int64_t apart;        // every so many episodes has pictures
    int cameras, moments; // of each: the first cameras; begin, or begin and end, or the middle too
    char **urls;          // (episodes / apart, cameras, moments), owned; NULL: not taken
    int64_t count;        // of them
} CheckThumbs;

// Room for pictures of a dataset's episodes: of all of them, or of evenly spaced ones where they
// are more than CELLS_MOST.
CheckThumbs *thumbs_new(const Dataset *ds);
void thumbs_free(CheckThumbs *t); // NULL allowed
// Keeps the k-th of n frames that are looked at of an episode (a position), if it is one of the
// moments. Any number of threads, each with an episode of its own. A picture that cannot be made is
// left out.
void thumbs_take(CheckThumbs *t, int64_t episode, int camera, int64_t k, int64_t n,
                 const Image *frame);
// One of them as a URL; NULL: there is none.
const char *thumbs_url(const CheckThumbs *t, int64_t episode, int camera, int moment);

#endif
