// SPDX-License-Identifier: Apache-2.0
#include "policy/policy_int8.h"

#include "base/checksum.h"
#include "base/file.h"
#include "formats/json.h"
#include "policy/policy_locate.h"
#include "policy/policy_weights.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { FORMAT = 1, DIGEST = 17 };

static bool begins(const char *name, const char *prefix) {
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

bool policy_rounds(const Param *q) {
    if (begins(q->name, "model.backbone.layer"))
        return q->rank == 4 && !strstr(q->name, ".downsample.");
    if (begins(q->name, "model.encoder.layers.") || begins(q->name, "model.decoder.layers."))
        return q->rank == 2;
    return strcmp(q->name, "model.encoder_img_feat_input_proj.weight") == 0;
}

int policy_rounded_parts(const Param *q) {
    if (!policy_rounds(q)) return 0;
    return strstr(q->name, ".in_proj_weight") ? PARAM_PARTS : 1;
}

// Of all values that predictions see, in host memory, with their places. Those of the VAE's encoder
// may not have been read.
CHECKED static bool digest(const Params *p, char out[DIGEST], Error *err) {
    uint64_t *each = TRY_NEW(uint64_t, p->count);
    if (!each) return fail_memory(err, "a checksum of the weights");
#pragma omp parallel for schedule(dynamic)
    for (int i = 0; i < p->count; i++)
        if (!begins(p->list[i].name, POLICY_VAE_ENCODER))
            each[i] = checksum(param_value(p, &p->list[i]).data,
                               (size_t)p->list[i].count * sizeof(float), (uint64_t)i);
    snprintf(out, DIGEST, "%016llx",
             (unsigned long long)checksum(each, (size_t)p->count * sizeof *each, 0));
    mem_free(each);
    return true;
}

// ---- writing ------------------------------------------------------------------------------------

static float most_steps(Rounding r) {
    return r.positive ? 255 : 127;
}

static json_t *products_json(const Params *p, const RoundingTable table) {
    json_t *all = json_array();
    for (int i = 0; i < p->count; i++)
        for (int part = 0; part < PARAM_PARTS; part++) {
            const Rounding r = table[i][part];
            if (!(r.step > 0)) continue;
            json_array_append_new(
                all, json_pack("{s:s, s:i, s:f, s:b}", "weights", p->list[i].name, "part", part,
                               "range", (double)r.step * most_steps(r), "positive", r.positive));
        }
    return all;
}

bool policy_write_int8(const char *dir, const Params *p, const RoundingTable table,
                       const Int8Calibration *about, Error *err) {
    char of[DIGEST];
    if (!digest(p, of, err)) return false;
    return json_write_new(
        dir, POLICY_INT8_FILE,
        json_pack("{s:i, s:s, s:o, s:s, s:I, s:o}", "format", FORMAT, "weights_checksum", of,
                  "dataset", json_bytes(about->dataset), "method", about->method, "observations",
                  (json_int_t)about->observations, "products", products_json(p, table)),
        err);
}

// ---- reading ------------------------------------------------------------------------------------

CHECKED static bool read_product(const char *path, const json_t *o, Params *p, Error *err) {
    const char *name = json_string_value(json_object_get(o, "weights"));
    const json_t *range = json_object_get(o, "range"), *part = json_object_get(o, "part"),
                 *positive = json_object_get(o, "positive");
    const Param *found = name ? params_find(p, name) : NULL;
    if (!found || !policy_rounds(found))
        return fail(err, "%s: products: \"%s\" are no weights of this policy's products", path,
                    name ? name : "");
    const json_int_t third = json_is_integer(part) ? json_integer_value(part) : -1;
    if (third < 0 || third >= policy_rounded_parts(found) || !json_is_boolean(positive) ||
        !json_is_number(range))
        return fail(err, "%s: products: \"%s\" lacks its part, range or positive", path, name);
    Rounding *to = &p->list[found - p->list].rounding[third];
    if (to->step > 0)
        return fail(err, "%s: products: part %d of \"%s\" is there twice", path, (int)third, name);
    Rounding r = {.positive = json_is_true(positive)};
    r.step = (float)(json_number_value(range) / most_steps(r));
    // Within what numbers may be divided by and multiplied with again.
    if (!(r.step >= 1e-30f && r.step <= 1e30f))
        return fail(err, "%s: products: \"%s\" has a range of %g", path, name,
                    json_number_value(range));
    *to = r;
    return true;
}

CHECKED static bool check_head(const char *path, const char *dir, const json_t *file,
                               const Params *p, Error *err) {
    const char *has = json_string_value(json_object_get(file, "weights_checksum"));
    char wants[DIGEST];
    if (json_integer_value(json_object_get(file, "format")) != FORMAT)
        return fail(err,
                    "%s: is not of format %d; make it anew: tact calibrate --policy.path=%s "
                    "--dataset.root=DIR",
                    path, FORMAT, dir);
    if (!digest(p, wants, err)) return false;
    return (has && strcmp(has, wants) == 0) ||
           fail(err,
                "%s: was made for other weights than those beside it; make it anew: tact calibrate "
                "--policy.path=%s --dataset.root=DIR",
                path, dir);
}

bool policy_read_int8(const char *dir, Params *p, Error *err) {
    char path[POLICY_PATH + 64];
    json_t *file = NULL;
    PathKind kind;
    size_t i;
    json_t *o;
    snprintf(path, sizeof path, "%s/" POLICY_INT8_FILE, dir);
    if (!path_look(path, &kind, err)) return false;
    if (kind == AT_NONE)
        return fail(
            err,
            "%s: is not there, and --policy.dtype=int8 needs it: tact calibrate "
            "--policy.path=%s --dataset.root=DIR, with the dataset of the training, makes it",
            path, dir);
    if (!json_read(path, &file, err)) return false;
    json_t *products = json_object_get(file, "products");
    bool ok = check_head(path, dir, file, p, err) &&
              (json_array_size(products) > 0 || fail(err, "%s: names no products", path));
    json_array_foreach(products, i, o) ok = ok && read_product(path, o, p, err);
    json_decref(file);
    return ok;
}
