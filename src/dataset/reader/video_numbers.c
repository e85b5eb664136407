// SPDX-License-Identifier: Apache-2.0
// Stale file numbers of videos in v3.0's table of episodes, as tools that split or merge files
// leave them: episodes that would show the same frames, while other files of the camera belong to
// none. Unlike rows, frames carry no number. But times begin at 0 again in every file, so where the
// episodes' times begin as often as there are files, the k-th beginning is the k-th file.
#include "dataset/reader/steps.h"

#include "base/file.h"
#include "base/log.h"
#include "dataset/reader/paths.h"
#include <math.h>

typedef struct VideoFile {
    int64_t chunk, file;
} VideoFile;

// What the table says of one camera.
typedef struct TableOfVideos {
    int64_t beginnings; // how often times begin again
    int64_t files;      // how often the file's number changes, plus one
    bool shared;        // an episode begins before the one before it ends, in the same file
} TableOfVideos;

static TableOfVideos read_table_of_videos(const Source *s, int camera) {
    const double slack = 0.5 / s->ds->fps;
    TableOfVideos t = {.beginnings = 1, .files = 1};
    for (int64_t i = 1; i < s->n_listed; i++) {
        const ListedVideo *v = &s->listed[i].videos[camera];
        const ListedVideo *last = &s->listed[i - 1].videos[camera];
        bool same = v->chunk == last->chunk && v->file == last->file;
        t.beginnings += v->from <= last->from; // within a file they rise
        t.files += !same;
        t.shared |= same && isfinite(last->to) && v->from < last->to - slack;
    }
    return t;
}

// The camera's files in the order in which LeRobot numbers them, up to the first that is missing.
// Returns how many there are, or -1 on an error.
static int64_t list_files(Source *s, int camera, int64_t room, VideoFile *out, Error *err) {
    int64_t n = 0;
    const ListedVideo *first = &s->listed[0].videos[camera];
    for (VideoFile f = {first->chunk, first->file}; n < room;) {
        const char *path;
        if (!source_video_path(s, camera, f.chunk, f.file, &s->scratch, &path, err)) return -1;
        PathKind there;
        if (!path_look(path, &there, err)) return -1;
        if (there != AT_FILE) break;
        out[n++] = f;
        if (++f.file == s->chunks_size) f = (VideoFile){f.chunk + 1, 0};
    }
    return n;
}

bool video_numbers_correct(Source *s, Error *err) {
    for (int c = 0; c < s->ds->n_cameras && s->n_listed > 0; c++) {
        if (!s->ds->cameras[c]->video) continue;
        TableOfVideos t = read_table_of_videos(s, c);
        if (!t.shared || t.beginnings <= t.files) continue;
        VideoFile *files = arena_alloc(&s->scratch, sizeof *files * (size_t)(t.beginnings + 1));
        int64_t n = list_files(s, c, t.beginnings + 1, files, err), k = 0;
        if (n < 0) return false;
        if (n != t.beginnings) { // where frames are shared on purpose, no file is left over
            log_warn("%s/meta/episodes: by its file numbers and times episodes show each other's "
                     "frames of "
                     "camera '%s'; if that is not meant, copy all videos and that folder again",
                     s->ds->root, s->ds->cameras[c]->name);
            continue;
        }
        double last = -INFINITY;
        for (int64_t i = 0; i < s->n_listed; i++) {
            ListedVideo *v = &s->listed[i].videos[c];
            k += i > 0 && v->from <= last;
            last = v->from;
            v->renumbered = v->chunk != files[k].chunk || v->file != files[k].file;
            v->chunk = files[k].chunk;
            v->file = files[k].file;
        }
        log_warn(
            "%s/meta/episodes: its file numbers of camera '%s' are stale: episodes would show each "
            "other's frames, and files would belong to none; taken in the order of their times, "
            "one of the %lld files for each beginning",
            s->ds->root, s->ds->cameras[c]->name, (long long)n);
    }
    return true;
}
