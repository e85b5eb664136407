// SPDX-License-Identifier: Apache-2.0
// Checkpoints under LeRobot's names. A checkpoint directory appears whole or not at all.
#include "train/train.h"

#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

void checkpoint_step_name(char *out, size_t size, int64_t step, int64_t steps) {
    int digits = snprintf(NULL, 0, "%lld", (long long)steps);
    snprintf(out, size, "%0*lld", digits > 6 ? digits : 6, (long long)step);
}

CHECKED static bool write_json(const char *dir, const char *name, json_t *value, Error *err) {
    char path[PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    bool ok = json_write(path, value, 4, err);
    json_decref(value);
    return ok;
}

CHECKED static bool write_model(const char *dir, const Params *p, Error *err) {
    char path[PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    SafetensorsEntry *entries = NEW(SafetensorsEntry, p->count);
    for (int i = 0; i < p->count; i++) {
        const Param *q = &p->list[i];
        SafetensorsEntry *e = &entries[i];
        size_t bytes = (size_t)q->count * sizeof(float);
        float *values = mem_alloc(bytes);
        param_get(p, q, values);
        *e = (SafetensorsEntry){.name = q->name, .type = ST_F32, .rank = q->rank,
                                .count = q->count, .data = values, .bytes = bytes};
        memcpy(e->shape, q->shape, sizeof q->shape);
    }
    bool ok = safetensors_write(path, entries, p->count, true, err);
    for (int i = 0; i < p->count; i++) mem_free((void *)entries[i].data);
    mem_free(entries);
    return ok;
}

enum { MAX_STATS = 3 * 4 + 2 * MAX_CAMERAS };

typedef struct StatsList {
    SafetensorsEntry entries[MAX_STATS];
    int n;
    Arena names;
} StatsList;

static void add_stat(StatsList *l, const char *feature, const char *kind, const double *values,
                     int dim, bool image) {
    SafetensorsEntry *e = &l->entries[l->n];
    const char *name = arena_printf(&l->names, "%s.%s", feature, kind);
    l->n++;
    *e = (SafetensorsEntry){.name = name, .type = ST_F64, .rank = image ? 3 : 1,
                            .shape = {dim, 1, 1}, .count = dim, .data = values,
                            .bytes = (size_t)dim * sizeof(double)};
}

static void add_stats(StatsList *l, const char *feature, const Stats *s) {
    if (!s) return;
    add_stat(l, feature, "min", s->min, s->dim, false);
    add_stat(l, feature, "max", s->max, s->dim, false);
    add_stat(l, feature, "mean", s->mean, s->dim, false);
    add_stat(l, feature, "std", s->std, s->dim, false);
}

CHECKED static bool write_stats(const char *dir, const PolicyConfig *policy,
                                const CheckpointStats *stats, Error *err) {
    StatsList l = {.n = 0};
    double images[MAX_CAMERAS][2][3];
    char path[PATH_SIZE + 64];
    add_stats(&l, "observation.state", stats->state);
    add_stats(&l, "action", stats->action);
    add_stats(&l, "observation.environment_state", stats->env);
    for (int i = 0; i < policy->n_cameras; i++) {
        for (int k = 0; k < 3; k++) {
            images[i][0][k] = stats->images[i].mean[k];
            images[i][1][k] = stats->images[i].std[k];
        }
        add_stat(&l, policy->cameras[i].name, "mean", images[i][0], 3, true);
        add_stat(&l, policy->cameras[i].name, "std", images[i][1], 3, true);
    }
    snprintf(path, sizeof path, "%s/stats.safetensors", dir);
    bool ok = safetensors_write(path, l.entries, l.n, false, err);
    arena_free(&l.names);
    return ok;
}

// `last` beside the checkpoints points to `name`; the old link is replaced in one move.
CHECKED static bool point_last(const char *checkpoints, const char *name, Error *err) {
    char link[PATH_SIZE + 64], fresh[PATH_SIZE + 64];
    snprintf(link, sizeof link, "%s/last", checkpoints);
    snprintf(fresh, sizeof fresh, "%s/.last.tmp", checkpoints);
    unlink(fresh);
    if (symlink(name, fresh) != 0 || rename(fresh, link) != 0) {
        fail_errno(err, "%s: cannot make the link", link);
        unlink(fresh);
        return false;
    }
    return sync_dir(checkpoints, err);
}

CHECKED static bool write_all(const char *dir, const TrainConfig *config, const Params *params,
                              const CheckpointStats *stats, Error *err) {
    json_t *tact = policy_to_tact_json(&config->policy);
    json_object_set_new(tact, "train", train_config_to_tact_json(config));
    if (!write_json(dir, "tact.json", tact, err)) return false;
    return write_json(dir, "config.json", policy_to_json(&config->policy), err) &&
           write_json(dir, "train_config.json", train_config_to_json(config), err) &&
           write_stats(dir, &config->policy, stats, err) && write_model(dir, params, err) &&
           sync_dir(dir, err);
}

// Moves a finished temporary directory to its name. One that is there already is first moved aside,
// so that at no moment neither is whole.
CHECKED static bool move_into_place(const char *temporary, const char *path, Error *err) {
    char aside[PATH_SIZE + 64];
    snprintf(aside, sizeof aside, "%s.old", path);
    if (!remove_tree(aside, err)) return false;
    if (dir_exists(path) && rename(path, aside) != 0)
        return fail_errno(err, "%s: cannot move aside", path);
    if (rename(temporary, path) != 0) return fail_errno(err, "%s: cannot move into place", path);
    return remove_tree(aside, err);
}

bool checkpoint_write(const TrainConfig *config, const Params *params, int64_t step,
                      const CheckpointStats *stats, char *path, size_t path_size, Error *err) {
    char checkpoints[PATH_SIZE], temporary[PATH_SIZE + 64], model[PATH_SIZE + 128], name[32];
    char final[PATH_SIZE + 64];
    checkpoint_step_name(name, sizeof name, step, config->steps);
    int n = snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", config->output_dir);
    if (n < 0 || (size_t)n >= sizeof checkpoints - 64)
        return fail(err, "%s: the path is too long", config->output_dir);
    snprintf(temporary, sizeof temporary, "%s/.%s.tmp", checkpoints, name);
    snprintf(model, sizeof model, "%s/pretrained_model", temporary);
    snprintf(final, sizeof final, "%s/%s", checkpoints, name);
    if (!remove_tree(temporary, err) || !make_dirs(model, err)) return false;
    if (!write_all(model, config, params, stats, err) || !sync_dir(temporary, err) ||
        !move_into_place(temporary, final, err) || !sync_dir(checkpoints, err)) {
        Error ignored; // the first error is the one to tell
        bool removed = remove_tree(temporary, &ignored);
        (void)removed;
        return false;
    }
    snprintf(path, path_size, "%s", final);
    return point_last(checkpoints, name, err);
}
