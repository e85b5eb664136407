// SPDX-License-Identifier: Apache-2.0
#include "runtime/limits.h"

#include "pose/pose.h"
#include <math.h>

bool limits_check(const Limits *l, int arms, Error *err) {
    bool set = !isinf(l->translation) || !isinf(l->rotation);
    for (int i = 0; i < 3; i++) {
        set = set || !isinf(l->low[i]) || !isinf(l->high[i]);
        if (!(l->low[i] <= l->high[i]))
            return fail(err, "workspace_min and workspace_max: %g is not below %g", l->low[i],
                        l->high[i]);
    }
    if (!(l->translation > 0) || !(l->rotation > 0))
        return fail(err, "max_translation and max_rotation must be above 0");
    if (set && !arms)
        return fail(err, "safety limits are for policies with relative poses, which this is not");
    return true;
}

static bool move_into_box(const Limits *l, double *position) {
    bool changed = false;
    for (int i = 0; i < 3; i++) {
        double inside = fmin(fmax(position[i], l->low[i]), l->high[i]);
        changed = changed || inside != position[i];
        position[i] = inside;
    }
    return changed;
}

static bool shorten_way(const double *from, double most, double *to) {
    double d[3], length = 0;
    for (int i = 0; i < 3; i++) {
        d[i] = to[i] - from[i];
        length += d[i] * d[i];
    }
    length = sqrt(length);
    if (length <= most) return false;
    for (int i = 0; i < 3; i++) to[i] = from[i] + d[i] * (most / length);
    return true;
}

// On the shortest way from one rotation to the other.
static bool shorten_turn(const double *from, double most, double *to) {
    Pose a = pose_from_vector(from), b = pose_from_vector(to), step = pose_relative(&a, &b);
    double v[6];
    pose_to_vector(&step, v);
    double angle = sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5]);
    if (angle <= most) return false;
    for (int i = 3; i < 6; i++) v[i] *= most / angle;
    step = pose_from_vector(v);
    Pose nearer = pose_compose(&a, &step);
    pose_to_vector(&nearer, v);
    for (int i = 3; i < 6; i++) to[i] = v[i];
    return true;
}

void limits_apply(Limits *l, const double *previous, int arms, double *action) {
    bool outside = false, far = false, turned = false;
    for (int k = 0; k < arms; k++, previous += POSE_ROW, action += POSE_ROW) {
        outside |= move_into_box(l, action);
        far |= shorten_way(previous, l->translation, action);
        turned |= shorten_turn(previous, l->rotation, action);
    }
    l->outside += outside;
    l->far += far;
    l->turned += turned;
}
