// SPDX-License-Identifier: Apache-2.0
#include "train/training_state.h"

#include "base/file.h"
#include "formats/json.h"
#include "formats/safetensors.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

// Reads a whole number of at least `least`.
CHECKED static bool read_whole_number(const json_t *object, const char *path, const char *key,
                                      int64_t least, int64_t *out, Error *err) {
    const json_t *value = json_object_get(object, key);
    *out = json_integer_value(value);
    if (!json_is_integer(value) || *out < least)
        return fail(err,
                    "%s: \"%s\" is not a whole number of at least %lld; the checkpoint is damaged",
                    path, key, (long long)least);
    return true;
}

CHECKED static bool read_number(const json_t *object, const char *path, const char *key,
                                double *out, Error *err) {
    const json_t *value = json_object_get(object, key);
    *out = json_number_value(value);
    return json_is_number(value) ||
           fail(err, "%s: \"%s\" is not a number; the checkpoint is damaged", path, key);
}

CHECKED static bool read_sums(const json_t *root, const char *path, MetricSums *m, Error *err) {
    const json_t *o = json_object_get(root, "since_last_log");
    return read_whole_number(o, path, "count", 0, &m->count, err) &&
           read_number(o, path, "loss", &m->loss, err) && read_number(o, path, "l1", &m->l1, err) &&
           read_number(o, path, "kld", &m->kld, err) &&
           read_number(o, path, "grad_norm", &m->grad_norm, err) &&
           read_number(o, path, "update_s", &m->update_s, err) &&
           read_number(o, path, "data_s", &m->data_s, err) &&
           read_number(o, path, "lr", &m->lr, err);
}

CHECKED static bool read_tact_state(const json_t *root, const char *path, TrainingState *s,
                                    Error *err) {
    int64_t version, step = s->step;
    if (!read_whole_number(root, path, "version", 1, &version, err)) return false;
    if (version != 1)
        return fail(err, "%s: of version %lld; use the tact that wrote it", path,
                    (long long)version);
    if (!read_whole_number(root, path, "step", 1, &s->step, err) ||
        !read_whole_number(root, path, "next_batch", 0, &s->next_step, err) ||
        !read_whole_number(root, path, "batch_size", 1, &s->step_samples, err) ||
        !read_whole_number(root, path, "frames", 1, &s->frames, err) ||
        !read_whole_number(root, path, "seed", 0, &s->seed, err) ||
        !read_whole_number(root, path, "threads", 1, &s->threads, err) ||
        !read_whole_number(root, path, "ema_updates", -1, &s->ema_updates, err) ||
        !read_sums(root, path, &s->sums, err))
        return false;
    s->eval_due = json_is_true(json_object_get(root, "eval_due"));
    if (s->step != step)
        return fail(err,
                    "%s: of step %lld, but training_step.json of %lld; the checkpoint is damaged",
                    path, (long long)s->step, (long long)step);
    s->ours = true;
    return true;
}

bool training_state_read(const char *dir, TrainingState *state, Error *err) {
    char path[PATH_SIZE + 128];
    json_t *root = NULL;
    *state = (TrainingState){.ema_updates = -1};
    if (!dir_exists(dir))
        return fail(err,
                    "%s: not there; without it a run cannot go on, only a new one start from the "
                    "weights (--policy.path)",
                    dir);
    snprintf(path, sizeof path, "%s/training_step.json", dir);
    bool ok =
        json_read(path, &root, err) && read_whole_number(root, path, "step", 1, &state->step, err);
    json_decref(root);
    if (!ok) return false;
    root = NULL;
    state->next_step = state->step;
    snprintf(path, sizeof path, "%s/tact_state.json", dir);
    if (!file_exists(path)) return true; // LeRobot's own
    ok = json_read(path, &root, err) && read_tact_state(root, path, state, err);
    json_decref(root);
    return ok;
}

typedef struct StateReader {
    const Safetensors *file;
    const char *path;
    int number; // of the optimiser's tensor
} StateReader;

CHECKED static bool find_state_tensor(const StateReader *r, const char *kind,
                                      const SafetensorsEntry **out, Error *err) {
    char name[64];
    snprintf(name, sizeof name, "state/%d/%s", r->number, kind);
    *out = safetensors_find(r->file, name);
    return *out || fail(err, "%s: tensor \"%s\" is missing", r->path, name);
}

CHECKED static bool read_moment(const StateReader *r, const char *kind, bool square, const Param *q,
                                float *out, Error *err) {
    const SafetensorsEntry *e;
    Error why;
    if (!find_state_tensor(r, kind, &e, err)) return false;
    if (!param_has_shape(q, e->rank, e->shape))
        return fail(err, "%s: tensor \"%s\" has not the shape of %s", r->path, e->name, q->name);
    if (!safetensors_copy_f32(e, out, q->count, &why))
        return fail(err, "%s: %s", r->path, why.text);
    for (int64_t i = 0; i < q->count; i++)
        if (!isfinite(out[i]) || (square && out[i] < 0))
            return fail(err, "%s: value %lld of tensor \"%s\" cannot be; the file is damaged",
                        r->path, (long long)i, e->name);
    return true;
}

CHECKED static bool check_step(const StateReader *r, int64_t step, Error *err) {
    const SafetensorsEntry *e;
    if (!find_state_tensor(r, "step", &e, err)) return false;
    if (e->count == 1 && safetensors_value(e, 0) == (double)(float)step) return true;
    return fail(err, "%s: tensor \"%s\" is not %lld, the step of the checkpoint", r->path, e->name,
                (long long)step);
}

// The order in which the optimiser counts parameters. In two groups it is ours; in one, as LeRobot
// has them with use_policy_training_preset=false, that in which its ACT makes them: the backbone
// comes after the VAE.
static int order_of(const Params *p, bool one_group, const Param **out) {
    int n = 0;
    for (int pass = 0; pass < 3; pass++) {
        for (int i = 0; i < p->count; i++) {
            const Param *q = &p->list[i];
            bool vae = strncmp(q->name, "model.vae_encoder", 17) == 0;
            int turn = !one_group                  ? (q->kind == PARAM_BACKBONE)
                       : q->kind == PARAM_BACKBONE ? 1
                       : vae                       ? 0
                                                   : 2;
            if (q->kind != PARAM_BUFFER && turn == pass) out[n++] = q;
        }
    }
    return n;
}

CHECKED static bool count_groups(const char *dir, int64_t *out, Error *err) {
    char path[PATH_SIZE + 128];
    json_t *groups = NULL;
    snprintf(path, sizeof path, "%s/optimizer_param_groups.json", dir);
    *out = 2;
    if (!file_exists(path)) return true;
    if (!json_read(path, &groups, err)) return false;
    *out = (int64_t)json_array_size(groups);
    json_decref(groups);
    return (*out == 1 || *out == 2) ||
           fail(err, "%s: %lld groups of parameters; ACT's optimiser has two, or one", path,
                (long long)*out);
}

static bool is_time_table(const Param *q) {
    return strcmp(q->name, TEMPORAL_TABLE) == 0;
}

// Reads the moments of all tensors in `order`. With new_times the temporal table has none yet,
// whether the checkpoint had such a table or not.
CHECKED static bool read_moments(const Safetensors *s, const char *path, int64_t step,
                                 const Param *const *order, int n, bool new_times, float *m,
                                 float *v, Error *err) {
    StateReader r = {.file = s, .path = path};
    bool without_times = safetensors_count(s) == 3 * (n - 1);
    for (int i = 0; i < n; i++) {
        const Param *q = order[i];
        if (new_times && is_time_table(q)) {
            r.number += !without_times;
            continue;
        }
        if (!check_step(&r, step, err) ||
            !read_moment(&r, "exp_avg", false, q, m + q->offset, err) ||
            !read_moment(&r, "exp_avg_sq", true, q, v + q->offset, err))
            return false;
        r.number++;
    }
    if (safetensors_count(s) != 3 * r.number)
        return fail(err, "%s: %d tensors, but this policy's optimiser has %d", path,
                    safetensors_count(s), 3 * r.number);
    return true;
}

bool optimizer_state_read(const char *dir, int64_t step, bool new_times, Optimizer *o, Error *err) {
    char path[PATH_SIZE + 128];
    const Params *p = o->params;
    Device *d = p->device;
    Safetensors *s = NULL;
    size_t bytes = (size_t)p->trainable * sizeof(float);
    int64_t groups;
    snprintf(path, sizeof path, "%s/optimizer_state.safetensors", dir);
    if (!count_groups(dir, &groups, err) || !safetensors_open(path, &s, err)) return false;
    float *m = mem_alloc(bytes), *v = mem_alloc(bytes);
    const Param **order = NEW(const Param *, p->count);
    int n = order_of(p, groups == 1, order);
    bool ok = read_moments(s, path, step, order, n, new_times, m, v, err);
    mem_free(order);
    if (ok) {
        d->upload(d, o->m.data, m, bytes);
        d->upload(d, o->v.data, v, bytes);
        o->step = step;
    }
    mem_free(m);
    mem_free(v);
    safetensors_close(s);
    return ok && device_check(d, err);
}
