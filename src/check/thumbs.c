// SPDX-License-Identifier: Apache-2.0
#include "check/thumbs.h"

#include "report/jpeg_url.h"

// A page of 3000 pictures of this width has some 8 MB of them.
enum { MOST = 3000, WIDTH = 112 };

CheckThumbs *thumbs_new(const Dataset *ds) {
    CheckThumbs *t = NEW(CheckThumbs, 1);
    t->apart = (ds->n_episodes + CELLS_MOST - 1) / CELLS_MOST;
    if (t->apart < 1) t->apart = 1;
    const int64_t cells = (ds->n_episodes + t->apart - 1) / t->apart;
    const int64_t each = cells > 0 ? MOST / cells : 0; // at least three
    t->cameras = ds->n_cameras < each ? ds->n_cameras : (int)each;
    const int64_t moments = t->cameras > 0 ? each / t->cameras : 0;
    t->moments = moments < 3 ? (int)moments : 3;
    t->count = cells * t->cameras * t->moments;
    t->urls = NEW(char *, t->count + 1);
    return t;
}

void thumbs_free(CheckThumbs *t) {
    if (!t) return;
    for (int64_t i = 0; i < t->count; i++) mem_free(t->urls[i]);
    mem_free(t->urls);
    mem_free(t);
}

// Where a picture is kept; NULL: nowhere.
static char **place_of(const CheckThumbs *t, int64_t episode, int camera, int moment) {
    if (episode % t->apart || camera >= t->cameras || moment < 0 || moment >= t->moments)
        return NULL;
    return &t->urls[(episode / t->apart * t->cameras + camera) * t->moments + moment];
}

void thumbs_take(CheckThumbs *t, int64_t episode, int camera, int64_t k, int64_t n,
                 const Image *frame) {
    const int moment = k == 0 ? 0 : k == n - 1 ? 1 : k == n / 2 ? 2 : -1;
    char **place = place_of(t, episode, camera, moment);
    Error ignored;
    if (place && !*place && !jpeg_url_of(frame, WIDTH, place, &ignored)) *place = NULL;
}

const char *thumbs_url(const CheckThumbs *t, int64_t episode, int camera, int moment) {
    char **place = place_of(t, episode, camera, moment);
    return place ? *place : NULL;
}
