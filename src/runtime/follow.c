// SPDX-License-Identifier: Apache-2.0
// The curve through the actions of a plan. When the plan changes, the curve does not jump: it goes
// on from the place where the controller asked last, with the speed it had there.
#include "runtime/follow.h"

#include "base/memory.h"
#include "pose/curve.h"
#include "pose/pose.h"
#include <math.h>
#include <string.h>

CHECKED static bool moment_init(Moment *m, int width, int arms) {
    m->values = TRY_NEW(double, width);
    m->rates = TRY_NEW(double, width);
    m->rotations = mem_try_array(sizeof *m->rotations, (size_t)arms);
    return m->values && m->rates && m->rotations;
}

static void moment_free(Moment *m) {
    mem_free(m->values);
    mem_free(m->rates);
    mem_free(m->rotations);
}

static void moment_copy(Moment *to, const Moment *from, int width, int arms) {
    memcpy(to->time, from->time, sizeof to->time);
    memcpy(to->values, from->values, (size_t)width * sizeof *to->values);
    memcpy(to->rates, from->rates, (size_t)width * sizeof *to->rates);
    memcpy(to->rotations, from->rotations, (size_t)arms * sizeof *to->rotations);
}

bool follower_init(Follower *f, int width, int arms, const double ahead[FOLLOW_GROUPS],
                   const double *low, const double *high, Error *err) {
    *f = (Follower){.width = width, .arms = arms, .low = low, .high = high};
    memcpy(f->ahead, ahead, sizeof f->ahead);
    f->goal = TRY_NEW(double, FOLLOW_GROUPS *width);
    return (moment_init(&f->newest, width, arms) && moment_init(&f->anchor, width, arms) &&
            f->goal) ||
           fail_memory(err, "a curve of %d values", width);
}

void follower_free(Follower *f) {
    moment_free(&f->newest);
    moment_free(&f->anchor);
    mem_free(f->goal);
}

// ---- the curve ----------------------------------------------------------------------------------

// Values of a pose are its arm's place * 7 + 0 to 2 the position, 3 to 5 the rotation, 6 the
// gripper.
static bool in_group(const Follower *f, int value, int group) {
    return group == (f->arms && value % POSE_ROW == 6);
}

static bool is_rotation(const Follower *f, int value) {
    return f->arms && value % POSE_ROW >= 3 && value % POSE_ROW < 6;
}

static const double *plan_action(const Follower *f, const Plan *p, int i) {
    return p->actions + (size_t)i * (size_t)f->width;
}

// Of value k at the i-th action: at the ends of the plan the robot stands.
static double number_rate(const Follower *f, const Plan *p, int i, int k) {
    if (i == 0 || i == p->count - 1) return 0;
    const double *here = plan_action(f, p, i) + k;
    return curve_rate(here[-f->width], *here, here[f->width], p->times[i] - p->times[i - 1],
                      p->times[i + 1] - p->times[i]);
}

static Pose plan_rotation(const Follower *f, const Plan *p, int i, int arm) {
    return pose_from_vector(plan_action(f, p, i) + POSE_ROW * arm);
}

static void turn_rate(const Follower *f, const Plan *p, int i, int arm, double rate[3]) {
    memset(rate, 0, 3 * sizeof *rate);
    if (i == 0 || i == p->count - 1) return;
    Pose before = plan_rotation(f, p, i - 1, arm), here = plan_rotation(f, p, i, arm),
         after = plan_rotation(f, p, i + 1, arm);
    curve_turn_rate(before.rotation, here.rotation, after.rotation, p->times[i] - p->times[i - 1],
                    p->times[i + 1] - p->times[i], rate);
}

// The part of the curve that a time lies in: from an action of the plan, or from the anchor, to
// another.
typedef struct Part {
    int from, to;   // actions of the plan; from -1: the anchor
    double seconds; // between them
    double share;   // of them that has passed, 0 to 1
} Part;

static void arrive(const Follower *f, const Plan *p, int i, int group, Moment *out) {
    const double *action = plan_action(f, p, i);
    for (int k = 0; k < f->width; k++)
        if (in_group(f, k, group)) out->values[k] = action[k], out->rates[k] = 0;
    for (int arm = 0; arm < f->arms && group == 0; arm++) {
        Pose pose = plan_rotation(f, p, i, arm);
        memcpy(out->rotations[arm], pose.rotation, sizeof pose.rotation);
    }
}

// A position stays in the box, or, on the way into it, between the ends of the part.
static void keep_in_box(const Follower *f, int k, double from, double to, Moment *out) {
    if (!f->arms || k % POSE_ROW >= 3) return;
    double least = fmin(f->low[k % POSE_ROW], fmin(from, to)),
           most = fmax(f->high[k % POSE_ROW], fmax(from, to)),
           inside = fmin(fmax(out->values[k], least), most);
    if (inside == out->values[k]) return;
    out->values[k] = inside;
    out->rates[k] = 0;
}

static void numbers_on(const Follower *f, const Plan *p, const Part *part, int group, Moment *out) {
    const double *to = plan_action(f, p, part->to);
    for (int k = 0; k < f->width; k++) {
        if (!in_group(f, k, group) || is_rotation(f, k)) continue;
        bool anchored = part->from < 0;
        double a = anchored ? f->anchor.values[k] : plan_action(f, p, part->from)[k];
        double ra = anchored ? f->anchor.rates[k] : number_rate(f, p, part->from, k);
        out->values[k] = curve_number(a, ra, to[k], number_rate(f, p, part->to, k), part->seconds,
                                      part->share, &out->rates[k]);
        keep_in_box(f, k, a, to[k], out);
    }
}

static void rotations_on(const Follower *f, const Plan *p, const Part *part, Moment *out) {
    for (int arm = 0; arm < f->arms; arm++) {
        const int at = POSE_ROW * arm + 3;
        double ra[3], rb[3], v[6];
        Pose from = {0}, to = plan_rotation(f, p, part->to, arm), there = {0};
        if (part->from < 0) {
            memcpy(from.rotation, f->anchor.rotations[arm], sizeof from.rotation);
            memcpy(ra, f->anchor.rates + at, sizeof ra);
        } else {
            from = plan_rotation(f, p, part->from, arm);
            turn_rate(f, p, part->from, arm, ra);
        }
        turn_rate(f, p, part->to, arm, rb);
        curve_rotation(from.rotation, ra, to.rotation, rb, part->seconds, part->share,
                       there.rotation, out->rates + at);
        pose_to_vector(&there, v);
        memcpy(out->rotations[arm], there.rotation, sizeof there.rotation);
        memcpy(out->values + at, v + 3, 3 * sizeof *v);
        // The actions themselves to the bit, not but for rounding.
        if (part->from >= 0 && part->share == 0)
            memcpy(out->values + at, plan_action(f, p, part->from) + at, 3 * sizeof *v);
        else
            pose_vector_near(out->values + at, plan_action(f, p, part->to) + at);
    }
}

// The first action of the plan after a time; count: none.
static int action_after(const Plan *p, double time) {
    int i = 0;
    while (i < p->count && p->times[i] <= time) i++;
    return i;
}

// Fills in what is of the group. Returns whether the curve is at its end.
static bool curve_at(const Follower *f, const Plan *p, int group, double time, Moment *out) {
    const int last = p->count - 1;
    Part part = {.from = -1};
    out->time[group] = time;
    if (f->anchored) {
        const int target = f->target[group];
        double start = f->anchor.time[group];
        double end = target < 0 ? start + p->step : p->times[target];
        if (time < end) {
            part.to = target < 0 ? last : target;
            part.seconds = end - start;
            part.share = time > start ? (time - start) / part.seconds : 0;
        } else if (target < 0) {
            arrive(f, p, last, group, out);
            return true;
        }
    }
    if (part.seconds <= 0) {
        int next = action_after(p, time);
        if (next == 0 || next > last) {
            arrive(f, p, next ? last : 0, group, out);
            return next > 0;
        }
        part.from = next - 1, part.to = next;
        part.seconds = p->times[next] - p->times[next - 1];
        part.share = (time - p->times[next - 1]) / part.seconds;
    }
    numbers_on(f, p, &part, group, out);
    if (group == 0) rotations_on(f, p, &part, out);
    return false;
}

// ---- changes of the plan ------------------------------------------------------------------------

// Remembers where the curve was going before the plan is exchanged.
static void note_goals(Follower *f, const Plan *p) {
    for (int group = 0; group < FOLLOW_GROUPS; group++) {
        int next = action_after(p, f->newest.time[group]);
        f->goal_time[group] = next < p->count ? p->times[next] : INFINITY;
        if (next < p->count)
            memcpy(f->goal + group * f->width, plan_action(f, p, next),
                   (size_t)f->width * sizeof *f->goal);
    }
}

static bool was_goal(const Follower *f, const Plan *p, int i, int group) {
    const double *goal = f->goal + group * f->width, *action = plan_action(f, p, i);
    if (!(fabs(p->times[i] - f->goal_time[group]) < 1e-6)) return false;
    for (int k = 0; k < f->width; k++)
        if (in_group(f, k, group) && !(fabs(action[k] - goal[k]) <= 1e-12)) return false;
    return true;
}

// The next action, where the curve was on the way to it or there is time to get there; else the one
// after it, for what is moved at the last moment would be a leap to reach.
static int choose_target(const Follower *f, const Plan *p, int group) {
    double now = f->newest.time[group];
    int next = action_after(p, now);
    if (next < p->count && p->times[next] - now < p->step / 2 && !was_goal(f, p, next, group))
        next++;
    return next < p->count ? next : -1;
}

static const Plan *take_newer_plan(Follower *f, PlanBoard *board) {
    if (f->moving) note_goals(f, plan_held(board));
    const Plan *p = plan_take(board);
    f->moving = f->moving && p->episode == f->episode;
    f->episode = p->episode;
    f->anchored = f->moving && p->step > 0;
    if (!f->anchored) return p;
    moment_copy(&f->anchor, &f->newest, f->width, f->arms);
    for (int group = 0; group < FOLLOW_GROUPS; group++)
        f->target[group] = choose_target(f, p, group);
    return p;
}

tact_status follower_at(Follower *f, PlanBoard *board, double time, double *action) {
    const Plan *p = plan_is_newer(board) ? take_newer_plan(f, board) : plan_held(board);
    if (p->count == 0) return TACT_ERROR_NOTHING_SEEN;
    bool ended = true;
    for (int group = 0; group < FOLLOW_GROUPS; group++)
        ended &= curve_at(f, p, group, time + f->ahead[group], &f->newest);
    f->moving = true;
    memcpy(action, f->newest.values, (size_t)f->width * sizeof *action);
    return ended ? TACT_HOLDING : TACT_OK;
}
