// SPDX-License-Identifier: Apache-2.0
// What is known while a dataset is being opened: the dataset, and the episodes that its metadata
// lists. Headers in this folder are private to src/dataset.
#ifndef TACT_DATASET_READER_SOURCE_H
#define TACT_DATASET_READER_SOURCE_H

#include "base/text_set.h"
#include "dataset/dataset.h"

// Where one camera's frames of a listed episode lie (v3.0; v2.1 has one file an episode).
typedef struct ListedVideo {
    int64_t chunk, file;
    double from, to; // seconds; INFINITY: to the end of the file
    bool renumbered; // chunk and file are not what the table says
} ListedVideo;

// An episode as meta/ lists it, selected or not.
typedef struct Listed {
    int64_t from, length; // global number of its first frame; frames
    int64_t chunk, file;  // numbers in the path of its data file
    const char *task;     // first task or NULL, in ds->arena, one pointer per text
    ListedVideo *videos;  // (n_cameras)
} Listed;

// Where a listed episode's first row lies.
typedef struct RowPlace {
    int64_t file, row; // position in ds->data_files; row of that file
} RowPlace;

typedef struct Source {
    Dataset *ds;
    Arena scratch;              // freed when the dataset is open
    bool v30;                   // else v2.1 or v2.0, which have the same files but for statistics
    const char *data_template;  // path templates in Python's format syntax
    const char *video_template; // NULL without videos
    int64_t chunks_size;        // v2.x: episodes per chunk
    json_t *rename;             // DatasetOptions.rename, or NULL
    bool rename_if_there;
    int64_t n_listed, listed_room;
    Listed *listed;    // (n_listed), position == episode_index; mem_free
    int64_t *selected; // (ds->n_episodes) positions in listed
    RowPlace *places;  // (n_listed), of the selected ones
    bool need_videos, overview, depth_maps;
    DataFile *scanned; // every data file with rows, once they were looked for; in ds->arena
    int64_t n_scanned;
    struct FileByFirst *by_first; // (n_scanned) the same, so that an episode's file is soon found
    TextSet tasks;                // in ds->arena
} Source;

// The one pointer for a task text of `size` bytes, added to s->tasks when new.
const char *source_task(Source *s, const char *text, size_t size);
// The most rows that meta/ speaks of: info.json, which a recorder that broke off leaves behind, or
// the list of episodes.
int64_t source_most_rows(const Source *s);
// Makes room for n more episodes with their videos in s->listed.
void source_make_listed(Source *s, int64_t n);

#endif
