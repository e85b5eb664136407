// SPDX-License-Identifier: Apache-2.0
// A dataset that is being written, which the files of this folder share. Private to this folder.
#ifndef TACT_DATASET_WRITER_STATE_H
#define TACT_DATASET_WRITER_STATE_H

#include "base/memory.h"
#include "base/text_set.h"
#include "dataset/writer.h"
#include "formats/parquet.h"
#include "formats/video.h"

// A numeric feature of the dataset, in the order of info.json and of the data columns.
typedef struct WriterFeature {
    const char *name, *dtype; // as info.json spells it
    int dim, rank;
    const int64_t *shape;     // (rank)
    const char *const *names; // (dim) or NULL
    bool counter;             // timestamp, index, ...: follows from the row
    double *values;           // (rows, dim); NULL for a counter
} WriterFeature;

// Where an episode lies in the files of a camera, or of data.
typedef struct WriterPlace {
    int64_t file;
    double from, to; // seconds in a video
} WriterPlace;

typedef struct WriterEpisode {
    int64_t from, length; // rows
    int *tasks;           // (n_tasks) positions in DatasetWriter.tasks, in the order of its rows
    int n_tasks;
    int *row_tasks;       // (length) likewise; NULL: all rows have the first
    double *timestamps;   // (length) seconds; NULL: frame / fps
    WriterPlace *places;  // (1 + n_cameras): of data, then of each camera's video
    CameraStats *cameras; // (n_cameras)
} WriterEpisode;

enum { WRITER_CHUNK = 1000 }; // files of a folder

struct DatasetWriter {
    Arena arena;     // strings and tables
    WriterOptions o; // copied into the arena
    const char *root, *temporary;
    ParquetWriter *data;
    VideoWriter **videos;      // (n_cameras), NULL with images in Parquet or a folder
    int n_features, n_vectors; // the vectors come first, then the counters
    WriterFeature *features;
    int64_t rows, room;    // frames so far
    ParquetBytes **png;    // (n_cameras)(room): PNG bytes of the episode in progress
    PixelCounts *pixels;   // (n_cameras)
    PixelCounts *counting; // (n_cameras) of the episode in progress
    json_t **camera_stats; // (n_cameras), NULL where pixels are counted
    int64_t n_episodes, episodes_room;
    WriterEpisode *episodes;
    TextSet tasks; // in the arena
};

// Value j of a feature at a row; episode is the one the row lies in.
double writer_value(const DatasetWriter *w, const WriterFeature *f, int64_t episode, int64_t row,
                    int j);

// stats.c: how many values a feature has statistics of; LeRobot's are over all axes but the last.
int writer_stats_dim(const WriterFeature *f);
// The values in an episode that go into statistic j, into out; returns how many there are:
// length * dim / writer_stats_dim.
int64_t writer_stats_values(const DatasetWriter *w, const WriterFeature *f, int64_t episode, int j,
                            double *out);
// Makes statistics of the pixels that were counted in an episode which came frame by frame.
void writer_end_pixels(DatasetWriter *w, int64_t episode);
// Whether a camera has statistics of every episode.
bool writer_has_camera_stats(const DatasetWriter *w, int camera);
// Writes stats.json below w->temporary.
CHECKED bool writer_write_stats(DatasetWriter *w, Error *err);

// meta_files.c: writes tasks.parquet, stats.json and info.json (last) below w->temporary.
CHECKED bool writer_write_meta(DatasetWriter *w, Error *err);
// episodes_table.c: writes meta/episodes.
CHECKED bool writer_write_episodes(DatasetWriter *w, Error *err);

#endif
