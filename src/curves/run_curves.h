// SPDX-License-Identifier: Apache-2.0
// The curves of a run in the forms that other programs show: OUTPUT_DIR/metrics.csv always, and
// with
// --tensorboard=true event files in OUTPUT_DIR/tensorboard; with --wandb.enable=true track.json.
#ifndef TACT_CURVES_RUN_CURVES_H
#define TACT_CURVES_RUN_CURVES_H

#include "config/config.h"
#include "curves/csv_file.h"
#include "curves/event_file.h"

typedef struct RunCurves {
    CsvFile csv;
    EventFile events; // of no file: not asked for
    bool no_images;   // they cannot be made here, which was said
} RunCurves;

// A struct of no files, so that all the other functions do nothing.
RunCurves run_curves_none(void);
// Opens the files in c->output_dir, and writes the settings into the event file. For a run that
// goes on after resumed_step (0: a new run) what was written of later steps goes; eval_due: the
// evaluations of that very step too, for they will be computed again. `c` is used here only.
CHECKED bool run_curves_open(RunCurves *r, const TrainConfig *c, int64_t resumed_step,
                             bool eval_due, Error *err);
// Adds the figures of a log line, or of an evaluation. Their names are columns of metrics.csv
// (run_curves.c), and in TensorBoard they are train/NAME and eval/NAME, as LeRobot has them in
// Weights & Biases. A full disk is an error, and later figures are written again when there is
// room.
CHECKED bool run_curves_log(RunCurves *r, int64_t step, const CurvePoint *points, int n,
                            Error *err);
CHECKED bool run_curves_evaluation(RunCurves *r, int64_t step, const CurvePoint *points, int n,
                                   Error *err);
// Adds to the event file one picture of every video episode_SEED.mp4 in the folder `videos`: some
// of its frames, called eval/episode_SEED with `prefix` before the name. Where videos
// cannot be read here that is said once, and no error.
CHECKED bool run_curves_videos(RunCurves *r, int64_t step, const char *prefix, const char *videos,
                               Error *err);
CHECKED bool run_curves_sync(RunCurves *r, Error *err);
void run_curves_close(RunCurves *r); // twice is once

#endif
