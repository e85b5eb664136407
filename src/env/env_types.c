// SPDX-License-Identifier: Apache-2.0
// The simulated tasks, known without the module.
#include "base/text.h"
#include "env/env.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const names[ENV_DIM] = {"x", "y", "z", "rx", "ry", "rz", "gripper"};

static const EnvSpec types[] = {
    {
        .type = "strawberry",
        .help = "a ripe strawberry hangs still among leaves; pick it, leave its neighbour",
        .task = "Pick the ripe strawberry.",
        .fps = 10,
        .max_steps = 80,
        .state_dim = ENV_DIM,
        .action_dim = ENV_DIM,
        .names = names,
        .n_cameras = 1,
        .cameras = {"observation.images.wrist"},
    },
    {
        .type = "strawberry_swing",
        .help = "the strawberry swings and must be met where it will be; one frame is not enough",
        .task = "Pick the swinging strawberry.",
        .fps = 10,
        .max_steps = 48,
        .state_dim = ENV_DIM,
        .action_dim = ENV_DIM,
        .names = names,
        .n_cameras = 1,
        .cameras = {"observation.images.wrist"},
    },
};
enum { COUNT = sizeof types / sizeof types[0] };

const EnvSpec *env_types(int *count) {
    *count = COUNT;
    return types;
}

bool env_find(const char *type, const EnvSpec **out, Error *err) {
    int nearest = 0;
    char all[256] = "";
    for (int i = 0; i < COUNT; i++) {
        if (strcmp(type, types[i].type) == 0) {
            *out = &types[i];
            return true;
        }
        if (edit_distance(type, types[i].type) < edit_distance(type, types[nearest].type))
            nearest = i;
        size_t n = strlen(all);
        snprintf(all + n, sizeof all - n, "%s%s", i ? ", " : "", types[i].type);
    }
    bool near = is_near(edit_distance(type, types[nearest].type), type);
    return fail(err,
                "--env.type=%s: not among tact's simulated tasks (%s)%s%s%s; without it a training "
                "uses the recorded episodes alone, and `tact eval` takes --dataset.root",
                type, all, near ? "; did you mean " : "", near ? types[nearest].type : "",
                near ? "?" : "");
}

bool env_read_shift(const char *text, double shift[3], Error *err) {
    int used = 0;
    bool ok =
        sscanf(text, " [ %lf , %lf , %lf ] %n", &shift[0], &shift[1], &shift[2], &used) == 3 &&
        used > 0 && !text[used];
    for (int i = 0; ok && i < 3; i++) ok = fabs(shift[i]) <= ENV_LARGEST_SHIFT; // not of a NaN
    return ok ||
           fail(err, "--env.start_shift=%s: expected [dx,dy,dz] in metres, each from -%g to %g",
                text, ENV_LARGEST_SHIFT, ENV_LARGEST_SHIFT);
}
