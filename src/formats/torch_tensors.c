// SPDX-License-Identifier: Apache-2.0
// From the values of a pickle to named, contiguous tensors.
#include "formats/torch_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 1 << 16, MAX_NAME = 512 };

typedef struct Walk {
    TensorList *t;
    char name[MAX_NAME + 1];
    int visited;
    size_t copy_budget; // bytes that copies of views may still take
    Error *err;
} Walk;

static bool contiguous(const TorchView *v) {
    int64_t expected = 1;
    for (int i = v->rank - 1; i >= 0; i--) {
        if (v->shape[i] != 1 && v->stride[i] != expected) return false;
        expected *= v->shape[i];
    }
    return true;
}

// Row by row of the last dimension; the others count like an odometer.
static void gather_contiguous(uint8_t *out, const TorchView *v, size_t size) {
    int64_t index[SAFETENSORS_MAX_RANK] = {0};
    int last = v->rank - 1; // rank 0 is always contiguous
    int64_t at = v->offset;
    for (int64_t done = 0; done < v->count; done += v->shape[last]) {
        for (int64_t i = 0; i < v->shape[last]; i++, out += size)
            memcpy(out, v->storage->data + (size_t)(at + i * v->stride[last]) * size, size);
        for (int d = last - 1; d >= 0; d--) {
            at += v->stride[d];
            if (++index[d] < v->shape[d]) break;
            at -= v->stride[d] * v->shape[d];
            index[d] = 0;
        }
    }
}

static CHECKED bool copy_view(Walk *w, const TorchView *v, SafetensorsEntry *e) {
    TensorList *t = w->t;
    size_t size = safetensors_type_size(e->type);
    // A view may show one element a billion times.
    if ((uint64_t)v->count > w->copy_budget / size)
        return fail(w->err,
                    "%s: \"%s\" and the tensors before it unfold to far more than the file "
                    "holds; save their clone()",
                    t->path, e->name);
    e->bytes = (size_t)v->count * size;
    w->copy_budget -= e->bytes;
    uint8_t *copy = mem_try(e->bytes);
    if (!copy || !ARRAY_TRY_ROOM(t->copies, t->copied, t->copies_capacity, 1)) {
        mem_free(copy);
        return fail_memory(w->err, "%s: \"%s\" (%zu bytes)", t->path, e->name, e->bytes);
    }
    gather_contiguous(copy, v, size);
    t->copies[t->copied++] = copy;
    e->data = copy;
    return true;
}

static CHECKED bool add_tensor(Walk *w, const TorchView *v) {
    TensorList *t = w->t;
    if (t->count >= MAX_TENSORS)
        return fail(w->err, "%s: more than %d tensors; it is no state dict", t->path, MAX_TENSORS);
    const char *name = arena_try_strdup(&t->arena, w->name);
    if (!name || !ARRAY_TRY_ROOM(t->entries, t->count, t->capacity, 1))
        return fail_memory(w->err, "%s: a list of its tensors", t->path);
    SafetensorsEntry *e = &t->entries[t->count];
    *e = (SafetensorsEntry){
        .name = name, .type = v->storage->type, .rank = v->rank, .count = v->count};
    memcpy(e->shape, v->shape, sizeof e->shape);
    size_t size = safetensors_type_size(e->type);
    if (v->count == 0 || contiguous(v)) {
        e->bytes = (size_t)v->count * size;
        e->data = v->storage->data + (v->count ? (size_t)v->offset * size : 0);
    } else if (!copy_view(w, v, e)) {
        return false;
    }
    t->count++;
    return true;
}

// Appends ".KEY" (or "KEY" at the start) to w->name. *known is false for keys that are no names.
static CHECKED bool append_key(Walk *w, size_t length, const Value *key, int64_t index,
                               bool *known) {
    char number[32];
    const char *text = number;
    *known = !key || key->kind == VALUE_STRING || key->kind == VALUE_INT;
    if (!*known) return true;
    if (key && key->kind == VALUE_STRING)
        text = key->string.text;
    else
        snprintf(number, sizeof number, "%lld", (long long)(key ? key->integer : index));
    if (length + 1 + strlen(text) > MAX_NAME)
        return fail(w->err, "%s: a tensor's name is longer than %d bytes; the file is damaged",
                    w->t->path, MAX_NAME);
    snprintf(w->name + length, sizeof w->name - length, "%s%s", length ? "." : "", text);
    return true;
}

// Values form a graph, not a tree: a list may hold itself, and dicts may share what they hold, so
// both the depth and the number of visits are bounded.
static CHECKED bool walk_value(Walk *w, const Value *v, size_t length, int depth) {
    if (v->kind == VALUE_TENSOR) return add_tensor(w, v->view);
    if (v->kind != VALUE_DICT && v->kind != VALUE_LIST && v->kind != VALUE_TUPLE) return true;
    if (depth >= TORCH_MAX_DEPTH)
        return fail(w->err,
                    "%s: dicts and lists within each other, more than %d deep; it is no "
                    "state dict",
                    w->t->path, TORCH_MAX_DEPTH);
    int step = v->kind == VALUE_DICT ? 2 : 1;
    for (int i = 0; i + step <= v->list.count; i += step) {
        bool known = false;
        if (++w->visited > TORCH_MAX_VALUES)
            return fail(w->err, "%s: its dicts unfold to more than %d values; it is no state dict",
                        w->t->path, TORCH_MAX_VALUES);
        if (!append_key(w, length, step == 2 ? v->list.items[i] : NULL, i, &known)) return false;
        if (known && !walk_value(w, v->list.items[i + step - 1], strlen(w->name), depth + 1))
            return false;
        w->name[length] = 0;
    }
    return true;
}

static int by_name(const void *a, const void *b, void *entries) {
    const SafetensorsEntry *e = entries;
    return strcmp(e[*(const int *)a].name, e[*(const int *)b].name);
}

static CHECKED bool sort_names(TensorList *t, Error *err) {
    t->by_name = TRY_NEW(int, t->count);
    if (!t->by_name) return fail_memory(err, "%s: a list of its tensors", t->path);
    for (int i = 0; i < t->count; i++) t->by_name[i] = i;
    qsort_r(t->by_name, (size_t)t->count, sizeof(int), by_name, t->entries);
    for (int i = 1; i < t->count; i++) {
        const char *name = t->entries[t->by_name[i]].name;
        if (strcmp(name, t->entries[t->by_name[i - 1]].name) == 0)
            return fail(err, "%s: two tensors are named \"%s\"; it is no state dict", t->path,
                        name);
    }
    return true;
}

// Training scripts put the state dict of the model under one of these, the optimiser's beside it.
static const Value *unwrapped_state_dict(const Value *root) {
    static const char *const wrappers[] = {"state_dict", "model_state_dict", "model"};
    for (size_t i = 0; i < sizeof wrappers / sizeof wrappers[0]; i++) {
        const Value *inner = value_get(root, wrappers[i]);
        if (inner && inner->kind == VALUE_DICT) return inner;
    }
    return root;
}

bool tensors_collect(TensorList *t, const Value *root, size_t file_bytes, Error *err) {
    if (root->kind != VALUE_DICT)
        return fail(err, "%s: holds no dict of tensors; save a model's state_dict()", t->path);
    // Weights laid out in another order need one copy; the rest is for expanded views in small
    // files.
    Walk w = {.t = t, .copy_budget = 2 * file_bytes + (1 << 20), .err = err};
    return walk_value(&w, unwrapped_state_dict(root), 0, 0) && sort_names(t, err);
}

void tensors_free(TensorList *t) {
    for (int i = 0; i < t->copied; i++) mem_free(t->copies[i]);
    mem_free(t->copies);
    mem_free(t->entries);
    mem_free(t->by_name);
    arena_free(&t->arena);
}
