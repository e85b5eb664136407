// SPDX-License-Identifier: Apache-2.0
// What the files of the dataset reader share. Not for other folders.
#ifndef TACT_DATASET_INTERNAL_H
#define TACT_DATASET_INTERNAL_H

#include "dataset/dataset.h"
#include "formats/parquet.h"

// Where one camera's frames of a listed episode lie (v3.0; v2.1 has one file an episode).
typedef struct ListedVideo {
    int64_t chunk, file;
    double from, to; // seconds; INFINITY: to the end of the file
} ListedVideo;

// An episode as meta/ lists it, selected or not.
typedef struct Listed {
    int64_t from, length; // global number of its first frame; frames
    int64_t chunk, file;  // numbers in the path of its data file
    const char *task;     // first task or NULL, in ds->arena, one pointer per text
    ListedVideo *videos;  // (n_cameras)
} Listed;

// Paths of files, in order.
typedef struct Paths {
    const char **items;
    int n, room;
} Paths;

// Where a listed episode's first row lies.
typedef struct Place {
    int64_t file, row; // position in ds->data_files; row of that file
} Place;

// State of one dataset_open.
typedef struct Source {
    Dataset *ds;
    Arena scratch;              // freed when the dataset is open
    bool v30;                   // else v2.1
    const char *data_template;  // path templates in Python's format syntax
    const char *video_template; // NULL without videos
    int64_t chunks_size;        // v2.1: episodes per chunk
    json_t *rename;             // DatasetOptions.rename, or NULL
    bool rename_if_there;
    int64_t n_listed, listed_room;
    Listed *listed;    // (n_listed), position == episode_index; mem_free
    int64_t *selected; // (ds->n_episodes) positions in listed
    Place *places;     // (n_listed), of the selected ones
    bool need_videos;
    DataFile *scanned; // every data file with rows, once they were looked for; in ds->arena
    int64_t n_scanned;
    const char **tasks;
    int n_tasks, tasks_room;
} Source;

// dataset_rename.c: parses DatasetOptions.rename into s.
CHECKED bool rename_parse(Source *s, const DatasetOptions *options, Error *err);
// The name that a feature of the files goes by.
const char *rename_of(const Source *s, const char *disk_name);
// Whether the map fits the features that info.json lists: names that are there, and new ones that
// differ.
CHECKED bool rename_check(const Source *s, const char *info, const json_t *features, Error *err);
// The statistics under the new names.
void rename_stats(const Source *s);

// dataset_info.c: reads meta/info.json into s->ds and s: version, features, templates.
CHECKED bool info_load(Source *s, Error *err);

// dataset_v30.c, dataset_v21.c: fill s->listed and s->tasks from meta/.
CHECKED bool v30_list(Source *s, Error *err);
CHECKED bool v21_list(Source *s, Error *err);

// dataset.c: the one pointer for a task text of `size` bytes, added to s->tasks when new.
const char *source_task(Source *s, const char *text, size_t size);
// Makes room for n more episodes with their videos in s->listed.
void source_make_listed(Source *s, int64_t n);

// dataset_paths.c
typedef struct PathValue {
    const char *name;
    const char *text; // NULL: a number
    int64_t number;
} PathValue;
// Expands a template such as "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet". The
// result is a relative path without ".." in it, in `arena`. `info` is the file named in errors.
CHECKED bool path_expand(const char *info, const char *pattern, const PathValue *values,
                         int n_values, Arena *arena, const char **out, Error *err);
// Path of the data file that the table of episodes names for one of them.
CHECKED bool source_data_path(Source *s, const Listed *e, Arena *arena, const char **out,
                              Error *err);
CHECKED bool source_video_path(Source *s, int camera, int64_t chunk, int64_t file, Arena *arena,
                               const char **out, Error *err);
// Checks that the video files of the selection exist.
CHECKED bool paths_check_videos(Source *s, Error *err);
// Fills ds->episodes from s->selected and s->places: first rows, places, video times.
CHECKED bool paths_fill(Source *s, Error *err);
// What to do where files lack: the episodes that are here, as --dataset.episodes takes them.
void source_advise(Source *s, bool copy, char *out, size_t size);

// dataset_place.c: finds where the selected episodes' rows lie.
CHECKED bool places_find(Source *s, Error *err);
// Whether all rows of a listed episode are in the files here.
bool source_rows_there(Source *s, int64_t listed);

// dataset_v30.c: adds the parquet files of a folder, or with `deeper` those of its folders, in the
// order of their names' bytes.
void source_find_parquet(Source *s, const char *dir, bool deeper, Paths *out);

// dataset_video_files.c: puts stale file numbers of videos right, where the times of all episodes
// say how.
CHECKED bool video_numbers_mend(Source *s, Error *err);

// dataset_videos.c: looks into the videos and first images of the selection.
CHECKED bool videos_check(Source *s, double tolerance, Error *err);

// dataset_columns.c: checks every selected data file and reads the columns of ds.
CHECKED bool columns_load(Source *s, Error *err);

// dataset_stats.c: ds->stats; what cannot be read is a warning, never an error.
void stats_load(Source *s);

// dataset_v21.c: a JSON-lines file, read whole (file_read into data and size), walked line by line.
typedef struct JsonLines {
    const char *path;
    char *data;
    size_t size, at;
    int64_t number; // of the line last given
} JsonLines;
// The next non-empty line as an object (json_decref it), or *out NULL at the end.
CHECKED bool json_lines_next(JsonLines *l, json_t **out, Error *err);

// dataset_numbers.c: small helpers for metadata.
// A number that is an integer in [0, 2^53]; false else.
bool number_index(double x, int64_t *out);
// Reads a flat number column over all rows (mem_free *out), or sets *out NULL when there is no such
// column and `required` is false.
CHECKED bool numbers_read(ParquetFile *f, const char *path, const char *column, bool required,
                          double **out, Error *err);

#endif
