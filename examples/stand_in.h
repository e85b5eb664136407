// SPDX-License-Identifier: Apache-2.0
// A stand-in for a robot, so that the examples run anywhere: an arm of LeRobot's that is at once
// where it is told to be, and cameras that see moving stripes. Yours goes into robot_read and
// robot_move.
#ifndef STAND_IN_H
#define STAND_IN_H

#include <stdint.h>
#include <string.h>
#include <time.h>

// Of a policy with other values (poses, 7 an arm) their numbers stand for them.
static const char *const joints[] = {"shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos",
                                     "wrist_flex.pos",   "wrist_roll.pos",    "gripper.pos"};
enum { JOINTS = 6, CAMERAS = 8, VALUES = 64, PIXELS = 3 * 1920 * 1080 };
static double robot_state[VALUES], robot_env[VALUES];
static uint8_t robot_pixels[CAMERAS][PIXELS];

// The newest frame of a camera, uint8 RGB as it was recorded. (The newest state, in the units of
// the dataset, is in robot_state.)
static void robot_read(int camera, int height, int width, int step) {
    for (int y = 0; y < height; y++)
        memset(robot_pixels[camera] + (size_t)y * (size_t)width * 3, (y + 2 * step) & 255,
               (size_t)width * 3);
}

static void robot_move(const double *action, size_t values) {
    memcpy(robot_state, action, values * sizeof *action);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void sleep_until(double deadline) {
    struct timespec t = {.tv_sec = (time_t)deadline};
    t.tv_nsec = (long)(1e9 * (deadline - (double)t.tv_sec));
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

#endif
