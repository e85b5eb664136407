// SPDX-License-Identifier: Apache-2.0
// The environment: opening, stepping, what is seen, when a stem breaks and when an episode ends.
#include "base/memory.h"
#include "env/mujoco/guard.h"
#include "env/mujoco/internal.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PI 3.14159265358979323846

// A stem tears when it carries more than its strength for STRAIN successive substeps. The unripe
// neighbour's is the weaker, as a check of gentleness.
static const double strength[2] = {4.0, 2.5}; // newtons
enum { STRAIN = 5, HELD_STEPS = 5 };
static const double fastest = 0.6, fastest_turn = 4.0; // of the command: metres, radians a second
static const double fastest_finger = 0.30;             // metres of opening a second
static const double away = 0.045; // the berry counts as pulled away at this distance

// MuJoCo's compiler and Mesa's start keep state of the whole process.
static pthread_mutex_t opening_lock = PTHREAD_MUTEX_INITIALIZER;

static const Task *task_of(const EnvSpec *spec) {
    static const Task still = {.stem = 0.10, .reach = 0.22, .opening = ENV_OPENING};
    // The opening that the expert's way begins with, 23 steps before it meets the berry.
    static const Task swing = {.stem = 0.30, .reach = 0.324, .opening = 0.044, .period = 3.2};
    return strcmp(spec->type, "strawberry_swing") == 0 ? &swing : &still;
}

static CHECKED bool compile(const Task *task, mjModel **out, Error *err) {
    char *text = scene_xml(task), why[500] = "";
    mjVFS *vfs = NEW(mjVFS, 1);
    mj_defaultVFS(vfs);
    int size = text ? (int)strlen(text) : 0;
    bool ok = text && mj_makeEmptyFileVFS(vfs, "scene.xml", size) == 0;
    if (ok) memcpy(vfs->filedata[0], text, (size_t)size);
    *out = ok ? mj_loadXML("scene.xml", vfs, why, sizeof why) : NULL;
    mj_deleteVFS(vfs);
    mem_free(vfs);
    free(text);
    if (*out) return true;
    why[strcspn(why, "\n")] = '\0';
    return fail(err, "MuJoCo %s refuses the scene: %s", mj_versionString(), why);
}

static Handles find_handles(const mjModel *m) {
    Handles h = {0};
    const char *const side[2] = {"left", "right"};
    char name[32];
    h.gripper = mj_name2id(m, mjOBJ_BODY, "gripper");
    h.stem = mj_name2id(m, mjOBJ_BODY, "berry_stem");
    h.berry = mj_name2id(m, mjOBJ_BODY, "berry");
    h.neighbour = mj_name2id(m, mjOBJ_BODY, "neighbour");
    h.neighbour_stem = mj_name2id(m, mjOBJ_BODY, "neighbour_stem");
    h.gutter = mj_name2id(m, mjOBJ_BODY, "gutter");
    for (int i = 0; i < LEAVES; i++) {
        snprintf(name, sizeof name, "leaf%d", i);
        h.leaf[i] = mj_name2id(m, mjOBJ_BODY, name);
    }
    for (int i = 0; i < 2; i++) {
        h.finger_joint[i] = mj_name2id(m, mjOBJ_JOINT, side[i]);
        h.finger_body[i] = mj_name2id(m, mjOBJ_BODY, side[i]);
        h.finger_act[i] = mj_name2id(m, mjOBJ_ACTUATOR, side[i]);
        snprintf(name, sizeof name, "leaf%d", i);
        h.leaf_material[i] = mj_name2id(m, mjOBJ_MATERIAL, name);
    }
    h.swing_joint = mj_name2id(m, mjOBJ_JOINT, "berry_swing");
    h.gripper_joint = mj_name2id(m, mjOBJ_JOINT, "gripper_free");
    h.berry_joint = mj_name2id(m, mjOBJ_JOINT, "berry_free");
    h.neighbour_joint = mj_name2id(m, mjOBJ_JOINT, "neighbour_free");
    h.hold = mj_name2id(m, mjOBJ_EQUALITY, "hold");
    h.berry_weld = mj_name2id(m, mjOBJ_EQUALITY, "berry");
    h.neighbour_weld = mj_name2id(m, mjOBJ_EQUALITY, "neighbour");
    h.light = mj_name2id(m, mjOBJ_LIGHT, "sun");
    h.wrist_camera = mj_name2id(m, mjOBJ_CAMERA, "wrist");
    h.wall_material = mj_name2id(m, mjOBJ_MATERIAL, "wall");
    h.floor_material = mj_name2id(m, mjOBJ_MATERIAL, "floor");
    h.berry_material = mj_name2id(m, mjOBJ_MATERIAL, "berry");
    for (int i = 0; i < BACKGROUNDS; i++) {
        snprintf(name, sizeof name, "hedge%d", i);
        h.wall_texture[i] = mj_name2id(m, mjOBJ_TEXTURE, name);
    }
    return h;
}

// Gives the swing its period by the joint's inertia, as a long, heavy truss would have, and takes
// its friction away.
static void tune_swing(Env *env) {
    mjModel *m = env->original;
    const Handles *h = &env->h;
    int dof = m->jnt_dofadr[h->swing_joint];
    double torque = 0, inertia = 0; // per radian; about the hanger
    const int body[2] = {h->stem, h->berry};
    for (int i = 0; i < 2; i++) {
        double mass = m->body_mass[body[i]];
        double below = -m->body_ipos[3 * body[i] + 2] + (i ? env->task.stem : 0);
        torque += 9.81 * mass * below;
        inertia += mass * below * below + m->body_inertia[3 * body[i]];
    }
    double omega = 2 * PI / env->task.period;
    m->dof_armature[dof] = torque / (omega * omega) - inertia;
    m->dof_damping[dof] = 0;
    mj_setConst(m, env->d);
}

static CHECKED bool open_locked(Env *env, Error *err) {
    guard_install();
    if (!compile(&env->task, &env->original, err)) return false;
    textures_paint(env->original);
    env->h = find_handles(env->original);
    env->d = mj_makeData(env->original);
    if (env->task.period > 0) tune_swing(env);
    env->m = mj_copyModel(NULL, env->original);
    if (!env->d || !env->m) return fail(err, "not enough memory for a simulation");
    return renderer_open(env->m, env->height, env->width, &env->renderer, err);
}

bool world_open(const EnvSpec *spec, int height, int width, Env **out, Error *err) {
    *out = NULL;
    if (height < 16 || width < 16 || height > 2048 || width > 2048)
        return fail(err, "images of %dx%d: choose 16x16 to 2048x2048", height, width);
    Env *env = NEW(Env, 1);
    env->spec = spec;
    env->task = *task_of(spec);
    env->height = height;
    env->width = width;
    pthread_mutex_lock(&opening_lock);
    bool ok;
    GUARDED(&ok, open_locked(env, err), err);
    pthread_mutex_unlock(&opening_lock);
    if (!ok) {
        env_close(&env);
        return false;
    }
    *out = env;
    return true;
}

void env_close(Env **handle) {
    Env *env = handle ? *handle : NULL;
    if (!env) return;
    pthread_mutex_lock(&opening_lock);
    renderer_close(env->renderer);
    pthread_mutex_unlock(&opening_lock);
    mj_deleteData(env->d);
    mj_deleteModel(env->m);
    mj_deleteModel(env->original);
    mem_free(env);
    *handle = NULL;
}

const EnvSpec *env_spec(const Env *env) {
    return env->spec;
}

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
    return 2 * PI / env->task.period;
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

// Whether both fingers touch the berry and it is between them.
static bool fingers_hold_berry(const Env *env) {
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

static bool reset(Env *env, uint64_t seed) {
    vary_world(env, seed);
    env->seed = seed;
    env->steps = env->held = 0;
    memset(env->strain, 0, sizeof env->strain);
    memset(env->torn, 0, sizeof env->torn);
    env->done = env->success = env->dropped = false;
    env->ready = true;
    world_berry(env, env->hung);
    RngStream rng = {.key = {.seed = seed, .site = 2}};
    expert_reset(env, &rng);
    return true;
}

bool env_reset(Env *env, uint64_t seed, Error *err) {
    bool ok;
    env->ready = false;
    GUARDED(&ok, reset(env, seed), err);
    return ok;
}

static CHECKED bool observe(Env *env, double *state, uint8_t *const *rgb, Error *err) {
    if (!env->ready) return fail(err, "an environment is observed before its first reset");
    if (state) {
        Pose tool = world_tool(env);
        pose_to_vector(&tool, state);
        state[6] = world_opening(env);
    }
    return !rgb || renderer_draw(env->renderer, env->m, env->d, env->h.wrist_camera, env->height,
                                 env->width, rgb[0], err);
}

bool env_observe(Env *env, double *state, uint8_t *const *rgb, Error *err) {
    bool ok;
    GUARDED(&ok, observe(env, state, rgb, err), err);
    return ok;
}

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

// The command's way in one step: at most as fast as the arm is.
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

// What a step leads to: a berry held and away long enough, or an end that cannot be mended.
static void judge(Env *env) {
    double berry[3];
    world_berry(env, berry);
    bool clear = env->torn[0] && mju_dist3(berry, env->hung) > away;
    env->held = clear && fingers_hold_berry(env) ? env->held + 1 : 0;
    if (env->done) return;
    env->success = env->held >= HELD_STEPS && !env->torn[1];
    env->dropped = env->torn[0] && berry[2] < env->hung[2] - 0.25 && !fingers_hold_berry(env);
    env->done = env->success || env->dropped || env->torn[1] || env->steps >= env->spec->max_steps;
}

static CHECKED bool step(Env *env, const double *action, Error *err) {
    if (!env->ready) return fail(err, "an environment is stepped before its first reset");
    for (int i = 0; i < ENV_DIM; i++)
        if (!isfinite(action[i])) return fail(err, "action %s is not finite", env->spec->names[i]);
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
    env->steps++;
    judge(env);
    return true;
}

bool env_step(Env *env, const double *action, Error *err) {
    bool ok;
    GUARDED(&ok, step(env, action, err), err);
    return ok;
}

int env_steps(const Env *env) {
    return env->steps;
}
bool env_done(const Env *env) {
    return env->done;
}
bool env_success(const Env *env) {
    return env->success;
}

const char *env_outcome(const Env *env) {
    if (env->success) return "picked";
    if (env->torn[1]) return "neighbour torn off";
    if (env->dropped) return "berry dropped";
    return env->torn[0] ? "not pulled away" : "on the stem";
}

static CHECKED bool render(Env *env, const char *view, int height, int width, uint8_t *rgb,
                           Error *err) {
    if (!env->ready) return fail(err, "an environment is drawn before its first reset");
    int camera = mj_name2id(env->m, mjOBJ_CAMERA, view);
    if (camera < 0) return fail(err, "%s: no such view; there are scene, close and wrist", view);
    if (height < 16 || width < 16 || height > 2048 || width > 2048)
        return fail(err, "a picture of %dx%d: choose 16x16 to 2048x2048", height, width);
    return renderer_draw(env->renderer, env->m, env->d, camera, height, width, rgb, err);
}

bool env_render(Env *env, const char *view, int height, int width, uint8_t *rgb, Error *err) {
    bool ok;
    GUARDED(&ok, render(env, view, height, width, rgb, err), err);
    return ok;
}
