// SPDX-License-Identifier: Apache-2.0
#include "cli/check_fix.h"

#include "base/log.h"
#include "cli/cli.h"
#include "cli/stop.h"
#include "edit/edit.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// ---- what was changed ---------------------------------------------------------------------------

static void tell_left_out(const CheckReport *report, const char *root) {
    for (int64_t i = 0; i < report->count; i++) {
        const CheckFinding *f = &report->findings[i];
        if (f->rule == RULE_unreadable && f->episode >= 0)
            log_info("%s: episode %lld is left out: %s", root, (long long)f->episode, f->text);
    }
}

static void tell_counts(const Dataset *ds, const EditResult *r, const char *root) {
    if (strcmp(ds->version, "v3.0") != 0)
        log_info("%s: v3.0, where the original is %s", root, ds->version);
    if (ds->total_episodes != r->episodes)
        log_info("%s: total_episodes: %lld -> %lld", root, (long long)ds->total_episodes,
                 (long long)r->episodes);
    if (ds->total_frames != r->rows)
        log_info("%s: total_frames: %lld -> %lld", root, (long long)ds->total_frames,
                 (long long)r->rows);
}

static bool has_side(const Feature *f, int side) {
    for (int i = 0; i < f->rank; i++)
        if (f->shape[i] == side) return true;
    return false;
}

static void tell_sizes(const Dataset *ds, const char *root) {
    for (int c = 0; c < ds->n_cameras; c++) {
        const Feature *f = ds->cameras[c];
        if (f->rank == 3 && !f->depth && !(has_side(f, f->height) && has_side(f, f->width)))
            log_info("%s: %s: its shape is that of its frames, %dx%d", root, f->name, f->height,
                     f->width);
    }
}

static void tell_times(const EditResult *r, const char *root) {
    if (r->retimed)
        log_info("%s: timestamps of %lld episodes are frame / fps now; the farthest was off by "
                 "%.3g s",
                 root, (long long)r->retimed, r->farthest);
    if (r->off_grid)
        log_info("%s: timestamps of %lld episodes stay: the frames of their videos are not at "
                 "frame / fps either",
                 root, (long long)r->off_grid);
}

static void tell_statistics(const CheckReport *report, const char *root) {
    int64_t stale = report->broken[RULE_stats_stale];
    for (int64_t i = 0; i < report->count; i++) {
        const CheckFinding *f = &report->findings[i];
        if (f->rule != RULE_stats_stale) continue;
        log_info("%s: statistics are computed anew: %s: %s (%lld values in all)", root, f->where,
                 f->text, (long long)stale);
        return;
    }
    log_info("%s: statistics, tables and file numbers are written anew", root);
}

// ---- the copy -----------------------------------------------------------------------------------

static int64_t position_of(const Dataset *ds, int64_t episode) {
    for (int64_t e = 0; e < ds->n_episodes; e++)
        if (ds->episodes[e].index == episode) return e;
    return -1;
}

// Marks what the report found upside down.
static void mark_turned(const Dataset *ds, const CheckReport *report, EditPiece *pieces,
                        const char *root) {
    for (int64_t i = 0; i < report->count; i++) {
        const CheckFinding *f = &report->findings[i];
        bool turned = f->rule == RULE_picture_turned && strcmp(f->text, CHECK_UPSIDE_DOWN) == 0;
        int64_t e = turned ? position_of(ds, f->episode) : -1;
        for (int c = 0; e >= 0 && c < ds->n_cameras && c < EDIT_MAX_CAMERAS; c++)
            if (strcmp(ds->cameras[c]->name, f->where) == 0) {
                pieces[e].turned |= UINT64_C(1) << c;
                log_info("%s: episode %lld: frames of %s are turned by half a turn, and encoded "
                         "anew",
                         root, (long long)f->episode, f->where);
            }
    }
}

static bool write_copy(Dataset *ds, const CheckReport *report, const char *root, EditResult *result,
                       Error *err) {
    EditPiece *pieces = NEW(EditPiece, ds->n_episodes);
    Progress bar = progress_new();
    for (int64_t e = 0; e < ds->n_episodes; e++)
        pieces[e] = (EditPiece){.episode = e, .length = ds->episodes[e].length};
    mark_turned(ds, report, pieces, root);
    stop_catch(NULL);
    const EditOptions o = {.sources = &ds,
                           .n_sources = 1,
                           .pieces = pieces,
                           .n_pieces = ds->n_episodes,
                           .root = root,
                           .by_frame = true,
                           .threads = (int)sysconf(_SC_NPROCESSORS_ONLN),
                           .stop = stop_signal,
                           .progress = progress_count,
                           .user = &bar};
    bool ok = edit_write(&o, result, err);
    progress_clear(&bar);
    mem_free(pieces);
    return ok;
}

bool check_fix(const DatasetOptions *open, const Dataset *ds, const CheckReport *report,
               const char *root, Error *err) {
    if (!ds) return fail(err, "%s: not written: nothing of the dataset can be read", root);
    DatasetOptions options = *open;
    Dataset *source = NULL;
    EditResult result;
    CheckReport unreadable = {0};
    options.need_videos = true;
    options.depth_maps = true;
    bool ok = check_open(&options, &source, &unreadable, err);
    if (ok && !source) ok = fail(err, "%s: not written: %s", root, unreadable.findings[0].text);
    ok = ok && write_copy(source, report, root, &result, err);
    if (ok) {
        tell_left_out(&unreadable, root);
        tell_counts(source, &result, root);
        tell_sizes(source, root);
        tell_times(&result, root);
        tell_statistics(report, root);
        log_info("%s: %lld episodes, %lld rows", root, (long long)result.episodes,
                 (long long)result.rows);
    }
    dataset_close(source);
    check_report_free(&unreadable);
    return ok;
}
