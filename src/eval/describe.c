// SPDX-License-Identifier: Apache-2.0
#include "eval/describe.h"

json_t *describe_policy(const char *dir, int64_t step, const PolicyConfig *p) {
    json_t *cameras = json_array();
    for (int i = 0; i < p->n_cameras; i++) {
        const CameraConfig *c = &p->cameras[i];
        json_array_append_new(cameras, json_pack("{s:o, s:i, s:i}", "name", json_bytes(c->name),
                                                 "width", c->width, "height", c->height));
    }
    return json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:f, s:s, s:s, s:o}", "path",
                     describe_path(dir), "step", step >= 0 ? json_integer(step) : json_null(),
                     "obs_state_horizon", p->obs_state_horizon, "obs_down_sample_steps",
                     p->obs_down_sample_steps, "chunk_size", p->chunk_size,
                     "action_down_sample_steps", p->action_down_sample_steps, "fps", p->fps,
                     "pose_repr", p->arms > 0 ? "relative" : "none", "vision_backbone",
                     p->vision_backbone, "cameras", cameras);
}
