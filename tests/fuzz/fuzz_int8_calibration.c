// SPDX-License-Identifier: Apache-2.0
// Any bytes as the int8_calibration.json beside the weights of a policy: refused, or every rounding
// of it is one that a product of this policy can have, and what is written of them reads back as
// the same. "$WEIGHTS" in an input stands for the checksum of these weights, without which nothing
// behind it would be read.
#include "base/file.h"
#include "base/memory.h"
#include "driver.h"
#include "formats/json.h"
#include "policy/policy_int8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENSORS = 9, STRIDE = 64 };

typedef struct Model {
    Params params;
    Param list[TENSORS];
} Model;

// Of each kind that rounds, some that do not, one with a product for each third, and one whose
// weights have no part in the checksum.
static void make_model(Model *m, Device *d) {
    static const struct {
        const char *name;
        int64_t shape[4];
        int rank;
    } all[TENSORS] = {{"model.backbone.layer1.0.conv1.weight", {2, 2, 3, 3}, 4},
                      {"model.backbone.layer2.0.downsample.0.weight", {2, 2, 1, 1}, 4},
                      {"model.encoder.layers.0.linear1.weight", {3, 4}, 2},
                      {"model.encoder.layers.0.linear1.bias", {3}, 1},
                      {"model.encoder.layers.0.self_attn.in_proj_weight", {6, 2}, 2},
                      {"model.decoder.layers.0.multihead_attn.in_proj_weight", {6, 2}, 2},
                      {"model.encoder_img_feat_input_proj.weight", {2, 2, 1, 1}, 4},
                      {"model.action_head.weight", {2, 4}, 2},
                      {"model.vae_encoder.layers.0.linear1.weight", {3, 4}, 2}};
    Params *p = &m->params;
    p->device = d;
    for (int i = 0; i < TENSORS; i++) {
        Param *q = &m->list[i];
        *q = (Param){.name = all[i].name, .rank = all[i].rank, .count = 1, .offset = p->trainable};
        for (int k = 0; k < q->rank; k++) q->count *= q->shape[k] = all[i].shape[k];
        p->trainable += STRIDE;
    }
    p->list = m->list;
    p->count = TENSORS;
    p->values = params_flat(d, p->trainable);
    for (int64_t i = 0; i < p->trainable; i++) f32(p->values)[i] = (float)i;
}

static Model *model(void) {
    static Model *made;
    Device *d;
    Error err;
    if (made) return made;
    made = NEW(Model, 1);
    if (!device_open("ref", PRECISION_FLOAT32, 1, &d, &err)) abort();
    make_model(made, d);
    return made;
}

static void forget(Params *p) {
    for (int i = 0; i < p->count; i++) memset(p->list[i].rounding, 0, sizeof p->list[i].rounding);
}

// ---- the checksum -------------------------------------------------------------------------------

static const char place_of_checksum[] = "$WEIGHTS";

// As the writer has it.
static const char *checksum_of_weights(const Params *p) {
    static char found[32];
    const Rounding table[TENSORS][PARAM_PARTS] = {0};
    const Int8Calibration about = {.dataset = "d", .method = "m"};
    char path[512];
    json_t *file = NULL;
    Error err;
    if (found[0]) return found;
    const char *dir = fuzz_folder(NULL, 0, "");
    snprintf(path, sizeof path, "%s/" POLICY_INT8_FILE, dir);
    if (!policy_write_int8(dir, p, table, &about, &err) || !json_read(path, &file, &err)) abort();
    snprintf(found, sizeof found, "%s",
             json_string_value(json_object_get(file, "weights_checksum")));
    json_decref(file);
    return found;
}

// The input with the checksum in its place. free() it.
static uint8_t *with_checksum(const uint8_t *data, size_t *size, const Params *p) {
    enum { PLACE = sizeof place_of_checksum - 1 };
    const char *checksum = checksum_of_weights(p);
    const size_t n = strlen(checksum);
    const uint8_t *found = *size ? memmem(data, *size, place_of_checksum, PLACE) : NULL;
    const size_t before = found ? (size_t)(found - data) : *size;
    uint8_t *out = malloc(*size + n + 1);
    memcpy(out, data, before);
    if (!found) return out;
    memcpy(out + before, checksum, n);
    memcpy(out + before + n, found + PLACE, *size - before - PLACE);
    *size += n - PLACE;
    return out;
}

// ---- the roundings ------------------------------------------------------------------------------

static bool can_be(const Param *q, int part, Rounding r) {
    if (r.step == 0 && !r.positive) return true;
    const bool thirds = strstr(q->name, "in_proj_weight") != NULL;
    return policy_rounds(q) && r.step >= 1e-30f && r.step <= 1e30f && (part == 0 || thirds);
}

static size_t products_in(const char *dir) {
    char path[512];
    json_t *file = NULL;
    Error err;
    snprintf(path, sizeof path, "%s/" POLICY_INT8_FILE, dir);
    if (!json_read(path, &file, &err)) abort();
    const size_t n = json_array_size(json_object_get(file, "products"));
    json_decref(file);
    return n;
}

// Keeps the roundings in a table; ends the process where one cannot be, or they are not as many as
// the file has.
static void look_at_roundings(const char *dir, const Params *p,
                              Rounding table[TENSORS][PARAM_PARTS]) {
    size_t n = 0;
    for (int i = 0; i < TENSORS; i++)
        for (int k = 0; k < PARAM_PARTS; k++) {
            table[i][k] = p->list[i].rounding[k];
            if (!can_be(&p->list[i], k, table[i][k])) abort();
            n += table[i][k].step > 0;
        }
    if (n == 0 || n != products_in(dir)) abort();
}

static void write_and_read(const char *dir, Params *p, Rounding table[TENSORS][PARAM_PARTS]) {
    const Int8Calibration about = {.dataset = "d", .method = "m", .observations = 1};
    Error err;
    if (!policy_write_int8(dir, p, (const Rounding(*)[PARAM_PARTS])table, &about, &err)) abort();
    forget(p);
    if (!policy_read_int8(dir, p, &err)) abort();
    for (int i = 0; i < TENSORS; i++)
        for (int k = 0; k < PARAM_PARTS; k++)
            if (p->list[i].rounding[k].step != table[i][k].step ||
                p->list[i].rounding[k].positive != table[i][k].positive)
                abort();
}

void fuzz_input(const uint8_t *data, size_t size) {
    Params *p = &model()->params;
    Rounding table[TENSORS][PARAM_PARTS];
    Error err = {""};
    uint8_t *bytes = with_checksum(data, &size, p);
    const FuzzPart part = {.name = POLICY_INT8_FILE, .data = bytes, .size = size};
    const char *dir = fuzz_folder(&part, 1, "");
    forget(p);
    if (fuzz_ok(policy_read_int8(dir, p, &err), &err)) {
        look_at_roundings(dir, p, table);
        write_and_read(dir, p, table);
    }
    free(bytes);
}
