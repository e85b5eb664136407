// SPDX-License-Identifier: Apache-2.0
#include "eval/describe.h"

#include "base/memory.h"
#include <math.h>

json_t *describe_number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

json_t *describe_path(const char *path) {
    json_t *text = json_string(path);
    if (text) return text;
    char *copy = mem_strdup(path);
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80) *c = '?';
    text = json_string(copy);
    mem_free(copy);
    return text;
}

json_t *describe_time(time_t moment) {
    char text[64];
    struct tm local;
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S%z", localtime_r(&moment, &local));
    return json_string(text);
}

json_t *describe_policy(const char *dir, int64_t step, const PolicyConfig *p) {
    json_t *cameras = json_array();
    for (int i = 0; i < p->n_cameras; i++) {
        const CameraConfig *c = &p->cameras[i];
        json_array_append_new(cameras, json_pack("{s:s, s:i, s:i}", "name", c->name, "width",
                                                 c->width, "height", c->height));
    }
    return json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:f, s:s, s:s, s:o}", "path",
                     describe_path(dir), "step", step >= 0 ? json_integer(step) : json_null(),
                     "obs_state_horizon", p->obs_state_horizon, "obs_down_sample_steps",
                     p->obs_down_sample_steps, "chunk_size", p->chunk_size,
                     "action_down_sample_steps", p->action_down_sample_steps, "fps", p->fps,
                     "pose_repr", p->arms > 0 ? "relative" : "none", "vision_backbone",
                     p->vision_backbone, "cameras", cameras);
}
