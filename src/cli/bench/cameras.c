// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/cameras.h"

#include "base/memory.h"
#include "formats/json.h"
#include "pose/pose.h"
#include <stdio.h>

static CameraConfig synthetic_camera(Arena *arena, int i, int height, int width) {
    const char *name = arena_printf(arena, "observation.images.camera%d", i);
    return (CameraConfig){.name = name,
                          .height = height,
                          .width = width,
                          .image_height = height,
                          .image_width = width};
}

bool bench_synthetic_policy(TrainConfig *config, const char *image, int64_t cameras, Error *err) {
    PolicyConfig *p = &config->policy;
    const char *s = image;
    int n = 0, h = 0, w = 0;
    p->n_cameras = (int)cameras;
    for (int end = 0; n < MAX_CAMERAS; n++, s += end) {
        end = 0;
        if (sscanf(s, n ? ",%dx%d%n" : "%dx%d%n", &h, &w, &end) != 2 || h < 32 || w < 32 ||
            h > 8192 || w > 8192)
            break;
        p->cameras[n] = synthetic_camera(&config->arena, n, h, w);
    }
    if (*s || (n != 1 && n != p->n_cameras))
        return fail(err,
                    "--image=%s: not HEIGHTxWIDTH, each from 32 to 8192, or one of these for each "
                    "of the %d cameras with commas between them",
                    image, p->n_cameras);
    for (; n < p->n_cameras; n++) p->cameras[n] = synthetic_camera(&config->arena, n, h, w);
    p->state_dim = p->action_dim = POSE_POLICY_ROW;
    p->pose_repr = "relative";
    p->arms = 1;
    p->normalization_mapping = (NormMap){"MEAN_STD", "MIN_MAX", "MIN_MAX", "MEAN_STD"};
    return true;
}

json_t *bench_sizes_json(const PolicyConfig *p) {
    json_t *sizes = json_array();
    for (int i = 0; i < p->n_cameras; i++)
        json_array_append_new(
            sizes, json_pack("[i,i]", p->cameras[i].image_height, p->cameras[i].image_width));
    return sizes;
}
