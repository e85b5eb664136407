// SPDX-License-Identifier: Apache-2.0
// What lies in the directory of a training: where it is, its checkpoints, settings and videos.
#ifndef TACT_REPORT_RUN_FILES_H
#define TACT_REPORT_RUN_FILES_H

#include "formats/json.h"
#include "policy/policy_locate.h"

// Finds the directory of the run that a path means: itself, or the one that a checkpoint, or a
// file in one, lies in. Links are followed. A directory without metrics.jsonl is an error.
CHECKED bool run_find(const char *path, char out[POLICY_PATH], Error *err);

typedef struct RunCheckpoint {
    int64_t step;
    char dir[POLICY_PATH];
} RunCheckpoint;

// Whole checkpoints of a run, by step. Returns how many; mem_free(*out).
int64_t run_checkpoints(const char *run, RunCheckpoint **out);

// The functions below give new references.

// [{"step", "saved", "bytes", "average"}]: when a checkpoint was saved, how large it is on the disk
// and whether it holds a moving average.
json_t *run_checkpoints_json(const RunCheckpoint *list, int64_t count);
// [{"step", "average", "file"}] of the videos of evaluations in a simulation, by step; "file" is
// below the run.
json_t *run_videos_json(const char *run);

// run_settings.c
// [{"flag", "value", "default", "given"}] of the settings that a checkpoint stores; given: it is
// not the default. null where they cannot be read, as of a checkpoint that another program wrote.
json_t *run_settings_json(const RunCheckpoint *checkpoint);
// [{"step", "flag", "from", "to"}]: settings in which a checkpoint differs from the one before it,
// as where a run went on with other flags.
json_t *run_changes_json(const RunCheckpoint *list, int64_t count);

#endif
