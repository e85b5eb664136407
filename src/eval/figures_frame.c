// SPDX-License-Identifier: Apache-2.0
// A camera's frame, and where the end effectors' paths are seen in it.
#include "eval/figures.h"

#include "image/image.h"
#include "report/jpeg_url.h"
#include <string.h>

enum { FRAME_WIDTH = 640 }; // pixels, the widest a frame is stored

// The frame as a URL, at most FRAME_WIDTH wide. camera: position in the dataset.
CHECKED static bool frame_url(const Dataset *ds, FrameReader *reader, int camera, int64_t row,
                              char **url, Error *err) {
    const Feature *f = ds->cameras[camera];
    Image image = {f->height, f->width, mem_alloc(image_rgb_bytes(f->height, f->width))};
    bool ok = frames_read(reader, camera, row, image.rgb, err) &&
              jpeg_url_of(&image, FRAME_WIDTH, url, err);
    image_free(&image);
    return ok;
}

// One arm's path in pixels of the recorded frame; null where it is not in front of the camera.
static json_t *path_json(const EvalResult *r, const CameraModel *m, const EvalWindow *w,
                         const Pose *place, int arm, bool predicted) {
    const float *actions = predicted ? w->predicted : r->dataset->action_data + w->row * r->A;
    json_t *points = json_array();
    const int every = predicted ? 1 : r->K;
    for (int s = 0; s < w->valid; s++) {
        const float *a = actions + (int64_t)s * every * r->A + POSE_ROW * arm;
        const double point[3] = {a[0], a[1], a[2]};
        double pixel[2];
        bool seen = camera_project(m, place, point, pixel);
        json_array_append_new(points, seen ? json_pack("[f, f]", pixel[0], pixel[1]) : json_null());
    }
    return json_pack("{s:b, s:o}", "predicted", predicted, "points", points);
}

static json_t *paths_json(const EvalResult *r, const CameraModel *m, const EvalWindow *w) {
    json_t *paths = json_array();
    double gripper[6];
    const float *state = r->dataset->state_data + w->row * r->A + POSE_ROW * m->arm;
    for (int i = 0; i < 6; i++) gripper[i] = state[i];
    Pose place = camera_place(m, gripper);
    for (int arm = 0; arm < r->arms; arm++)
        for (int predicted = 0; predicted < 2; predicted++)
            json_array_append_new(paths, path_json(r, m, w, &place, arm, predicted));
    return paths;
}

bool figures_frame(const EvalResult *r, FrameReader *reader, const EvalWindow *w, int camera,
                   const CameraModel *model, json_t **out, Error *err) {
    const Dataset *ds = r->dataset;
    const char *name = r->config.policy.cameras[camera].name;
    int at = 0;
    while (at < ds->n_cameras && strcmp(ds->cameras[at]->name, name) != 0) at++;
    if (at == ds->n_cameras) return fail(err, "%s: no camera %s", ds->root, name);
    char *url;
    if (!frame_url(ds, reader, at, w->row, &url, err)) return false;
    *out = json_pack("{s:o, s:i, s:i, s:s}", "camera", json_bytes(name), "width",
                     ds->cameras[at]->width, "height", ds->cameras[at]->height, "jpeg", url);
    if (model->known && model->position == camera)
        json_object_set_new(*out, "paths", paths_json(r, model, w));
    mem_free(url);
    return true;
}
