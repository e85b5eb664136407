// SPDX-License-Identifier: Apache-2.0
#include "runtime/schedule.h"

#include "base/memory.h"
#include "pose/pose.h"
#include "runtime/actions.h"
#include "runtime/handle.h"
#include <math.h>
#include <string.h>

static bool delay_fits(const char *name, double seconds, Error *err) {
    enum { MOST = 60 }; // beyond that it is milliseconds
    return (seconds >= 0 && seconds <= MOST) ||
           fail(err, "%s %g: must be seconds, from 0 to %d", name, seconds, MOST);
}

bool schedule_init(tact_policy *p, const tact_options *o, Error *err) {
    if (!delay_fits("camera_obs_latency", o->camera_obs_latency, err) ||
        !delay_fits("robot_obs_latency", o->robot_obs_latency, err) ||
        !delay_fits("gripper_obs_latency", o->gripper_obs_latency, err) ||
        !delay_fits("robot_action_latency", o->robot_action_latency, err) ||
        !delay_fits("gripper_action_latency", o->gripper_action_latency, err))
        return false;
    if (!p->config->arms && (o->gripper_obs_latency > 0 || o->gripper_action_latency > 0))
        return fail(err, "gripper_obs_latency and gripper_action_latency are for policies with "
                         "relative poses; of this one nothing says which value is a gripper");
    p->schedule = (Schedule){.camera = o->camera_obs_latency,
                             .robot = o->robot_obs_latency,
                             .gripper = o->gripper_obs_latency,
                             .robot_action = o->robot_action_latency,
                             .gripper_action = o->gripper_action_latency,
                             .state = TRY_NEW(double, SCHEDULE_STATES * p->state_size),
                             .at_capture = TRY_NEW(double, p->state_size)};
    return (p->schedule.state && p->schedule.at_capture) ||
           fail_memory(err, "%d states", SCHEDULE_STATES);
}

void schedule_free(Schedule *s) {
    mem_free(s->state);
    mem_free(s->at_capture);
}

void schedule_reset(tact_policy *p) {
    Schedule *s = &p->schedule;
    s->states = 0;
    s->has_due = s->at_moment = false;
    Plan *plan = plan_to_write(&p->plans);
    plan->episode = ++p->episode;
    plan->count = 0;
    plan_publish(&p->plans);
}

double schedule_step(const tact_policy *p) {
    double rate = p->config->fps > 0 ? p->config->fps : rate_now(&p->rate);
    return rate > 0 ? 1 / rate : 0;
}

// ---- observations -------------------------------------------------------------------------------

static double time_or(double given, double otherwise) {
    return given != 0 ? given : otherwise;
}

static bool time_fits(const char *name, double time, double now, Error *err) {
    if (!isfinite(time)) return fail(err, "%s of the observation is not finite", name);
    return time <= now + 1 ||
           fail(err,
                "%s of the observation lies %.3g s ahead; give seconds of the monotonic clock "
                "(CLOCK_MONOTONIC), which is at %.3f",
                name, time - now, now);
}

bool schedule_check(const tact_policy *p, const tact_observation *o, Error *err) {
    const Schedule *s = &p->schedule;
    double now = p->rate.clock(), chunk = policy_chunk_steps(p->config) * schedule_step(p);
    if (!time_fits("time", o->time, now, err) || !time_fits("state_time", o->state_time, now, err))
        return false;
    double age = now - (time_or(o->time, now) - s->camera);
    return chunk == 0 || age < chunk ||
           fail(err, "the observation is %.3g s old; all actions of a chunk, %.3g s, are past", age,
                chunk);
}

// The state at a time, from those that were measured around it: of one of its two groups, the
// grippers of poses and everything else.
static void state_at(const tact_policy *p, double time, int group, double *out) {
    const Schedule *s = &p->schedule;
    const size_t size = p->state_size;
    int64_t later = s->states - 1, first = s->states - SCHEDULE_STATES;
    if (first < 0) first = 0;
#define STATE(i) (s->state + (size_t)((i) % SCHEDULE_STATES) * size)
#define TIME(i) (s->state_at[(i) % SCHEDULE_STATES][group])
    while (later > first && TIME(later - 1) >= time) later--;
    double span = later > first ? TIME(later) - TIME(later - 1) : 0;
    if (time >= TIME(later) || !(span > 0))
        memcpy(out, STATE(later), size * sizeof *out);
    else
        actions_between(STATE(later - 1), STATE(later), (time - TIME(later - 1)) / span, (int)size,
                        p->config->arms, out);
#undef STATE
#undef TIME
}

const double *schedule_observed(tact_policy *p, const tact_observation *o) {
    Schedule *s = &p->schedule;
    const size_t size = p->state_size;
    double now = p->rate.clock(), given = time_or(o->time, now);
    double state_time = time_or(o->state_time, given);
    s->captured = given - s->camera;
    s->by_clock = !p->ensembles && schedule_step(p) > 0 &&
                  (o->time != 0 || s->camera > 0 || s->robot_action > 0);
    s->moment = now;
    s->at_moment = true;
    if (size == 0) return o->state;
    int place = (int)(s->states++ % SCHEDULE_STATES);
    double *at = s->state_at[place];
    memcpy(s->state + (size_t)place * size, o->state, size * sizeof *o->state);
    at[0] = state_time - s->robot;
    at[1] = state_time - s->gripper;
    if (at[0] <= s->captured && at[1] <= s->captured) return o->state;
    state_at(p, s->captured, 0, s->at_capture);
    if (p->config->arms) {
        double *grippers = p->blended;
        state_at(p, s->captured, 1, grippers);
        for (int k = 0; k < p->config->arms; k++)
            s->at_capture[POSE_ROW * k + 6] = grippers[POSE_ROW * k + 6];
    }
    return s->at_capture;
}

// ---- actions ------------------------------------------------------------------------------------

// When a command would have its effect that is given now.
static double effect_time(const tact_policy *p) {
    return p->rate.clock() + p->schedule.robot_action;
}

static int row_at(const tact_policy *p, double captured, double time) {
    const int last = policy_chunk_steps(p->config) - 1;
    double row = rint((time - captured) / schedule_step(p));
    return row < 0 ? 0 : row > last ? last : (int)row;
}

int schedule_first(const tact_policy *p, int counted) {
    const Schedule *s = &p->schedule;
    if (!s->asked_by_clock) return counted;
    // Where a chunk is played and keeps its times, the new one goes on at the very time that is
    // next: both are of frames some whole steps apart, so there is nothing to round, and a loop
    // that trembles by a millisecond neither repeats a step nor leaves one out.
    double time = effect_time(p);
    if (s->has_due && fabs(s->due - time) <= schedule_step(p)) time = s->due;
    return row_at(p, s->asked_captured, time);
}

int schedule_played(const tact_policy *p, int first) {
    const Schedule *s = &p->schedule;
    const double step = schedule_step(p);
    if (!s->asked_by_clock || !s->chunk_by_clock || !(step > 0)) return p->queue_at;
    const double due = s->asked_captured + first * step,
                 row = rint((due - s->chunk_captured) / step);
    const int steps = policy_chunk_steps(p->config);
    return row < p->queue_at ? p->queue_at : row > steps ? steps : (int)row;
}

void schedule_took_over(tact_policy *p) {
    Schedule *s = &p->schedule;
    s->chunk_captured = s->asked_captured;
    s->chunk_by_clock = s->asked_by_clock;
}

int schedule_past(const tact_policy *p) {
    const Schedule *s = &p->schedule;
    double step = schedule_step(p);
    if (!s->chunk_by_clock || !(step > 0) || p->queue_left < 2) return 0;
    double late = effect_time(p) - (s->chunk_captured + p->queue_at * step);
    if (late <= step) return 0;
    int past = row_at(p, 0, late);
    return past < p->queue_left ? past : p->queue_left - 1;
}

static bool limits_are_set(const Limits *l) {
    bool set = isfinite(l->translation) || isfinite(l->rotation);
    for (int i = 0; i < 3; i++) set = set || isfinite(l->low[i]) || isfinite(l->high[i]);
    return set;
}

// The i-th action that is foreseen after the one given out, into out; false where there is none.
static bool action_foreseen(tact_policy *p, int i, double *out) {
    const int width = (int)p->action_size, arms = p->config->arms;
    enum { MEANS = 8 }; // of an ensemble: to find the mean rotation takes a while
    if (p->ensembles) {
        if (i >= p->ensemble.left || i >= MEANS) return false;
        action_from_linear(p->ensemble.mean + i * p->ensemble.width, width, arms, out);
    } else {
        if (p->queue_at + i >= policy_chunk_steps(p->config)) return false;
        memcpy(out, p->queue + (p->queue_at + i) * width, p->action_size * sizeof *out);
    }
    for (int k = 0; k < width; k++)
        if (!isfinite(out[k])) return false;
    return true;
}

static void plan_write(tact_policy *p, double given_before) {
    const Schedule *s = &p->schedule;
    const size_t A = p->action_size;
    const bool limited = limits_are_set(&p->limits);
    Plan *plan = plan_to_write(&p->plans);
    Limits limits = p->limits; // what is only foreseen is not counted
    int n = 0;
    plan->episode = p->episode;
    plan->step = schedule_step(p);
    if (p->has_before && s->given - given_before > 1e-6) {
        plan->times[n] = given_before;
        memcpy(plan->actions, p->before, A * sizeof *p->before);
        n++;
    }
    plan->times[n] = s->given;
    memcpy(plan->actions + (size_t)n * A, p->last, A * sizeof *p->last);
    n++;
    for (int i = 0; plan->step > 0 && n < p->plans.most; i++, n++) {
        double *action = plan->actions + (size_t)n * A;
        if (!action_foreseen(p, i, action)) break;
        if (limited) limits_apply(&limits, action - A, p->config->arms, action);
        actions_continue(action, action - A, p->config->arms);
        plan->times[n] = s->given + (i + 1) * plan->step;
    }
    plan->count = n;
    plan_publish(&p->plans);
}

void schedule_given(tact_policy *p) {
    Schedule *s = &p->schedule;
    const double step = schedule_step(p), before = s->given;
    if (s->chunk_by_clock) {
        s->given = s->chunk_captured + (p->queue_at - 1) * step;
    } else {
        double moment = s->at_moment ? s->moment : p->rate.clock();
        s->given = s->has_due && fabs(s->due - moment) <= step / 2 ? s->due : moment;
    }
    s->at_moment = false;
    s->due = s->given + step;
    s->has_due = true;
    plan_write(p, before);
}
