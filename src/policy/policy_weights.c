// SPDX-License-Identifier: Apache-2.0
// Nothing that a checkpoint says is believed before it is checked.
#include "policy/policy_weights.h"

#include "base/file.h"
#include "base/log.h"
#include "formats/safetensors.h"
#include "model/params_list.h"
#include "policy/policy_locate.h"
#include "policy/temporal_wrapper.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char vae_cls[] = "model.vae_encoder_cls_embed.weight";

// What may be among the weights without being one: normalisation buffers of LeRobot before 0.4,
// which policy_read_stats reads, and a counter of batch norms that nothing uses.
static bool is_no_weight(const char *name) {
    static const char *const prefixes[] = {"normalize_inputs.", "normalize_targets.",
                                           "unnormalize_outputs."};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0) return true;
    return dot && strcmp(dot, ".num_batches_tracked") == 0;
}

static void shape_text(char *out, size_t size, int rank, const int64_t *shape) {
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < rank && used + 24 < size; i++)
        used +=
            (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)shape[i]);
    snprintf(out + used, size - used, "]");
}

CHECKED static bool check_shape(const char *path, const Param *q, const SafetensorsEntry *e,
                                Error *err) {
    if (param_has_shape(q, e->rank, e->shape)) return true;
    char has[128], wants[128];
    shape_text(has, sizeof has, e->rank, e->shape);
    shape_text(wants, sizeof wants, q->rank, q->shape);
    return fail(err, "%s: tensor \"%s\" has shape %s, but this policy's is %s", path, e->name, has,
                wants);
}

static bool all_finite(const float *values, int64_t count) {
    const uint32_t exponent = 0x7f800000; // all ones: infinite or NaN
    uint32_t bad = 0;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        bad |= (bits & exponent) == exponent;
    }
    return !bad;
}

CHECKED static bool check_finite(const char *path, const char *name, const float *values,
                                 int64_t count, Error *err) {
    enum { BLOCK = 1 << 14 };
    bool bad = false;
    // Not OpenMP's reduction: clang's needs a lock that the static library would show to everybody.
#pragma omp parallel for
    for (int64_t from = 0; from < count; from += BLOCK)
        if (!all_finite(values + from, count - from < BLOCK ? count - from : BLOCK)) {
#pragma omp atomic write
            bad = true;
        }
    int64_t at = 0;
    while (bad && isfinite(values[at])) at++;
    return !bad || fail(err,
                        "%s: value %lld of tensor \"%s\" is not finite; the file is damaged or the "
                        "training diverged",
                        path, (long long)at, name);
}

// Float32 values can be read where they lie in the file.
static bool can_be_read_in_place(const SafetensorsEntry *e) {
    return e->type == ST_F32 && (uintptr_t)e->data % sizeof(float) == 0;
}

// finite: the values are known to be.
CHECKED static bool read_param(const char *path, const Params *params, const Param *q,
                               const SafetensorsEntry *e, bool finite, bool check_only,
                               Error *err) {
    if (!check_shape(path, q, e, err)) return false;
    if (!e->data && e->bytes) return true; // it was not to be read
    size_t bytes = (size_t)q->count * sizeof(float);
    float *copy = can_be_read_in_place(e) ? NULL : mem_try_raw(bytes);
    if (!copy && !can_be_read_in_place(e))
        return fail_memory(err, "%s: tensor \"%s\" of %zu bytes", path, e->name, bytes);
    Error why;
    bool ok = !copy || safetensors_copy_f32(e, copy, q->count, &why) ||
              fail(err, "%s: %s", path, why.text);
    const float *values = copy ? copy : e->data;
    ok = ok && (finite || check_finite(path, e->name, values, q->count, err));
    if (ok && !check_only) param_set(params, q, values);
    mem_free(copy);
    return ok;
}

// The table of one observation, for all that there are now.
CHECKED static bool read_only_time(const char *path, const Params *params, const Param *q,
                                   const SafetensorsEntry *e, Error *err) {
    Param row = *q;
    row.shape[0] = 1;
    row.count = q->shape[1];
    if (!check_shape(path, &row, e, err)) return false;
    float *values = TRY_NEW(float, q->count);
    if (!values) return fail_memory(err, "%s: tensor \"%s\"", path, e->name);
    bool ok = safetensors_copy_f32(e, values, row.count, err) &&
              check_finite(path, e->name, values, row.count, err);
    for (int64_t i = row.count; ok && i < q->count; i++) values[i] = values[i % row.count];
    if (ok) param_set(params, q, values);
    mem_free(values);
    return ok;
}

// The decoder's queries of a policy with another number of past actions, which stand last.
CHECKED static bool read_queries(const char *path, const Params *params, const Param *q,
                                 const SafetensorsEntry *e, int past_added, Error *err) {
    Param stored = *q;
    stored.shape[0] = q->shape[0] - past_added;
    stored.count = stored.shape[0] * q->shape[1];
    if (!check_shape(path, &stored, e, err)) return false;
    const int64_t kept = stored.count < q->count ? stored.count : q->count;
    float *values = TRY_NEW(float, stored.count + q->count);
    if (!values) return fail_memory(err, "%s: tensor \"%s\"", path, e->name);
    float *own = values + stored.count;
    bool ok = safetensors_copy_f32(e, values, stored.count, err) &&
              check_finite(path, e->name, values, stored.count, err);
    if (ok) {
        param_get(params, q, own);
        memcpy(own, values, (size_t)kept * sizeof *own);
        param_set(params, q, own);
        log_info("%s: %lld of the checkpoint's %lld rows are kept; %d past actions %s", q->name,
                 (long long)(kept / q->shape[1]), (long long)stored.shape[0], abs(past_added),
                 past_added > 0 ? "start anew" : "are dropped");
    }
    mem_free(values);
    return ok;
}

CHECKED static bool check_names(const Safetensors *s, const char *path, const Params *params,
                                Error *err) {
    for (int i = 0; i < safetensors_count(s); i++) {
        const char *name = safetensors_entry(s, i)->name;
        if (!params_find(params, name) && !is_no_weight(name))
            return fail(err, "%s: tensor \"%s\" is none of this policy's", path, name);
    }
    return true;
}

// apart: the table of the timesteps is in another file.
CHECKED static bool read_tensors(const Safetensors *s, const char *path, const Params *params,
                                 bool apart, WeightsOptions o, Error *err) {
    const bool finite = safetensors_finite(s);
    for (int i = 0; i < params->count; i++) {
        const Param *q = &params->list[i];
        const SafetensorsEntry *e = safetensors_find(s, q->name);
        bool timed = strcmp(q->name, TEMPORAL_TABLE) == 0;
        if (timed && apart) continue;
        bool given = strcmp(q->name, ACTION_PREFIX_WEIGHT) == 0;
        if (!e && ((o.new_times && timed) || (o.new_prefix && given))) {
            log_info("%s starts as it is initialised: the checkpoint has no such tensor", q->name);
            continue;
        }
        if (!e) return fail(err, "%s: tensor \"%s\" is missing", path, q->name);
        if (timed && o.new_times && e->rank == 2 && e->shape[0] == 1 && q->shape[0] > 1) {
            if (!read_only_time(path, params, q, e, err)) return false;
            continue;
        }
        bool queries = o.past_added && strcmp(q->name, QUERY_TABLE) == 0;
        if (queries ? !read_queries(path, params, q, e, o.past_added, err)
                    : !read_param(path, params, q, e, finite, o.check_only, err))
            return false;
    }
    if (apart && safetensors_find(s, TEMPORAL_TABLE))
        return fail(err, "%s: has a tensor \"%s\", and so has temporal_wrapper.pt; remove one",
                    path, TEMPORAL_TABLE);
    return check_names(s, path, params, err);
}

// In training the fork's VAE encoder sees the positive part of its first token, ours all of it.
// The positive part alone is the same in both.
CHECKED static bool keep_positive(const Params *params, Error *err) {
    const Param *q = params_find(params, vae_cls);
    if (!q) return true;
    float *values = TRY_NEW(float, q->count);
    if (!values) return fail_memory(err, "tensor \"%s\"", q->name);
    param_get(params, q, values);
    for (int64_t i = 0; i < q->count; i++) values[i] = fmaxf(values[i], 0);
    param_set(params, q, values);
    mem_free(values);
    return true;
}

CHECKED static bool read_wrapper(const char *file, const Params *params, WeightsOptions o,
                                 Error *err) {
    Weights *w = NULL;
    const SafetensorsEntry *e = NULL;
    if (!temporal_wrapper_open(file, &w, &e, err)) return false;
    const Param *q = params_find(params, TEMPORAL_TABLE);
    bool ok = q ? read_param(file, params, q, e, false, o.check_only, err)
                : fail(err,
                       "%s: tensor \"%s\" is none of this policy's; it needs "
                       "temporal_pos_embed=state",
                       file, e->name);
    weights_close(w);
    return ok && (o.check_only || keep_positive(params, err));
}

bool policy_read_weights(const char *dir, const Params *params, WeightsOptions o, Error *err) {
    char path[2 * POLICY_PATH], wrapper[2 * POLICY_PATH];
    Safetensors *s = NULL;
    bool wrapped = temporal_wrapper_find(dir, wrapper, sizeof wrapper);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    if (!safetensors_open(path, &s, err)) return false;
    bool ok = read_tensors(s, path, params, wrapped, o, err);
    safetensors_close(s);
    return ok && (!wrapped || read_wrapper(wrapper, params, o, err));
}

bool policy_check_size(const char *dir, const PolicyConfig *p, Error *err) {
    enum { NARROWEST = 2 }; // bytes of a bfloat16
    char path[2 * POLICY_PATH];
    Safetensors *s = NULL;
    Params list = {0};
    double wanted = 0, bytes = 0;
    bool apart = temporal_wrapper_find(dir, path, sizeof path);
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    if (!safetensors_look(path, &s, err)) return false;
    bool ok = params_list(&list, p, err);
    for (int i = 0; ok && i < list.count; i++)
        if (!apart || strcmp(list.list[i].name, TEMPORAL_TABLE) != 0)
            wanted += (double)list.list[i].count;
    for (int i = 0; i < safetensors_count(s); i++) bytes += (double)safetensors_entry(s, i)->bytes;
    if (ok && bytes < NARROWEST * wanted)
        ok = fail(err, "%s: holds %.0f bytes, too few for the %.0f values of its config.json", path,
                  bytes, wanted);
    safetensors_close(s);
    mem_free(list.list);
    arena_free(&list.arena);
    return ok;
}

// ---- a policy that runs -------------------------------------------------------------------------

// Whether the parameters can be used where they lie in what was read of the file: all of them
// float32, none apart.
static bool can_be_borrowed(const char *dir, const Device *d, const Safetensors *s) {
    char wrapper[2 * POLICY_PATH];
    if (!d->backend->host_memory || temporal_wrapper_find(dir, wrapper, sizeof wrapper))
        return false;
    for (int i = 0; i < safetensors_count(s); i++) {
        const SafetensorsEntry *e = safetensors_entry(s, i);
        if (is_no_weight(e->name)) continue;
        if (!can_be_read_in_place(e)) return false;
    }
    return true;
}

// What params lie in, and where the first of them begins.
typedef struct Borrowed {
    const Safetensors *file;
    const float *first;
} Borrowed;

static const float *tensor_data(const void *user, const Param *q) {
    const Borrowed *b = user;
    const float *data = safetensors_find(b->file, q->name)->data;
    return data ? data : b->first; // it was not read, and nobody looks
}

CHECKED static bool borrow_params(const Safetensors *s, const char *path,
                                  const PolicyConfig *config, Device *d, Params *params,
                                  Error *err) {
    Params list = {0};
    bool ok = params_list(&list, config, err) &&
              read_tensors(s, path, &list, false, (WeightsOptions){.check_only = true}, err);
    const char *first = NULL, *end = NULL;
    for (int i = 0; ok && i < list.count; i++) {
        const SafetensorsEntry *e = safetensors_find(s, list.list[i].name);
        const char *data = e->data;
        if (!data) continue;
        if (!first || data < first) first = data;
        if (!end || data + e->bytes > end) end = data + e->bytes;
    }
    mem_free(list.list);
    arena_free(&list.arena);
    const Borrowed borrowed = {s, (const float *)first};
    return ok &&
           params_borrow(params, d, config, borrowed.first,
                         (end - first) / (ptrdiff_t)sizeof(float), tensor_data, &borrowed, err);
}

bool policy_load_weights(const char *dir, const PolicyConfig *p, bool to_run, Device *device,
                         Params *params, Safetensors **file, Error *err) {
    char path[2 * POLICY_PATH];
    snprintf(path, sizeof path, "%s/model.safetensors", dir);
    if (!safetensors_open_without(path, to_run ? POLICY_VAE_ENCODER : NULL, file, err))
        return false;
    if (can_be_borrowed(dir, device, *file))
        return borrow_params(*file, path, p, device, params, err);
    safetensors_close(*file);
    *file = NULL;
    return params_init(params, device, p, false, err) &&
           policy_read_weights(dir, params, (WeightsOptions){0}, err);
}
