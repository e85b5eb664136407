// SPDX-License-Identifier: Apache-2.0
// What a seed decides: where things hang, how they look, how the berry swings, where the gripper
// starts.
#include "env/mujoco/world.h"

#include <math.h>
#include <string.h>

static void move_body(mjModel *m, int body, double x, double y, double z) {
    mjtNum *p = m->body_pos + 3 * body;
    p[0] = x;
    p[1] = y;
    p[2] = z;
}

// A leaf at `at`, its tip towards `heading` (about z, from +x), hanging down by `droop`, turned by
// `roll`.
static void place_leaf(mjModel *m, int body, const double at[3], double heading, double droop,
                       double roll) {
    mjtNum yaw[4], pitch[4], turn[4], both[4];
    const mjtNum x[3] = {1, 0, 0}, y[3] = {0, 1, 0}, z[3] = {0, 0, 1};
    mju_axisAngle2Quat(yaw, z, heading);
    mju_axisAngle2Quat(pitch, y, droop);
    mju_axisAngle2Quat(turn, x, roll);
    mju_mulQuat(both, yaw, pitch);
    mju_mulQuat(m->body_quat + 4 * body, both, turn);
    move_body(m, body, at[0], at[1], at[2]);
}

// A third sprouts over the gutter's front edge, a third hangs behind the berry, a third stands
// above; the middle in front of the gutter is left to the berry.
static void vary_leaves(Env *env, RngStream *rng, double pivot_z) {
    for (int i = 0; i < LEAVES; i++) {
        double x = -0.40 + 0.80 * (i / 3 + rng_between(rng, 0.1, 0.9)) / (LEAVES / 3);
        double at[3] = {x, 0, 0}, heading = -M_PI / 2 + rng_between(rng, -0.7, 0.7), droop = 0;
        double roll = rng_between(rng, -0.4, 0.4);
        if (i % 3 == 0) {
            if (fabs(x) < 0.09) at[0] = x < 0 ? x - 0.09 : x + 0.09;
            at[1] = rng_between(rng, 0.53, 0.57);
            at[2] = pivot_z + rng_between(rng, 0.03, 0.12);
            droop = rng_between(rng, 0.3, 1.2);
        } else if (i % 3 == 1) {
            at[1] = rng_between(rng, 0.62, 0.72);
            at[2] = pivot_z - rng_between(rng, 0.01, 0.20);
            droop = rng_between(rng, 0.7, 1.4);
        } else {
            at[1] = rng_between(rng, 0.58, 0.70);
            at[2] = pivot_z + rng_between(rng, 0.13, 0.22);
            heading += rng_between(rng, -1.2, 1.2);
            droop = rng_between(rng, -0.5, 0.4);
        }
        place_leaf(env->m, env->h.leaf[i], at, heading, droop, roll);
    }
}

static void tint_material(mjModel *m, int material, RngStream *rng, double low, double high) {
    double all = rng_between(rng, low, high);
    for (int c = 0; c < 3; c++)
        m->mat_rgba[4 * material + c] *= (float)(all * rng_between(rng, 0.95, 1.05));
}

static void vary_looks(Env *env, RngStream *rng) {
    mjModel *m = env->m;
    const Handles *h = &env->h;
    m->mat_texid[h->wall_material] = h->wall_texture[rng_below(rng, BACKGROUNDS)];
    tint_material(m, h->wall_material, rng, 0.75, 1.05);
    tint_material(m, h->floor_material, rng, 0.7, 1.05);
    tint_material(m, h->leaf_material[0], rng, 0.75, 1.1);
    tint_material(m, h->leaf_material[1], rng, 0.75, 1.1);
    tint_material(m, h->berry_material, rng, 0.88, 1.02);
    mjtNum *sun = m->light_dir + 3 * h->light;
    sun[0] = rng_between(rng, -0.6, 0.6);
    sun[1] = rng_between(rng, 0.2, 0.7);
    sun[2] = -0.9;
    mju_normalize3(sun);
    float strength = (float)rng_between(rng, 0.75, 1.15);
    for (int c = 0; c < 3; c++) m->light_diffuse[3 * h->light + c] *= strength;
}

// A berry on its stem at angle a of the swing, turning at rate w about the hanger: joint values of
// both.
static void hang_berry(Env *env, const double pivot[3], double stem, double a, double w, int swing,
                       int free_joint) {
    mjModel *m = env->m;
    mjData *d = env->d;
    mjtNum *q = d->qpos + m->jnt_qposadr[free_joint], *v = d->qvel + m->jnt_dofadr[free_joint];
    const mjtNum axis[3] = {0, -1, 0};
    q[0] = pivot[0] + stem * sin(a);
    q[1] = pivot[1];
    q[2] = pivot[2] - stem * cos(a);
    mju_axisAngle2Quat(q + 3, axis, a);
    v[0] = w * stem * cos(a);
    v[2] = w * stem * sin(a);
    v[4] = -w;
    if (swing >= 0) {
        d->qpos[m->jnt_qposadr[swing]] = a;
        d->qvel[m->jnt_dofadr[swing]] = w;
    }
}

static void vary_berries(Env *env, RngStream *rng, double pivot[3]) {
    mjModel *m = env->m;
    const Handles *h = &env->h;
    const Task *task = &env->task;
    bool swings = task->period > 0;
    int hanger = m->body_parentid[h->stem];
    double wide = swings ? 0.02 : 0.05, high = swings ? 0.01 : 0.03;
    memcpy(pivot, m->body_pos + 3 * hanger, 3 * sizeof *pivot);
    pivot[0] += rng_between(rng, -wide, wide);
    pivot[1] += rng_between(rng, -0.012, 0.012);
    pivot[2] += rng_between(rng, -high, high);
    move_body(m, hanger, pivot[0], pivot[1], pivot[2]);
    double angle = 0, rate = 0;
    double size = rng_between(rng, 0.065, 0.085), phase = rng_between(rng, 0, 2 * M_PI);
    if (swings) {
        double omega = 2 * M_PI / task->period, amplitude = size / (task->stem + BERRY_CENTRE);
        angle = amplitude * cos(phase);
        rate = -amplitude * omega * sin(phase);
    }
    hang_berry(env, pivot, task->stem, angle, rate, h->swing_joint, h->berry_joint);

    double side = rng_double(rng) < 0.5 ? -1 : 1;
    double beside = swings ? rng_between(rng, 0.17, 0.19) : rng_between(rng, 0.078, 0.095);
    double at[3] = {pivot[0] + side * beside, pivot[1] + rng_between(rng, 0.01, 0.03), 0};
    at[2] = pivot[2] - task->stem - BERRY_CENTRE + NEIGHBOUR_STEM + rng_between(rng, 0.0, 0.035);
    move_body(m, m->body_parentid[h->neighbour_stem], at[0], at[1], at[2]);
    hang_berry(env, at, NEIGHBOUR_STEM, 0, 0, -1, h->neighbour_joint);
}

// Looking along +y with the fingers side by side, turned a little; the berry somewhere ahead.
static void vary_gripper(Env *env, RngStream *rng, const double pivot[3]) {
    mjModel *m = env->m;
    mjData *d = env->d;
    const Task *task = &env->task;
    bool swings = task->period > 0;
    // Of a swing the middle and the distance are given: a single picture shows neither well.
    double wide = swings ? 0.004 : 0.05, deep = swings ? 0 : 0.03, high = swings ? 0.024 : 0.04;
    double turn = swings ? 0.06 : 0.15;
    double hangs = pivot[2] - task->stem - BERRY_CENTRE;
    mjtNum *q = d->qpos + m->jnt_qposadr[env->h.gripper_joint];
    q[0] = pivot[0] + rng_between(rng, -wide, wide);
    q[1] = pivot[1] - task->reach + rng_between(rng, -deep, deep);
    q[2] = hangs + rng_between(rng, -high, high);
    mju_addTo3(q, env->shift);
    mjtNum level[4], one[4], two[4];
    const mjtNum x[3] = {1, 0, 0}, y[3] = {0, 1, 0}, z[3] = {0, 0, 1};
    mju_axisAngle2Quat(level, x, -M_PI / 2 + rng_between(rng, -turn, turn));
    mju_axisAngle2Quat(one, y, rng_between(rng, -turn, turn));
    mju_mulQuat(two, level, one);
    mju_axisAngle2Quat(one, z, rng_between(rng, -turn, turn));
    mju_mulQuat(q + 3, two, one);
    memcpy(d->mocap_pos, q, 3 * sizeof *q);
    memcpy(d->mocap_quat, q + 3, 4 * sizeof *q);
    env->opening = task->opening;
    for (int i = 0; i < 2; i++) {
        d->qpos[m->jnt_qposadr[env->h.finger_joint[i]]] = env->opening / 2;
        d->ctrl[env->h.finger_act[i]] = env->opening / 2;
    }
}

void vary_world(Env *env, uint64_t seed) {
    mj_copyModel(env->m, env->original);
    mj_resetData(env->m, env->d);
    RngStream rng = {.key = {.seed = seed, .site = 1}};
    double pivot[3];
    vary_berries(env, &rng, pivot);
    vary_gripper(env, &rng, pivot);
    double gutter = env->m->body_pos[3 * env->h.gutter + 2];
    vary_leaves(env, &rng, gutter);
    vary_looks(env, &rng);
    mj_forward(env->m, env->d);
}
