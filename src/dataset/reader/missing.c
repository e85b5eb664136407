// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/steps.h"

#include "base/file.h"
#include "dataset/reader/data_files.h"
#include "dataset/reader/paths.h"
#include <stdio.h>

// The first video file of a listed episode that is not there, or NULL.
static bool missing_video(Source *s, const Listed *e, const char **missing, Error *err) {
    const Dataset *ds = s->ds;
    const char *path;
    *missing = NULL;
    for (int c = 0; s->need_videos && c < ds->n_cameras; c++) {
        if (!ds->cameras[c]->video) continue;
        const ListedVideo *v = &e->videos[c];
        if (!source_video_path(s, c, v->chunk, v->file, &s->scratch, &path, err)) return false;
        PathKind there;
        if (!path_look(path, &there, err)) return false;
        if (there != AT_FILE) {
            *missing = path;
            return true;
        }
    }
    return true;
}

void missing_advise(Source *s, bool copy, char *out, size_t size) {
    int64_t n = 0, *there = NEW(int64_t, s->n_listed);
    char list[600];
    bool cut;
    for (int64_t i = 0; i < s->n_listed; i++) {
        const char *missing;
        Error unnamed;
        if (missing_video(s, &s->listed[i], &missing, &unnamed) && !missing &&
            source_rows_there(s, i))
            there[n++] = i;
    }
    dataset_episodes_text(there, n, list, sizeof list, &cut);
    mem_free(there);
    if (!n)
        snprintf(out, size,
                 "no episode of this dataset is complete here: copy the dataset's files "
                 "again");
    else
        snprintf(out, size, "%s the episodes that are here%s --dataset.episodes=%s",
                 copy ? "copy it here, or choose" : "choose", cut ? ", such as" : ":", list);
}

bool missing_check_videos(Source *s, Error *err) {
    for (int64_t i = 0; i < s->ds->n_episodes; i++) {
        const char *missing;
        char advice[700];
        if (!missing_video(s, &s->listed[s->selected[i]], &missing, err)) return false;
        if (!missing) continue;
        missing_advise(s, true, advice, sizeof advice);
        return fail(err, "%s: the file is missing (episode %lld needs it); %s", missing,
                    (long long)s->selected[i], advice);
    }
    return true;
}
