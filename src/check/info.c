// SPDX-License-Identifier: Apache-2.0
// Rules about what meta/ says of the dataset as a whole, beside its tables, and about file numbers.
#include "check/series.h"

#include "base/file.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- counts -------------------------------------------------------------------------------------

static void hold_count(Check *c, const json_t *info, const char *key, int64_t found,
                       const char *what) {
    const json_t *value = json_object_get(info, key);
    int64_t said = json_integer_value(value);
    if (json_is_integer(value) && said != found)
        find(c, RULE_info_counts, -1, -1, key, (double)llabs(said - found),
             "%lld in meta/info.json, %s has %lld", (long long)said, what, (long long)found);
}

// {"train": "0:40", "val": "40:50"}: of all episodes, and of none that is not there.
static void check_splits(Check *c, const json_t *splits) {
    const char *name;
    json_t *range;
    int64_t last = 0;
    if (!json_is_object(splits) || json_object_size(splits) == 0) return;
    json_object_foreach((json_t *)splits, name, range) {
        long long first, end;
        const char *text = json_string_value(range);
        if (!text || sscanf(text, "%lld:%lld", &first, &end) != 2) return; // in another form
        if (end > last) last = end;
    }
    if (last != c->ds->total_episodes)
        find(c, RULE_info_counts, -1, -1, "splits", (double)llabs(last - c->ds->total_episodes),
             "up to episode %lld in meta/info.json, there are %lld", (long long)last,
             (long long)c->ds->total_episodes);
}

static int64_t count_cameras(const Dataset *ds) {
    int64_t n = 0;
    for (int i = 0; i < ds->n_features; i++)
        n += ds->features[i].kind == FEATURE_VISUAL && ds->features[i].video;
    return n;
}

static void check_counts(Check *c, const json_t *info) {
    const Dataset *ds = c->ds;
    int64_t chunk = json_integer_value(json_object_get(info, "chunks_size"));
    if (c->tasks.rows > 0)
        hold_count(c, info, "total_tasks", c->tasks.rows, c->tasks.place);
    else
        find(c, RULE_tasks_missing, -1, -1, c->tasks.place, 0,
             "there is no table of tasks that can be read");
    if (ds->n_episodes == ds->total_episodes)
        hold_count(c, info, "total_frames", ds->rows, "the list of episodes");
    check_splits(c, json_object_get(info, "splits"));
    if (strncmp(ds->version, "v2", 2) != 0) return; // v3.0 has these two no more
    hold_count(c, info, "total_videos", count_cameras(ds) * ds->total_episodes, "the dataset");
    if (chunk > 0)
        hold_count(c, info, "total_chunks", (ds->total_episodes + chunk - 1) / chunk,
                   "the dataset");
}

// ---- sizes of cameras ---------------------------------------------------------------------------

// What is recorded counts, and the reader has put it into the features already.
static void check_sizes(Check *c, const json_t *info) {
    const json_t *features = json_object_get(info, "features");
    for (int k = 0; k < c->ds->n_cameras; k++) {
        const Feature *f = c->ds->cameras[k];
        const json_t *shape = json_object_get(json_object_get(features, f->disk_name), "shape");
        size_t sides = json_array_size(shape);
        bool as_said = false;
        for (size_t i = 0; i + 1 < sides; i++)
            as_said |= json_integer_value(json_array_get(shape, i)) == f->height &&
                       json_integer_value(json_array_get(shape, i + 1)) == f->width;
        if (!as_said)
            find(c, RULE_camera_shape, -1, -1, f->name, 1,
                 "meta/info.json says otherwise; its frames are %dx%d (height x width)", f->height,
                 f->width);
    }
}

// ---- codecs of cameras --------------------------------------------------------------------------

// As LeRobot writes them, FFmpeg's names. What has no name there is not held against it.
static void check_codecs(Check *c, const json_t *info) {
    static const char *const played[] = {"av1", "h264", "vp8", "vp9"};
    const json_t *features = json_object_get(info, "features");
    for (int k = 0; k < c->ds->n_cameras; k++) {
        const Feature *f = c->ds->cameras[k];
        const json_t *said = json_object_get(json_object_get(features, f->disk_name), "info");
        const char *codec = json_string_value(json_object_get(said, "video.codec"));
        bool plays = !f->video || !codec;
        for (size_t i = 0; i < sizeof played / sizeof played[0] && !plays; i++)
            plays = strcmp(codec, played[i]) == 0;
        if (!plays)
            find(c, RULE_video_codec, -1, -1, f->name, 0, "%.40s, which browsers do not play",
                 codec);
    }
}

// ---- file numbers -------------------------------------------------------------------------------

static void check_numbers(Check *c) {
    const Dataset *ds = c->ds;
    int64_t rows = 0, first = -1;
    for (int64_t e = 0; e < ds->n_episodes; e++)
        if (ds->episodes[e].renumbered && rows++ == 0) first = e;
    if (rows > 0)
        find(c, RULE_data_numbers, first, -1, "data/file_index", (double)rows,
             "%lld episodes lie in another file than meta/episodes names, this one first",
             (long long)rows);
    for (int k = 0; k < ds->n_cameras; k++) {
        int64_t videos = 0;
        for (int64_t e = 0; e < ds->n_episodes; e++)
            if (ds->episodes[e].videos[k].renumbered && videos++ == 0) first = e;
        if (videos > 0)
            find(c, RULE_video_numbers, first, -1, ds->cameras[k]->name, (double)videos,
                 "%lld episodes have their frames in another file than meta/episodes names, this "
                 "one first",
                 (long long)videos);
    }
}

void check_info(Check *c) {
    char path[4096];
    json_t *info = NULL;
    Error ignored;
    snprintf(path, sizeof path, "%s/meta/info.json", c->ds->root);
    if (json_read_python(path, &info, &ignored)) {
        check_counts(c, info);
        check_sizes(c, info);
        check_codecs(c, info);
    }
    json_decref(info);
    check_numbers(c);
}
