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
    int *row_tasks;      // (length) likewise; NULL: all rows have the first
    double *timestamps;  // (length) seconds; NULL: frame / fps
    WriterPlace *places; // (1 + n_cameras): of data, then of each camera's video
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
    json_t **camera_stats; // (n_cameras), NULL where pixels are counted
    int64_t n_episodes, episodes_room;
    WriterEpisode *episodes;
    TextSet tasks; // in the arena
};

// Value j of a feature at a row; episode is the one the row lies in.
double writer_value(const DatasetWriter *w, const WriterFeature *f, int64_t episode, int64_t row,
                    int j);

// Summary of one value over rows: LeRobot's statistics (std with ddof 0, quantiles interpolated
// between order statistics).
enum { N_QUANTILES = 5 };
extern const char *const quantile_names[N_QUANTILES]; // "q01" ...
typedef struct ValueStats {
    double min, max, mean, std, quantiles[N_QUANTILES];
} ValueStats;
// value_stats.c: of n values, which get sorted. What is not finite is left out.
ValueStats value_stats(double *values, int64_t n);
// Statistics of one channel, as fractions of 255.
ValueStats pixel_stats(const PixelCounts *p, int channel);

// meta_files.c: writes stats.json, tasks.parquet and info.json (last) below w->temporary.
CHECKED bool writer_write_meta(DatasetWriter *w, Error *err);
// episodes_table.c: writes meta/episodes.
CHECKED bool writer_write_episodes(DatasetWriter *w, Error *err);

#endif
