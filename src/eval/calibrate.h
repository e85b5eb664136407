// SPDX-License-Identifier: Apache-2.0
// The calibration of a policy for int8: it is shown recorded episodes in float32, and how large the
// inputs of its products become there decides how they are rounded (policy/policy_int8.h). Then it
// is shown the same at int8, and both errors are there to be compared.
#ifndef TACT_EVAL_CALIBRATE_H
#define TACT_EVAL_CALIBRATE_H

#include "eval/histogram.h"
#include "eval/open_loop.h"

typedef struct CalibrateOptions {
    const char *policy_path;
    DatasetOptions dataset; // episodes NULL: some of those it was trained on, spread over all
    int64_t observations;   // about how many are predicted from
    Clip clip;
    int threads;
    void (*progress)(void *user, int64_t frame, int64_t frames); // may be NULL; of both showings
    void *user;
} CalibrateOptions;

typedef struct CalibrateResult {
    char path[POLICY_PATH + 64]; // of the file
    int products;                // in it
    bool compared;               // rounded is there; else why not
    Error why;
    EvalResult exact, rounded; // float32 and int8
} CalibrateResult;

// Writes the file beside the weights. The caller frees *out with calibrate_free, after a failure
// too. Errors: those of eval_open_loop; the policy's folder cannot be written to. A processor
// without int8 makes the file all the same, for others.
CHECKED bool calibrate(const CalibrateOptions *options, CalibrateResult *out, Error *err);
void calibrate_free(CalibrateResult *r); // a zeroed struct is allowed

#endif
