// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "config/config_json.h"
#include "config/fields.h"
#include "report/run_files.h"
#include <stdio.h>
#include <string.h>

// Reads what a checkpoint stores over the defaults.
static bool read_settings(const RunCheckpoint *checkpoint, TrainConfig *c) {
    char dir[POLICY_PATH + 32];
    Error why;
    snprintf(dir, sizeof dir, "%s/pretrained_model", checkpoint->dir);
    json_t *root = json_read_optional(dir, "train_config.json");
    json_t *tact = json_read_optional(dir, "tact.json");
    train_config_default(c);
    bool ok = root && train_config_from_json(c, root, tact, dir, &why);
    if (root && !ok && error_is_memory(&why)) log_warn("%s; its settings are left out", why.text);
    json_decref(root);
    json_decref(tact);
    if (!ok) train_config_free(c);
    return ok;
}

static json_t *value_of(const Field *f, const TrainConfig *c) {
    return field_json(f, (const char *)c + f->offset);
}

json_t *run_settings_json(const RunCheckpoint *checkpoint) {
    TrainConfig c, defaults;
    if (!read_settings(checkpoint, &c)) return json_null();
    train_config_default(&defaults);
    json_t *out = json_array();
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        if (f->home == HOME_NONE) continue;
        json_t *value = value_of(f, &c), *usual = value_of(f, &defaults);
        const bool given = !json_equal(value, usual);
        json_array_append_new(out, json_pack("{s:s, s:o, s:o, s:b}", "flag", f->flag, "value",
                                             value, "default", usual, "given", given));
    }
    train_config_free(&defaults);
    train_config_free(&c);
    return out;
}

static void add_changes(json_t *out, int64_t step, const TrainConfig *from, const TrainConfig *to) {
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        if (f->home == HOME_NONE) continue;
        json_t *a = value_of(f, from), *b = value_of(f, to);
        if (json_equal(a, b)) {
            json_decref(a);
            json_decref(b);
        } else {
            json_array_append_new(out, json_pack("{s:I, s:s, s:o, s:o}", "step", (json_int_t)step,
                                                 "flag", f->flag, "from", a, "to", b));
        }
    }
}

json_t *run_changes_json(const RunCheckpoint *list, int64_t count) {
    json_t *out = json_array();
    TrainConfig before, now;
    bool have = false;
    for (int64_t i = 0; i < count; i++) {
        if (!read_settings(&list[i], &now)) continue;
        if (have) {
            add_changes(out, list[i].step, &before, &now);
            train_config_free(&before);
        }
        before = now;
        have = true;
    }
    if (have) train_config_free(&before);
    return out;
}
