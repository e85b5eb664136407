// SPDX-License-Identifier: Apache-2.0
#include "dataset/window.h"

#include "pose/pose.h"
#include <ctype.h>
#include <math.h>
#include <string.h>

static int row_dim(const Feature *f, const WindowSpec *w) {
    if (!f) return 0;
    return w->relative ? POSE_POLICY_ROW * w->arms : (int)f->size;
}

int window_state_dim(const Dataset *ds, const WindowSpec *w) {
    return row_dim(ds->state, w);
}

int window_action_dim(const Dataset *ds, const WindowSpec *w) {
    return row_dim(ds->action, w);
}

// ---- pose_repr=auto ---------------------------------------------------------------------------

// Whether a name, cut into words at anything that is not a letter or digit, has one of `words`
// ('|' between them). "left_ee.rx" has rx.
static bool has_word(const char *name, const char *words) {
    for (const char *p = name; *p;) {
        while (*p && !isalnum((unsigned char)*p)) p++;
        const char *start = p;
        while (isalnum((unsigned char)*p)) p++;
        size_t n = (size_t)(p - start);
        for (const char *w = words; n && w; w = strchr(w, '|') ? strchr(w, '|') + 1 : NULL) {
            size_t m = strcspn(w, "|");
            if (m == n && strncasecmp(start, w, n) == 0) return true;
        }
    }
    return false;
}

// "rotvec_x", "axis_angle.y", "rot_z": a rotation word and an axis word.
static bool is_rotation(const char *name, const char *axis, const char *whole) {
    return has_word(name, whole) ||
           (has_word(name, "rotvec|rotation|rot|axisangle|angle|rvec") && has_word(name, axis));
}

// Names of changes and speeds are not poses, whatever their axes.
static bool is_change(const char *name) {
    return has_word(name, "delta|diff|vel|velocity|speed|twist|d|dx|dy|dz|force|torque");
}

// Names of other rotations than vectors of axis times angle in radians.
static bool is_euler(const char *name) {
    return has_word(name, "roll|pitch|yaw|euler|rpy|deg|degree|degrees");
}

static bool is_pose_arm(const char *const *names) {
    static const char *const axes[] = {"x", "y", "z"};
    static const char *const turns[] = {"rx|wx", "ry|wy", "rz|wz"};
    for (int i = 0; i < 6; i++)
        if (is_change(names[i]) || is_euler(names[i])) return false;
    for (int i = 0; i < 3; i++) {
        bool turn = is_rotation(names[i], axes[i], turns[i]);
        if (turn || !has_word(names[i], axes[i])) return false;
        if (!is_rotation(names[3 + i], axes[i], turns[i])) return false;
    }
    return has_word(names[6], "gripper|grip|width|claw|hand");
}

static bool is_pose_feature(const Feature *f) {
    if (!f || f->size % POSE_ROW != 0 || f->n_names != f->size) return false;
    for (int64_t k = 0; k < f->size; k += POSE_ROW)
        if (!is_pose_arm(f->names + k)) return false;
    return true;
}

bool window_detect_arms(const Dataset *ds, bool explicit_relative, int *arms, Error *err) {
    *arms = 0;
    const Feature *s = ds->state, *a = ds->action;
    bool sizes = s && a && s->size == a->size && s->size > 0 && s->size % POSE_ROW == 0;
    if (explicit_relative && !sizes)
        return fail(err,
                    "%s: --policy.pose_repr=relative needs observation.state and action of "
                    "7 values an arm (x y z, rotation vector, gripper); they have %lld and "
                    "%lld",
                    ds->root, s ? (long long)s->size : 0LL, a ? (long long)a->size : 0LL);
    if (explicit_relative || (sizes && is_pose_feature(s) && is_pose_feature(a)))
        *arms = (int)(s->size / POSE_ROW);
    return true;
}

static const char to_convert[] = "relative poses need rotation vectors, axis times angle in "
                                 "radians; convert the dataset (with SciPy: "
                                 "Rotation.from_euler(\"xyz\", angles, degrees=True).as_rotvec(), "
                                 "in the order and unit of the recording), or "
                                 "train on the numbers as they are with --policy.pose_repr=none";

CHECKED static bool check_rotations(const Dataset *ds, const Feature *f, const float *data,
                                    int arms, Error *err) {
    for (int64_t k = 0; k < f->size && f->n_names == f->size; k++)
        if (k % POSE_ROW >= 3 && k % POSE_ROW < 6 && is_euler(f->names[k]))
            return fail(err, "%s: value %lld of %s is named %s: %s", ds->root, (long long)k,
                        f->name, f->names[k], to_convert);
    for (int64_t row = 0; row < ds->rows; row++) {
        const Episode *e = &ds->episodes[ds->episode_of[row]];
        for (int k = 0; k < arms; k++) {
            const float *v = data + row * f->size + POSE_ROW * k + 3;
            double length = sqrt((double)v[0] * v[0] + (double)v[1] * v[1] + (double)v[2] * v[2]);
            if (length <= POSE_LONGEST_VECTOR * (1 + 1e-6)) continue;
            return fail(
                err,
                "%s: episode %lld, frame %lld: values %d to %d of %s are [%g, %g, %g], no "
                "rotation vector, for it is longer than 2 pi (degrees, or Euler angles?): %s",
                ds->root, (long long)e->index, (long long)(row - e->first_row), POSE_ROW * k + 3,
                POSE_ROW * k + 5, f->name, (double)v[0], (double)v[1], (double)v[2], to_convert);
        }
    }
    return true;
}

bool window_check_poses(const Dataset *ds, int arms, Error *err) {
    return check_rotations(ds, ds->state, ds->state_data, arms, err) &&
           check_rotations(ds, ds->action, ds->action_data, arms, err);
}

// ---- windows ----------------------------------------------------------------------------------

void window_rows(const Dataset *ds, const WindowSpec *w, int64_t row, int64_t *rows) {
    int64_t first = ds->episodes[ds->episode_of[row]].first_row;
    for (int t = 0; t < w->horizon; t++) {
        int64_t r = row - (int64_t)(w->horizon - 1 - t) * w->down_sample;
        rows[t] = r < first ? first : r;
    }
}

static void row_to_doubles(const float *data, int64_t size, int64_t row, double *out) {
    for (int64_t i = 0; i < size; i++) out[i] = data[row * size + i];
}

// One recorded row in the policy's form.
static void row_to_policy_form(const WindowSpec *w, const double *base, const double *recorded,
                               int64_t size, double *out) {
    if (w->relative)
        pose_row_to_policy(recorded, base, w->arms, out);
    else
        memcpy(out, recorded, (size_t)size * sizeof *out);
}

void window_state(const Dataset *ds, const WindowSpec *w, int64_t row, double *state) {
    if (!state || !ds->state) return;
    double base[MAX_VECTOR], recorded[MAX_VECTOR];
    int64_t size = ds->state->size, dim = window_state_dim(ds, w);
    int64_t first = ds->episodes[ds->episode_of[row]].first_row;
    row_to_doubles(ds->state_data, size, row, base);
    for (int t = 0; t < w->horizon; t++) {
        int64_t r = row - (int64_t)(w->horizon - 1 - t) * w->down_sample;
        row_to_doubles(ds->state_data, size, r < first ? first : r, recorded);
        row_to_policy_form(w, base, recorded, size, state + t * dim);
    }
}

void window_action(const Dataset *ds, const WindowSpec *w, int64_t row, double *action,
                   uint8_t *is_pad) {
    double base[MAX_VECTOR], recorded[MAX_VECTOR];
    int64_t size = ds->action->size, dim = window_action_dim(ds, w);
    const Episode *e = &ds->episodes[ds->episode_of[row]];
    int64_t last = e->first_row + e->length - 1;
    if (w->relative || w->minus_state) row_to_doubles(ds->state_data, ds->state->size, row, base);
    for (int i = 0; i < w->chunk_size; i++) {
        int64_t r = row + i;
        if (is_pad) is_pad[i] = r > last;
        if (!action) continue;
        row_to_doubles(ds->action_data, size, r > last ? last : r, recorded);
        row_to_policy_form(w, base, recorded, size, action + i * dim);
        for (int64_t k = 0; w->minus_state && k < size; k++)
            if (w->minus_state[k]) action[i * dim + k] -= base[k];
    }
}
