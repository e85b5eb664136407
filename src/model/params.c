// SPDX-License-Identifier: Apache-2.0
#include "model/params.h"

#include "model/params_list.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { PARAM_ALIGNMENT = 64 }; // elements, so that every tensor starts on 256 bytes

static int64_t padded_count(int64_t n) {
    return (n + PARAM_ALIGNMENT - 1) / PARAM_ALIGNMENT * PARAM_ALIGNMENT;
}

static void assign_offsets(Params *p) {
    for (int i = 0; i < p->count; i++) {
        Param *q = &p->list[i];
        int64_t *end = q->kind == PARAM_BUFFER ? &p->buffers : &p->trainable;
        q->offset = *end;
        *end += padded_count(q->count);
        if (q->kind == PARAM_MAIN) p->main = p->trainable;
        if (q->kind != PARAM_BUFFER) p->learnable += q->count;
    }
}

Tensor params_flat(Device *d, int64_t count) {
    void *data = d->alloc(d, (size_t)(count ? count : 1) * sizeof(float));
    return tensor_view(data, DTYPE_F32, 1, SHAPE(count));
}

bool params_init(Params *p, Device *d, const PolicyConfig *config, bool train, Error *err) {
    *p = (Params){.device = d};
    if (!params_list(p, config, err)) goto error;
    assign_offsets(p);
    p->values = params_flat(d, p->trainable);
    p->buffer_values = params_flat(d, p->buffers);
    if (train) p->grads = params_flat(d, p->trainable);
    if (!device_check(d, err)) goto error;
    return true;
error:
    params_free(p);
    return false;
}

bool params_borrow(Params *p, Device *d, const PolicyConfig *config, const float *base,
                   int64_t count, ParamWhere where, const void *user, Error *err) {
    *p = (Params){.device = d, .borrowed = true};
    if (!params_list(p, config, err)) {
        params_free(p);
        return false;
    }
    assign_offsets(p); // for the counts
    for (int i = 0; i < p->count; i++) p->list[i].offset = where(user, &p->list[i]) - base;
    p->values = tensor_view((void *)(uintptr_t)base, DTYPE_F32, 1, SHAPE(count));
    p->buffer_values = p->values;
    return true;
}

void params_free(Params *p) {
    if (!p->device) return;
    if (!p->borrowed) {
        p->device->release(p->device, p->values.data);
        p->device->release(p->device, p->buffer_values.data);
    }
    p->device->release(p->device, p->grads.data);
    mem_free(p->list);
    arena_free(&p->arena);
    *p = (Params){0};
}

const Param *params_find(const Params *p, const char *name) {
    for (int i = 0; i < p->count; i++)
        if (strcmp(p->list[i].name, name) == 0) return &p->list[i];
    return NULL;
}

bool param_has_shape(const Param *q, int rank, const int64_t *shape) {
    bool same = rank == q->rank;
    for (int i = 0; same && i < rank; i++) same = shape[i] == q->shape[i];
    return same;
}

ParamRange params_range(const Params *p, const char *prefix) {
    ParamRange range = {0};
    size_t n = strlen(prefix);
    bool inside = false;
    for (int i = 0; i < p->count && p->list[i].kind != PARAM_BUFFER; i++) {
        const Param *q = &p->list[i];
        bool before = inside;
        inside = strncmp(q->name, prefix, n) == 0;
        if (inside && !before) range.start = q->offset;
        if (before && !inside) range.end = q->offset;
    }
    if (inside) range.end = p->trainable;
    return range;
}

static Tensor view_of(const Param *q, Tensor flat) {
    return tensor_view(f32(flat) + q->offset, DTYPE_F32, q->rank, q->shape);
}

Tensor param_value(const Params *p, const Param *q) {
    Tensor t = view_of(q, q->kind == PARAM_BUFFER ? p->buffer_values : p->values);
    t.rounding = q->rounding[0];
    return t;
}

Tensor param_grad(const Params *p, const Param *q) {
    if (q->kind == PARAM_BUFFER || !p->grads.data) return (Tensor){0};
    return view_of(q, p->grads);
}

static const Param *param_named(const Params *p, const char *format, va_list args) {
    char name[256];
    vsnprintf(name, sizeof name, format, args);
    const Param *q = params_find(p, name);
    assert(q && "no such parameter");
    return q;
}

Tensor value_of(const Params *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const Param *q = param_named(p, format, args);
    va_end(args);
    return param_value(p, q);
}

Rounding rounding_of(const Params *p, int part, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const Param *q = param_named(p, format, args);
    va_end(args);
    return q->rounding[part];
}

Tensor grad_of(const Params *p, const char *format, ...) {
    va_list args;
    va_start(args, format);
    const Param *q = param_named(p, format, args);
    va_end(args);
    return param_grad(p, q);
}

void param_get(const Params *p, const Param *q, float *out) {
    p->device->download(p->device, out, param_value(p, q).data, (size_t)q->count * sizeof(float));
}

void param_set(const Params *p, const Param *q, const float *in) {
    p->device->upload(p->device, param_value(p, q).data, in, (size_t)q->count * sizeof(float));
}
