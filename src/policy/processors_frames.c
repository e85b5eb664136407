// SPDX-License-Identifier: Apache-2.0
// The steps of a pipeline that make of recorded frames what the policy sees: LeRobot's
// image_crop_resize_processor, which crops the images that it is given a place for, and then
// resizes all that have "image" in their names to one size. tact resizes first and then cuts out
// the middle, which takes two such steps.
#include "policy/processors_frames.h"

#include "base/center.h"
#include "base/log.h"
#include "config/config_json.h"
#include "policy/processors.h"
#include <string.h>

#define STEP "image_crop_resize_processor"

bool frame_step_is(const char *name) {
    return strcmp(name, STEP) == 0;
}

// ---- written ------------------------------------------------------------------------------------

static json_t *new_frame_step(json_t *crops, json_t *size) {
    return json_pack("{s:s, s:{s:o, s:o}}", "registry_name", STEP, "config", "crop_params_dict",
                     crops, "resize_size", size);
}

json_t *frame_steps(const PolicyConfig *p) {
    json_t *steps = json_array(), *crops = json_object();
    const char *why;
    bool resized = false, cropped = false;
    for (int i = 0; i < p->n_cameras; i++) {
        const CameraConfig *c = &p->cameras[i];
        const int height = camera_resized_height(c), width = camera_resized_width(c);
        resized = resized || height != c->height || width != c->width;
        cropped = cropped || camera_is_cropped(c);
        json_object_set_new_nocheck(crops, c->name,
                                    json_pack("[i,i,i,i]", center_start(height, c->image_height),
                                              center_start(width, c->image_width), c->image_height,
                                              c->image_width));
    }
    const bool told = policy_changes_frames(p) && policy_frames_can_be_told(p, &why);
    if (told && resized)
        json_array_append_new(
            steps,
            new_frame_step(json_null(), json_pack("[i,i]", camera_resized_height(&p->cameras[0]),
                                                  camera_resized_width(&p->cameras[0]))));
    if (told && cropped)
        json_array_append_new(steps, new_frame_step(crops, json_null()));
    else
        json_decref(crops);
    return steps;
}

static bool shrinks(const PolicyConfig *p) {
    bool any = false;
    for (int i = 0; i < p->n_cameras; i++)
        any = any || camera_resized_height(&p->cameras[i]) < p->cameras[i].height ||
              camera_resized_width(&p->cameras[i]) < p->cameras[i].width;
    return any;
}

void frame_steps_warn(const char *dir, const PolicyConfig *p) {
    const char *why;
    if (!policy_changes_frames(p)) return;
    if (!policy_frames_can_be_told(p, &why))
        log_warn("%s: LeRobot cannot be told what to make of this policy's frames, because %s: it "
                 "gives the policy every frame as recorded, and does not complain; give it frames "
                 "that are resized and cropped already",
                 dir, why);
    else if (shrinks(p) && (!p->resize_filter || strcmp(p->resize_filter, "area") == 0))
        log_warn("%s: LeRobot resizes this policy's frames by another filter than it was trained "
                 "with (--policy.resize_filter=area), so that they are smoother there; with "
                 "resize_filter=bilinear they are the same",
                 dir);
}

// ---- read ---------------------------------------------------------------------------------------

// What the steps come to.
typedef struct FrameChange {
    int64_t height, width; // 0: not resized
    const json_t *crops;   // by camera, or NULL
} FrameChange;

enum { SMALLEST = 32, LARGEST = 8192 };

// n whole numbers from `least` on.
static bool read_numbers(const json_t *list, size_t n, int64_t least, int64_t *out) {
    if (json_array_size(list) != n) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(list, i);
        out[i] = json_integer_value(value);
        if (!json_is_integer(value) || out[i] < least || out[i] > LARGEST) return false;
    }
    return true;
}

CHECKED static bool read_change(const json_t *steps, const char *path, FrameChange *out,
                                Error *err) {
    const json_t *step;
    size_t i;
    *out = (FrameChange){0};
    json_array_foreach((json_t *)steps, i, step) {
        const json_t *config = json_object_get(step, "config"),
                     *size = json_object_get(config, "resize_size"),
                     *crops = json_object_get(config, "crop_params_dict");
        const bool resizes = size && !json_is_null(size);
        int64_t sides[2];
        if (resizes && (json_object_size(crops) || out->crops || out->height))
            return fail(err,
                        "%s: its " STEP " resizes %s; tact resizes frames once, and cuts their "
                        "middle out afterwards",
                        path, out->height && !out->crops ? "them again" : "what was cropped");
        if (resizes && !read_numbers(size, 2, SMALLEST, sides))
            return fail(err,
                        "%s: resize_size of its " STEP " is not [HEIGHT, WIDTH], each from %d "
                        "to %d",
                        path, SMALLEST, LARGEST);
        if (json_object_size(crops) && out->crops)
            return fail(err, "%s: its " STEP " crops twice; tact crops once", path);
        if (resizes) {
            out->height = sides[0];
            out->width = sides[1];
        }
        if (json_object_size(crops)) out->crops = crops;
    }
    return true;
}

// The middle of every camera's frames, of one size.
CHECKED static bool check_crop(const FrameChange *change, const char *name, const json_t *shape,
                               const char *path, int64_t size[2], Error *err) {
    int64_t place[4], whole[3];
    const json_t *crop = json_object_get(change->crops, name);
    if (!crop)
        return fail(err, "%s: its " STEP " crops other cameras than %s; tact crops all or none",
                    path, name);
    if (!read_numbers(crop, 4, 0, place) || place[2] < SMALLEST || place[3] < SMALLEST)
        return fail(err,
                    "%s: its " STEP " does not crop %s to [TOP, LEFT, HEIGHT, WIDTH] of at "
                    "least %dx%d",
                    path, name, SMALLEST, SMALLEST);
    if (!read_numbers(shape, 3, 1, whole))
        return fail(err, "%s: the shape of %s is not [3, HEIGHT, WIDTH]", path, name);
    const int64_t height = change->height ? change->height : whole[1],
                  width = change->height ? change->width : whole[2];
    if (place[2] > height || place[3] > width ||
        place[0] != center_start((int)height, (int)place[2]) ||
        place[1] != center_start((int)width, (int)place[3]))
        return fail(err,
                    "%s: its " STEP " crops %s of %lldx%lld at row %lld, column %lld; tact crops "
                    "the middle",
                    path, name, (long long)height, (long long)width, (long long)place[0],
                    (long long)place[1]);
    if (size[0] && (size[0] != place[2] || size[1] != place[3]))
        return fail(err, "%s: its " STEP " crops cameras to several sizes; tact to one", path);
    size[0] = place[2];
    size[1] = place[3];
    return true;
}

CHECKED static bool keep_size(IntList *list, const int64_t size[2], Arena *arena, const char *path,
                              Error *err) {
    list->values = arena_try(arena, 2 * sizeof *list->values);
    list->count = 2;
    if (!list->values) return fail_memory(err, "%s: a size", path);
    memcpy(list->values, size, 2 * sizeof *size);
    return true;
}

bool frame_steps_apply(const json_t *steps, const json_t *config, PolicyConfig *p, Arena *arena,
                       const char *path, Error *err) {
    FrameChange change;
    int64_t cropped[2] = {0, 0};
    const char *name;
    json_t *feature;
    if (!read_change(steps, path, &change, err)) return false;
    if (!change.height && !change.crops) return true;
    json_object_foreach(json_object_get(config, "input_features"), name, feature) {
        const char *type = json_string_value(json_object_get(feature, "type"));
        if (!type || strcmp(type, "VISUAL") != 0) continue;
        if (!strstr(name, "image"))
            return fail(err,
                        "%s: its " STEP " leaves %s as it is, which has no \"image\" in its name; "
                        "tact treats all cameras alike",
                        path, name);
        if (change.crops &&
            !check_crop(&change, name, json_object_get(feature, "shape"), path, cropped, err))
            return false;
    }
    const int64_t resized[2] = {change.height, change.width};
    if (change.height && !keep_size(&p->resize_shape, resized, arena, path, err)) return false;
    if (cropped[0] && !keep_size(&p->crop_shape, cropped, arena, path, err)) return false;
    if (change.height) p->resize_filter = "bilinear";
    if (cropped[0]) p->crop_is_random = false; // nor is it while LeRobot trains
    p->pipeline.changes_frames = true;
    return true;
}

bool frame_steps_check(const PolicyConfig *p, const char *where, Error *err) {
    const char *text = p->pipeline.frame_steps;
    json_t *given = text ? json_parse_argument(text, 0, NULL) : NULL;
    if (text && !given) return fail_memory(err, "%s: its steps", where); // it was read before
    json_t *own = given ? frame_steps(p) : NULL;
    bool same = !given || json_equal(own, given);
    json_decref(given);
    json_decref(own);
    return same || fail(err,
                        "%s: its " STEP " in policy_preprocessor.json makes other frames than its "
                        "tact.json says; one of the two was changed",
                        where);
}
