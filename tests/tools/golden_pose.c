// SPDX-License-Identifier: Apache-2.0
// golden_pose FILE...: holds the pose functions to reference poses made with UMI's own utilities
// (pose.safetensors; docs/testing.md).
#include "formats/safetensors.h"
#include "pose/pose.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const double tolerance = 1e-9;

// Rows of the file.
typedef struct Row {
    double pose[6], base[6], noisy[9];
    double mat[16], relative_mat[16], relative_9d[9], absolute_mat[16], absolute_pose[6];
} Row;

static bool read_values(const Safetensors *s, const char *name, int64_t i, int width, double *out) {
    const SafetensorsEntry *e = safetensors_find(s, name);
    if (!e || e->shape[0] <= i || e->count != e->shape[0] * width) return false;
    for (int k = 0; k < width; k++) out[k] = safetensors_value(e, i * width + k);
    return true;
}

static bool read_row(const Safetensors *s, int64_t i, Row *r) {
    return read_values(s, "pose", i, 6, r->pose) && read_values(s, "base", i, 6, r->base) &&
           read_values(s, "noisy_pose9d", i, 9, r->noisy) && read_values(s, "mat", i, 16, r->mat) &&
           read_values(s, "relative_mat", i, 16, r->relative_mat) &&
           read_values(s, "relative_pose9d", i, 9, r->relative_9d) &&
           read_values(s, "absolute_mat", i, 16, r->absolute_mat) &&
           read_values(s, "absolute_pose", i, 6, r->absolute_pose);
}

static void keep_worst(double *worst, double error) {
    if (!(error <= *worst)) *worst = error; // NaN becomes the worst and stays
}

static double matrix_error(const Pose *p, const double *mat) {
    double worst = 0;
    for (int i = 0; i < 3; i++) {
        keep_worst(&worst, fabs(p->position[i] - mat[4 * i + 3]));
        for (int j = 0; j < 3; j++) keep_worst(&worst, fabs(p->rotation[i][j] - mat[4 * i + j]));
    }
    return worst;
}

// Two pose vectors, compared as rotations: at pi a vector and its negative are the same.
static double vector_error(const double *a, const double *b) {
    Pose p = pose_from_vector(a), q = pose_from_vector(b);
    double worst = 0;
    for (int i = 0; i < 3; i++) {
        keep_worst(&worst, fabs(p.position[i] - q.position[i]));
        for (int j = 0; j < 3; j++) keep_worst(&worst, fabs(p.rotation[i][j] - q.rotation[i][j]));
    }
    return worst;
}

enum { MAT, RELATIVE, RELATIVE_9D, ABSOLUTE, ABSOLUTE_POSE, ROUND_TRIP, KINDS };

static void check_row(const Row *r, double worst[KINDS]) {
    Pose p = pose_from_vector(r->pose), base = pose_from_vector(r->base);
    keep_worst(&worst[MAT], matrix_error(&p, r->mat));
    Pose relative = pose_relative(&base, &p);
    keep_worst(&worst[RELATIVE], matrix_error(&relative, r->relative_mat));
    double v[9];
    pose_to_9d(&relative, v);
    for (int i = 0; i < 9; i++) keep_worst(&worst[RELATIVE_9D], fabs(v[i] - r->relative_9d[i]));
    Pose noisy = pose_from_9d(r->noisy), absolute = pose_compose(&base, &noisy);
    keep_worst(&worst[ABSOLUTE], matrix_error(&absolute, r->absolute_mat));
    pose_to_vector(&absolute, v);
    keep_worst(&worst[ABSOLUTE_POSE], vector_error(v, r->absolute_pose));
    pose_to_vector(&p, v);
    keep_worst(&worst[ROUND_TRIP], vector_error(v, r->pose));
}

static bool check_file(const char *path) {
    static const char *const kinds[KINDS] = {"mat",          "relative_mat",  "relative_pose9d",
                                             "absolute_mat", "absolute_pose", "round trip"};
    Safetensors *s = NULL;
    Error err;
    if (!safetensors_open(path, &s, &err)) {
        fprintf(stderr, "golden_pose: %s\n", err.text);
        return false;
    }
    const SafetensorsEntry *pose = safetensors_find(s, "pose");
    int64_t n = pose && pose->rank == 2 ? pose->shape[0] : 0;
    double worst[KINDS] = {0};
    bool ok = n > 0;
    for (int64_t i = 0; ok && i < n; i++) {
        Row r;
        ok = read_row(s, i, &r);
        if (ok) check_row(&r, worst);
    }
    if (!ok) fprintf(stderr, "golden_pose: %s: a tensor is missing or has another shape\n", path);
    printf("%s: %lld poses\n", path, (long long)n);
    for (int k = 0; ok && k < KINDS; k++)
        printf("  %-16s %.2e  (tolerance %.0e)%s\n", kinds[k], worst[k], tolerance,
               worst[k] <= tolerance ? "" : "  FAILED");
    for (int k = 0; k < KINDS; k++) ok = ok && worst[k] <= tolerance;
    safetensors_close(s);
    return ok;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
    for (int i = 1; i < argc; i++)
        if (check_file(argv[i]))
            passed++;
        else
            failed++;
    if (argc < 2) {
        fprintf(stderr, "golden_pose: give one or more pose.safetensors files\n");
        return 2;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed ? 1 : 0;
}
