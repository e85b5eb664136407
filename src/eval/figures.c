// SPDX-License-Identifier: Apache-2.0
// The data of the report's curves: what was predicted beside what was recorded.
#include "eval/figures.h"

#include "eval/training_log.h"
#include "pose/pose.h"
#include <math.h>
#include <stdlib.h>

enum {
    MOST_VALUES = 14,  // of an action, drawn of an episode
    MOST_THUMBS = 8,   // of an action, drawn of a window
    MOST_CAMERAS = 3,  // whose frames are shown of a window
    MOST_POINTS = 600, // of a line
};

// Six digits are enough for a picture, and take a third of the space.
static json_t *drawn_number(double x) {
    char text[32];
    snprintf(text, sizeof text, "%.6g", x);
    return isfinite(x) ? json_real(strtod(text, NULL)) : json_null();
}

// One value of every k-th of n actions (n, A), k = every.
static json_t *line_json(const double *actions, int64_t n, int A, int value, int64_t every) {
    json_t *line = json_array();
    for (int64_t s = 0; s < n; s += every)
        json_array_append_new(line, drawn_number(actions[s * A + value]));
    return line;
}

static json_t *value_json(const EvalResult *r, int value, json_t *recorded, json_t *predicted) {
    return json_pack("{s:o, s:s, s:o, s:o}", "name", json_bytes(r->dimensions[value].name), "unit",
                     eval_unit(r, value), "recorded", recorded, "predicted", predicted);
}

// n recorded actions (n, A) of every so many rows from one on, rotation vectors without jumps.
static double *recorded_actions(const EvalResult *r, int64_t row, int64_t n, int every) {
    const float *data = r->dataset->action_data + row * r->A;
    double *out = NEW(double, n * r->A);
    for (int64_t s = 0; s < n; s++)
        for (int i = 0; i < r->A; i++) out[s * r->A + i] = data[s * every * r->A + i];
    for (int64_t s = 1; s < n; s++) {
        double *action = out + s * r->A;
        action_nearest(action, action - r->A, r->A, r->arms, action);
    }
    return out;
}

// n predicted actions (n, A), each as near to the recorded one as its rotation can be; of
// `recorded` every so many are theirs.
static double *predicted_actions(const EvalResult *r, const float *chunk, const double *recorded,
                                 int64_t n, int every) {
    double *out = NEW(double, n * r->A);
    for (int64_t i = 0; i < n * r->A; i++) out[i] = chunk[i];
    for (int64_t s = 0; s < n; s++)
        action_nearest(out + s * r->A, recorded + s * every * r->A, r->A, r->arms, out + s * r->A);
    return out;
}

// ---- the worst predictions ----------------------------------------------------------------------

// Which values of an action to draw, the first ones being the most telling.
static int choose_thumbnails(const EvalResult *r, const EvalWindow *w, int chosen[MOST_THUMBS]) {
    static const int of_arm[] = {0, 1, 2, 6}; // the position and the gripper
    int n = 0;
    for (int k = 0; k < r->arms; k++)
        for (int i = 0; i < 4 && n < MOST_THUMBS; i++) chosen[n++] = POSE_ROW * k + of_arm[i];
    if (r->arms > 0) return n;
    // Of a plain policy the values that are furthest off, against their mean error.
    const int most = 4;
    while (n < most && n < r->A) {
        int best = -1;
        double worst = -1;
        for (int i = 0; i < r->A; i++) {
            bool taken = false;
            double usual = r->dimensions[i].l1, off = usual > 0 ? w->error[i] / usual : 0;
            for (int k = 0; k < n; k++) taken = taken || chosen[k] == i;
            if (!taken && off > worst) best = i, worst = off;
        }
        chosen[n++] = best;
    }
    return n;
}

static json_t *window_values(const EvalResult *r, const EvalWindow *w) {
    int chosen[MOST_THUMBS], n = choose_thumbnails(r, w, chosen);
    double *recorded = recorded_actions(r, w->row, w->valid, r->K);
    double *predicted = predicted_actions(r, w->predicted, recorded, w->valid, 1);
    json_t *values = json_array();
    for (int k = 0; k < n; k++)
        json_array_append_new(
            values, value_json(r, chosen[k], line_json(recorded, w->valid, r->A, chosen[k], 1),
                               line_json(predicted, w->valid, r->A, chosen[k], 1)));
    mem_free(recorded);
    mem_free(predicted);
    return values;
}

CHECKED static bool window_frames(const EvalResult *r, FrameReader *reader, const EvalWindow *w,
                                  const CameraModel *model, json_t *frames, Error *err) {
    int cameras =
        r->config.policy.n_cameras < MOST_CAMERAS ? r->config.policy.n_cameras : MOST_CAMERAS;
    for (int c = 0; c < cameras; c++) {
        // A known camera among those left out takes the last one's place.
        bool swap = model->known && c == cameras - 1 && model->position >= cameras;
        json_t *frame;
        if (!figures_frame(r, reader, w, swap ? model->position : c, model, &frame, err))
            return false;
        json_array_append_new(frames, frame);
    }
    return true;
}

CHECKED static bool add_windows(const EvalResult *r, const CameraModel *model, json_t *figures,
                                Error *err) {
    FrameReader *reader = NULL; // stays NULL where the policy sees no camera
    json_t *windows = json_array();
    json_object_set_new(figures, "windows", windows);
    bool ok = r->config.policy.n_cameras == 0 || frames_open(r->dataset, 0, 0, &reader, err);
    for (int i = 0; ok && i < r->n_worst; i++) {
        const EvalWindow *w = &r->worst[i];
        json_t *frames = json_array();
        json_array_append_new(
            windows, json_pack("{s:o, s:o}", "frames", frames, "values", window_values(r, w)));
        ok = window_frames(r, reader, w, model, frames, err);
    }
    frames_close(reader);
    return ok;
}

// ---- whole episodes -----------------------------------------------------------------------------

static json_t *episode_json(const EvalResult *r, const EvalCurves *c) {
    const Episode *e = &r->dataset->episodes[c->episode];
    const int64_t every = e->length / MOST_POINTS + 1;
    double *recorded = recorded_actions(r, e->first_row, e->length, 1);
    json_t *frames = json_array(), *values = json_array(), *chunks[MOST_VALUES];
    int n = r->A < MOST_VALUES ? r->A : MOST_VALUES;
    for (int v = 0; v < n; v++) {
        chunks[v] = json_array();
        json_array_append_new(
            values, value_json(r, v, line_json(recorded, e->length, r->A, v, every), chunks[v]));
    }
    for (int64_t k = 0; k < c->count; k++) {
        int64_t left = (e->length - c->frames[k] - 1) / r->K + 1;
        int64_t steps = left < r->S ? left : r->S;
        double *predicted = predicted_actions(r, c->chunks + k * r->S * r->A,
                                              recorded + c->frames[k] * r->A, steps, r->K);
        json_array_append_new(frames, json_integer(c->frames[k]));
        for (int v = 0; v < n; v++)
            json_array_append_new(chunks[v], line_json(predicted, steps, r->A, v, 1));
        mem_free(predicted);
    }
    mem_free(recorded);
    return json_pack("{s:I, s:I, s:I, s:o, s:o}", "episode",
                     (json_int_t)r->episodes[c->episode].index, "steps", (json_int_t)e->length,
                     "every", (json_int_t)every, "frames", frames, "values", values);
}

bool figures_open_loop(const EvalResult *r, const CameraModel *model, json_t **out, Error *err) {
    json_t *curves = json_array();
    *out = json_pack("{s:o, s:i}", "curves", curves, "most_curves", EVAL_CURVE_WINDOWS);
    for (int i = 0; i < r->n_curves; i++)
        json_array_append_new(curves, episode_json(r, &r->curves[i]));
    training_log_add(r->policy_dir, *out);
    if (add_windows(r, model, *out, err)) return true;
    json_decref(*out);
    *out = NULL;
    return false;
}
