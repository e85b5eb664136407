// SPDX-License-Identifier: Apache-2.0
#include "dataset/arms.h"

#include "pose/pose.h"
#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

// ---- by names ---------------------------------------------------------------------------------

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

bool arms_detect(const Dataset *ds, bool explicit_relative, int *arms, Error *err) {
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

// ---- by values --------------------------------------------------------------------------------

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
        for (int k = 0; k < arms; k++) {
            const float *v = data + row * f->size + POSE_ROW * k + 3;
            double length = sqrt((double)v[0] * v[0] + (double)v[1] * v[1] + (double)v[2] * v[2]);
            if (length <= POSE_LONGEST_VECTOR * (1 + 1e-6)) continue;
            const Episode *e = dataset_episode_of(ds, row);
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

bool arms_check_poses(const Dataset *ds, int arms, Error *err) {
    return check_rotations(ds, ds->state, ds->state_data, arms, err) &&
           check_rotations(ds, ds->action, ds->action_data, arms, err);
}
