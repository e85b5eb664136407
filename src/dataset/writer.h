// SPDX-License-Identifier: Apache-2.0
// Writes a LeRobot v3.0 dataset: data parquet, AV1 video, episodes/tasks/stats/info, so that
// LeRobot and tact both read it.
#ifndef TACT_DATASET_WRITER_H
#define TACT_DATASET_WRITER_H

#include "base/error.h"
#include <stdint.h>

typedef struct DatasetWriter DatasetWriter;

typedef struct WriterCamera {
    const char *name; // "observation.images.wrist"
    int height, width;
} WriterCamera;

typedef struct WriterOptions {
    const char *root; // must not exist yet
    const char *robot_type;
    int fps;
    int state_dim, action_dim, env_dim;                   // 0: none
    const char *const *state_names, *const *action_names; // NULL: none
    const WriterCamera *cameras;
    int n_cameras;
    bool images_in_parquet; // PNG bytes in the data files instead of video
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

#endif
