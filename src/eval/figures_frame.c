// SPDX-License-Identifier: Apache-2.0
// A camera's frame, and where the end effectors' paths are seen in it.
#include "eval/figures.h"

#include "formats/image_codec.h"
#include "image/image.h"
#include <string.h>

enum { FRAME_WIDTH = 640 }; // pixels, the widest a frame is stored

char *figures_jpeg_url(const uint8_t *bytes, size_t size) {
    static const char head[] = "data:image/jpeg;base64,";
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *url = mem_alloc(sizeof head + (size + 2) / 3 * 4), *to = stpcpy(url, head);
    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t word = (uint32_t)bytes[i] << 16 | (left > 1 ? (uint32_t)bytes[i + 1] << 8 : 0) |
                        (left > 2 ? bytes[i + 2] : 0);
        *to++ = digits[word >> 18];
        *to++ = digits[word >> 12 & 63];
        *to++ = left > 1 ? digits[word >> 6 & 63] : '=';
        *to++ = left > 2 ? digits[word & 63] : '=';
    }
    *to = 0;
    return url;
}

// The frame as JPEG, at most FRAME_WIDTH wide. camera: position in the dataset.
CHECKED static bool encode_frame(const Dataset *ds, FrameReader *reader, int camera, int64_t row,
                                 uint8_t **jpeg, size_t *size, Error *err) {
    const Feature *f = ds->cameras[camera];
    Image image = {f->height, f->width, mem_alloc(image_rgb_bytes(f->height, f->width))};
    Image small = {0};
    bool ok = frames_read(reader, camera, row, image.rgb, err);
    if (ok && f->width > FRAME_WIDTH) {
        int height = (int)((int64_t)f->height * FRAME_WIDTH / f->width);
        small = (Image){height > 0 ? height : 1, FRAME_WIDTH, NULL};
        small.rgb = mem_alloc(image_rgb_bytes(small.height, small.width));
        image_resize(small.rgb, small.height, small.width, image.rgb, image.height, image.width,
                     NULL);
    }
    ok = ok && image_encode_jpeg(small.rgb ? &small : &image, jpeg, size, err);
    image_free(&image);
    image_free(&small);
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
    uint8_t *jpeg;
    size_t size;
    if (!encode_frame(ds, reader, at, w->row, &jpeg, &size, err)) return false;
    char *url = figures_jpeg_url(jpeg, size);
    *out = json_pack("{s:o, s:i, s:i, s:s}", "camera", json_bytes(name), "width",
                     ds->cameras[at]->width, "height", ds->cameras[at]->height, "jpeg", url);
    if (model->known && model->position == camera)
        json_object_set_new(*out, "paths", paths_json(r, model, w));
    mem_free(url);
    mem_free(jpeg);
    return true;
}
