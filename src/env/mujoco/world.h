// SPDX-License-Identifier: Apache-2.0
// The simulated world of an environment: how it stands, a step of it, and those who act in it.
#ifndef TACT_ENV_MUJOCO_WORLD_H
#define TACT_ENV_MUJOCO_WORLD_H

#include "base/rng.h"
#include "env/env.h"
#include "env/mujoco/model.h"
#include "env/mujoco/render.h"
#include "pose/pose.h"

typedef enum Phase { APPROACH, STRIKE, CLOSE, PULL } Phase;

typedef struct Expert {
    Phase phase;
    int steps;         // in this phase
    double speed;      // of the last command, metres a step
    double wave[2][3]; // variation across and along z: amplitude, frequency, phase
    double grasp[3];   // where it closed
    double from[2];    // x and z where the strike began
    double pull[3];    // direction
} Expert;

struct Env {
    const EnvSpec *spec;
    Task task;
    Handles h;
    mjModel *original, *m; // as compiled; as varied by the seed
    mjData *d;
    Renderer *renderer;
    int height, width;
    int steps, held; // taken; successive ones with the berry held
    int strain[2];   // successive substeps above a stem's strength: berry, neighbour
    bool torn[2];    // off its stem: berry, neighbour
    bool ready, done, success, dropped;
    double hung[3]; // where the berry's centre hung at the start
    double opening; // commanded
    Expert expert;
    uint64_t seed;
    double shift[3]; // of the gripper's start, metres in the world
};

// vary.c: makes the world of a seed from the compiled one: env->m and env->d as at the start of the
// episode.
void vary_world(Env *env, uint64_t seed);

// Moves the world by one step of 1/fps seconds towards an action, which is finite.
void world_step(Env *env, const double *action);
// The pose of the tool, and the pose that it is commanded to.
Pose world_tool(const Env *env);
Pose world_command(const Env *env);
double world_opening(const Env *env);
// Centre of the berry.
void world_berry(const Env *env, double centre[3]);
// Whether the gripper touches anything but itself.
bool world_gripper_touches(const Env *env);
// Whether both fingers touch the berry.
bool world_berry_is_held(const Env *env);
// Radians a second of the berry's swing.
double world_swing_rate(const Env *env);

// expert.c: begins an episode; the natural variation is drawn from rng.
void expert_reset(Env *env, RngStream *rng);

// episode.c: what env_open does when the type is known. episode.c and expert.c also define the
// functions of env.h under their own names, for the table of the module.
CHECKED bool episode_open(const EnvSpec *spec, int height, int width, Env **out, Error *err);

#endif
