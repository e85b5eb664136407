// SPDX-License-Identifier: Apache-2.0
// The scripted expert. It steers by what it sees: every command is a step from the last one towards
// where the berry is (or, when it swings, will be), so a path that strays is led back.
#include "env/mujoco/world.h"

#include <math.h>
#include <string.h>

// In metres and radians, of a step of 1/fps seconds.
static const double full_speed = 0.011, quicker = 0.003; // top speed and its growth
static const double strike_speed = 0.012; // steady, so that the distance tells the time
static const double opening_step = 0.002, closing = 0.016, quick_closing = 0.025;
// The strike at a swinging berry: so many steps to be beside it and as fast, so many more to put
// the fingers around it. The first take a quarter of a swing, after which a berry is where its
// speed, not its place, said it would be.
enum { MEET_STEPS = 8, AROUND_STEPS = 4, STRIKE_STEPS = MEET_STEPS + AROUND_STEPS };

void expert_reset(Env *env, RngStream *rng) {
    Expert *e = &env->expert;
    memset(e, 0, sizeof *e);
    double size = env->task.period > 0 ? 0.004 : 0.018;
    for (int i = 0; i < 2; i++) {
        e->wave[i][0] = rng_between(rng, -size, size);
        e->wave[i][1] = rng_between(rng, 0.12, 0.30);
        e->wave[i][2] = rng_between(rng, 0, 2 * M_PI);
    }
}

static double expert_clamp(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

// The natural variation: slow waves across the way and along z that die out near the berry.
static double wave_offset(const Env *env, int i, double distance) {
    const double *w = env->expert.wave[i];
    double fade = expert_clamp((distance - 0.05) / 0.10, 0, 1);
    return w[0] * sin(w[1] * env->steps + w[2]) * fade * fade * (3 - 2 * fade);
}

// Turns towards looking from the palm at `target`, the fingers level.
static void look_at(Pose *p, const double target[3]) {
    double z[3], x[3], y[3];
    for (int i = 0; i < 3; i++)
        z[i] = target[i] - (p->position[i] - FINGER_BACK * p->rotation[i][2]);
    mju_normalize3(z);
    const double up[3] = {0, 0, 1};
    mju_cross(x, z, up);
    mju_normalize3(x);
    mju_cross(y, z, x);
    Pose goal = {.position = {p->position[0], p->position[1], p->position[2]}};
    for (int i = 0; i < 3; i++) {
        goal.rotation[i][0] = x[i];
        goal.rotation[i][1] = y[i];
        goal.rotation[i][2] = z[i];
    }
    Pose turn = pose_relative(p, &goal);
    double v[6];
    pose_to_vector(&turn, v);
    double angle = mju_norm3(v + 3), part = angle > 1e-9 ? fmin(0.25, 0.12 / angle) : 0;
    for (int i = 0; i < 3; i++) {
        v[i] = 0;
        v[3 + i] *= part;
    }
    turn = pose_from_vector(v);
    Pose next = pose_compose(p, &turn);
    memcpy(p->rotation, next.rotation, sizeof p->rotation);
}

// One step of the command towards `goal`, at most at full speed, slowing down near it.
static void step_towards(Expert *e, Pose *p, const double goal[3]) {
    double way[3];
    mju_sub3(way, goal, p->position);
    double distance = mju_normalize3(way);
    double speed = fmin(fmin(full_speed, e->speed + quicker), 0.35 * distance);
    e->speed = speed;
    mju_addToScl3(p->position, way, speed);
}

static void next_phase(Expert *e, Phase phase) {
    e->phase = phase;
    e->steps = 0;
    e->speed = 0;
}

static void phase_approach(Env *env, Pose *p, const double berry[3]) {
    double goal[3], distance = mju_dist3(p->position, berry);
    memcpy(goal, berry, sizeof goal);
    goal[0] += wave_offset(env, 0, distance);
    goal[2] += wave_offset(env, 1, distance);
    step_towards(&env->expert, p, goal);
    look_at(p, berry);
    Pose now = world_tool(env);
    if (mju_dist3(now.position, berry) < 0.009) next_phase(&env->expert, CLOSE);
}

// Where the berry's centre will be `seconds` from now, as a pendulum of small swings.
static void foresee_berry(const Env *env, double seconds, double at[3]) {
    const mjModel *m = env->m;
    double w = world_swing_rate(env), length = env->task.stem + BERRY_CENTRE;
    double a = env->d->qpos[m->jnt_qposadr[env->h.swing_joint]];
    double rate = env->d->qvel[m->jnt_dofadr[env->h.swing_joint]];
    double then = a * cos(w * seconds) + rate / w * sin(w * seconds);
    memcpy(at, env->d->xpos + 3 * env->h.stem, 3 * sizeof *at);
    at[0] += length * sin(then);
    at[2] -= length * cos(then);
}

// The command across and along z for the end of this step of the strike: the curve of least jerk
// from rest to the berry's place and speed where they meet, then with it.
static void strike_step(Env *env, Pose *p) {
    Expert *e = &env->expert;
    double step = 1.0 / env->spec->fps, at[3], later[3];
    int left = MEET_STEPS - ++e->steps; // to the meeting, after this step
    double until = (left > 0 ? left + 1 : 1) * step;
    foresee_berry(env, until, at);
    foresee_berry(env, until + 0.01, later);
    double u = left > 0 ? (double)e->steps / MEET_STEPS : 1, u3 = u * u * u;
    for (int i = 0; i < 2; i++) {
        double goal = at[2 * i], speed = (later[2 * i] - goal) / 0.01 * MEET_STEPS * step;
        p->position[2 * i] = e->from[i] + (goal - e->from[i]) * u3 * (10 + u * (6 * u - 15)) +
                             speed * u3 * (-4 + u * (7 - 3 * u));
    }
}

// Forward at a steady speed along the middle of the swing; so near that STRIKE_STEPS are left, the
// strike. The fingers open on the way, so much a step, and are open where they meet the berry: how
// far they are tells the time.
static void phase_approach_swing(Env *env, Pose *p, double *opening) {
    Expert *e = &env->expert;
    double lowest[3];
    memcpy(lowest, env->d->xpos + 3 * env->h.stem, sizeof lowest);
    lowest[2] -= env->task.stem + BERRY_CENTRE;
    double left = lowest[1] - p->position[1];
    e->speed = fmin(strike_speed, e->speed + quicker);
    p->position[1] += fmin(e->speed, left);
    double before = (left - e->speed) / strike_speed - AROUND_STEPS; // steps before the meeting
    *opening = ENV_OPENING - opening_step * fmax(0, before);
    if (left > (STRIKE_STEPS + 0.5) * strike_speed) {
        double ahead = left - STRIKE_STEPS * strike_speed;
        double x = lowest[0] + wave_offset(env, 0, ahead),
               z = lowest[2] + wave_offset(env, 1, ahead);
        p->position[0] += expert_clamp(0.25 * (x - p->position[0]), -0.01, 0.01);
        p->position[2] += expert_clamp(0.25 * (z - p->position[2]), -0.01, 0.01);
        look_at(p, (const double[3]){lowest[0], lowest[1] + 1.0, lowest[2]});
        return;
    }
    if (e->phase == APPROACH) {
        next_phase(e, STRIKE);
        e->speed = strike_speed;
        e->from[0] = p->position[0];
        e->from[1] = p->position[2];
    }
    strike_step(env, p);
    if (e->steps >= STRIKE_STEPS) next_phase(e, CLOSE);
}

static void phase_close(Env *env, Pose *p) {
    Expert *e = &env->expert;
    e->steps++;
    if (env->task.period > 0 && e->steps <= 2) { // still with it
        double at[3];
        foresee_berry(env, 1.0 / env->spec->fps, at);
        p->position[0] = at[0];
        p->position[2] = at[2];
    }
    if (world_opening(env) < 0.042 && e->steps >= 4) {
        memcpy(e->grasp, p->position, sizeof e->grasp);
        for (int i = 0; i < 3; i++) e->pull[i] = -0.8 * p->rotation[i][2] - (i == 2 ? 0.6 : 0);
        mju_normalize3(e->pull);
        next_phase(e, PULL);
    }
}

static void phase_pull(Env *env, Pose *p) {
    Expert *e = &env->expert;
    double goal[3];
    mju_addScl3(goal, e->grasp, e->pull, 0.12);
    step_towards(e, p, goal);
}

void env_expert(Env *env, double *action) {
    Expert *e = &env->expert;
    Pose p = world_command(env);
    double berry[3], opening = env->task.opening;
    world_berry(env, berry);
    if (e->phase <= STRIKE)
        if (env->task.period > 0)
            phase_approach_swing(env, &p, &opening);
        else
            phase_approach(env, &p, berry);
    else if (e->phase == CLOSE)
        phase_close(env, &p);
    else
        phase_pull(env, &p);
    if (e->phase >= CLOSE)
        opening = fmax(0, env->opening - (env->task.period > 0 ? quick_closing : closing));
    pose_to_vector(&p, action);
    action[6] = opening;
}
