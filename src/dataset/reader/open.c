// SPDX-License-Identifier: Apache-2.0
// The steps of opening a dataset, each in a file of its own.
#include "dataset/dataset.h"

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "dataset/reader/steps.h"
#include "formats/hub_cache.h"
#include <string.h>

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
    ds->repo_id =
        arena_strdup(a, o->repo_id && *o->repo_id ? o->repo_id : after_last(ds->root, '/'));
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

bool dataset_open(const DatasetOptions *options, Dataset **out, Error *err) {
    *out = NULL;
    Dataset *ds = NEW(Dataset, 1);
    ds->tables = video_tables_new();
    Source s = {.ds = ds,
                .need_videos = options->need_videos,
                .overview = options->overview,
                .depth_maps = options->depth_maps};
    bool ok = resolve_root(ds, options, err) && rename_parse(&s, options, err) &&
              info_load(&s, err) && info_check_label(&s, err) &&
              (s.v30 ? v30_list(&s, err) : v21_list(&s, err)) && selection_make(&s, options, err) &&
              rows_find(&s, err) && (!s.v30 || video_numbers_correct(&s, err)) &&
              missing_check_videos(&s, err) && selection_fill(&s, err) && columns_load(&s, err) &&
              (options->skip_videos || videos_check(&s, options->tolerance_s, err));
    if (ok && !s.overview) stats_load(&s);
    rename_stats(&s);
    json_decref(s.rename);
    ds->tasks = s.tasks.texts;
    ds->n_tasks = s.tasks.n;
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
