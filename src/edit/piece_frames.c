// SPDX-License-Identifier: Apache-2.0
#include "edit/edit_internal.h"

#include "formats/video.h"
#include <math.h>

// LeRobot's tolerance between a row and its frame, in seconds.
static const double tolerance = 1e-4;

bool piece_frames(const Dataset *ds, int camera, const EditPiece *piece, PieceFrames *out,
                  Error *err) {
    const Episode *e = &ds->episodes[piece->episode];
    const EpisodeVideo *v = &e->videos[camera];
    const double *t = ds->timestamp + e->first_row + piece->first;
    const int64_t last = piece->length - 1;
    Video *video = NULL;
    if (!video_look(v->path, ds->tables, &video, err)) return false;
    *out = (PieceFrames){.path = v->path, .counted = v->rule == FRAMES_BY_COUNT, .on_grid = true};
    if (out->counted) {
        out->first = v->first_frame + piece->first;
        out->last = out->first + last;
    } else {
        out->first = video_frame_at(video, v->from + t[0]);
        out->last = video_frame_at(video, v->from + t[last]);
        out->offset = v->from + t[0] - video_time(video, out->first);
    }
    bool ok = out->first >= 0 && out->last >= out->first && out->last < video_frames(video);
    for (int64_t k = 0; ok && k <= last && out->on_grid; k++) {
        bool own = out->counted || video_frame_at(video, v->from + t[k]) == out->first + k;
        double at = video_time(video, own ? out->first + k : out->first);
        out->on_grid =
            own && fabs(at - video_time(video, out->first) - (double)k / ds->fps) <= tolerance;
    }
    video_close(video);
    return ok || fail(err, "%s: has no frames for episode %lld; the file changed while it was read",
                      v->path, (long long)e->index);
}
