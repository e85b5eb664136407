// SPDX-License-Identifier: Apache-2.0
// Rules about grippers: how far they move in an episode, and which way.
#include "check/series.h"

#include <math.h>

static void check_ranges(Check *c, const Vector *v, int d) {
    const Dataset *ds = c->ds;
    double *ranges = NEW(double, ds->n_episodes);
    for (int64_t e = 0; e < ds->n_episodes; e++) ranges[e] = range_in(v, e, d);
    double usual = middle_of(ranges, ds->n_episodes);
    mem_free(ranges);
    // One that most episodes hardly use has no usual range.
    if (usual < 0.1 * (v->dims[d].high - v->dims[d].low) || !(usual > 0)) return;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        double range = range_in(v, e, d), share = range / usual;
        if (share < check_rules[RULE_gripper_range].limit)
            find(c, RULE_gripper_range, e, -1, v->dims[d].name, share,
                 "a range of %.3g, usually %.3g", range, usual);
    }
}

// ---- direction ----------------------------------------------------------------------------------

enum { MOMENTS = 16 };

// A gripper over an episode's course, about its mean.
typedef struct Course {
    double at[MOMENTS];
    double size; // root of the sum of squares
} Course;

static Course center(const double *values) {
    Course course;
    double mean = 0, squares = 0;
    for (int i = 0; i < MOMENTS; i++) mean += values[i] / MOMENTS;
    for (int i = 0; i < MOMENTS; i++) {
        course.at[i] = values[i] - mean;
        squares += course.at[i] * course.at[i];
    }
    course.size = sqrt(squares);
    return course;
}

static Course course_of(const Vector *v, const Episode *episode, int d) {
    double values[MOMENTS];
    for (int i = 0; i < MOMENTS; i++)
        values[i] = value_at(v, episode->first_row + i * (episode->length - 1) / (MOMENTS - 1), d);
    return center(values);
}

// How alike two courses are, from -1 to 1; 0 where one does not move.
static double likeness(const Course *a, const Course *b) {
    double sum = 0;
    for (int i = 0; i < MOMENTS; i++) sum += a->at[i] * b->at[i];
    return a->size > 0 && b->size > 0 ? sum / (a->size * b->size) : 0;
}

static Course usual_course(const Dataset *ds, const Course *courses) {
    double values[MOMENTS], *column = NEW(double, ds->n_episodes);
    for (int i = 0; i < MOMENTS; i++) {
        for (int64_t e = 0; e < ds->n_episodes; e++) column[e] = courses[e].at[i];
        values[i] = middle_of(column, ds->n_episodes);
    }
    mem_free(column);
    return center(values);
}

// Most tasks begin and end with the gripper in the same way: an episode whose course is the usual
// one turned over was recorded with the opposite direction. Nothing is said where there is no
// usual course.
static void check_direction(Check *c, const Vector *v, int d) {
    const Dataset *ds = c->ds;
    const double limit = check_rules[RULE_gripper_direction].limit;
    Course *courses = NEW(Course, ds->n_episodes);
    double *alike = NEW(double, ds->n_episodes);
    for (int64_t e = 0; e < ds->n_episodes; e++) courses[e] = course_of(v, &ds->episodes[e], d);
    Course usual = usual_course(ds, courses);
    for (int64_t e = 0; e < ds->n_episodes; e++) alike[e] = likeness(&courses[e], &usual);
    if (middle_of(alike, ds->n_episodes) > limit) {
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            double against = -likeness(&courses[e], &usual);
            if (against > limit && courses[e].size > 0.3 * usual.size)
                find(c, RULE_gripper_direction, e, -1, v->dims[d].name, against,
                     "from %.3g to %.3g: it opens where the others close",
                     value_at(v, ds->episodes[e].first_row, d),
                     value_at(v, ds->episodes[e].first_row + ds->episodes[e].length - 1, d));
        }
    }
    mem_free(alike);
    mem_free(courses);
}

// ---- chatter ------------------------------------------------------------------------------------

// How often a gripper goes from one end of its range to the other.
static double count_switches(const Vector *v, const Episode *episode, int d) {
    const Dim *dim = &v->dims[d];
    double lower = dim->low + 0.3 * (dim->high - dim->low);
    double upper = dim->low + 0.7 * (dim->high - dim->low);
    int at = 0, switches = 0;
    for (int64_t i = 0; i < episode->length; i++) {
        double x = value_at(v, episode->first_row + i, d);
        int now = x <= lower ? -1 : x >= upper ? 1 : at;
        switches += at != 0 && now != at;
        at = now;
    }
    return switches;
}

static void check_chatter(Check *c, const Vector *v, int d) {
    const Dataset *ds = c->ds;
    double *sorted = NEW(double, ds->n_episodes), limit = check_rules[RULE_gripper_chatter].limit;
    if (v->dims[d].high > v->dims[d].low) {
        for (int64_t e = 0; e < ds->n_episodes; e++)
            sorted[e] = count_switches(v, &ds->episodes[e], d);
        double usual = middle_of(sorted, ds->n_episodes);
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            double more = count_switches(v, &ds->episodes[e], d) - 3 * usual;
            if (more > limit)
                find(c, RULE_gripper_chatter, e, -1, v->dims[d].name, more,
                     "it opens or closes %.0f times, usually %.0f", more + 3 * usual, usual);
        }
    }
    mem_free(sorted);
}

void check_grippers(Check *c) {
    const Vector *both[] = {&c->state, &c->action};
    if (c->ds->n_episodes < FEWEST_EPISODES) return;
    for (int i = 0; i < 2; i++) {
        for (int d = 0; d < both[i]->n; d++) {
            if (!both[i]->dims[d].gripper) continue;
            check_ranges(c, both[i], d);
            check_direction(c, both[i], d);
            check_chatter(c, both[i], d);
        }
    }
}
