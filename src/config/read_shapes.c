// SPDX-License-Identifier: Apache-2.0
// What a policy sees and gives, as a checkpoint's JSON says: dimensions, cameras, sizes of images.
#include "config/config_json.h"

#include "pose/pose.h"
#include <string.h>

enum { LARGEST_VECTOR = 65536, LARGEST_IMAGE = 8192, SMALLEST_RESIZED = 32 };

static CHECKED bool read_size(const json_t *value, int most, int *out, const char *path,
                              const char *what, Error *err) {
    json_int_t n = json_integer_value(value);
    if (!json_is_integer(value) || n < 1 || n > most)
        return fail(err, "%s: %s has no size between 1 and %d", path, what, most);
    *out = (int)n;
    return true;
}

static CHECKED bool read_camera(PolicyConfig *p, Arena *arena, const char *name,
                                const json_t *shape, const char *path, Error *err) {
    if (p->n_cameras == MAX_CAMERAS)
        return fail(err, "%s: more than %d cameras", path, MAX_CAMERAS);
    CameraConfig *camera = &p->cameras[p->n_cameras++];
    camera->name = arena_try_strdup(arena, name);
    if (!camera->name) return fail_memory(err, "%s: the name of %s", path, name);
    if (json_array_size(shape) != 3 || json_integer_value(json_array_get(shape, 0)) != 3)
        return fail(err, "%s: the shape of %s is not [3, HEIGHT, WIDTH]", path, name);
    if (!read_size(json_array_get(shape, 1), LARGEST_IMAGE, &camera->height, path, name, err) ||
        !read_size(json_array_get(shape, 2), LARGEST_IMAGE, &camera->width, path, name, err))
        return false;
    camera->image_height = camera->height;
    camera->image_width = camera->width;
    camera->resized_height = camera->resized_width = 0;
    return true;
}

static CHECKED bool read_pair(const json_t *value, int *height, int *width, const char *path,
                              const char *name, Error *err) {
    return read_size(json_array_get(value, 0), LARGEST_IMAGE, height, path, name, err) &&
           read_size(json_array_get(value, 1), LARGEST_IMAGE, width, path, name, err);
}

// The sizes of one camera in tact.json. Where it was recorded at one, the model may see another.
// seen: config.json has the recorded one, for LeRobot, and only tact.json has what the model sees.
static CHECKED bool read_camera_sizes(const PolicyConfig *p, CameraConfig *c, const json_t *camera,
                                      bool seen, const char *path, Error *err) {
    const json_t *image = json_object_get(camera, "image_size"),
                 *resized = json_object_get(camera, "resized_to");
    if (!read_size(json_object_get(camera, "height"), LARGEST_IMAGE, &c->height, path, c->name,
                   err) ||
        !read_size(json_object_get(camera, "width"), LARGEST_IMAGE, &c->width, path, c->name, err))
        return false;
    if (seen && !read_pair(image, &c->image_height, &c->image_width, path, c->name, err))
        return false;
    if (resized && !read_pair(resized, &c->resized_height, &c->resized_width, path, c->name, err))
        return false;
    const int height = camera_resized_height(c), width = camera_resized_width(c);
    if (height < c->image_height || width < c->image_width)
        return fail(err, "%s: the crop of %s is larger than its frames", path, c->name);
    // What image_fit can add up.
    const bool small = (height < c->height && height < SMALLEST_RESIZED) ||
                       (width < c->width && width < SMALLEST_RESIZED);
    return !(small && p->resize_filter && strcmp(p->resize_filter, "bilinear") == 0) ||
           fail(err, "%s: frames of %s shrink to %dx%d; each side must be at least %d", path,
                c->name, height, width, SMALLEST_RESIZED);
}

static CHECKED bool read_recorded(PolicyConfig *p, const json_t *cameras, bool seen,
                                  const char *path, Error *err) {
    const json_t *camera;
    size_t i;
    json_array_foreach((json_t *)cameras, i, camera) {
        const char *name = json_string_value(json_object_get(camera, "name"));
        for (int k = 0; name && k < p->n_cameras; k++)
            if (strcmp(p->cameras[k].name, name) == 0 &&
                !read_camera_sizes(p, &p->cameras[k], camera, seen, path, err))
                return false;
    }
    return true;
}

// Of a policy of LeRobot's, whose pipeline resizes and crops: its images have the size that they
// have before that; where they have the one afterwards, nobody knows what they were recorded at,
// and the policy takes frames of the size that they are resized to.
static void change_frames(PolicyConfig *p) {
    const int64_t *resize = p->resize_shape.values, *crop = p->crop_shape.values;
    for (int i = 0; i < p->n_cameras; i++) {
        CameraConfig *c = &p->cameras[i];
        const int height = resize ? (int)resize[0] : c->height,
                  width = resize ? (int)resize[1] : c->width;
        const int made_height = crop ? (int)crop[0] : height,
                  made_width = crop ? (int)crop[1] : width;
        if (c->height == made_height && c->width == made_width) {
            c->height = height;
            c->width = width;
        }
        c->image_height = made_height;
        c->image_width = made_width;
        c->resized_height = crop ? height : 0;
        c->resized_width = crop ? width : 0;
    }
}

// Whether every camera of a policy that crops says what it is cropped from.
static CHECKED bool check_crops(const PolicyConfig *p, const char *path, Error *err) {
    bool known = true;
    for (int i = 0; i < p->n_cameras; i++) known = known && p->cameras[i].resized_height;
    return known || !policy_crops(p) ||
           fail(err, "%s: tact.json does not say what frames are cropped from (resized_to)", path);
}

bool inputs_name_state(const char *input_features) {
    json_t *inputs = input_features ? json_parse_argument(input_features, 0, NULL) : NULL;
    bool named = json_object_get(inputs, "observation.state") != NULL;
    json_decref(inputs);
    return named;
}

bool policy_shapes_from_json(TrainConfig *c, const json_t *policy, const json_t *tact,
                             const char *path, Error *err) {
    PolicyConfig *p = &c->policy;
    const json_t *outputs = json_object_get(policy, "output_features");
    const json_t *action = json_object_get(json_object_get(outputs, "action"), "shape");
    const char *name;
    json_t *feature;
    p->state_dim = p->env_dim = p->n_cameras = 0;
    if (!read_size(json_array_get(action, 0), LARGEST_VECTOR, &p->action_dim, path, "action", err))
        return false;
    json_object_foreach(json_object_get(policy, "input_features"), name, feature) {
        const json_t *shape = json_object_get(feature, "shape");
        const char *type = json_string_value(json_object_get(feature, "type"));
        bool state = strcmp(name, "observation.state") == 0;
        bool env = strcmp(name, "observation.environment_state") == 0;
        bool camera = type && strcmp(type, "VISUAL") == 0;
        int *dim = state ? &p->state_dim : &p->env_dim;
        if ((state || env) &&
            !read_size(json_array_get(shape, 0), LARGEST_VECTOR, dim, path, name, err))
            return false;
        if (camera && !read_camera(p, &c->arena, name, shape, path, err)) return false;
    }
    if (p->n_cameras == 0 && p->env_dim == 0)
        return fail(err,
                    "%s: neither a camera nor observation.environment_state among its "
                    "input_features; ACT needs one of them",
                    path);
    if (!p->use_state && p->state_dim)
        return fail(err,
                    "%s: observation.state is among its input_features, but use_state is false in "
                    "its tact.json; one of the two files belongs to another policy",
                    path);
    bool relative = p->pose_repr && strcmp(p->pose_repr, "relative") == 0;
    p->arms = relative ? p->action_dim / POSE_POLICY_ROW : 0;
    if (relative &&
        (p->action_dim % POSE_POLICY_ROW || (p->state_dim && p->state_dim != p->action_dim)))
        return fail(err,
                    "%s: its poses are relative, but state and action are not %d values an arm",
                    path, POSE_POLICY_ROW);
    p->fps = json_number_value(json_object_get(tact, "fps"));
    const char *type = json_string_value(json_object_get(policy, "type"));
    const bool seen =
        json_integer_value(json_object_get(tact, "version")) >= TACT_JSON_VERSION_FRAMES && type &&
        strcmp(type, "act") == 0;
    if (!tact && p->pipeline.changes_frames) change_frames(p);
    return read_recorded(p, json_object_get(tact, "cameras"), seen, path, err) &&
           check_crops(p, path, err);
}
