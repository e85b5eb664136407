// SPDX-License-Identifier: Apache-2.0
// Plans of the synthetic episodes: from a random pose along a minimum-jerk path to a target,
// turning and tilting to fit it, then closing the gripper.
#include "dataset/sample.h"
#include "dataset/sample/scene.h"
#include "dataset/writer.h"

#include "base/memory.h"
#include "base/rng.h"
#include "image/image.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { JOINT_VALUES = 6, MAX_CAMERAS = 16, MAX_ENV = 64 };

static const char *const pose_names[POSE_ROW] = {"x", "y", "z", "rx", "ry", "rz", "gripper"};
static const char *const joint_names[JOINT_VALUES] = {"shoulder_pan.pos", "shoulder_lift.pos",
                                                      "elbow_flex.pos",   "wrist_flex.pos",
                                                      "wrist_roll.pos",   "gripper.pos"};
// The task of an episode, by the colour of its target.
static const char *const tasks[2] = {"Move the gripper to the red target and close it.",
                                     "Move the gripper to the blue target and close it."};
static const char *const camera_names[3] = {"front", "wrist", "side"};

typedef struct Plan {
    double start[POSE_ROW], goal[POSE_ROW];
    double target[3];
    int colour;
} Plan;

static Plan make_plan(RngStream *rng, int colour) {
    Plan p = {.colour = colour};
    double *s = p.start, *g = p.goal;
    s[0] = rng_between(rng, -0.17, 0.17);
    s[1] = rng_between(rng, -0.15, 0.15);
    s[2] = rng_between(rng, 0.12, 0.20);
    for (int i = 3; i < 5; i++) s[i] = rng_between(rng, -0.25, 0.25);
    s[5] = rng_between(rng, -0.9, 0.9);
    s[6] = rng_between(rng, 0.85, 1.0);
    // Far enough from the start that there is a way to go.
    for (int tries = 0; tries < 100; tries++) {
        g[0] = rng_between(rng, -0.15, 0.15);
        g[1] = rng_between(rng, -0.13, 0.13);
        if (length_2d(g[0] - s[0], g[1] - s[1]) > 0.1) break;
    }
    g[2] = 0.02;
    // The tilt follows from the place, so that it can be learnt from the picture.
    g[3] = 1.2 * g[1];
    g[4] = -1.2 * g[0];
    g[5] = rng_between(rng, -0.9, 0.9);
    g[6] = 0.15;
    p.target[0] = g[0];
    p.target[1] = g[1];
    p.target[2] = g[5];
    return p;
}

// The path of least jerk from 0 to 1 with rest at both ends (Flash and Hogan 1985):
// 10 u^3 - 15 u^4 + 6 u^5.
static double minimum_jerk(double u) {
    u = u < 0 ? 0 : u > 1 ? 1 : u;
    return u * u * u * (10 + u * (6 * u - 15));
}

// Pose at time u, 0 .. 1 (and at rest after).
static void plan_pose(const Plan *p, double u, double *pose) {
    double reach = minimum_jerk(u / 0.8), grasp = minimum_jerk((u - 0.7) / 0.25);
    for (int i = 0; i < POSE_ROW; i++) {
        double part = i == 6 ? grasp : reach;
        pose[i] = p->start[i] + part * (p->goal[i] - p->start[i]);
    }
    pose[2] += 0.03 * sin(M_PI * reach);
}

// Values like those of a small arm, in degrees and percent, as a smooth function of the pose.
static void to_joints(const double *pose, double *joints) {
    const double degree = 57.29577951308232;
    double x = pose[0] + 0.35, reach = length_2d(x, pose[1]);
    joints[0] = degree * atan2(pose[1], x);
    joints[1] = 140 * reach - 70;
    joints[2] = 80 - 60 * reach - 150 * pose[2];
    joints[3] = degree * pose[4] + 90 * pose[2];
    joints[4] = degree * pose[5];
    joints[5] = 100 * pose[6];
}

static void to_floats(const SampleOptions *o, const double *pose, float *out) {
    double joints[JOINT_VALUES];
    to_joints(pose, joints);
    for (int i = 0; i < (o->joints ? JOINT_VALUES : POSE_ROW); i++)
        out[i] = (float)(o->joints ? joints[i] : pose[i]);
}

static bool is_turned(const SampleOptions *o, int camera) {
    return o->turned && camera % 2 == 1;
}

static int camera_height(const SampleOptions *o, int camera) {
    return is_turned(o, camera) ? o->width : o->height;
}

static int camera_width(const SampleOptions *o, int camera) {
    return is_turned(o, camera) ? o->height : o->width;
}

// Room for one frame.
typedef struct Buffers {
    float env[MAX_ENV];
    uint8_t *images[MAX_CAMERAS];
} Buffers;

static bool write_episode(DatasetWriter *w, const SampleOptions *o, const Plan *plan, int length,
                          int64_t number, Buffers *b, Error *err) {
    for (int k = 0; k < length; k++) {
        Scene scene = {.colour = plan->colour};
        double next[POSE_ROW], last = length - 1;
        float state[POSE_ROW], action[POSE_ROW];
        plan_pose(plan, k / last, scene.pose);
        plan_pose(plan, (k + 1) / last, next);
        memcpy(scene.target, plan->target, sizeof scene.target);
        to_floats(o, scene.pose, state);
        to_floats(o, next, action);
        for (int j = 0; j < o->env_dim; j++)
            b->env[j] = (float)(j < 3 ? plan->target[j] : sin(j * plan->target[j % 3]));
        for (int c = 0; c < o->cameras; c++)
            scene_draw(&scene, c, number + k, b->images[c], camera_height(o, c),
                       camera_width(o, c));
        if (!dataset_writer_frame(w, state, b->env, action, (const uint8_t *const *)b->images, err))
            return false;
    }
    return dataset_writer_episode(w, tasks[plan->colour], err);
}

static bool check_options(const SampleOptions *o, Error *err) {
    if (o->episodes < 1 || o->frames < 2 || o->fps < 1)
        return fail(err, "a sample dataset needs an episode, two frames and a frame rate");
    if (o->cameras < 0 || o->cameras > MAX_CAMERAS || o->env_dim < 0 || o->env_dim > MAX_ENV) {
        return fail(err, "a sample dataset has at most %d cameras and %d environment values",
                    MAX_CAMERAS, MAX_ENV);
    }
    if (o->cameras && (o->height < 64 || o->width < 64 || o->height > 4096 || o->width > 4096)) {
        return fail(err,
                    "a sample frame of %dx%d is too small or too large; choose 64x64 to 4096x4096",
                    o->height, o->width);
    }
    return true;
}

bool sample_dataset_write(const SampleOptions *o, Error *err) {
    if (!check_options(o, err)) return false;
    char names[MAX_CAMERAS][64];
    WriterCamera cameras[MAX_CAMERAS];
    for (int c = 0; c < o->cameras; c++) {
        if (c < 3)
            snprintf(names[c], sizeof names[c], "observation.images.%s", camera_names[c]);
        else
            snprintf(names[c], sizeof names[c], "observation.images.camera%d", c);
        cameras[c] = (WriterCamera){names[c], camera_height(o, c), camera_width(o, c), false};
    }
    WriterOptions options = {
        .root = o->root,
        .robot_type = "tact_sample",
        .fps = o->fps,
        .state_dim = o->joints ? JOINT_VALUES : POSE_ROW,
        .action_dim = o->joints ? JOINT_VALUES : POSE_ROW,
        .env_dim = o->env_dim,
        .state_names = o->joints ? joint_names : pose_names,
        .action_names = o->joints ? joint_names : pose_names,
        .cameras = cameras,
        .n_cameras = o->cameras,
        .images_in_parquet = o->images_in_parquet,
    };
    DatasetWriter *w;
    if (!dataset_writer_open(&options, &w, err)) return false;
    RngStream rng = {.key = {.seed = o->seed}};
    Buffers buffers = {0};
    for (int c = 0; c < o->cameras; c++)
        buffers.images[c] = mem_alloc(image_rgb_bytes(o->height, o->width));
    int64_t number = 0;
    bool ok = true;
    for (int i = 0; ok && i < o->episodes; i++) {
        Plan plan = make_plan(&rng, i % 2);
        ok = write_episode(w, o, &plan, o->frames + i, number, &buffers, err);
        number += o->frames + i;
    }
    for (int c = 0; c < o->cameras; c++) mem_free(buffers.images[c]);
    if (ok) return dataset_writer_close(w, err);
    dataset_writer_abort(w);
    return false;
}
