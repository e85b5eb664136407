// SPDX-License-Identifier: Apache-2.0
#include "normalize/floor.h"

#include "pose/pose.h"
#include <math.h>
#include <stdbool.h>

static const double known_share = 0.1, unknown_share = 1e-3, magnitude_share = 0.01;
// A share of the largest range, whatever the unit: what is below it is noise even around 0.
static const double noise_share = 1e-5;
static const double least_metres = 1e-4;
// The deviation of values that are spread evenly over a range of one.
static const double even_deviation = 0.28867513459481287;

typedef enum Unit { UNIT_METRE, UNIT_GRIPPER, UNIT_UNKNOWN, UNIT_NONE } Unit;

static Unit unit_of(int i, int arms) {
    if (!arms) return UNIT_UNKNOWN;
    int at = i % POSE_POLICY_ROW;
    return at < 3 ? UNIT_METRE : at < POSE_POLICY_ROW - 1 ? UNIT_NONE : UNIT_GRIPPER;
}

// The largest range, deviation and magnitude among the values of one unit.
typedef struct Extent {
    double range, deviation, magnitude;
} Extent;

static void extent_add(Extent *e, const Stats *s, int arms, Unit unit) {
    for (int i = 0; s && i < s->dim; i++) {
        if (unit_of(i, arms) != unit) continue;
        e->range = fmax(e->range, s->max[i] - s->min[i]);
        e->deviation = fmax(e->deviation, s->std[i]);
        e->magnitude = fmax(e->magnitude, fmax(fabs(s->min[i]), fabs(s->max[i])));
    }
}

// The least range and deviation that a value of the unit is given.
static Extent floor_of(const Stats *s, const Stats *beside, int arms, Unit unit) {
    Extent e = {0};
    double least = 0;
    extent_add(&e, s, arms, unit);
    if (unit == UNIT_METRE) least = least_metres;
    if (unit == UNIT_GRIPPER) {
        extent_add(&e, beside, arms, unit);
        least = magnitude_share * e.magnitude;
    }
    double share = unit == UNIT_UNKNOWN ? unknown_share : known_share;
    return (Extent){.range = fmax(share * e.range, least),
                    .deviation = fmax(share * e.deviation, least * even_deviation)};
}

// The range of another unit says nothing about a value that has a unit of its own: a value that
// varies by more than a small share of itself is no noise.
static double own_floor(const Stats *s, int i, double least) {
    double own = magnitude_share * fmax(fabs(s->min[i]), fabs(s->max[i]));
    return fmin(least, fmax(own, least * noise_share / unknown_share));
}

int stats_floor(Stats *s, const Stats *beside, int arms) {
    Extent floors[UNIT_NONE];
    int widened = 0;
    for (int u = 0; u < UNIT_NONE; u++) floors[u] = floor_of(s, beside, arms, (Unit)u);
    for (int i = 0; i < s->dim; i++) {
        Unit unit = unit_of(i, arms);
        if (s->min[i] == s->max[i]) {
            s->mean[i] = s->min[i];
            s->std[i] = 0;
            continue;
        }
        if (unit == UNIT_NONE) continue;
        Extent least = floors[unit];
        if (unit == UNIT_UNKNOWN) {
            double own = own_floor(s, i, least.range);
            least =
                (Extent){.range = own, .deviation = fmin(least.deviation, own * even_deviation)};
        }
        bool narrow = s->max[i] - s->min[i] < least.range, steady = s->std[i] < least.deviation;
        if (narrow) {
            double middle = 0.5 * (s->min[i] + s->max[i]);
            s->min[i] = middle - 0.5 * least.range;
            s->max[i] = middle + 0.5 * least.range;
        }
        if (steady) s->std[i] = least.deviation;
        widened += narrow || steady;
    }
    return widened;
}
