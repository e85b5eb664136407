// SPDX-License-Identifier: Apache-2.0
// Statistics of cameras: of the dataset from frames that are spread evenly over all rows, of an
// episode what its source says of it, else from a few of its frames. A few hundred frames have as
// many pixels as it takes; decoding all of a long recording for them would take hours.
#include "edit/edit_internal.h"

#include "dataset/episode_stats.h"
#include "dataset/frames.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>

enum { SAMPLED_FRAMES = 512, EPISODE_FRAMES = 8, MOST_THREADS = 16 };

// ---- what the sources say -----------------------------------------------------------------------

static ValueStats recorded_value(const EpisodeStats *s, int64_t at) {
    ValueStats v = {s->min[at], s->max[at], s->mean[at], s->std[at], {0}};
    for (int q = 0; q < N_QUANTILES; q++) v.quantiles[q] = s->quantiles[q][at];
    return v;
}

// Whether statistics can be those of frames: a depth map's are in a unit of its own.
static bool can_be(const ValueStats *v, bool depth) {
    bool ok = v->min <= v->max && v->mean >= v->min - 1e-4 && v->mean <= v->max + 1e-4 &&
              v->std >= 0 && isfinite(v->min) && isfinite(v->max) && isfinite(v->std);
    for (int q = 0; q < N_QUANTILES; q++) ok = ok && isfinite(v->quantiles[q]);
    return ok && (depth || (v->min > -1e-4 && v->max < 1 + 1e-4));
}

// Those of an episode; no frames: nothing is said of it that can be.
static CameraStats recorded(const EpisodeStats *s, int64_t episode, bool depth) {
    CameraStats out = {.n_channels = s->dim};
    if (episode >= s->n || !(s->count[episode] >= 1 && s->count[episode] < 9e15)) return out;
    out.frames = (int64_t)s->count[episode];
    for (int c = 0; c < s->dim; c++) {
        out.channels[c] = recorded_value(s, episode * s->dim + c);
        if (!can_be(&out.channels[c], depth)) return (CameraStats){0};
    }
    return out;
}

// Takes over those of a source's episodes that are whole, of a depth map also of those that were
// cut: nobody here decodes one. taken (n_pieces): which have them now.
static void take_recorded(Edit *ed, int camera, int source, bool *taken) {
    const EditOptions *o = ed->o;
    const Dataset *ds = o->sources[source];
    const Feature *f = ds->cameras[camera_position(ds, ed->features.cameras[camera].name)];
    EpisodeStats stats;
    Error ignored; // what cannot be read says nothing
    bool ok = episode_stats_read(ds, &f, 1, &stats, &ignored);
    for (int64_t p = 0; ok && p < o->n_pieces; p++) {
        const EditPiece *piece = &o->pieces[p];
        const Episode *e = &ds->episodes[piece->episode];
        if (piece->source != source || (piece->length < e->length && !f->depth)) continue;
        const CameraStats s = recorded(&stats, e->index, f->depth);
        dataset_writer_episode_camera(ed->writer, p, camera, &s);
        taken[p] = s.frames > 0;
    }
    episode_stats_free(&stats);
}

// ---- frames that are looked at ------------------------------------------------------------------

// One thread's share of the work on a camera.
typedef struct Share {
    Edit *ed;
    int camera;
    const bool *taken;  // (n_pieces) which episodes have statistics
    int64_t first, end; // of n items
    int64_t n;
    bool (*work)(struct Share *s, int64_t i); // on an item
    FrameReader *reader;                      // of the dataset `source`
    int source;
    uint8_t *rgb;
    PixelCounts counts;
    Error err;
    bool ok;
} Share;

// Counts the frame of a row of a piece.
static bool count_frame(Share *s, const EditPiece *piece, int64_t row, PixelCounts *counts) {
    const Edit *ed = s->ed;
    const Dataset *ds = piece_source(ed, piece);
    const WriterCamera *camera = &ed->features.cameras[s->camera];
    int64_t at = ds->episodes[piece->episode].first_row + piece->first + row;
    if (s->reader && s->source != piece->source) {
        frames_close(s->reader);
        s->reader = NULL;
    }
    s->source = piece->source;
    if ((!s->reader && !frames_open(ds, 0, 0, &s->reader, &s->err)) ||
        !frames_read(s->reader, piece_camera(ed, piece, s->camera), at, s->rgb, &s->err))
        return false;
    pixels_add(counts, s->rgb, camera->height, camera->width);
    return true;
}

// Sample i of the dataset.
static bool count_sample(Share *s, int64_t i) {
    const EditPiece *piece = s->ed->o->pieces;
    int64_t row = i * s->ed->result.rows / s->n;
    while (row >= piece->length) row -= piece++->length;
    return count_frame(s, piece, row, &s->counts);
}

// Episode i, where no source said anything of it.
static bool count_episode(Share *s, int64_t i) {
    const EditPiece *piece = &s->ed->o->pieces[i];
    const int64_t last = piece->length - 1, n = last < EPISODE_FRAMES ? last : EPISODE_FRAMES - 1;
    PixelCounts counts = {0};
    if (s->taken[i]) return true;
    for (int64_t k = 0; k <= n; k++)
        if (!count_frame(s, piece, n ? k * last / n : 0, &counts)) return false;
    const CameraStats stats = camera_stats(&counts);
    dataset_writer_episode_camera(s->ed->writer, i, s->camera, &stats);
    return true;
}

static void *take_share(void *user) {
    Share *s = user;
    const EditOptions *o = s->ed->o;
    const WriterCamera *camera = &s->ed->features.cameras[s->camera];
    s->rgb = mem_try((size_t)camera->height * (size_t)camera->width * 3);
    s->ok = s->rgb || fail_memory(&s->err, "%s: a frame of '%s'", o->root, camera->name);
    for (int64_t i = s->first; s->ok && i < s->end && !(o->stop && *o->stop); i++)
        s->ok = s->work(s, i);
    frames_close(s->reader);
    mem_free(s->rgb);
    return NULL;
}

// Shares n items of work on a camera among threads.
static bool share_out(Edit *ed, const Share *work, Error *err) {
    int n = ed->o->threads < MOST_THREADS ? ed->o->threads : MOST_THREADS;
    if (n > work->n) n = (int)work->n;
    Share *shares = NEW(Share, n);
    pthread_t threads[MOST_THREADS];
    bool begun[MOST_THREADS] = {false}, ok = true;
    for (int i = 0; i < n; i++) {
        shares[i] = *work;
        shares[i].first = work->n * i / n;
        shares[i].end = work->n * (i + 1) / n;
    }
    for (int i = 1; i < n; i++)
        begun[i] = pthread_create(&threads[i], NULL, take_share, &shares[i]) == 0;
    for (int i = 0; i < n; i++) // what has no thread of its own is done here
        if (!begun[i]) take_share(&shares[i]);
    for (int i = 0; i < n; i++) {
        if (begun[i]) pthread_join(threads[i], NULL);
        if (ok && !shares[i].ok) *err = shares[i].err;
        ok = ok && shares[i].ok;
        if (ok) dataset_writer_pixels(ed->writer, work->camera, &shares[i].counts);
    }
    mem_free(shares);
    return ok;
}

static bool count_camera(Edit *ed, int camera, const bool *taken, Error *err) {
    const int64_t rows = ed->result.rows;
    Share work = {.ed = ed, .camera = camera, .taken = taken};
    work.n = rows < SAMPLED_FRAMES ? rows : SAMPLED_FRAMES;
    work.work = count_sample;
    if (!share_out(ed, &work, err)) return false;
    work.n = ed->o->n_pieces;
    work.work = count_episode;
    return share_out(ed, &work, err);
}

// ---- all ----------------------------------------------------------------------------------------

// A depth map has no brightness to count: the writer puts together what the sources say of the
// episodes. Where they do not, what one source says of all of its stays.
static void keep_depth(Edit *ed, int camera, const bool *taken) {
    const Dataset *ds = ed->o->sources[0];
    bool all = true;
    for (int64_t p = 0; p < ed->o->n_pieces; p++) all = all && taken[p];
    if (!all && ed->o->n_sources == 1)
        dataset_writer_camera_stats(ed->writer, camera,
                                    json_object_get(ds->stats, ed->features.cameras[camera].name));
}

bool edit_pixels(Edit *ed, Error *err) {
    for (int c = 0; c < ed->features.n_cameras; c++) {
        bool *taken = NEW(bool, ed->o->n_pieces), ok = true;
        for (int i = 0; i < ed->o->n_sources; i++) take_recorded(ed, c, i, taken);
        if (ed->o->sources[0]->cameras[ed->features.camera_of[c]]->depth)
            keep_depth(ed, c, taken);
        else
            ok = count_camera(ed, c, taken, err);
        mem_free(taken);
        if (!ok || !edit_step(ed, err)) return false;
    }
    return true;
}
