// SPDX-License-Identifier: Apache-2.0
// Rows against the frames that cameras recorded: whether each row has a frame of its own, and how
// it is found. Nobody would see that a row shows the wrong picture, so this is decided when a
// dataset is opened, from the tables of the videos and without decoding anything.
#include "dataset/reader/steps.h"

#include "base/file.h"
#include "base/log.h"
#include "dataset/frames.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// Part of a frame's period by which a row may be off where no tolerance was asked for. Joined files
// lie up to a millisecond off the grid (3 % of a frame at 30 Hz); from half a frame on, two rows
// may share one.
static const double default_tolerance = 0.25;

// What a check has found so far, over all cameras.
typedef struct VideoCheck {
    Source *source;
    double tolerance;       // seconds; 0: default_tolerance
    uint8_t *bad;           // (n_episodes)
    Error first;            // what is wrong with the first bad one
    int64_t n_bad, counted; // episodes; pairs of episode and camera whose frames are counted
    char example[400];      // of those
} VideoCheck;

// The episode of a check and the file that is open for it.
typedef struct EpisodeInVideo {
    const Episode *e;
    EpisodeVideo *place;
    const Feature *camera;
    const Video *video;
    double end; // seconds; where the next episode's frames begin in the same file, or INFINITY
} EpisodeInVideo;

static bool mark_episode_bad(VideoCheck *c, int64_t episode) {
    bool first = c->n_bad == 0;
    if (!c->bad[episode]) c->n_bad++;
    c->bad[episode] = 1;
    return first;
}

// ---- one episode ------------------------------------------------------------------------------

// How far an episode's rows are from the frames nearest to them in time.
typedef struct TimeFit {
    double off;       // seconds between a row and its frame, of the row where it is most
    int64_t row;      // that row
    int64_t repeated; // a row whose frame is that of the row before it, or an earlier one; -1: none
    int64_t foreign;  // the first row whose time is that of another episode's frames; -1: none
} TimeFit;

static TimeFit measure_time_fit(const Dataset *ds, const EpisodeInVideo *p) {
    const double *t = ds->timestamp + p->e->first_row;
    const double half = 0.5 / ds->fps;
    TimeFit fit = {.off = -1, .repeated = -1, .foreign = -1};
    int64_t last = -1;
    for (int64_t k = 0; k < p->e->length; k++) {
        double wanted = p->place->from + t[k];
        int64_t frame = video_frame_at(p->video, wanted);
        double off = fabs(video_time(p->video, frame) - wanted);
        if ((wanted < p->place->from - half || wanted > p->end - half) && fit.foreign < 0)
            fit.foreign = k;
        if (frame <= last && fit.repeated < 0) fit.repeated = k;
        last = frame;
        if (off <= fit.off) continue;
        fit.off = off;
        fit.row = k;
    }
    return fit;
}

// First frame of the episode and how many it has, by where it begins and ends in the file; false if
// no frame lies at its beginning.
static bool find_own_frames(const EpisodeInVideo *p, int64_t *first, int64_t *count) {
    double half = 0.5 / video_rate(p->video);
    *first = video_frame_at(p->video, p->place->from);
    if (!(fabs(video_time(p->video, *first) - p->place->from) < half)) return false;
    int64_t end = video_frames(p->video);
    if (isfinite(p->place->to)) {
        end = video_frame_at(p->video, p->place->to);
        if (video_time(p->video, end) < p->place->to - half) end++;
    }
    *count = end - *first;
    return true;
}

// Rows a second.
static double rows_per_second(const Dataset *ds, const EpisodeInVideo *p) {
    const double *t = ds->timestamp + p->e->first_row;
    int64_t last = p->e->length - 1;
    return last > 0 && t[last] > t[0] ? (double)last / (t[last] - t[0]) : ds->fps;
}

static void describe_misfit(VideoCheck *c, const EpisodeInVideo *p, const TimeFit *fit,
                            double allowed) {
    const Dataset *ds = c->source->ds;
    const double *t = ds->timestamp + p->e->first_row;
    char why[160];
    if (fit->foreign >= 0)
        snprintf(why, sizeof why, "row %lld would show a frame of another episode",
                 (long long)fit->foreign);
    else if (fit->off < allowed)
        snprintf(why, sizeof why, "rows %lld and %lld would show the same one",
                 (long long)fit->repeated - 1, (long long)fit->repeated);
    else
        snprintf(why, sizeof why,
                 "row %lld is %.1f ms from the nearest, more than %.1f ms "
                 "(--tolerance_s)",
                 (long long)fit->row, 1e3 * fit->off, 1e3 * allowed);
    fail(&c->first,
         "%.300s: does not fit episode %lld: its %lld rows of %.2f Hz want frames from %.3f to "
         "%.3f s, but the video has frames of %.2f Hz from %.3f to %.3f s: %s",
         p->place->path, (long long)p->e->index, (long long)p->e->length, rows_per_second(ds, p),
         p->place->from + t[0], p->place->from + t[p->e->length - 1], video_rate(p->video),
         video_time(p->video, 0), video_time(p->video, video_frames(p->video) - 1), why);
}

static void describe_count(VideoCheck *c, const EpisodeInVideo *p) {
    if (c->counted++) return;
    snprintf(c->example, sizeof c->example,
             "rows of %.2f Hz beside frames of %.2f Hz in %.200s, exactly one frame a row",
             rows_per_second(c->source->ds, p), video_rate(p->video), p->place->path);
}

// Decides how the frames of an episode are found, or marks it as bad.
static void check_episode(VideoCheck *c, const EpisodeInVideo *p, int64_t episode) {
    const Dataset *ds = c->source->ds;
    int64_t first, count;
    double frame = fmin(1 / ds->fps, 1 / video_rate(p->video));
    double allowed = c->tolerance > 0 ? c->tolerance : default_tolerance * frame;
    TimeFit fit = measure_time_fit(ds, p);
    if (fit.off < allowed && fit.foreign < 0 && (fit.repeated < 0 || c->tolerance > 0)) {
        p->place->rule = FRAMES_BY_TIME;
    } else if (find_own_frames(p, &first, &count) && count == p->e->length) {
        p->place->rule = FRAMES_BY_COUNT;
        p->place->first_frame = first;
        describe_count(c, p);
    } else if (mark_episode_bad(c, episode)) {
        describe_misfit(c, p, &fit, allowed);
    }
}

// ---- one camera -------------------------------------------------------------------------------

// The size of the frames counts, since info.json is often written by hand.
static void use_recorded_size(VideoCheck *c, Feature *camera, const char *path, int height,
                              int width) {
    if (height == camera->height && width == camera->width) return;
    log_warn(
        "%s/meta/info.json: gives camera '%s' %dx%d (height x width), its frames are %dx%d (%s); "
        "what is recorded counts",
        c->source->ds->root, camera->name, camera->height, camera->width, height, width, path);
    camera->height = height;
    camera->width = width;
}

// Opens the file of an episode, unless it is open already. False where it cannot be used.
static bool open_video_of_episode(VideoCheck *c, Feature *camera, const char *path,
                                  const char **opened, Video **video, bool *sized, Error *err) {
    if (*opened && strcmp(*opened, path) == 0) {
        if (!*video) *err = c->first; // this file was refused for another episode
        return *video != NULL;
    }
    video_close(*video);
    *video = NULL;
    *opened = path;
    if (!video_look(path, c->source->ds->tables, video, err)) return false;
    int height = video_height(*video), width = video_width(*video);
    if (!*sized) use_recorded_size(c, camera, path, height, width);
    *sized = true;
    if (height == camera->height && width == camera->width) return true;
    video_close(*video);
    *video = NULL;
    return fail(err,
                "%s: frames are %dx%d (height x width), those of camera '%s' in other files "
                "%dx%d; one camera has one size",
                path, height, width, camera->name, camera->height, camera->width);
}

// Where the frames of the next episode begin, if they follow this one's in the same file: their
// time may be just that of a row for which no frame was recorded. An end that stands in the table
// may be stale, and frames may be shared on purpose.
static double frames_end(const Source *s, int64_t episode, int camera) {
    if (episode + 1 >= s->n_listed || !s->v30) return INFINITY;
    const ListedVideo *v = &s->listed[episode].videos[camera],
                      *next = &s->listed[episode + 1].videos[camera];
    const double least = isfinite(v->to) ? v->to - 0.5 / s->ds->fps : v->from;
    const bool follows = next->chunk == v->chunk && next->file == v->file && next->from > v->from;
    return follows && next->from >= least ? next->from : INFINITY;
}

static void check_video_camera(VideoCheck *c, int number, const int64_t *order) {
    Dataset *ds = c->source->ds;
    Feature *camera = NULL;
    for (int i = 0; i < ds->n_features; i++)
        if (&ds->features[i] == ds->cameras[number]) camera = &ds->features[i];
    const char *opened = NULL;
    Video *video = NULL;
    bool sized = false;
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        Error err;
        const Episode *e = &ds->episodes[order[i]];
        EpisodeVideo *place = &e->videos[number];
        if (!file_exists(place->path))
            continue; // missing_check_videos has said so where it matters
        if (open_video_of_episode(c, camera, place->path, &opened, &video, &sized, &err))
            check_episode(
                c,
                &(EpisodeInVideo){e, place, camera, video, frames_end(c->source, e->index, number)},
                order[i]);
        else if (mark_episode_bad(c, order[i]))
            c->first = err;
    }
    video_close(video);
}

// An image column's first image says how large they are.
static bool check_image_camera(VideoCheck *c, int number, Error *err) {
    Dataset *ds = c->source->ds;
    FrameReader *reader = NULL;
    int height, width;
    bool ok = frames_open(ds, 0, 0, &reader, err) &&
              frames_image_size(reader, number, 0, &height, &width, err);
    frames_close(reader);
    for (int i = 0; ok && i < ds->n_features; i++)
        if (&ds->features[i] == ds->cameras[number])
            use_recorded_size(c, &ds->features[i], dataset_file_of(ds, 0, &(int64_t){0})->path,
                              height, width);
    return ok;
}

// ---- all --------------------------------------------------------------------------------------

// Refuses the dataset, and names the episodes that can be used without the bad ones.
static bool refuse_bad_episodes(const VideoCheck *c, Error *err) {
    const Dataset *ds = c->source->ds;
    int64_t n = 0, *good = NEW(int64_t, ds->n_episodes);
    char list[300], bad[64] = "";
    bool cut;
    for (int64_t i = 0; i < ds->n_episodes; i++)
        if (!c->bad[i]) good[n++] = ds->episodes[i].index;
    dataset_episodes_text(good, n, list, sizeof list, &cut);
    mem_free(good);
    if (c->n_bad > 1)
        snprintf(bad, sizeof bad, " (%lld episodes are like that)", (long long)c->n_bad);
    if (n == 0)
        return fail(err, "%.650s%s; no chosen episode is usable as it is", c->first.text, bad);
    return fail(err, "%.650s%s; leave out what does not fit%s --dataset.episodes=%s", c->first.text,
                bad, cut ? ", as in" : ":", list);
}

// A selected episode as it is sorted, so that those of one file follow each other.
typedef struct SelectedEpisode {
    int64_t listed, position;
} SelectedEpisode;

static int by_listed(const void *a, const void *b) {
    int64_t x = ((const SelectedEpisode *)a)->listed, y = ((const SelectedEpisode *)b)->listed;
    return (x > y) - (x < y);
}

static int64_t *files_in_order(Source *s) {
    int64_t n = s->ds->n_episodes;
    SelectedEpisode *sorted = arena_alloc(&s->scratch, sizeof *sorted * (size_t)n);
    int64_t *order = arena_alloc(&s->scratch, sizeof *order * (size_t)n);
    for (int64_t i = 0; i < n; i++) sorted[i] = (SelectedEpisode){s->selected[i], i};
    qsort(sorted, (size_t)n, sizeof *sorted, by_listed);
    for (int64_t i = 0; i < n; i++) order[i] = sorted[i].position;
    return order;
}

bool videos_check(Source *s, double tolerance, Error *err) {
    Dataset *ds = s->ds;
    char name[256];
    VideoCheck c = {.source = s, .tolerance = tolerance};
    ds->tolerance_s = tolerance;
    if (!video_decoder_name(name, sizeof name)) return true; // reading a frame is an error then
    c.bad = arena_alloc(&s->scratch, (size_t)ds->n_episodes);
    int64_t *order = files_in_order(s);
    for (int i = 0; i < ds->n_cameras; i++)
        if (ds->cameras[i]->video)
            check_video_camera(&c, i, order);
        else if (!ds->cameras[i]->depth && !check_image_camera(&c, i, err))
            return false;
    if (c.n_bad) return refuse_bad_episodes(&c, err);
    if (c.counted)
        log_info(
            "%s: %s (%lld episodes of a camera): row k of an episode is shown frame k, whatever "
            "its timestamp says",
            ds->root, c.example, (long long)c.counted);
    return true;
}
