// SPDX-License-Identifier: Apache-2.0
// Open-loop evaluation: a policy is shown recorded episodes, frame by frame and through
// include/tact.h as on a robot, and what it predicts is held against what was recorded. The robot's
// motion does not depend on the prediction, so small errors do not add up as they would when it
// moves.
//
// A window is one prediction: S actions of A values from a frame on, one every K frames; those
// beyond the episode's end do not count. M measures (errors.h).
#ifndef TACT_EVAL_OPEN_LOOP_H
#define TACT_EVAL_OPEN_LOOP_H

#include "dataset/dataset.h"
#include "eval/errors.h"
#include "eval/training.h"
#include "policy/policy_locate.h"
#include <stdio.h>

// Limits that keep the report of a long run small.
enum {
    EVAL_CURVES = 4,         // episodes whose predictions are drawn, the worst first
    EVAL_CURVE_WINDOWS = 24, // predictions drawn in one of them
    EVAL_WORST = 8,          // windows shown with their frames
    EVAL_LEAST_WINDOWS =
        200, // of a default stride: fewer frames between two predictions than half a
    EVAL_MOST_WINDOWS = 5000, // second where that makes too few; more where it makes too many
};

struct tact_policy;

typedef struct EvalOptions {
    const char *policy_path;
    DatasetOptions
        dataset;    // episodes NULL: those held out where the checkpoint says which, else all
    bool all;       // all of them in any case
    int64_t stride; // frames between two predictions; 0: half a second, as said above
    // In the place of those held out: those that it was trained on, at most so many, spread over
    // all; 0: no.
    int64_t most_trained;
    int64_t predictions;        // in the place of a stride: about so many, spread over all; 0: no
    const char *device, *dtype; // NULL: cpu, the device's default
    int threads;
    // Called with the policy before the first frame (begins) and after the last; may be NULL. What
    // fails ends the run. The policy keeps no tokens of earlier frames then.
    bool (*watch)(void *watcher, struct tact_policy *policy, bool begins, Error *err);
    void *watcher;
    void (*progress)(void *user, int64_t frame, int64_t frames); // may be NULL
    void *user;
} EvalOptions;

// A prediction that is kept whole.
typedef struct EvalWindow {
    int64_t episode;      // position in EvalResult.episodes
    int64_t row, frame;   // in the dataset, in the episode
    int valid;            // actions before the episode's end
    double *error, *stay; // (M) means over them, of the policy and of staying
    float *predicted;     // (S, A)
} EvalWindow;

typedef struct EvalEpisode {
    int64_t index, length, windows;
    EvalSeen seen;
    double *error, *stay; // (M) means over all valid steps of all windows
} EvalEpisode;

// An episode with some of its predictions, evenly spaced.
typedef struct EvalCurves {
    int64_t episode; // position in EvalResult.episodes
    int64_t count;
    int64_t *frames; // (count)
    float *chunks;   // (count, S, A)
} EvalCurves;

// One row of the table of an action's values. Rotation vectors are compared with the nearest of a
// rotation's vectors (rotation_nearest).
typedef struct EvalDimension {
    const char *name;
    double l1, mse, stay_l1, stay_mse;
} EvalDimension;

typedef struct EvalResult {
    char policy_dir[POLICY_PATH];
    TrainConfig config; // of the checkpoint
    Dataset *dataset;   // the evaluated episodes of it
    EvalTraining training;
    int arms, S, A;
    int K;             // frames from one action of a chunk to the next (action_down_sample_steps)
    const char *stays; // what the baseline holds: "observed state", "action before"
    int64_t stride, windows, frames;
    Measures measures;
    Summary *error, *stay;         // (M, S) by step of the horizon
    Summary *error_all, *stay_all; // (M) all steps of all windows
    EvalDimension *dimensions;     // (A)
    EvalEpisode *episodes;         // (dataset->n_episodes)
    EvalWindow worst[EVAL_WORST];  // by the headline measure, the worst first
    int n_worst;
    EvalCurves curves[EVAL_CURVES]; // by the episodes' headline measure, the worst first
    int n_curves;
    Summary latency;      // of observe and predict together, milliseconds
    double *latencies;    // (windows - 1) in ascending order
    double first_latency; // the first, which prepares the device and is not among them
    double seconds;       // the whole run took
    Arena arena;
} EvalResult;

// The caller frees *out with eval_free, after a failure too. Errors: a policy or a dataset cannot
// be read, or they do not fit each other; a prediction is not finite (the message names episode and
// frame); there is no memory for the errors.
CHECKED bool eval_open_loop(const EvalOptions *options, EvalResult *out, Error *err);
void eval_free(EvalResult *r); // a zeroed struct is allowed

// The stride of a run over `frames` frames at fps where none is given.
int64_t eval_default_stride(int64_t frames, double fps);

// ---- open_loop_json.c ---------------------------------------------------------------------------
// Everything but curves and pictures. A number that does not exist (no window reaches so far) is
// null. New reference.
json_t *eval_to_json(const EvalResult *r);
// The unit of a value of an action: "m" or "rad" of a pose's, else "".
const char *eval_unit(const EvalResult *r, int dimension);

// ---- table.c ------------------------------------------------------------------------------------
// The actions of a horizon of S, so many a second, that tables show: those 0.1, 0.2, 0.5, 1, 2, 5
// ... seconds ahead, as far as the horizon reaches, and always its last step. Step 0 is the action
// of the observed frame itself. Returns how many there are, at most EVAL_COLUMNS.
enum { EVAL_COLUMNS = 6 };
int eval_columns(int S, double rate, int steps[EVAL_COLUMNS]);
// Writes a few lines for a terminal.
void eval_print(const EvalResult *r, FILE *out);

#endif
