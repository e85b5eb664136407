// SPDX-License-Identifier: Apache-2.0
#include "eval/camera.h"

#include "formats/json.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

// Numbers of a flag: "[1,2.5]" or "1,2.5", exactly n of them, finite. Error: names the flag.
CHECKED static bool parse_numbers(const char *flag, const char *text, int n, double *out,
                                  Error *err) {
    char list[512];
    json_error_t problem;
    int used = snprintf(list, sizeof list, *text == '[' ? "%s" : "[%s]", text);
    json_t *array = used < (int)sizeof list ? json_loads(list, 0, &problem) : NULL;
    bool ok = array && json_array_size(array) == (size_t)n;
    for (int i = 0; i < n && ok; i++) {
        const json_t *value = json_array_get(array, (size_t)i);
        out[i] = json_number_value(value);
        ok = json_is_number(value) && isfinite(out[i]);
    }
    json_decref(array);
    return ok || fail(err, "--%s=%s: expected %d number%s%s", flag, text, n, n == 1 ? "" : "s",
                      n == 1 ? "" : ", written [1,2.5,...]");
}

CHECKED static bool read_lens(const CameraFlags *flags, CameraModel *c, Error *err) {
    if (flags->fov) {
        if (!parse_numbers("eval.camera_fov", flags->fov, 1, &c->fov, err)) return false;
        if (!(c->fov >= 1 && c->fov <= 170))
            return fail(err, "--eval.camera_fov=%s: must be between 1 and 170 degrees", flags->fov);
        return true;
    }
    double k[4];
    if (!parse_numbers("eval.camera_intrinsics", flags->intrinsics, 4, k, err)) return false;
    if (!(k[0] > 0 && k[1] > 0))
        return fail(err, "--eval.camera_intrinsics=%s: fx and fy must be positive pixels",
                    flags->intrinsics);
    c->fx = k[0], c->fy = k[1], c->cx = k[2], c->cy = k[3];
    return true;
}

bool camera_from_flags(const CameraFlags *flags, CameraModel *c, Error *err) {
    *c = (CameraModel){.name = flags->camera, .on_gripper = true, .arm = flags->arm};
    if (!flags->fov && !flags->intrinsics && !flags->pose)
        return !(flags->camera || flags->mount || flags->arm > 0) ||
               fail(err, "--eval.camera_pose: missing; a camera model is --eval.camera_fov or "
                         "--eval.camera_intrinsics, and --eval.camera_pose");
    if (flags->fov && flags->intrinsics)
        return fail(err, "--eval.camera_fov and --eval.camera_intrinsics: give one of them");
    if (!flags->fov && !flags->intrinsics)
        return fail(err, "--eval.camera_pose: needs --eval.camera_fov or --eval.camera_intrinsics");
    if (!flags->pose)
        return fail(err, "--eval.camera_pose: missing; where the camera is, [x,y,z,rx,ry,rz]");
    if (flags->mount && strcmp(flags->mount, "gripper") != 0 && strcmp(flags->mount, "base") != 0)
        return fail(err, "--eval.camera_mount=%s: expected gripper or base", flags->mount);
    c->on_gripper = !flags->mount || strcmp(flags->mount, "gripper") == 0;
    c->known = true;
    return read_lens(flags, c, err) &&
           parse_numbers("eval.camera_pose", flags->pose, 6, c->pose, err);
}

// "wrist" or "observation.images.wrist".
static bool names_camera(const char *given, const char *name) {
    static const char prefix[] = "observation.images.";
    const size_t n = sizeof prefix - 1;
    return strcmp(given, name) == 0 ||
           (strncmp(name, prefix, n) == 0 && strcmp(given, name + n) == 0);
}

bool camera_check(CameraModel *camera, const PolicyConfig *policy, Error *err) {
    if (!camera->known) return true;
    if (policy->arms == 0)
        return fail(err,
                    "--eval.camera_pose: this policy's actions are no poses, so there is no path "
                    "to draw");
    if (camera->arm >= policy->arms)
        return fail(err, "--eval.camera_arm=%d: the policy has %d arm%s", camera->arm + 1,
                    policy->arms, policy->arms == 1 ? "" : "s");
    if (policy->n_cameras == 0) return fail(err, "--eval.camera_pose: this policy sees no camera");
    for (int i = 0; i < policy->n_cameras; i++) {
        const CameraConfig *c = &policy->cameras[i];
        if (camera->name && !names_camera(camera->name, c->name)) continue;
        camera->position = i;
        camera_for_frame(camera, c->width, c->height);
        return true;
    }
    return fail(err, "--eval.camera=%s: the policy has no such camera; its first is %s",
                camera->name, policy->cameras[0].name);
}

void camera_for_frame(CameraModel *c, int width, int height) {
    if (c->fov == 0) return;
    c->fx = c->fy = width / 2.0 / tan(c->fov * M_PI / 360);
    c->cx = width / 2.0;
    c->cy = height / 2.0;
}

Pose camera_place(const CameraModel *c, const double gripper[6]) {
    Pose mounted = pose_from_vector(c->pose);
    if (!c->on_gripper) return mounted;
    Pose hand = pose_from_vector(gripper);
    return pose_compose(&hand, &mounted);
}

bool camera_project(const CameraModel *c, const Pose *place, const double point[3],
                    double pixel[2]) {
    const double nearest = 0.01; // metres
    Pose there = {.rotation = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
    memcpy(there.position, point, sizeof there.position);
    Pose seen = pose_relative(place, &there);
    const double *p = seen.position;
    if (!(p[2] > nearest)) return false;
    pixel[0] = c->fx * p[0] / p[2] + c->cx;
    pixel[1] = c->fy * p[1] / p[2] + c->cy;
    return true;
}
