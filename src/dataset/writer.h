// SPDX-License-Identifier: Apache-2.0
// Writes a LeRobot v3.0 dataset: data parquet, AV1 video, episodes/tasks/stats/info, so that
// LeRobot and tact both read it.
//
// Frames come one by one (dataset_writer_frame, dataset_writer_episode), or somebody else makes
// their files (import/convert.c, edit/edit.c): then rows come by the episode (dataset_writer_rows),
// and the writer is told in which files they lie.
#ifndef TACT_DATASET_WRITER_H
#define TACT_DATASET_WRITER_H

#include "base/error.h"
#include "dataset/value_stats.h"
#include "formats/json.h"
#include "formats/parquet.h"
#include <stdint.h>

enum { WRITER_GOP = 2, WRITER_CRF = 30 };             // LeRobot's
enum { WRITER_DATA_MB = 100, WRITER_VIDEO_MB = 200 }; // LeRobot's: a file takes no more episodes

typedef struct DatasetWriter DatasetWriter;

typedef struct WriterCamera {
    const char *name; // "observation.images.wrist"
    int height, width;
    bool in_parquet; // its image files are in the data files, as with images_in_parquet
} WriterCamera;

// A feature beside state, environment state and action.
typedef struct WriterVector {
    const char *name;  // "observation.velocity"
    const char *dtype; // "float32" or "float64"; with WriterOptions.features also whole numbers
                       // of any width, "float16" and "bool"
    int dim;
    const char *const *names; // (dim), or NULL
    // More than one axis: lists within lists. NULL: one axis of dim.
    const int64_t *shape; // (rank), the product of which is dim
    int rank;
} WriterVector;

// Episodes first .. end-1, for info.json.
typedef struct WriterSplit {
    const char *name; // "train"
    int64_t first, end;
} WriterSplit;

typedef struct WriterOptions {
    const char *root; // must not exist yet
    const char *robot_type;
    double fps;
    int state_dim, action_dim, env_dim;                   // 0: none
    const char *const *state_names, *const *action_names; // NULL: none
    const char *const *env_names;
    const char *state_dtype, *action_dtype, *env_dtype; // NULL: "float32"
    const WriterVector *extras;
    int n_extras;
    const WriterCamera *cameras;
    int n_cameras;
    bool images_in_parquet; // image files in the data files instead of video
    // Where the dataset lies until it is whole; it is not removed when the writer is dropped. What
    // is there of it already (videos, data files) belongs to it. NULL: a folder of the writer's
    // own, and frames come one by one.
    const char *folder;
    const WriterSplit *splits; // NULL: all episodes are "train"
    int n_splits;
    // What info.json says of the features, as it is to be (borrowed until the writer is closed);
    // NULL: made from the above. With it all vectors may be extras, the action too, and NaN is
    // a value like others.
    const json_t *features;
    const char *const *texts; // features that are strings; their values come with the data rows
    int n_texts;
    // Looks at the dataset, whole but for its name, before it gets that; NULL: nobody does.
    bool (*inspect)(void *user, const char *folder, Error *err);
    void *user;
} WriterOptions;

CHECKED bool dataset_writer_open(const WriterOptions *options, DatasetWriter **out, Error *err);
// One frame: state (state_dim), env (env_dim), action (action_dim), one rgb (h, w, 3) per camera.
CHECKED bool dataset_writer_frame(DatasetWriter *w, const float *state, const float *env,
                                  const float *action, const uint8_t *const *images, Error *err);
// Ends the episode.
CHECKED bool dataset_writer_episode(DatasetWriter *w, const char *task, Error *err);
// Writes the metadata (info.json last), frees the writer either way.
CHECKED bool dataset_writer_close(DatasetWriter *w, Error *err);
void dataset_writer_abort(DatasetWriter *w); // NULL allowed; leaves no dataset behind

// ---- with WriterOptions.folder ------------------------------------------------------------------

// Of so many frames of an episode one goes into a camera's statistics, the first among them.
enum { WRITER_PIXEL_STEP = 4 };

// Adds counts to a camera's, of which stats.json is made.
void dataset_writer_pixels(DatasetWriter *w, int camera, const PixelCounts *p);
// A camera's statistics in an episode, for meta/episodes, where a camera is that has them of every
// episode. Threads may give those of different episodes at once.
void dataset_writer_episode_camera(DatasetWriter *w, int64_t episode, int camera,
                                   const CameraStats *s);

// A whole episode: values (length, dim) of state, environment state, action and the extras, as far
// as the dataset has them. All rows come before the first data file: a feature of type float32
// becomes one of float64 where a value asks for it (not with WriterOptions.features).
CHECKED bool dataset_writer_rows(DatasetWriter *w, int64_t length, const double *const *values,
                                 const char *task, Error *err);
// The same for an episode whose rows have times, seconds, and tasks of their own (length each);
// either NULL: frame / fps, an empty task.
CHECKED bool dataset_writer_rows_of(DatasetWriter *w, int64_t length, const double *const *values,
                                    const double *timestamps, const char *const *tasks, Error *err);
// Statistics of a camera whose frames nobody counted, as stats.json is to have them; a reference
// is taken. Without it they are those of its episodes together, or there are none.
void dataset_writer_camera_stats(DatasetWriter *w, int camera, json_t *stats);
// Where a file of a camera's video (its position), or of data (camera -1), is to lie, into out.
void dataset_writer_path(const DatasetWriter *w, int camera, int64_t file, char *out, size_t size);
// In which file an episode's video of a camera lies, and the number of its first frame there;
// camera -1: in which data file its rows lie, which dataset_writer_data_rows writes.
void dataset_writer_place(DatasetWriter *w, int64_t episode, int camera, int64_t file,
                          int64_t frame);
// The same by the times, in seconds, of its first frame in that file and of the end of its last.
void dataset_writer_place_times(DatasetWriter *w, int64_t episode, int camera, int64_t file,
                                double from, double to);
// Begins a data file.
CHECKED bool dataset_writer_data_open(DatasetWriter *w, int64_t file, Error *err);
// Adds rows first .. first+n-1 of an episode as one row group; bytes: for each camera the files
// of the n frames (of one with a video NULL), then for each of WriterOptions.texts the n texts.
// NULL where there are neither.
CHECKED bool dataset_writer_data_rows(DatasetWriter *w, int64_t episode, int64_t first, int64_t n,
                                      const ParquetBytes *const *bytes, Error *err);
CHECKED bool dataset_writer_data_close(DatasetWriter *w, Error *err);

#endif
