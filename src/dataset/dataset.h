// SPDX-License-Identifier: Apache-2.0
// LeRobot datasets v3.0, v2.1 and v2.0 as they lie on disk, behind one struct.
//
// A "row" is a position in the selected episodes, 0 .. rows-1; the dataset's own global number of
// that frame is dataset_index_of(ds, row). With all episodes selected the two are the same.
#ifndef TACT_DATASET_DATASET_H
#define TACT_DATASET_DATASET_H

#include "base/error.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/video.h"
#include <stdint.h>

// Values of a state, action or environment state; dataset_open refuses wider ones, so that a row
// fits on the stack.
enum { MAX_VECTOR = 4096 };

typedef enum FeatureKind {
    FEATURE_STATE,  // observation.state
    FEATURE_ENV,    // observation.environment_state
    FEATURE_ACTION, // action
    FEATURE_VISUAL, // dtype video or image
    FEATURE_OTHER,  // everything else: listed, not used
} FeatureKind;

typedef struct Feature {
    const char *name;      // "observation.images.front", as DatasetOptions.rename has it
    const char *disk_name; // of its column and of the folder of its videos
    const char *dtype;     // as info.json spells it: "float32", "video", "image", ...
    FeatureKind kind;
    int rank;
    int64_t *shape;              // (rank) as info.json has it
    int64_t size;                // product of shape (vectors)
    int height, width, channels; // VISUAL; from shape, whichever order info.json uses
    bool video;         // frames in video files, else PNG, JPEG or WebP bytes in the data files
    bool depth;         // a depth map: listed, not usable as a camera
    const char **names; // one per element, flattened from whatever nesting; n_names 0 if none
    int n_names;
} Feature;

// How the frame of a row is found in a video.
typedef enum FrameRule {
    FRAMES_UNKNOWN,  // the file is missing, or nothing on this machine reads videos
    FRAMES_BY_TIME,  // the frame nearest to from + timestamp
    FRAMES_BY_COUNT, // row k of the episode shows frame first_frame + k, whatever its timestamp
} FrameRule;

// Where an episode's frames of one camera lie.
typedef struct EpisodeVideo {
    const char *path; // absolute or relative to the working directory, not to the root
    // Times of its first frame and of the end of its last, seconds; to INFINITY: the end of the
    // file.
    double from, to;
    FrameRule rule;
    int64_t first_frame; // FRAMES_BY_COUNT
    bool renumbered;     // meta/ names another file, which was seen to be wrong
} EpisodeVideo;

// A file of rows.
typedef struct DataFile {
    const char *path;
    int64_t first, rows; // global number of its first row; how many it has
} DataFile;

typedef struct Episode {
    int64_t index;        // the dataset's episode_index
    int64_t first_row;    // its first row
    int64_t first_index;  // the dataset's number of its first frame; the others count on from there
    int64_t length;       // frames
    const char *task;     // first task, or NULL
    int64_t data_file;    // position in data_files of the file with its first row
    int64_t data_row;     // that row within the file; an episode may go on in the next ones
    bool renumbered;      // meta/ names another file, which does not hold that row
    EpisodeVideo *videos; // one per camera of the dataset (image cameras: path NULL)
} Episode;

typedef struct Dataset {
    const char *root, *repo_id, *version, *robot_type; // version "v3.0"; robot_type may be NULL
    double fps, tolerance_s;                           // tolerance_s as it was asked for
    int64_t total_episodes, total_frames;              // as info.json says, whatever is selected
    int n_features;
    Feature *features; // in info.json's order
    int n_cameras;
    const Feature **cameras; // the VISUAL features, without depth maps, in info.json's order
    const Feature *state, *env, *action; // NULL where the dataset has none
    int n_tasks;
    const char **tasks;
    int64_t n_episodes; // selected ones
    Episode *episodes;
    int64_t n_data_files;
    DataFile *data_files; // those of the selection, or all of them, in the order of their rows
    int64_t rows;         // of the selected episodes
    // Columns over all selected rows; NULL where the feature is missing, and in an overview.
    float *state_data;  // (rows, state->size)
    float *env_data;    // (rows, env->size)
    float *action_data; // (rows, action->size)
    double *timestamp;  // (rows) seconds since the episode's start
    json_t
        *stats; // meta/stats.json, v2.1's put together in the same form; NULL: none. Over all
                // episodes, v2.0's without "count"; a value that is not finite is no number there
    VideoTables *tables; // where the frames of its videos lie, shared by all who read them
    Arena arena;         // owns every string and array above
} Dataset;

typedef struct DatasetOptions {
    const char *repo_id;     // may be NULL when root is given
    const char *root;        // NULL: looked for by repo_id (formats/hub_cache.h)
    const char *revision;    // of the copies found by repo_id, or NULL
    const int64_t *episodes; // selection in this order, or NULL for all
    int64_t n_episodes;
    // LeRobot's rename_map, {"name in the dataset": "name for the policy"} as JSON, or NULL.
    // Everything but the files' own columns and folders goes by the new names. A name that is not
    // in the dataset is refused, or with rename_if_there passed over.
    const char *rename;
    bool rename_if_there;
    // Every video file of the selection must exist, as for a training; else some may be missing.
    bool need_videos;
    // At most so many seconds may lie between a row and its video frame, as with LeRobot's
    // tolerance_s; 0: a quarter of a frame.
    double tolerance_s;
    bool skip_videos; // no frame will be read: videos and images are not looked into
    bool depth_maps;  // they are among the cameras: for those who copy files and decode none
    // Rows are checked and not kept, and statistics not read: state_data, env_data, action_data and
    // stats are NULL. For a look at the dataset, whose memory does not grow with the rows.
    bool overview;
} DatasetOptions;

// Opens and checks: version, feature shapes, every selected data file, that columns are as long and
// as wide as info.json says, that index and episode_index run as they must (v2.x: episode_index and
// frame_index), no NaN or infinity in state and action. A partial copy or a recording that broke
// off is refused without a matching selection, naming what is missing and --dataset.episodes.
//
// Videos that are there are looked into, nothing is decoded: every row of an episode must find its
// own frame, within the tolerance of its time, or there must be exactly one frame a row. An episode
// of which neither is true is refused, naming those that go. What a camera's frames measure counts,
// not what info.json says. Without the module that reads videos all this is left out.
CHECKED bool dataset_open(const DatasetOptions *options, Dataset **out, Error *err);
void dataset_close(Dataset *ds); // NULL allowed

// The file that stats comes from: "meta/stats.json", v2.1's "meta/episodes_stats.jsonl".
const char *dataset_stats_name(const Dataset *ds);

// The episode of a row, and its global frame number.
const Episode *dataset_episode_of(const Dataset *ds, int64_t row);
int64_t dataset_index_of(const Dataset *ds, int64_t row);
// Row of a global frame number, or -1.
int64_t dataset_row_of(const Dataset *ds, int64_t index);

// The data file that holds a row, and the row's place in it.
const DataFile *dataset_file_of(const Dataset *ds, int64_t row, int64_t *at);

// The text of each task_index, as meta/ numbers them, NULL where a number has none; *n may be 0.
// Texts lie in `arena`.
CHECKED bool dataset_task_texts(const Dataset *ds, Arena *arena, const char ***out, int64_t *n,
                                Error *err);

// "[10,12]", as --dataset.episodes takes them, as many as fit into size bytes; *cut tells whether
// some did not. "" without any.
void dataset_episodes_text(const int64_t *episodes, int64_t n, char *out, size_t size, bool *cut);

// Marks a dataset's held-out part: the last ceil(n * split) episodes of every (first) task, as
// LeRobot's eval_split does, but never all of a task: one that has a single episode keeps it.
// held_out gets n_episodes flags (1 = held out).
void dataset_split(const Dataset *ds, double eval_split, uint8_t *held_out);

#endif
