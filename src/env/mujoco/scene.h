// SPDX-License-Identifier: Apache-2.0
// The scene of a task, written as MJCF. Headers in this folder are private to it and its test.
//
// The world (metres, z up): a gutter of plants runs along x; the berry hangs from its front edge on
// a stem, and the gripper comes along +y. The berry's frame has its origin where the stem ends and
// hangs down its -z; the tool's is env.h's. Leaves are seen, but nothing touches them.
#ifndef TACT_ENV_MUJOCO_SCENE_H
#define TACT_ENV_MUJOCO_SCENE_H

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

// scene.c: the model as MJCF, to be freed with free(); NULL without the memory.
char *scene_xml(const Task *task);

// meshes.c
void mesh_berry(FILE *xml, const char *name, double size); // hanging down from the origin
void mesh_calyx(FILE *xml);                                // <mesh name="calyx">, its green star
void mesh_leaf(FILE *xml); // <mesh name="leaf">, one leaflet along +x from the origin

#endif
