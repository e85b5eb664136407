// SPDX-License-Identifier: Apache-2.0
// What a report shows beside the numbers of eval.json and is too large for that file. The script in
// report/report.html reads these keys:
//
//   windows       the worst predictions, in the order of eval.json's "worst":
//                 {frames: [{camera, width, height, jpeg, paths}], values: [{name, unit, recorded,
//                 predicted}]}; paths, [{predicted, points}], only where the camera's place is
//                 known: pixels of each step, null behind the camera
//   curves        the worst episodes: {episode, steps, every, frames, values: [{name, unit,
//                 recorded, predicted}]}; recorded has every k-th step (k is `every`), predicted
//                 one list for each of frames
//   most_curves   how many predictions of one episode are among them at most
//   training_log  see training_log.h
#ifndef TACT_EVAL_FIGURES_H
#define TACT_EVAL_FIGURES_H

#include "dataset/frames.h"
#include "eval/camera.h"
#include "eval/open_loop.h"

// Frames are read from the dataset again. *out: new reference. Error: a frame cannot be read.
CHECKED bool figures_open_loop(const EvalResult *r, const CameraModel *camera, json_t **out,
                               Error *err);

// ---- figures_frame.c ----------------------------------------------------------------------------
// The frame that a window begins with, of one of the policy's cameras (its position there), scaled
// down where it is wide; with the paths of the arms where `model` is of that camera. New reference.
CHECKED bool figures_frame(const EvalResult *r, FrameReader *reader, const EvalWindow *w,
                           int camera, const CameraModel *model, json_t **out, Error *err);

#endif
