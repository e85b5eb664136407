// SPDX-License-Identifier: Apache-2.0
#include "model/pretrained.h"

#include "base/log.h"
#include "formats/weights.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define BACKBONE "model.backbone."

typedef struct BackboneLoader {
    Params *p;
    const char *file, *vision_backbone;
    Weights *weights;
    const char *prefix; // of the backbone's tensors in the file
} BackboneLoader;

static bool starts_with(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

// The backbone as it is, from a training script's wrapper, or out of a whole policy.
static CHECKED bool find_backbone_prefix(BackboneLoader *l, Error *err) {
    static const char *const prefixes[] = {"", "module.", "backbone.", "module.backbone.",
                                           BACKBONE};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        char name[64];
        snprintf(name, sizeof name, "%sconv1.weight", prefixes[i]);
        l->prefix = prefixes[i];
        if (weights_find(l->weights, name)) return true;
    }
    return fail(err, "%s: no tensor conv1.weight: these are not the weights of a ResNet", l->file);
}

static void shape_text(char *out, size_t size, int rank, const int64_t *shape) {
    size_t n = (size_t)snprintf(out, size, "(");
    for (int i = 0; i < rank && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s%lld", i ? "," : "", (long long)shape[i]);
    if (n < size) snprintf(out + n, size - n, ")");
}

static CHECKED bool check_shape(const BackboneLoader *l, const SafetensorsEntry *e, const Param *q,
                                Error *err) {
    if (param_has_shape(q, e->rank, e->shape)) return true;
    char has[128], wants[128];
    shape_text(has, sizeof has, e->rank, e->shape);
    shape_text(wants, sizeof wants, q->rank, q->shape);
    return fail(err, "%s: %s has shape %s, but a %s needs %s", l->file, e->name, has,
                l->vision_backbone, wants);
}

// A frozen norm divides by the root of its variance, and one wrong number in it spoils every image.
static CHECKED bool check_values(const BackboneLoader *l, const char *name, const float *values,
                                 int64_t count, Error *err) {
    bool variance = strstr(name, "running_var") != NULL;
    for (int64_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return fail(err, "%s: %s[%lld] is %g; use weights that are finite", l->file, name,
                        (long long)i, (double)values[i]);
        if (variance && values[i] < 0)
            return fail(err, "%s: %s[%lld] is %g, but a variance is not negative", l->file, name,
                        (long long)i, (double)values[i]);
    }
    return true;
}

static CHECKED bool load_backbone_tensor(const BackboneLoader *l, const Param *q, Error *err) {
    char name[256];
    Error problem;
    snprintf(name, sizeof name, "%s%s", l->prefix, q->name + strlen(BACKBONE));
    const SafetensorsEntry *e = weights_find(l->weights, name);
    if (!e)
        return fail(err, "%s: no tensor %s: these are not the weights of a %s", l->file, name,
                    l->vision_backbone);
    if (!check_shape(l, e, q, err)) return false;
    float *values = mem_try((size_t)q->count * sizeof(float));
    if (!values) return fail(err, "%s: no memory for %s", l->file, name);
    bool ok = safetensors_copy_f32(e, values, q->count, &problem);
    if (!ok) fail(err, "%s: %s", l->file, problem.text);
    ok = ok && check_values(l, name, values, q->count, err);
    if (ok) param_set(l->p, q, values);
    mem_free(values);
    return ok;
}

// A smaller network's tensors are all in a larger one's file, so what is too much counts as well.
static CHECKED bool check_no_other_tensors(const BackboneLoader *l, Error *err) {
    static const char tracked[] = "num_batches_tracked";
    for (int i = 0; i < weights_count(l->weights); i++) {
        const char *whole = weights_entry(l->weights, i)->name;
        if (!starts_with(whole, l->prefix)) continue;
        const char *name = whole + strlen(l->prefix);
        size_t length = strlen(name), n = strlen(tracked);
        if (starts_with(name, "fc.") || (length >= n && strcmp(name + length - n, tracked) == 0))
            continue;
        char own[640];
        snprintf(own, sizeof own, BACKBONE "%s", name);
        if (!params_find(l->p, own))
            return fail(err,
                        "%s: has a tensor %s, which a %s has not: these are another network's "
                        "weights",
                        l->file, whole, l->vision_backbone);
    }
    return true;
}

static CHECKED bool load_backbone(BackboneLoader *l, Error *err) {
    int loaded = 0, wanted = 0;
    for (int i = 0; i < l->p->count; i++) wanted += starts_with(l->p->list[i].name, BACKBONE);
    if (wanted == 0)
        return fail(err, "%s: the policy has no images, so no backbone to load", l->file);
    if (!find_backbone_prefix(l, err)) return false;
    for (int i = 0; i < l->p->count; i++) {
        const Param *q = &l->p->list[i];
        if (!starts_with(q->name, BACKBONE)) continue;
        if (!load_backbone_tensor(l, q, err)) return false;
        loaded++;
    }
    if (!check_no_other_tensors(l, err)) return false;
    log_info("pretrained backbone: %d of %d tensors from %s", loaded, wanted, l->file);
    return device_check(l->p->device, err);
}

bool pretrained_load(Params *p, const char *file, const char *vision_backbone, Error *err) {
    BackboneLoader l = {.p = p, .file = file, .vision_backbone = vision_backbone};
    if (!weights_open(file, &l.weights, err)) return false;
    bool ok = load_backbone(&l, err);
    weights_close(l.weights);
    return ok;
}
