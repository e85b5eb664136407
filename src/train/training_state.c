// SPDX-License-Identifier: Apache-2.0
#include "train/training_state.h"

#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include "train/schedule.h"
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096, TACT_STATE_VERSION = 1 };

static bool is_trained(const Param *p) {
    return p->kind != PARAM_BUFFER;
}

// The optimiser numbers the trained tensors in the order of the table.
CHECKED static bool write_moments(const char *dir, const Optimizer *o, int64_t taken, Error *err) {
    static const char *const names[] = {"exp_avg", "exp_avg_sq"};
    const Params *p = o->params;
    Device *d = p->device;
    size_t bytes = (size_t)p->trainable * sizeof(float);
    float *flat[2] = {mem_alloc(bytes), mem_alloc(bytes)}, step = (float)taken;
    d->download(d, flat[0], o->m.data, bytes);
    d->download(d, flat[1], o->v.data, bytes);
    SafetensorsEntry *entries = NEW(SafetensorsEntry, 3 * p->count);
    Arena arena = {0};
    int n = 0, number = 0;
    for (int i = 0; i < p->count; i++) {
        const Param *q = &p->list[i];
        if (!is_trained(q)) continue;
        entries[n++] = (SafetensorsEntry){.name = arena_printf(&arena, "state/%d/step", number),
                                          .type = ST_F32,
                                          .rank = 0,
                                          .count = 1,
                                          .data = &step,
                                          .bytes = sizeof step};
        for (int k = 0; k < 2; k++) {
            SafetensorsEntry *e = &entries[n++];
            *e = (SafetensorsEntry){.name = arena_printf(&arena, "state/%d/%s", number, names[k]),
                                    .type = ST_F32,
                                    .rank = q->rank,
                                    .count = q->count,
                                    .data = flat[k] + q->offset,
                                    .bytes = (size_t)q->count * sizeof(float)};
            memcpy(e->shape, q->shape, sizeof q->shape);
        }
        number++;
    }
    char path[PATH_SIZE + 128];
    snprintf(path, sizeof path, "%s/optimizer_state.safetensors", dir);
    bool ok = safetensors_write(path, entries, n, false, err);
    arena_free(&arena);
    mem_free(entries);
    mem_free(flat[0]);
    mem_free(flat[1]);
    return ok;
}

// PyTorch's keys with exactly its types: LeRobot compares both with its own optimiser's. A schedule
// changes lr and adds what it started from.
static json_t *group_json(const Optimizer *o, ParamKind kind, double base, double factor,
                          bool schedule) {
    json_t *numbers = json_array();
    int number = 0;
    for (int i = 0; i < o->params->count; i++) {
        const Param *q = &o->params->list[i];
        if (q->kind == kind) json_array_append_new(numbers, json_integer(number));
        number += is_trained(q);
    }
    json_t *group =
        json_pack("{s:f, s:[f,f], s:f, s:f, s:b, s:b, s:n, s:b, s:b, s:n, s:b}", "lr",
                  base * factor, "betas", o->beta1, o->beta2, "eps", o->eps, "weight_decay",
                  o->weight_decay, "amsgrad", 0, "maximize", 0, "foreach", "capturable", 0,
                  "differentiable", 0, "fused", "decoupled_weight_decay", 1);
    if (schedule) json_object_set_new(group, "initial_lr", json_real(base));
    json_object_set_new(group, "params", numbers);
    return group;
}

CHECKED static bool write_param_groups(const char *dir, const TrainConfig *c, const Optimizer *o,
                                       int64_t taken, Error *err) {
    double factor = schedule_factor(&c->scheduler, taken, c->steps);
    double base[] = {c->policy.optimizer_lr, c->policy.optimizer_lr_backbone};
    bool schedule = c->scheduler.type != NULL;
    json_t *groups = json_pack("[o,o]", group_json(o, PARAM_MAIN, base[0], factor, schedule),
                               group_json(o, PARAM_BACKBONE, base[1], factor, schedule));
    if (!json_write_new(dir, "optimizer_param_groups.json", groups, err)) return false;
    if (!schedule) return true;
    // The state of PyTorch's LambdaLR (2.8 and later).
    json_t *state = json_pack("{s:[f,f], s:I, s:I, s:b, s:b, s:[f,f], s:[n,n]}", "base_lrs",
                              base[0], base[1], "last_epoch", (json_int_t)taken, "_step_count",
                              (json_int_t)taken + 1, "_is_initial", 0, "_get_lr_called_within_step",
                              0, "_last_lr", base[0] * factor, base[1] * factor, "lr_lambdas");
    return json_write_new(dir, "scheduler_state.json", state, err);
}

static json_t *state_json(const TrainingState *s) {
    const MetricSums *m = &s->sums;
    return json_pack(
        "{s:i, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f}}",
        "version", TACT_STATE_VERSION, "step", (json_int_t)s->step, "next_batch",
        (json_int_t)s->next_step, "batch_size", (json_int_t)s->step_samples, "frames",
        (json_int_t)s->frames, "seed", (json_int_t)s->seed, "threads", (json_int_t)s->threads,
        "ema_updates", (json_int_t)s->ema_updates, "eval_due", s->eval_due, "since_last_log",
        "count", (json_int_t)m->count, "loss", m->loss, "l1", m->l1, "kld", m->kld, "grad_norm",
        m->grad_norm, "update_s", m->update_s, "data_s", m->data_s, "lr", m->lr);
}

bool training_state_write(const char *dir, const TrainConfig *config, const Optimizer *o,
                          const TrainingState *state, Error *err) {
    // LeRobot 0.6 reads the number of processes by the first of these names, later ones by the
    // second.
    json_t *step = json_pack("{s:I, s:i, s:i, s:I, s:i}", "step", (json_int_t)state->step,
                             "num_processes", config->processes, "dp_world_size", config->processes,
                             "batch_size", (json_int_t)config->batch_size, "grad_accum_steps",
                             config->gradient_accumulation_steps);
    return json_write_new(dir, "training_step.json", step, err) &&
           json_write_new(dir, "tact_state.json", state_json(state), err) &&
           rng_state_write(dir, (uint64_t)config->seed, err) &&
           write_param_groups(dir, config, o, state->step, err) &&
           write_moments(dir, o, state->step, err);
}

bool training_state_evaluated(const char *dir, Error *err) {
    char path[4096 + 128];
    json_t *state = NULL;
    snprintf(path, sizeof path, "%s/tact_state.json", dir);
    if (!json_read(path, &state, err)) return false;
    json_object_set_new(state, "eval_due", json_false());
    return json_write_new(dir, "tact_state.json", state, err) && sync_dir(dir, err);
}
