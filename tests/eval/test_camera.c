// SPDX-License-Identifier: Apache-2.0
// Which flags make a camera model, which camera of a policy it is, and what its lens is for.
#include "eval/camera.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define STILL "[0,0,0,0,0,0]"

static void refused(CameraFlags flags, const char *word) {
    Error err = {""};
    CameraModel c;
    assert_false(camera_from_flags(&flags, &c, &err));
    if (!strstr(err.text, word)) fail_msg("%s: not in '%s'", word, err.text);
}

// A flag alone is no model, whichever it is; none at all is none.
static void a_model_is_whole_or_not_given(void **state) {
    (void)state;
    Error err;
    CameraModel c;
    assert_true(camera_from_flags(&(CameraFlags){0}, &c, &err));
    assert_false(c.known);
    refused((CameraFlags){.camera = "wrist"}, "camera_pose: missing");
    refused((CameraFlags){.mount = "base"}, "camera_pose: missing");
    refused((CameraFlags){.arm = 1}, "camera_pose: missing");
    refused((CameraFlags){.fov = "90"}, "where the camera is");
    refused((CameraFlags){.intrinsics = "[1,1,1,1]"}, "where the camera is");
    refused((CameraFlags){.pose = STILL}, "needs --eval.camera_fov");
    refused((CameraFlags){.fov = "9", .intrinsics = "1,1,1,1", .pose = STILL}, "one of");
    assert_true(camera_from_flags(
        &(CameraFlags){.fov = "60", .pose = "[1,2,3,4,5,6]", .mount = "gripper", .arm = 1}, &c,
        &err));
    assert_true(c.known && c.on_gripper && c.arm == 1 && c.fov == 60 && c.pose[5] == 6);
    assert_true(camera_from_flags(
        &(CameraFlags){.intrinsics = "[5,6,7,8]", .pose = STILL, .mount = "base"}, &c, &err));
    assert_true(c.known && !c.on_gripper && c.fov == 0);
    assert_true(c.fx == 5 && c.fy == 6 && c.cx == 7 && c.cy == 8);
}

static void numbers_are_counted_and_finite(void **state) {
    (void)state;
    Error err;
    CameraModel c;
    static const char *const good[] = {"1", "170", "[1.5]", "  20 "};
    for (int i = 0; i < 4; i++)
        assert_true(camera_from_flags(&(CameraFlags){.fov = good[i], .pose = STILL}, &c, &err));
    static const char *const out[] = {"0.99", "170.01", "-90"}, *const none[] = {"1,2",   "[]",
                                                                                 "1e999", "true",
                                                                                 "null",  "\"90\"",
                                                                                 "[90"};
    for (int i = 0; i < 3; i++)
        refused((CameraFlags){.fov = out[i], .pose = STILL}, "between 1 and 170");
    for (int i = 0; i < 7; i++)
        refused((CameraFlags){.fov = none[i], .pose = STILL}, "expected 1 number");
    static const char *const four[] = {"1,2,3", "1,2,3,4,5", "1,2,null,4", "1,2,3,\"4\""};
    for (int i = 0; i < 4; i++)
        refused((CameraFlags){.intrinsics = four[i], .pose = STILL}, "expected 4 numbers, written");
    refused((CameraFlags){.intrinsics = "1,0,3,4", .pose = STILL}, "positive");
    refused((CameraFlags){.intrinsics = "0,1,3,4", .pose = STILL}, "positive");
    refused((CameraFlags){.fov = "9", .pose = "0,0,0,0,0,0,0"}, "expected 6 numbers");
    refused((CameraFlags){.fov = "9", .pose = STILL, .mount = "arm"}, "gripper or base");
}

static PolicyConfig policy(void) {
    PolicyConfig p = {.arms = 2, .n_cameras = 3};
    p.cameras[0] = (CameraConfig){.name = "observation.images.front", .width = 640, .height = 480};
    p.cameras[1] = (CameraConfig){.name = "observation.images.wrist_2", .width = 64, .height = 48};
    p.cameras[2] = (CameraConfig){.name = "observation.images.wrist", .width = 320, .height = 200};
    return p;
}

static bool checked(const char *name, int arm, const PolicyConfig *p, CameraModel *c, Error *err) {
    const CameraFlags flags = {.fov = "90", .pose = STILL, .camera = name, .arm = arm};
    assert_true(camera_from_flags(&flags, c, err));
    return camera_check(c, p, err);
}

static void a_policys_camera_is_found_by_its_name(void **state) {
    (void)state;
    PolicyConfig p = policy();
    Error err;
    CameraModel c;
    static const char *const names[] = {NULL, "front", "wrist", "observation.images.wrist",
                                        "wrist_2"};
    static const int at[] = {0, 0, 2, 2, 1};
    for (int i = 0; i < 5; i++) {
        assert_true(checked(names[i], i % 2, &p, &c, &err));
        assert_int_equal(c.position, at[i]);
        // 90 degrees wide: the focal length is half the width.
        assert_true(fabs(c.fx - p.cameras[at[i]].width / 2.0) <= 1e-9 && c.fy == c.fx);
        assert_true(c.cx == p.cameras[at[i]].width / 2.0 && c.cy == p.cameras[at[i]].height / 2.0);
    }
    static const char *const unknown[] = {"wris", "images.wrist", "observation.images."};
    for (int i = 0; i < 3; i++) {
        assert_false(checked(unknown[i], 0, &p, &c, &err));
        assert_non_null(strstr(err.text, "its first is observation.images.front"));
    }
    p.cameras[2].name = "wrist"; // a policy may name it so itself
    assert_true(checked("wrist", 0, &p, &c, &err));
    assert_int_equal(c.position, 2);
}

// Paths are drawn on frames as they were recorded: what the policy makes of them before it sees
// them, resized and cropped, moves nothing.
static void what_the_policy_sees_moves_nothing(void **state) {
    (void)state;
    PolicyConfig p = policy();
    Error err;
    CameraModel c, cropped;
    assert_true(checked("wrist", 0, &p, &c, &err));
    CameraConfig *camera = &p.cameras[c.position];
    camera->resized_height = camera->height / 2, camera->resized_width = camera->width / 2;
    camera->image_height = camera->height / 3, camera->image_width = camera->width / 4;
    assert_true(checked("wrist", 0, &p, &cropped, &err));
    assert_true(cropped.fx == c.fx && cropped.fy == c.fy);
    assert_true(cropped.cx == c.cx && cropped.cy == c.cy);
}

static void what_cannot_be_drawn_is_refused(void **state) {
    (void)state;
    PolicyConfig p = policy();
    Error err;
    CameraModel c;
    assert_true(checked(NULL, 1, &p, &c, &err));
    assert_false(checked(NULL, 2, &p, &c, &err));
    assert_non_null(strstr(err.text, "--eval.camera_arm=3: the policy has 2 arms"));
    p.arms = 1;
    assert_false(checked(NULL, 1, &p, &c, &err));
    assert_non_null(strstr(err.text, "--eval.camera_arm=2: the policy has 1 arm"));
    assert_null(strstr(err.text, "arms"));
    p.arms = 0;
    assert_false(checked(NULL, 0, &p, &c, &err));
    assert_non_null(strstr(err.text, "no poses"));
    c.known = false; // then nothing is asked of the policy
    assert_true(camera_check(&c, &p, &err));
    p.arms = 1;
    p.n_cameras = 0;
    assert_false(checked(NULL, 0, &p, &c, &err));
    assert_non_null(strstr(err.text, "sees no camera"));
}

// What the lens is for: a field of view of 60 degrees over 100 pixels, and intrinsics, which no
// frame changes; a centimetre in front of it things begin.
static void the_lens(void **state) {
    (void)state;
    CameraModel c = {.known = true, .fov = 60};
    camera_for_frame(&c, 100, 50);
    assert_true(fabs(c.fx - 50 * sqrt(3)) <= 1e-9 && c.fy == c.fx && c.cx == 50 && c.cy == 25);
    CameraModel own = {.known = true, .fx = 3, .fy = 4, .cx = 5, .cy = 6};
    camera_for_frame(&own, 100, 50);
    assert_true(own.fx == 3 && own.fy == 4 && own.cx == 5 && own.cy == 6);
    Pose place = camera_place(&own, (const double[6]){9, 9, 9, 1, 1, 1});
    double pixel[2];
    assert_true(camera_project(&own, &place, (const double[3]){0.02, -0.03, 0.0101}, pixel));
    assert_true(fabs(pixel[0] - (3 * 0.02 / 0.0101 + 5)) <= 1e-9);
    assert_true(fabs(pixel[1] - (-4 * 0.03 / 0.0101 + 6)) <= 1e-9);
    assert_false(camera_project(&own, &place, (const double[3]){0, 0, 0.0099}, pixel));
    assert_false(camera_project(&own, &place, (const double[3]){0, 0, NAN}, pixel));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_is_whole_or_not_given),
        cmocka_unit_test(numbers_are_counted_and_finite),
        cmocka_unit_test(a_policys_camera_is_found_by_its_name),
        cmocka_unit_test(what_cannot_be_drawn_is_refused),
        cmocka_unit_test(what_the_policy_sees_moves_nothing),
        cmocka_unit_test(the_lens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
