// SPDX-License-Identifier: Apache-2.0
// Private to src/env/mujoco: the parts of an environment.
//
// The world (metres, z up): a gutter of plants runs along x; the berry hangs from its front edge on
// a stem, and the gripper comes along +y. The berry's frame has its origin where the stem ends and
// hangs down its -z; the tool's is env.h's. Leaves are to be seen, not felt.
#ifndef TACT_ENV_MUJOCO_INTERNAL_H
#define TACT_ENV_MUJOCO_INTERNAL_H

#include "base/rng.h"
#include "env/env.h"
#include "pose/pose.h"
#include <mujoco/mujoco.h>
#include <stdio.h>

enum { LEAVES = 30, BACKGROUNDS = 3, LEAFLETS = 3 };

// Sizes of things, in metres.
#define BERRY_LENGTH 0.046
#define BERRY_RADIUS 0.0190
#define BERRY_CENTRE 0.0190 // below the stem's end: what the fingers are to close on
#define FINGER_BACK 0.13    // from the point between the fingertips back to the camera
#define SMALL 0.65          // size of the neighbour to the berry
#define NEIGHBOUR_STEM 0.09

// What tells the tasks apart.
typedef struct Task {
    double stem;    // length of the berry's stem
    double reach;   // distance of the gripper from the berry at the start, towards -y
    double opening; // of the gripper at the start
    double period;  // seconds of a swing; 0: it hangs still
} Task;

// Where things are in the model.
typedef struct Handles {
    int gripper, stem, berry, neighbour, neighbour_stem, gutter; // bodies
    int leaf[LEAVES];
    int finger_joint[2], finger_body[2], finger_act[2]; // left, right
    int swing_joint, gripper_joint, berry_joint, neighbour_joint;
    int hold, berry_weld, neighbour_weld; // equality constraints
    int light, wrist_camera, wall_material, berry_material, leaf_material[2], floor_material;
    int wall_texture[BACKGROUNDS];
} Handles;

typedef struct Renderer Renderer;

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
};

// ---- meshes.c, textures.c, scene.c: the model
// ------------------------------------------------------
void mesh_berry(FILE *xml, const char *name, double size); // hanging down from the origin
void mesh_calyx(FILE *xml);                                // <mesh name="calyx">, its green star
void mesh_leaf(FILE *xml); // <mesh name="leaf">, one leaflet along +x from the origin
void textures_paint(mjModel *m);
// The model as MJCF, to be freed with free().
char *scene_xml(const Task *task);

// ---- vary.c
// ------------------------------------------------------------------------------------------ Makes
// the world of a seed from the compiled one: env->m and env->d as at the start of the episode.
void vary_world(Env *env, uint64_t seed);
double vary_between(RngStream *rng, double low, double high);

// ---- world.c
// Opens an environment of a type: what env_open does when the type is known.
CHECKED bool world_open(const EnvSpec *spec, int height, int width, Env **out, Error *err);
// Pose of the tool as it is; of the command it follows.
Pose world_tool(const Env *env);
Pose world_command(const Env *env);
double world_opening(const Env *env);
// Centre of the berry.
void world_berry(const Env *env, double centre[3]);
// Radians a second of the berry's swing.
double world_swing_rate(const Env *env);

// ---- expert.c
// ----------------------------------------------------------------------------------------
void expert_reset(Env *env, RngStream *rng);

// ---- render.c
// ---------------------------------------------------------------------------------------- An
// OpenGL context of its own, made current on this thread when needed.
CHECKED bool renderer_open(mjModel *m, int height, int width, Renderer **out, Error *err);
void renderer_close(Renderer *r); // NULL allowed
// camera: id in the model. Top row first. Sets the size of the offscreen buffer in m.
CHECKED bool renderer_draw(Renderer *r, mjModel *m, mjData *d, int camera, int height, int width,
                           uint8_t *rgb, Error *err);

#endif
