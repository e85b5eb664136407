// SPDX-License-Identifier: Apache-2.0
#include "policy/policy_write.h"

#include "config/config_json.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "policy/policy_locate.h"
#include "policy/processors.h"
#include <stdio.h>
#include <string.h>

CHECKED static bool write_model(const char *dir, const Params *p, Error *err) {
    char path[POLICY_PATH + 64];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    SafetensorsEntry *entries = NEW(SafetensorsEntry, p->count);
    for (int i = 0; i < p->count; i++) {
        const Param *q = &p->list[i];
        SafetensorsEntry *e = &entries[i];
        size_t bytes = (size_t)q->count * sizeof(float);
        float *values = mem_alloc(bytes);
        param_get(p, q, values);
        *e = (SafetensorsEntry){.name = q->name,
                                .type = ST_F32,
                                .rank = q->rank,
                                .count = q->count,
                                .data = values,
                                .bytes = bytes};
        memcpy(e->shape, q->shape, sizeof q->shape);
    }
    bool ok = safetensors_write(path, entries, p->count, true, err);
    for (int i = 0; i < p->count; i++) mem_free((void *)entries[i].data);
    mem_free(entries);
    return ok;
}

bool policy_write(const char *dir, const PolicyConfig *p, const Params *params,
                  const PolicyStats *stats, const json_t *training, Error *err) {
    json_t *tact = policy_to_tact_json(p);
    if (training) json_object_set(tact, "train", (json_t *)training);
    return json_write_new(dir, "tact.json", tact, err) &&
           json_write_new(dir, "config.json", policy_to_json(p), err) &&
           processors_write(dir, p, stats, err) && write_model(dir, params, err);
}
