// SPDX-License-Identifier: Apache-2.0
#include "eval/camera.h"
#include "eval/errors.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void near(double got, double wanted, double tolerance) {
    if (!(fabs(got - wanted) <= tolerance)) fail_msg("%.17g, not %.17g", got, wanted);
}

static void test_quantiles(void **state) {
    (void)state;
    const double one[] = {7}, four[] = {1, 2, 4, 8};
    near(quantile(one, 1, 0.95), 7, 0);
    near(quantile(four, 4, 0), 1, 0);
    near(quantile(four, 4, 0.5), 3, 1e-15);
    near(quantile(four, 4, 0.95), 7.4, 1e-12); // at 2.85: 4 + 0.85 * 4
    near(quantile(four, 4, 1), 8, 0);
}

static void test_summaries_pass_over_nan(void **state) {
    (void)state;
    double values[] = {NAN, 8, 1, NAN, 4, 2};
    Summary s = summarize(values, 6);
    assert_int_equal(s.count, 4);
    near(s.mean, 3.75, 1e-15);
    near(s.median, 3, 1e-15);
    near(s.p95, 7.4, 1e-12);
    near(s.max, 8, 0);
    double nothing[] = {NAN};
    s = summarize(nothing, 1);
    assert_int_equal(s.count, 0);
    assert_true(isnan(s.mean) && isnan(s.median) && isnan(s.p95) && isnan(s.p99) && isnan(s.max));
}

static void test_rotations(void **state) {
    (void)state;
    const double none[3] = {0, 0, 0}, x[3] = {0.3, 0, 0}, z[3] = {0, 0, M_PI / 2};
    const double over[3] = {0, 0, M_PI - 0.1}, under[3] = {0, 0, -(M_PI - 0.1)};
    double out[3];
    near(rotation_between(none, none), 0, 1e-9);
    near(rotation_between(none, x), 0.3, 1e-12);
    near(rotation_between(x, none), 0.3, 1e-12);
    near(rotation_between(over, under), 0.2, 1e-9); // across pi, not 2 pi - 0.2
    // A quarter turn about x and one about z: together a third of a turn.
    const double quarter[3] = {M_PI / 2, 0, 0};
    near(rotation_between(quarter, z), 2 * M_PI / 3, 1e-9);
    rotation_nearest(under, over, out);
    near(out[2], M_PI + 0.1, 1e-12);
    near(rotation_between(out, under), 0, 1e-7); // the same rotation
    rotation_nearest(over, over, out);
    near(out[2], M_PI - 0.1, 1e-12);
    rotation_nearest(none, over, out);
    near(out[0] + out[1] + out[2], 0, 0);
}

// Rotations about any axes: half the angle between them is the side of a spherical triangle, whose
// other two are half of theirs (Rodrigues, 1840).
static void test_rotations_about_any_axes(void **state) {
    (void)state;
    static const double vectors[][3] = {{0.3, -0.7, 1.1}, {-1.2, 0.4, 0.9},  {2.0, 1.5, -0.6},
                                        {0, 0.8, 0},      {0.05, -2.9, 0.4}, {-1.7, -1.9, -1.3}};
    enum { VECTORS = sizeof vectors / sizeof vectors[0] };
    for (int i = 0; i < VECTORS; i++)
        for (int k = 0; k < VECTORS; k++) {
            const double *a = vectors[i], *b = vectors[k];
            double dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
            double of_a = hypot(hypot(a[0], a[1]), a[2]), of_b = hypot(hypot(b[0], b[1]), b[2]);
            double half =
                cos(of_a / 2) * cos(of_b / 2) + sin(of_a / 2) * sin(of_b / 2) * dot / (of_a * of_b);
            double wanted = i == k ? 0 : 2 * acos(fabs(half));
            near(rotation_between(a, b), wanted, 1e-12);
        }
}

// A vector is turned on along itself by whole turns, to where the reference is nearest, however far
// the reference lies beside the line.
static void test_nearest_vectors(void **state) {
    (void)state;
    const double v[3] = {0.6, -1.2, 0.4}, angle = 1.4, beside[3] = {0.4, 0.2, 0}; // v * beside = 0
    const double off[] = {-0.45, -0.2, 0, 0.3, 0.45};
    for (int turns = -2; turns <= 2; turns++)
        for (int n = 0; n < 5; n++) {
            double reference[3], out[3], scale = (angle + 2 * M_PI * turns) / angle;
            double to = (angle + 2 * M_PI * (turns + off[n])) / angle;
            for (int i = 0; i < 3; i++) reference[i] = to * v[i] + beside[i];
            rotation_nearest(v, reference, out);
            for (int i = 0; i < 3; i++) near(out[i], scale * v[i], 1e-12);
        }
    // Below 1e-9 a vector has no axis to be turned about.
    double out[3];
    rotation_nearest((const double[]){0, 0, 5e-10}, (const double[]){0, 0, 6}, out);
    near(out[2], 5e-10, 0);
    rotation_nearest((const double[]){0, 0, 2e-9}, (const double[]){0, 0, 6}, out);
    near(out[2], 2 * M_PI, 1e-8);
}

// Of two arms each has its own reference, and nothing but the rotations changes.
static void test_nearest_actions(void **state) {
    (void)state;
    double action[14] = {1, 2, 3, 0, 0, 3, 0.5, -4, -5, -6, -3, 0, 0, 0.25}, out[15], wanted[15];
    double reference[14] = {9, 9, 9, 0, 0, -3, 9, 9, 9, 9, 3, 0, 0, 9};
    memcpy(wanted, action, sizeof action);
    wanted[14] = out[14] = 77; // beyond the action
    action_nearest(action, reference, 14, 0, out);
    for (int i = 0; i < 15; i++) near(out[i], wanted[i], 0);
    wanted[5] = 3 - 2 * M_PI, wanted[10] = 2 * M_PI - 3;
    action_nearest(action, reference, 14, 2, out);
    for (int i = 0; i < 15; i++) near(out[i], wanted[i], 1e-12);
}

static void test_measures_of_poses(void **state) {
    (void)state;
    Arena arena = {0};
    Measures m = measures_new(&arena, 2, 14, NULL);
    assert_int_equal(m.count, 7);
    assert_int_equal(m.headline, 0);
    assert_string_equal(m.of[3].name, "position of arm 2");
    assert_int_equal(m.of[6].kind, MEASURE_NORMALIZED);
    double a[14] = {0}, b[14] = {0}, out[6];
    a[0] = 0.003, a[1] = 0.004;    // 5 mm
    b[7 + 2] = -0.010;             // 10 mm of the second arm
    b[5] = M_PI / 6;               // 30 degrees
    a[7 + 6] = 0.25, b[7 + 6] = 1; // gripper of the second arm
    measures_compute(&m, a, b, out);
    near(out[0], 5, 1e-12);
    near(out[1], 30, 1e-9);
    near(out[2], 0, 0);
    near(out[3], 10, 1e-12);
    near(out[4], 0, 1e-9);
    near(out[5], 0.75, 1e-15);
    // Two poses of which no number is 0: 3, 4 and 12 mm apart, half a right angle of one axis, and
    // a third of a turn from a quarter about x to one about z.
    const double p[14] = {0.503, -0.204, 0.312, 0.5, 1.0, 1.0,      0.75,
                          0.1,   0.2,    0.3,   0,   0,   M_PI / 2, 0.5};
    const double r[14] = {
        0.5, -0.2, 0.3, 0.5 + M_PI / 12, 1 + M_PI / 6, 1 + M_PI / 6, 0.5, 0.4, -0.2, 0.3, M_PI / 2,
        0,   0,    0.75};
    double seven[7] = {[6] = 77}; // the normalised one is not computed here
    measures_compute(&m, p, r, seven);
    const double wanted[7] = {13, 45, 0.25, 500, 120, 0.25, 77};
    for (int i = 0; i < 7; i++) near(seven[i], wanted[i], 1e-9);
    arena_free(&arena);
}

static void test_measures_of_values(void **state) {
    (void)state;
    Arena arena = {0};
    const char *const names[] = {"shoulder", "elbow"};
    const double a[] = {1, -2}, b[] = {1.5, 2};
    double out[2];
    Measures m = measures_new(&arena, 0, 2, names);
    assert_int_equal(m.count, 3);
    assert_int_equal(m.headline, 2);
    assert_string_equal(m.of[1].name, "elbow");
    measures_compute(&m, a, b, out);
    near(out[0], 0.5, 0);
    near(out[1], 4, 0);
    arena_free(&arena);
}

static void test_camera(void **state) {
    (void)state;
    Error err;
    CameraModel c;
    double pixel[2];
    // A camera in the end effector that looks along its z axis, 90 degrees wide.
    CameraFlags flags = {.fov = "90", .pose = "[0,0,-0.1,0,0,0]"};
    assert_true(camera_from_flags(&flags, &c, &err));
    camera_for_frame(&c, 640, 480);
    near(c.fx, 320, 1e-9);
    near(c.cy, 240, 0);
    const double gripper[6] = {1, 2, 3, 0, 0, M_PI / 2}; // its x is the base's y
    Pose place = camera_place(&c, gripper);
    const double ahead[3] = {1, 2, 3.1}, aside[3] = {1, 2.1, 3.1}, behind[3] = {1, 2, 2.8};
    assert_true(camera_project(&c, &place, ahead, pixel));
    near(pixel[0], 320, 1e-9);
    near(pixel[1], 240, 1e-9);
    assert_true(camera_project(&c, &place, aside, pixel)); // 0.1 to the right at 0.2
    near(pixel[0], 480, 1e-9);
    near(pixel[1], 240, 1e-9);
    assert_false(camera_project(&c, &place, behind, pixel));
    // Standing in the base: where the gripper is does not matter.
    flags.mount = "base";
    flags.fov = NULL;
    flags.intrinsics = "100,200,30,40";
    assert_true(camera_from_flags(&flags, &c, &err));
    camera_for_frame(&c, 640, 480);
    place = camera_place(&c, gripper);
    const double point[3] = {0.5, 0.25, 0.9};
    assert_true(camera_project(&c, &place, point, pixel));
    near(pixel[0], 80, 1e-9);
    near(pixel[1], 90, 1e-9);
}

static void refused(CameraFlags flags, const char *word) {
    Error err;
    CameraModel c;
    assert_false(camera_from_flags(&flags, &c, &err));
    if (!strstr(err.text, word)) fail_msg("%s: not in '%s'", word, err.text);
}

static void test_camera_flags(void **state) {
    (void)state;
    Error err;
    CameraModel c;
    assert_true(camera_from_flags(&(CameraFlags){0}, &c, &err));
    assert_false(c.known);
    refused((CameraFlags){.fov = "90"}, "camera_pose");
    refused((CameraFlags){.pose = "[0,0,0,0,0,0]"}, "camera_fov");
    refused((CameraFlags){.mount = "base"}, "camera_pose");
    refused((CameraFlags){.fov = "200", .pose = "[0,0,0,0,0,0]"}, "170");
    refused((CameraFlags){.fov = "90", .pose = "[0,0,0,0,0]"}, "6 numbers");
    refused((CameraFlags){.fov = "90", .pose = "[0,0,0,0,0,x]"}, "6 numbers");
    refused((CameraFlags){.fov = "nan", .pose = "[0,0,0,0,0,0]"}, "1 number");
    refused((CameraFlags){.intrinsics = "[0,1,1,1]", .pose = "[0,0,0,0,0,0]"}, "positive");
    refused((CameraFlags){.fov = "9", .intrinsics = "[1,1,1,1]", .pose = "0,0,0,0,0,0"}, "one of");
    refused((CameraFlags){.fov = "90", .pose = "[0,0,0,0,0,0]", .mount = "arm"}, "gripper or base");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_summaries_pass_over_nan),
        cmocka_unit_test(test_rotations_about_any_axes),
        cmocka_unit_test(test_nearest_vectors),
        cmocka_unit_test(test_nearest_actions),
        cmocka_unit_test(test_rotations),
        cmocka_unit_test(test_measures_of_poses),
        cmocka_unit_test(test_measures_of_values),
        cmocka_unit_test(test_camera),
        cmocka_unit_test(test_camera_flags),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
