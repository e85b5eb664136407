// SPDX-License-Identifier: Apache-2.0
#include "dataset/dataset.h"
#include "dataset/dataset_internal.h"

#include "base/file.h"
#include "base/log.h"
#include "formats/hub_cache.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- what the listing files use ---------------------------------------------------------------

const char *source_task(Source *s, const char *text, size_t size) {
    // Neighbouring episodes mostly share their task, so the newest is tried first.
    for (int i = s->n_tasks - 1; i >= 0; i--)
        if (strlen(s->tasks[i]) == size && memcmp(s->tasks[i], text, size) == 0) return s->tasks[i];
    if (s->n_tasks == s->tasks_room) {
        int room = s->tasks_room ? 2 * s->tasks_room : 16;
        const char **tasks = arena_alloc(&s->ds->arena, sizeof *tasks * (size_t)room);
        if (s->n_tasks) memcpy(tasks, s->tasks, sizeof *tasks * (size_t)s->n_tasks);
        s->tasks = tasks;
        s->tasks_room = room;
    }
    char *copy = arena_alloc(&s->ds->arena, size + 1);
    memcpy(copy, text, size);
    s->tasks[s->n_tasks++] = copy;
    return copy;
}

void source_make_listed(Source *s, int64_t n) {
    int64_t room = s->n_listed + n;
    if (room > s->listed_room) {
        if (room < 2 * s->listed_room) room = 2 * s->listed_room;
        Listed *grown = NEW(Listed, room);
        if (s->n_listed) memcpy(grown, s->listed, sizeof *grown * (size_t)s->n_listed);
        mem_free(s->listed);
        s->listed = grown;
        s->listed_room = room;
    }
    int cameras = s->ds->n_cameras;
    ListedVideo *videos = arena_alloc(&s->scratch, sizeof *videos * (size_t)(n * cameras));
    for (int64_t i = 0; i < n; i++) s->listed[s->n_listed + i].videos = videos + i * cameras;
}

// ---- opening ----------------------------------------------------------------------------------

// The folder of a dataset: the given one, else where LeRobot and `hf download` keep it.
static bool resolve_root(Dataset *ds, const DatasetOptions *o, Error *err) {
    Arena *a = &ds->arena;
    char found[4096];
    if (o->root && *o->root) {
        hub_expand_home(o->root, found, sizeof found);
        for (size_t n = strlen(found); n > 1 && found[n - 1] == '/'; n--) found[n - 1] = 0;
        if (o->revision)
            log_warn("--dataset.revision=%s: not looked at, since --dataset.root says which copy",
                     o->revision);
    } else if (!o->repo_id || !*o->repo_id) {
        return fail(err, "no dataset given; name its folder with --dataset.root=DIR");
    } else if (!hub_find(HUB_DATASET, o->repo_id, o->revision, found, sizeof found, err)) {
        return false;
    }
    ds->root = arena_strdup(a, found);
    const char *slash = strrchr(ds->root, '/');
    ds->repo_id = arena_strdup(a, o->repo_id && *o->repo_id ? o->repo_id
                                  : slash                   ? slash + 1
                                                            : ds->root);
    const char *info = arena_printf(a, "%s/meta/info.json", ds->root);
    if (file_exists(info)) return true;
    // A common slip: the folder above the dataset, as LeRobot's home is.
    const char *below = arena_printf(a, "%s/%s/meta/info.json", ds->root, ds->repo_id);
    if (file_exists(below)) {
        return fail(err,
                    "%s: no dataset in this folder, but there is one in %s/%s; give that as "
                    "--dataset.root",
                    ds->root, ds->root, ds->repo_id);
    }
    return fail(err,
                "%s: no dataset there (looked for %s); copy the dataset there or name its folder "
                "with --dataset.root=DIR",
                ds->root, info);
}

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
    source_advise(s, false, advice, sizeof advice);
    return fail(err,
                "%s/meta: info.json speaks of %lld episodes with %lld frames, the list of episodes "
                "has %lld with %lld (a recorder that broke off, or a copy of parts): copy the meta "
                "folder again if it is whole elsewhere, or %s",
                ds->root, (long long)ds->total_episodes, (long long)ds->total_frames,
                (long long)s->n_listed, (long long)frames, advice);
}

// The label in info.json against the files in meta/: conversions that stopped half way, and labels
// set by hand, leave one version's label on the other's files.
static bool check_label(Source *s, Error *err) {
    const Dataset *ds = s->ds;
    const char *old = arena_printf(&s->scratch, "%s/meta/episodes.jsonl", ds->root);
    const char *new = arena_printf(&s->scratch, "%s/meta/episodes", ds->root);
    const char *wanted = s->v30 ? new : old, *other = s->v30 ? old : new;
    if (s->v30 ? dir_exists(wanted) : file_exists(wanted)) return true;
    if (!(s->v30 ? file_exists(other) : dir_exists(other)))
        return true; // neither: said where it is read
    return fail(
        err,
        "%s/meta/info.json: says %s, but the files are %s: %s is there and %s is not; write "
        "\"codebase_version\": \"%s\" there if only the label is wrong, else copy or convert "
        "the dataset again",
        ds->root, ds->version, s->v30 ? "v2.1's" : "v3.0's", other, wanted,
        s->v30 ? "v2.1" : "v3.0");
}

bool dataset_open(const DatasetOptions *options, Dataset **out, Error *err) {
    *out = NULL;
    Dataset *ds = NEW(Dataset, 1);
    ds->tables = video_tables_new();
    Source s = {.ds = ds, .need_videos = options->need_videos};
    bool ok = resolve_root(ds, options, err) && rename_parse(&s, options, err) &&
              info_load(&s, err) && check_label(&s, err) &&
              (s.v30 ? v30_list(&s, err) : v21_list(&s, err)) && check_totals(&s, options, err) &&
              select_episodes(&s, options, err) && places_find(&s, err) &&
              (!s.v30 || video_numbers_mend(&s, err)) && paths_check_videos(&s, err) &&
              paths_fill(&s, err) && columns_load(&s, err) &&
              (options->skip_videos || videos_check(&s, options->tolerance_s, err));
    if (ok) stats_load(&s);
    rename_stats(&s);
    json_decref(s.rename);
    ds->tasks = s.tasks;
    ds->n_tasks = s.n_tasks;
    mem_free(s.listed);
    arena_free(&s.scratch);
    if (!ok) {
        dataset_close(ds);
        return false;
    }
    *out = ds;
    return true;
}

void dataset_close(Dataset *ds) {
    if (!ds) return;
    json_decref(ds->stats);
    video_tables_free(ds->tables);
    arena_free(&ds->arena);
    mem_free(ds);
}

// ---- questions --------------------------------------------------------------------------------

int64_t dataset_row_of(const Dataset *ds, int64_t index) {
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        int64_t k = index - ds->index[e->first_row];
        if (k >= 0 && k < e->length) return e->first_row + k;
    }
    return -1;
}

const DataFile *dataset_file_of(const Dataset *ds, int64_t row, int64_t *at) {
    const Episode *e = &ds->episodes[ds->episode_of[row]];
    const DataFile *f = &ds->data_files[e->data_file];
    *at = e->data_row + (row - e->first_row);
    while (*at >= f->rows) *at -= f++->rows;
    return f;
}

void dataset_split(const Dataset *ds, double eval_split, uint8_t *held_out) {
    memset(held_out, 0, (size_t)ds->n_episodes);
    if (!(eval_split > 0)) return;
    // Tasks are one pointer per text, NULL being one of its own.
    for (int t = -1; t < ds->n_tasks; t++) {
        const char *task = t < 0 ? NULL : ds->tasks[t];
        int64_t n = 0;
        for (int64_t i = 0; i < ds->n_episodes; i++) n += ds->episodes[i].task == task;
        int64_t held = (int64_t)ceil((double)n * (eval_split < 1 ? eval_split : 1));
        if (held >= n) held = n - 1;
        for (int64_t i = ds->n_episodes - 1; i >= 0 && held > 0; i--) {
            if (ds->episodes[i].task != task) continue;
            held_out[i] = 1;
            held--;
        }
    }
}
