// SPDX-License-Identifier: Apache-2.0
// From an observation that a program gives to the history.
#include "runtime/calls.h"

#include "policy/camera_fit.h"
#include "pose/pose.h"
#include "runtime/handle.h"
#include "runtime/memory_check.h"
#include "runtime/versions.h"
#include <math.h>
#include <string.h>

CHECKED static bool check_vector(const char *name, const double *values, size_t size, size_t wanted,
                                 Error *err) {
    if (wanted == 0) return true;
    if (!values || size != wanted)
        return fail(err, "%s has %zu values; the policy wants %zu", name, values ? size : 0,
                    wanted);
    for (size_t i = 0; i < size; i++)
        if (!isfinite(values[i])) return fail(err, "value %zu of %s is not finite", i, name);
    return true;
}

// Relative poses of degrees would be nonsense that looks like numbers.
CHECKED static bool check_poses(const double *state, int arms, Error *err) {
    for (int k = 0; k < arms; k++) {
        const double *v = state + POSE_ROW * k + 3;
        double length = sqrt(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
        if (!(length <= POSE_LONGEST_VECTOR * (1 + 1e-6)))
            return fail(
                err,
                "values %d to %d of observation.state are [%g, %g, %g], no rotation vector, "
                "for it is longer than 2 pi; give axis times angle in radians",
                POSE_ROW * k + 3, POSE_ROW * k + 5, v[0], v[1], v[2]);
    }
    return true;
}

static bool names_camera(const char *given, const char *name) {
    static const char prefix[] = "observation.images.";
    const size_t n = sizeof prefix - 1;
    return strcmp(given, name) == 0 ||
           (strncmp(name, prefix, n) == 0 && strcmp(given, name + n) == 0);
}

// They lie as far apart as the caller's version of the struct is large.
static const void *image_at(const tact_observation *o, int i) {
    return (const char *)o->images + (size_t)i * o->images->size;
}

CHECKED static bool check_image_sizes(const tact_observation *o, Error *err) {
    tact_image image;
    enum { MOST = 1024 }; // beyond that it is no number of images
    if (o->n_images > MOST || (o->n_images > 0 && !o->images))
        return fail(err, "%zu images, but %s", o->n_images,
                    o->images ? "at most 1024 can be" : "none given");
    for (int i = 0; i < (int)o->n_images; i++) {
        const void *given = image_at(o, i);
        if (!struct_from_caller(&image, sizeof image, IMAGE_LEAST, given, "tact_image", err))
            return false;
        if (((const tact_image *)given)->size != o->images->size)
            return fail(err, "images 0 and %d: tact_image has two sizes, %zu and %zu", i,
                        o->images->size, ((const tact_image *)given)->size);
    }
    return true;
}

// The policy's name for a camera of the robot's: what LeRobot's rename_observations_processor makes
// of it.
static const char *policy_camera_name(const tact_policy *p, const char *given) {
    for (int i = 0; i < p->n_renamed; i++)
        if (names_camera(given, p->robot_names[i])) return p->policy_names[i];
    return given;
}

// False, and an empty image, where there is none of that name. The sizes have been checked.
static bool find_image(const tact_policy *p, const tact_observation *o, int camera,
                       tact_image *out) {
    Error none;
    *out = (tact_image){0};
    for (int i = 0; i < (int)o->n_images; i++) {
        const tact_image *image = image_at(o, i);
        const char *given = image->camera;
        if (given ? names_camera(policy_camera_name(p, given), p->config->cameras[camera].name)
                  : i == camera)
            return struct_from_caller(out, sizeof *out, IMAGE_LEAST, image, "tact_image", &none);
    }
    return false;
}

static size_t image_row_bytes(const CameraConfig *c) {
    return (size_t)c->width * 3;
}

CHECKED static bool check_image(const tact_policy *p, const tact_observation *o, int camera,
                                Error *err) {
    const CameraConfig *c = &p->config->cameras[camera];
    tact_image image;
    if (!find_image(p, o, camera, &image) || !image.rgb)
        return fail(err, "no image of camera %s", c->name);
    if (image.height != c->height || image.width != c->width)
        return fail(err, "the image of camera %s is %dx%d; the policy wants %dx%d as recorded",
                    c->name, image.width, image.height, c->width, c->height);
    if (image.stride && image.stride < image_row_bytes(c))
        return fail(err, "the image of camera %s: stride %zu, but a row has %zu bytes", c->name,
                    image.stride, image_row_bytes(c));
    return true;
}

CHECKED static bool check_state(const tact_policy *p, const tact_observation *o, Error *err) {
    if (policy_hides_pose(p->config) && (!o->state || o->state_size != p->state_size))
        return fail(err,
                    "observation.state has %zu values; the policy does not look at it, but its "
                    "poses are relative to the current one and it wants those %zu",
                    o->state ? o->state_size : 0, p->state_size);
    return check_vector("observation.state", o->state, o->state_size, p->state_size, err) &&
           check_poses(o->state, p->config->arms, err);
}

bool observation_check(const tact_policy *p, const tact_observation *o, Error *err) {
    const PolicyConfig *c = p->config;
    if (!check_image_sizes(o, err)) return false;
    if (!check_state(p, o, err) || !check_vector("observation.environment_state", o->env,
                                                 o->env_size, (size_t)c->env_dim, err))
        return false;
    for (int i = 0; i < c->n_cameras; i++)
        if (!check_image(p, o, i, err)) return false;
    return true;
}

void observation_remember(tact_policy *p, const tact_observation *o) {
    const PolicyConfig *c = p->config;
    int place = history_next(&p->history);
    if (p->state_size)
        memcpy(history_state(&p->history, place), o->state, p->state_size * sizeof *o->state);
    if (c->env_dim) memcpy(p->env_row, o->env, (size_t)c->env_dim * sizeof *o->env);
    for (int i = 0; i < c->n_cameras; i++) {
        const CameraConfig *camera = &c->cameras[i];
        tact_image image;
        (void)find_image(p, o, i, &image); // it was checked
        uint8_t *frame = history_frame(&p->history, history_slot(&p->history, place, i));
        const ImageFit fit = camera_fit(c, camera);
        image_fit(frame, &fit, image.rgb, image.stride ? image.stride : image_row_bytes(camera),
                  camera->height, camera->width, p->resize);
    }
    history_add(&p->history);
    rate_observed(&p->rate);
    p->fresh = true;
}

bool observation_has_memory(const tact_policy *p, Error *err) {
    const History *h = &p->history;
    const bool encodes = p->cache && !p->worker.started &&
                         (h->count == 0 || history_wanted(h, p->queue_left, p->n_action_steps));
    return !encodes || memory_for_prediction(p, err);
}

void observation_encode(tact_policy *p) {
    History *h = &p->history;
    Error err;
    if (!p->cache || !history_wanted(h, p->queue_left, p->n_action_steps)) return;
    for (int c = 0; c < h->cameras; c++) {
        int slot = history_slot(h, history_place(h, h->horizon - 1), c);
        if (h->encoded[slot]) continue;
        if (!act_encode_frame(p->act, c, history_frame(h, slot), slot, &err)) return;
        h->encoded[slot] = true;
    }
}
