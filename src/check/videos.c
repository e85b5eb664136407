// SPDX-License-Identifier: Apache-2.0
// Rules about the tables of videos: when frames are shown, and how many there are. Nothing is
// decoded.
#include "check/series.h"

#include "base/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Episodes that follow each other in one file.
typedef struct Run {
    int camera;
    int64_t first, end;
} Run;

// What is measured of an episode's video; NaN: nothing.
typedef struct Shown {
    double rate; // frames a second
    double left; // frames beyond its rows
    double off;  // of the frame that is farthest from its place at fps, in frames
    int64_t off_at;
} Shown;

typedef struct Videos {
    Check *c;
    Run *runs;
    Shown *shown; // (n_episodes) of one camera
} Videos;

static double count_frames(const Video *v, const EpisodeVideo *place) {
    double half = 0.5 / video_rate(v);
    int64_t first = video_frame_at(v, place->from), end = video_frames(v);
    if (isfinite(place->to)) {
        end = video_frame_at(v, place->to);
        if (video_time(v, end) < place->to - half) end++;
    }
    return (double)(end - first);
}

static void measure(const Dataset *ds, const Video *v, int64_t e, const EpisodeVideo *place,
                    Shown *out) {
    const Episode *episode = &ds->episodes[e];
    const double *t = ds->timestamp + episode->first_row;
    out->rate = video_rate(v);
    out->left = count_frames(v, place) - (double)episode->length;
    int64_t frame =
        place->rule == FRAMES_BY_COUNT ? place->first_frame : video_frame_at(v, place->from + t[0]);
    double start = video_time(v, frame);
    out->off = place->rule == FRAMES_BY_COUNT ? 0 : fabs(start - place->from - t[0]) * ds->fps;
    out->off_at = 0;
    for (int64_t i = 1; i < episode->length && frame + i < video_frames(v); i++) {
        double off = fabs(video_time(v, frame + i) - start - (double)i / ds->fps) * ds->fps;
        if (off > out->off) out->off = off, out->off_at = i;
    }
}

static void look_at_run(void *user, int64_t i) {
    Videos *v = user;
    const Dataset *ds = v->c->ds;
    const Run *run = &v->runs[i];
    Video *video = NULL;
    Error ignored;
    for (int64_t e = run->first; e < run->end; e++) {
        const EpisodeVideo *place = &ds->episodes[e].videos[run->camera];
        if (place->rule == FRAMES_UNKNOWN) continue;
        if (!video && !video_look(place->path, ds->tables, &video, &ignored)) return;
        measure(ds, video, e, place, &v->shown[e]);
    }
    video_close(video);
}

static int64_t list_runs(const Dataset *ds, int camera, Run *runs) {
    int64_t n = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const char *path = ds->episodes[e].videos[camera].path;
        if (e == 0 || strcmp(path, ds->episodes[e - 1].videos[camera].path) != 0)
            runs[n++] = (Run){camera, e, e};
        runs[n - 1].end = e + 1;
    }
    return n;
}

static void find_shown(Check *c, int camera, const Shown *shown) {
    const Dataset *ds = c->ds;
    const char *name = ds->cameras[camera]->name;
    double *rate = NEW(double, ds->n_episodes);
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const Shown *s = &shown[e];
        rate[e] = fabs(s->rate / ds->fps - 1);
        if (fabs(s->left) > check_rules[RULE_video_frames].limit)
            find(c, RULE_video_frames, e, -1, name, fabs(s->left), "%.0f frames for %lld rows",
                 s->left + (double)ds->episodes[e].length, (long long)ds->episodes[e].length);
        // Of another rate every frame is off: one finding is enough.
        bool rated = rate[e] > check_rules[RULE_video_rate].limit;
        if (!rated && s->off > check_rules[RULE_video_grid].limit)
            find(c, RULE_video_grid, e, s->off_at, name, s->off, "%.3g ms from frame / fps",
                 1e3 * s->off / ds->fps);
    }
    find_episodes(c, RULE_video_rate, name, rate, "another rate than fps, by ", " of it");
    mem_free(rate);
}

// ---- episodes that share frames -----------------------------------------------------------------

static int by_place(const void *a, const void *b) {
    const EpisodeVideo *x = *(const EpisodeVideo *const *)a, *y = *(const EpisodeVideo *const *)b;
    int path = strcmp(x->path, y->path);
    if (path != 0) return path;
    return (x->from > y->from) - (x->from < y->from);
}

static void check_overlaps(Check *c, int camera) {
    const Dataset *ds = c->ds;
    const EpisodeVideo **places = mem_alloc(sizeof *places * (size_t)ds->n_episodes);
    int64_t shared = 0, first = -1;
    double most = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) places[e] = &ds->episodes[e].videos[camera];
    qsort(places, (size_t)ds->n_episodes, sizeof *places, by_place);
    for (int64_t i = 1; i < ds->n_episodes; i++) {
        const EpisodeVideo *before = places[i - 1], *now = places[i];
        double frames = (before->to - now->from) * ds->fps;
        if (strcmp(before->path, now->path) != 0 || !isfinite(before->to) ||
            frames <= check_rules[RULE_video_overlap].limit)
            continue;
        if (shared++ > 0) continue;
        most = frames;
        for (int64_t e = 0; e < ds->n_episodes; e++)
            if (&ds->episodes[e].videos[camera] == now) first = e;
    }
    if (shared > 0)
        find(c, RULE_video_overlap, first, 0, ds->cameras[camera]->name, most,
             "it begins %.1f frames before another one ends, in %.500s; %lld are like that", most,
             ds->episodes[first].videos[camera].path, (long long)shared);
    mem_free(places);
}

void check_videos(Check *c) {
    const Dataset *ds = c->ds;
    Videos v = {.c = c, .runs = NEW(Run, ds->n_episodes), .shown = NEW(Shown, ds->n_episodes)};
    for (int k = 0; k < ds->n_cameras; k++) {
        if (!ds->cameras[k]->video) continue;
        int64_t n = list_runs(ds, k, v.runs);
        for (int64_t e = 0; e < ds->n_episodes; e++) v.shown[e] = (Shown){NAN, NAN, NAN, -1};
        share_out(c->options->threads, n, look_at_run, &v);
        find_shown(c, k, v.shown);
        check_overlaps(c, k);
    }
    mem_free(v.shown);
    mem_free(v.runs);
}
