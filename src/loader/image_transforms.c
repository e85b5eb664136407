// SPDX-License-Identifier: Apache-2.0
// Which transforms a sample gets.
#include "loader/image_transforms.h"

#include "base/rng.h"
#include "formats/json.h"
#include <math.h>
#include <string.h>

// The site keeps these random numbers apart from all others; a sample and camera use at most so
// many words of the stream.
enum { SITE_TRANSFORMS = 0x54524600, WORDS_A_DRAW = 1024 };

void image_transforms_default(ImageTransforms *t) {
    static const ImageTransform list[] = {
        {TRANSFORM_BRIGHTNESS, 1, 0.8, 1.2, {0, 0}}, {TRANSFORM_CONTRAST, 1, 0.8, 1.2, {0, 0}},
        {TRANSFORM_SATURATION, 1, 0.5, 1.5, {0, 0}}, {TRANSFORM_HUE, 1, -0.05, 0.05, {0, 0}},
        {TRANSFORM_SHARPNESS, 1, 0.5, 1.5, {0, 0}},  {TRANSFORM_AFFINE, 1, -5, 5, {0.05, 0.05}},
    };
    *t = (ImageTransforms){.count = sizeof list / sizeof *list, .max_num_transforms = 3};
    memcpy(t->list, list, sizeof list);
}

// ---- drawing ----------------------------------------------------------------------------------

// Draws one of the transforms that are not taken yet, by weight.
static int choose_transform(const ImageTransforms *t, const bool *taken, RngStream *rng) {
    double total = 0;
    int last = 0;
    for (int i = 0; i < t->count; i++) total += taken[i] ? 0 : t->list[i].weight;
    double at = rng_between(rng, 0, total);
    for (int i = 0; i < t->count; i++) {
        if (taken[i]) continue;
        last = i;
        at -= t->list[i].weight;
        if (at < 0) break;
    }
    return last;
}

static DrawnTransform draw_transform(const ImageTransform *t, int height, int width,
                                     RngStream *rng) {
    DrawnTransform d = {.kind = t->kind, .factor = rng_between(rng, t->low, t->high)};
    if (t->kind != TRANSFORM_AFFINE) return d;
    double dx = t->translate[0] * width, dy = t->translate[1] * height;
    d.dx = (int)nearbyint(rng_between(rng, -dx, dx));
    d.dy = (int)nearbyint(rng_between(rng, -dy, dy));
    return d;
}

int image_transforms_draw(const ImageTransforms *t, int64_t epoch, int64_t row, int camera,
                          int height, int width, DrawnTransform *out) {
    RngStream rng = {.key = {.seed = t->seed,
                             .step = (uint32_t)epoch,
                             .site = SITE_TRANSFORMS + (uint32_t)camera},
                     .next = (uint64_t)row * WORDS_A_DRAW};
    bool taken[MAX_IMAGE_TRANSFORMS] = {false};
    int chosen[MAX_IMAGE_TRANSFORMS];
    int n = t->count < t->max_num_transforms ? t->count : t->max_num_transforms;
    for (int i = 0; i < n; i++) {
        chosen[i] = choose_transform(t, taken, &rng);
        taken[chosen[i]] = true;
    }
    for (int i = 0, k = 0; !t->random_order && k < t->count; k++)
        if (taken[k]) chosen[i++] = k;
    for (int i = 0; i < n; i++) out[i] = draw_transform(&t->list[chosen[i]], height, width, &rng);
    return n;
}

// ---- lists ------------------------------------------------------------------------------------

#define FLAG "--dataset.image_transforms.tfs"

typedef struct KindRule {
    const char *type, *argument;
    TransformKind kind;
    double least, most; // that a parameter may be
} KindRule;

static const KindRule rules[] = {
    {"ColorJitter", "brightness", TRANSFORM_BRIGHTNESS, 0, 1e6},
    {"ColorJitter", "contrast", TRANSFORM_CONTRAST, 0, 1e6},
    {"ColorJitter", "saturation", TRANSFORM_SATURATION, 0, 1e6},
    {"ColorJitter", "hue", TRANSFORM_HUE, -0.5, 0.5},
    {"SharpnessJitter", "sharpness", TRANSFORM_SHARPNESS, 0, 1e6},
    {"RandomAffine", "degrees", TRANSFORM_AFFINE, -360, 360},
};

// [low, high], or one number x, which stands for around -+ x as in torchvision.
static bool read_range(const json_t *value, const KindRule *r, double *low, double *high) {
    bool around_zero = r->kind == TRANSFORM_HUE || r->kind == TRANSFORM_AFFINE;
    if (json_is_number(value)) {
        double x = json_number_value(value), middle = around_zero ? 0 : 1;
        *low = around_zero ? -x : fmax(0, middle - x);
        *high = middle + x;
        if (x < 0) return false;
    } else if (json_array_size(value) == 2 && json_is_number(json_array_get(value, 0)) &&
               json_is_number(json_array_get(value, 1))) {
        *low = json_number_value(json_array_get(value, 0));
        *high = json_number_value(json_array_get(value, 1));
    } else {
        return false;
    }
    return *low >= r->least && *low <= *high && *high <= r->most;
}

static bool read_translate(const json_t *value, double translate[2]) {
    if (!value || json_is_null(value)) return true;
    if (json_array_size(value) != 2) return false;
    for (size_t k = 0; k < 2; k++) {
        const json_t *part = json_array_get(value, k);
        if (!json_is_number(part)) return false;
        translate[k] = json_number_value(part);
        if (!(translate[k] >= 0 && translate[k] <= 1)) return false;
    }
    return true;
}

CHECKED static bool read_transform(ImageTransform *t, const char *name, const json_t *value,
                                   Error *err) {
    const char *type = json_string_value(json_object_get(value, "type"));
    const json_t *kwargs = json_object_get(value, "kwargs"),
                 *weight = json_object_get(value, "weight");
    *t = (ImageTransform){.weight = weight ? json_number_value(weight) : 1};
    if ((weight && !json_is_number(weight)) || !(t->weight < 1e9))
        return fail(err, FLAG ": %s: its weight is no number", name);
    if (!type || strcmp(type, "Identity") == 0) return true;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const KindRule *r = &rules[i];
        const json_t *range = json_object_get(kwargs, r->argument);
        if (strcmp(type, r->type) != 0 || !range) continue;
        const json_t *translate = json_object_get(kwargs, "translate");
        bool affine = r->kind == TRANSFORM_AFFINE;
        t->kind = r->kind;
        if (json_object_size(kwargs) > 1 && !(affine && json_object_size(kwargs) == 2 && translate))
            return fail(err,
                        FLAG ": %s: %s takes %s%s alone; list others as transforms of their own",
                        name, type, r->argument, affine ? " and translate" : "");
        if (!read_range(range, r, &t->low, &t->high) || !read_translate(translate, t->translate))
            return fail(err, FLAG ": %s: %s must be [LOW, HIGH] between %g and %g%s", name,
                        r->argument, r->least, r->most,
                        affine ? ", translate two numbers from 0 to 1" : "");
        return true;
    }
    return fail(err,
                FLAG
                ": %s: type %.40s with these kwargs is not known; see ColorJitter (brightness, "
                "contrast, saturation, hue), SharpnessJitter (sharpness), RandomAffine (degrees)",
                name, type);
}

bool image_transforms_parse(ImageTransforms *t, const char *tfs, Error *err) {
    image_transforms_default(t);
    if (!tfs) return true;
    json_error_t problem;
    json_t *object = json_parse_argument(tfs, 0, &problem), *value;
    const char *name;
    bool ok = json_is_object(object) || fail(err, FLAG ": not a JSON object: %s", problem.text);
    t->count = 0;
    json_object_foreach(object, name, value) {
        ImageTransform one;
        ok = ok && read_transform(&one, name, value, err);
        if (!ok) break;
        if (one.weight <= 0) continue;
        if (t->count == MAX_IMAGE_TRANSFORMS) {
            ok = fail(err, FLAG ": more than %d transforms", MAX_IMAGE_TRANSFORMS);
            break;
        }
        t->list[t->count++] = one;
    }
    json_decref(object);
    return ok;
}
