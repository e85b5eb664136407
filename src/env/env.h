// SPDX-License-Identifier: Apache-2.0
// Simulated tasks to record demonstrations in and to run policies in (closed loop). Built on
// MuJoCo, rendered without a display (EGL on Mesa's surfaceless platform). Both are called by a
// module (base/module.h); where it cannot be loaded env_open fails and says what to install.
//
//   Env *env;
//   if (!env_open("strawberry", 96, 96, &env, &err) || !env_reset(env, seed, &err)) ...
//   while (!env_done(env)) {
//       if (!env_observe(env, state, images, &err)) ...
//       policy(state, images, action);             // or env_expert(env, action)
//       if (!env_step(env, action, &err)) ...
//   }
//   bool picked = env_success(env);
//   env_close(&env);
//
// States and actions are 7 doubles: x y z of the point between the fingertips in metres (world: z
// up), a rotation vector in radians (tool: x to the right finger, y down, z forward), and the
// gripper's opening in metres, 0 (closed) to ENV_OPENING. An action is the absolute pose to be at
// one step later; it is followed at limited speed. The episode of a seed is the same to the bit
// whatever was run before and on however many threads. One Env belongs to one thread at a time;
// several are independent.
#ifndef TACT_ENV_ENV_H
#define TACT_ENV_ENV_H

#include "base/error.h"
#include "pose/pose.h"
#include <stdint.h>

enum { ENV_DIM = POSE_ROW, ENV_MAX_CAMERAS = 1 };
#define ENV_OPENING 0.09 // metres between the fingers of an open gripper

// What a task is, known without opening it. All strings are static.
typedef struct EnvSpec {
    const char *type;          // "strawberry", the value of --env.type
    const char *help;          // one line for people
    const char *task;          // the dataset's task string
    int fps;                   // steps a second
    int max_steps;             // an episode is over after so many
    int state_dim, action_dim; // ENV_DIM
    const char *const *names;  // (ENV_DIM) "x" ... "gripper", of state and action alike
    int n_cameras;
    const char *cameras[ENV_MAX_CAMERAS]; // "observation.images.wrist"
} EnvSpec;

// All tasks, in the order of help texts.
const EnvSpec *env_types(int *count);
// Fails on an unknown type, naming the nearest one and all there are.
CHECKED bool env_find(const char *type, const EnvSpec **out, Error *err);

typedef struct Env Env;

// height, width: of the camera images, 16 to 2048. *out is the caller's, for env_close, and has to
// be reset before anything else; NULL after a failure.
CHECKED bool env_open(const char *type, int height, int width, Env **out, Error *err);
void env_close(Env **env); // sets *env to NULL; NULL and a NULL environment are allowed
const EnvSpec *env_spec(const Env *env);

// Shifts where the gripper starts in every episode that begins afterwards, so that a policy may be
// tried where nothing was recorded: metres along the axes of the world, which are those of states
// and actions (x along the row of plants, y towards it, z up). The world is otherwise that of the
// seed, and with 0 0 0, as after env_open, the episode is the same to the bit.
void env_shift_start(Env *env, const double shift[3]);
// "[0,0,0.1]" -> 0 0 0.1, as --env.start_shift has it. Each at most ENV_LARGEST_SHIFT either way.
#define ENV_LARGEST_SHIFT 0.5
CHECKED bool env_read_shift(const char *text, double shift[3], Error *err);
// Begins the episode of that seed. Fails where a shifted gripper would start in something that it
// can touch.
CHECKED bool env_reset(Env *env, uint64_t seed, Error *err);
// state: (7), NULL allowed. rgb: n_cameras images (height, width, 3), NULL allowed (nothing is
// rendered then). Changes nothing.
CHECKED bool env_observe(Env *env, double *state, uint8_t *const *rgb, Error *err);
// One step of 1/fps seconds towards the action (7). An action that is not finite is refused and
// changes nothing. After the end of the episode the world goes on, done and success stay.
CHECKED bool env_step(Env *env, const double *action, Error *err);
// Steps taken since the reset.
int env_steps(const Env *env);
// Whether the episode is over: picked and held for half a second, failed for good (dropped, the
// neighbour torn off), or max_steps taken.
bool env_done(const Env *env);
// Whether it is over with the berry off its stem and held between the fingers, away from where it
// hung, and the neighbour on its stem.
bool env_success(const Env *env);
// How the episode stands or ended, one static phrase: "picked", "on the stem", "berry dropped",
// "neighbour torn off", "not pulled away".
const char *env_outcome(const Env *env);

// What the scripted expert does here, (7): knows the true state of the world, and has a natural
// variation that is a function of the seed. Call it once a step, from the first step on.
void env_expert(Env *env, double *action);

// A picture for people: view "scene" (third person), "close" (nearer, from the side), or "wrist".
// rgb: (height, width, 3), the caller's; 16 to 2048 each.
CHECKED bool env_render(Env *env, const char *view, int height, int width, uint8_t *rgb,
                        Error *err);

#endif
