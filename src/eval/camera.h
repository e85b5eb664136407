// SPDX-License-Identifier: Apache-2.0
// A pinhole camera: where a point of the robot's world is seen in a frame.
//
// Axes as in OpenCV: x to the right of the image, y down, z forward. Pixels count from the outer
// edge of the top left one, so the centre of a frame of W x H is (W/2, H/2).
#ifndef TACT_EVAL_CAMERA_H
#define TACT_EVAL_CAMERA_H

#include "base/error.h"
#include "config/config.h"
#include "pose/pose.h"

typedef struct CameraModel {
    bool known;            // else nothing below is set
    const char *name;      // of the camera, as the flag says; NULL: the first
    int position;          // in the policy; camera_check finds it
    double fov;            // horizontal, degrees; 0: intrinsics are given
    double fx, fy, cx, cy; // pixels of a recorded frame
    bool on_gripper; // moves with the arm's end effector; else it stands still in the base frame
    int arm;         // which one, from 0
    double pose[6];  // of the camera in the end effector's frame, or in the base frame
} CameraModel;

// What the flags --eval.camera_* say; NULL: not given. None given: a model that is not known. One
// without the others it needs, or a value that cannot be, is an error.
typedef struct CameraFlags {
    const char *camera, *fov, *intrinsics, *pose, *mount;
    int arm;
} CameraFlags;
CHECKED bool camera_from_flags(const CameraFlags *flags, CameraModel *out, Error *err);
// Before a run, checks that a model that is known fits the policy: a camera of that name, an arm of
// that number, poses to draw. Sets position, and the lens for frames of that camera.
CHECKED bool camera_check(CameraModel *c, const PolicyConfig *policy, Error *err);
// Sets fx ... cy from fov for frames of width x height, where fov is given.
void camera_for_frame(CameraModel *c, int width, int height);

// The camera's pose in the base frame while the end effector is at `gripper` (x y z, rotation
// vector).
Pose camera_place(const CameraModel *c, const double gripper[6]);
// The pixel of a point in the base frame. false: less than a centimetre in front of the camera.
bool camera_project(const CameraModel *c, const Pose *place, const double point[3],
                    double pixel[2]);

#endif
