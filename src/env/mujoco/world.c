// SPDX-License-Identifier: Apache-2.0
#include "env/mujoco/world.h"

#include <math.h>
#include <string.h>

// A stem tears when it carries more than its strength for STRAIN successive substeps. The unripe
// neighbour's is the weaker, as a check of gentleness.
static const double strength[2] = {4.0, 2.5}; // newtons
enum { STRAIN = 5 };
static const double fastest = 0.6, fastest_turn = 4.0; // of the command: metres, radians a second
static const double fastest_finger = 0.30;             // metres of opening a second

// ---- how it stands ----------------------------------------------------------------------------

static Pose pose_of(const mjtNum position[3], const mjtNum quat[4]) {
    Pose p;
    memcpy(p.position, position, sizeof p.position);
    mjtNum matrix[9];
    mju_quat2Mat(matrix, quat);
    memcpy(p.rotation, matrix, sizeof p.rotation);
    return p;
}

Pose world_tool(const Env *env) {
    return pose_of(env->d->xpos + 3 * env->h.gripper, env->d->xquat + 4 * env->h.gripper);
}

Pose world_command(const Env *env) {
    return pose_of(env->d->mocap_pos, env->d->mocap_quat);
}

double world_opening(const Env *env) {
    const int *joint = env->h.finger_joint;
    return env->d->qpos[env->m->jnt_qposadr[joint[0]]] +
           env->d->qpos[env->m->jnt_qposadr[joint[1]]];
}

void world_berry(const Env *env, double centre[3]) {
    const mjtNum *at = env->d->xpos + 3 * env->h.berry, *r = env->d->xmat + 9 * env->h.berry;
    for (int i = 0; i < 3; i++) centre[i] = at[i] - BERRY_CENTRE * r[3 * i + 2];
}

double world_swing_rate(const Env *env) {
    return 2 * M_PI / env->task.period;
}

// Force that the berry's (0) or the neighbour's (1) stem carries, in newtons.
static double stem_force(const Env *env, int which) {
    const mjData *d = env->d;
    int weld = which ? env->h.neighbour_weld : env->h.berry_weld;
    for (int i = 0; i < d->ne; i++)
        if (d->efc_type[i] == mjCNSTR_EQUALITY && d->efc_id[i] == weld)
            return mju_norm3(d->efc_force + i); // a weld's first three rows are the translation
    return 0;
}

static bool is_of_gripper(const Env *env, int geom) {
    const int body = env->m->geom_bodyid[geom];
    return body == env->h.gripper || body == env->h.finger_body[0] || body == env->h.finger_body[1];
}

bool world_gripper_touches(const Env *env) {
    const mjData *d = env->d;
    for (int i = 0; i < d->ncon; i++)
        if (is_of_gripper(env, d->contact[i].geom1) != is_of_gripper(env, d->contact[i].geom2))
            return true;
    return false;
}

bool world_berry_is_held(const Env *env) {
    const mjData *d = env->d;
    bool touches[2] = {false, false};
    for (int i = 0; i < d->ncon; i++) {
        int a = env->m->geom_bodyid[d->contact[i].geom1],
            b = env->m->geom_bodyid[d->contact[i].geom2];
        for (int k = 0; k < 2; k++) {
            int finger = env->h.finger_body[k];
            if ((a == finger && b == env->h.berry) || (b == finger && a == env->h.berry))
                touches[k] = true;
        }
    }
    return touches[0] && touches[1];
}

// ---- a step -----------------------------------------------------------------------------------

// The stems: each tears when it has carried too much for too long.
static void check_stems(Env *env) {
    for (int i = 0; i < 2; i++) {
        if (env->torn[i]) continue;
        env->strain[i] = stem_force(env, i) > strength[i] ? env->strain[i] + 1 : 0;
        if (env->strain[i] >= STRAIN) {
            env->torn[i] = true;
            env->m->eq_active[i ? env->h.neighbour_weld : env->h.berry_weld] = 0;
        }
    }
}

// The gripper's own weight is carried by the arm.
static void carry_gripper(Env *env) {
    const int body[3] = {env->h.gripper, env->h.finger_body[0], env->h.finger_body[1]};
    for (int i = 0; i < 3; i++)
        env->d->xfrc_applied[6 * body[i] + 2] = 9.81 * env->m->body_mass[body[i]];
}

// How the command moves in one step, at most as fast as the arm can.
static void limit_command(const Env *env, const double *action, double seconds, double from[3],
                          double way[3], double *turn, double axis[3], double *opening) {
    memcpy(from, env->d->mocap_pos, 3 * sizeof *from);
    mju_sub3(way, action, from);
    double distance = mju_norm3(way), most = fastest * seconds;
    if (distance > most) mju_scl3(way, way, most / distance);
    Pose now = world_command(env), goal = pose_from_vector(action),
         relative = pose_relative(&now, &goal);
    double v[6];
    pose_to_vector(&relative, v);
    memcpy(axis, v + 3, 3 * sizeof *axis);
    *turn = fmin(mju_normalize3(axis), fastest_turn * seconds);
    double wanted = fmin(fmax(action[6], 0), ENV_OPENING);
    double least = env->opening - fastest_finger * seconds,
           greatest = env->opening + fastest_finger * seconds;
    *opening = fmin(fmax(wanted, least), greatest);
}

void world_step(Env *env, const double *action) {
    mjData *d = env->d;
    double seconds = 1.0 / env->spec->fps, from[3], way[3], turn, axis[3], opening;
    limit_command(env, action, seconds, from, way, &turn, axis, &opening);
    mjtNum before[4];
    memcpy(before, d->mocap_quat, sizeof before);
    double open_before = env->opening;
    int substeps = (int)lround(seconds / env->m->opt.timestep);
    for (int s = 1; s <= substeps; s++) {
        double part = (double)s / substeps;
        mjtNum rotation[4];
        mju_axisAngle2Quat(rotation, axis, part * turn);
        mju_mulQuat(d->mocap_quat, before, rotation);
        mju_addScl3(d->mocap_pos, from, way, part);
        env->opening = open_before + part * (opening - open_before);
        for (int i = 0; i < 2; i++) d->ctrl[env->h.finger_act[i]] = env->opening / 2;
        carry_gripper(env);
        mj_step(env->m, d);
        check_stems(env);
    }
    mj_forward(env->m, d); // positions of bodies as of now
}
