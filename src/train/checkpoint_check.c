// SPDX-License-Identifier: Apache-2.0
// What was written of a checkpoint, read again before it gets its name. That the bytes of each file
// are those that were meant is seen where it is written (base/file.h, safetensors_write). Here the
// readers that will load it have to find all that is in memory.
#include "train/checkpoint.h"

#include "base/file.h"
#include "config/config_json.h"
#include "formats/safetensors.h"
#include "policy/policy_config.h"
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

CHECKED static bool lacks(const char *path, const char *what, Error *err) {
    return fail(err, "%s: not saved: read again, it has not the %s that was to be saved", path,
                what);
}

// Takes the reference to `meant`, which is made for this a second time.
CHECKED static bool check_json(const char *dir, const char *name, json_t *meant, Error *err) {
    char path[PATH_SIZE + 256];
    json_t *read = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    bool ok = json_whole(meant, path, err) && json_read(path, &read, err);
    if (ok && !json_equal(read, meant)) ok = lacks(path, "settings", err);
    json_decref(read);
    json_decref(meant);
    return ok;
}

CHECKED static bool check_settings(const char *dir, const CheckpointParts *what, Error *err) {
    const PolicyConfig *p = &what->config->policy;
    json_t *tact = policy_to_tact_json(p);
    json_object_set_new(tact, "train", train_config_to_tact_json(what->config));
    return check_json(dir, "tact.json", tact, err) &&
           check_json(dir, "config.json", policy_to_json(p), err) &&
           check_json(dir, "train_config.json", train_config_to_json(what->config), err);
}

CHECKED static bool check_weights(const char *dir, const Params *params, Error *err) {
    char path[PATH_SIZE + 256];
    Safetensors *s = NULL;
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    if (!safetensors_look(path, &s, err)) return false;
    bool same = safetensors_count(s) == params->count;
    for (int i = 0; same && i < params->count; i++) {
        const Param *q = &params->list[i];
        const SafetensorsEntry *e = safetensors_find(s, q->name);
        same = e && e->type == ST_F32 && param_has_shape(q, e->rank, e->shape);
    }
    safetensors_close(s);
    return same || lacks(path, "weights", err);
}

// Whether the statistics read are those meant, as float32, which is what files hold.
static bool same_stats(Stats *read, Stats *meant) {
    for (int k = 0; k < STATS_KINDS; k++) {
        const double *a = *stats_array(read, k), *b = *stats_array(meant, k);
        if (!a != !b) return false;
        for (int i = 0; a && i < meant->dim; i++)
            if (a[i] != (double)(float)b[i]) return false;
    }
    return true;
}

CHECKED static bool check_stats(const char *dir, const CheckpointParts *what, Error *err) {
    const PolicyConfig *p = &what->config->policy;
    PolicyStats read, meant = *what->stats; // the arrays stay the caller's
    if (!policy_read_stats(dir, NULL, p, &read, err)) return false;
    bool same = (!p->state_dim || same_stats(&read.state, &meant.state)) &&
                (!p->env_dim || same_stats(&read.env, &meant.env)) &&
                same_stats(&read.action, &meant.action);
    for (int i = 0; same && i < p->n_cameras; i++)
        same = same_stats(&read.cameras[i], &meant.cameras[i]);
    policy_stats_free(&read);
    return same || lacks(dir, "statistics", err);
}

// That it can be loaded at all; what it says then is check_settings' part.
CHECKED static bool check_readable(const char *dir, Error *err) {
    TrainConfig read;
    train_config_default(&read);
    bool ok = policy_read_config(dir, false, &read, err);
    train_config_free(&read);
    return ok;
}

bool checkpoint_check_policy(const char *dir, const CheckpointParts *what, const Params *params,
                             Error *err) {
    return check_settings(dir, what, err) && check_readable(dir, err) &&
           check_stats(dir, what, err) && check_weights(dir, params, err);
}

static bool same_sums(const MetricSums *a, const MetricSums *b) {
    return a->count == b->count && a->loss == b->loss && a->l1 == b->l1 && a->kld == b->kld &&
           a->grad_norm == b->grad_norm && a->update_s == b->update_s && a->data_s == b->data_s &&
           a->lr == b->lr;
}

// Of the optimiser's tensors there are three for each that is trained: its two moments and a step.
CHECKED static bool check_moments(const char *dir, const Params *params, Error *err) {
    char path[PATH_SIZE + 256];
    Safetensors *s = NULL;
    int wanted = 0;
    for (int i = 0; i < params->count; i++) wanted += params->list[i].kind != PARAM_BUFFER;
    snprintf(path, sizeof path, "%s/optimizer_state.safetensors", dir);
    if (!safetensors_look(path, &s, err)) return false;
    bool same = safetensors_count(s) == 3 * wanted;
    safetensors_close(s);
    return same || lacks(path, "moments", err);
}

bool checkpoint_check_state(const char *dir, const CheckpointParts *what, Error *err) {
    const TrainingState *meant = what->state;
    TrainingState read;
    if (!training_state_read(dir, &read, err)) return false;
    bool same = read.ours && read.step == meant->step && read.next_step == meant->next_step &&
                read.step_samples == meant->step_samples && read.frames == meant->frames &&
                read.seed == meant->seed && read.threads == meant->threads &&
                read.eval_due == meant->eval_due && read.ema_updates == meant->ema_updates &&
                same_sums(&read.sums, &meant->sums);
    return (same || lacks(dir, "state", err)) && check_moments(dir, what->optimizer->params, err);
}
