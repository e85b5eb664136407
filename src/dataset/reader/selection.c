// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/steps.h"

#include "base/log.h"
#include "dataset/reader/paths.h"
#include <math.h>
#include <string.h>

// ---- which ------------------------------------------------------------------------------------

// Copies the selection, checking it; all listed episodes when there is none.
static bool select_episodes(Source *s, const DatasetOptions *o, Error *err) {
    Dataset *ds = s->ds;
    ds->n_episodes = o->episodes ? o->n_episodes : s->n_listed;
    if (ds->n_episodes <= 0)
        return fail(err, "--dataset.episodes is empty; name at least one episode or leave it out");
    if (ds->n_episodes > s->n_listed)
        return fail(err, "--dataset.episodes names %lld episodes, but %s has %lld; name each once",
                    (long long)ds->n_episodes, ds->root, (long long)s->n_listed);
    s->selected = arena_alloc(&s->scratch, sizeof *s->selected * (size_t)ds->n_episodes);
    uint8_t *seen = arena_alloc(&s->scratch, (size_t)s->n_listed);
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        int64_t e = o->episodes ? o->episodes[i] : i;
        if (e < 0 || e >= s->n_listed) {
            return fail(err,
                        "--dataset.episodes: there is no episode %lld in %s; its episodes are 0 "
                        "to %lld",
                        (long long)e, ds->root, (long long)s->n_listed - 1);
        }
        if (seen[e])
            return fail(err, "--dataset.episodes names episode %lld twice; name it once",
                        (long long)e);
        seen[e] = 1;
        s->selected[i] = e;
    }
    return true;
}

// info.json's totals against the list of episodes. A recorder that broke off leaves them apart:
// what is whole can still be had by name.
static bool check_totals(Source *s, const DatasetOptions *o, Error *err) {
    Dataset *ds = s->ds;
    if (s->n_listed == 0)
        return fail(err, "%s: the dataset has no episodes; record some first", ds->root);
    const Listed *last = &s->listed[s->n_listed - 1];
    int64_t frames = last->from + last->length;
    if (ds->total_episodes < 0) ds->total_episodes = s->n_listed;
    if (ds->total_frames < 0) ds->total_frames = frames;
    if (ds->total_episodes == s->n_listed && ds->total_frames == frames) return true;
    char advice[700];
    if (o->episodes) {
        log_warn(
            "%s/meta: info.json speaks of %lld episodes with %lld frames, the list of episodes "
            "has %lld with %lld; going on with the chosen ones",
            ds->root, (long long)ds->total_episodes, (long long)ds->total_frames,
            (long long)s->n_listed, (long long)frames);
        return true;
    }
    missing_advise(s, false, advice, sizeof advice);
    return fail(err,
                "%s/meta: info.json speaks of %lld episodes with %lld frames, the list of episodes "
                "has %lld with %lld (a recorder that broke off, or a copy of parts): copy the meta "
                "folder again if it is whole elsewhere, or %s",
                ds->root, (long long)ds->total_episodes, (long long)ds->total_frames,
                (long long)s->n_listed, (long long)frames, advice);
}

bool selection_make(Source *s, const DatasetOptions *options, Error *err) {
    return check_totals(s, options, err) && select_episodes(s, options, err);
}

// ---- the episodes of the dataset --------------------------------------------------------------

// Where an episode's frames end, by the table or by where the next one's begin in the same file.
static double video_end(const Source *s, int64_t position, int camera) {
    const ListedVideo *v = &s->listed[position].videos[camera];
    if (isfinite(v->to) || position + 1 == s->n_listed) return v->to;
    const ListedVideo *next = &s->listed[position + 1].videos[camera];
    return next->chunk == v->chunk && next->file == v->file && next->from > v->from ? next->from
                                                                                    : v->to;
}

// Whether an episode's first row lies in another file than the table of episodes names.
static bool episode_renumbered(Source *s, int64_t i) {
    const char *named, *path = s->ds->data_files[s->places[s->selected[i]].file].path;
    Error unnamed;
    if (s->ds->data_files != s->scanned) return false; // it was found where the table says
    return !source_data_path(s, &s->listed[s->selected[i]], &s->scratch, &named, &unnamed) ||
           strcmp(named, path) != 0;
}

static bool fill_episode(Source *s, int64_t i, const Listed *last, Error *err) {
    Dataset *ds = s->ds;
    int64_t position = s->selected[i];
    const Listed *from = &s->listed[position];
    Episode *e = &ds->episodes[i];
    e->index = position;
    e->length = from->length;
    e->task = from->task;
    e->data_file = s->places[position].file;
    e->data_row = s->places[position].row;
    e->renumbered = episode_renumbered(s, i);
    e->videos = arena_alloc(&ds->arena, sizeof *e->videos * (size_t)ds->n_cameras);
    for (int c = 0; c < ds->n_cameras; c++) {
        if (!ds->cameras[c]->video) continue;
        const ListedVideo *v = &from->videos[c];
        e->videos[c].from = v->from;
        e->videos[c].to = video_end(s, position, c);
        e->videos[c].renumbered = v->renumbered;
        // Neighbours mostly share their files: one string for both.
        if (last && last->videos[c].chunk == v->chunk && last->videos[c].file == v->file)
            e->videos[c].path = e[-1].videos[c].path;
        else if (!source_video_path(s, c, v->chunk, v->file, &ds->arena, &e->videos[c].path, err))
            return false;
    }
    return true;
}

bool selection_fill(Source *s, Error *err) {
    Dataset *ds = s->ds;
    ds->episodes = arena_alloc(&ds->arena, sizeof *ds->episodes * (size_t)ds->n_episodes);
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Listed *last = i > 0 ? &s->listed[s->selected[i - 1]] : NULL;
        if (!fill_episode(s, i, last, err)) return false;
        ds->episodes[i].first_row = ds->rows;
        ds->episodes[i].first_index = s->listed[s->selected[i]].from;
        if (ds->episodes[i].length > INT64_MAX / 2 - ds->rows)
            return fail(err, "%s/meta: the episodes' lengths are impossible", ds->root);
        ds->rows += ds->episodes[i].length;
    }
    return true;
}
