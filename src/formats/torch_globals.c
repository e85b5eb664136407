// SPDX-License-Identifier: Apache-2.0
// The names a state dict's pickle may use, and what each makes of its arguments.
#include "formats/torch_internal.h"
#include <string.h>

static const TorchGlobal globals[] = {
    {"collections.OrderedDict", GLOBAL_ORDERED_DICT, 0},
    {"torch._utils._rebuild_tensor_v2", GLOBAL_TENSOR, 0},
    {"torch._utils._rebuild_tensor", GLOBAL_TENSOR, 0}, // PyTorch before 0.4
    {"torch._utils._rebuild_parameter", GLOBAL_PARAMETER, 0},
    {"torch.Size", GLOBAL_SIZE, 0},
    {"torch.device", GLOBAL_DEVICE, 0},
    {"torch.DoubleStorage", GLOBAL_STORAGE, ST_F64},
    {"torch.FloatStorage", GLOBAL_STORAGE, ST_F32},
    {"torch.HalfStorage", GLOBAL_STORAGE, ST_F16},
    {"torch.BFloat16Storage", GLOBAL_STORAGE, ST_BF16},
    {"torch.LongStorage", GLOBAL_STORAGE, ST_I64},
    {"torch.IntStorage", GLOBAL_STORAGE, ST_I32},
    {"torch.ShortStorage", GLOBAL_STORAGE, ST_I16},
    {"torch.CharStorage", GLOBAL_STORAGE, ST_I8},
    {"torch.ByteStorage", GLOBAL_STORAGE, ST_U8},
    {"torch.BoolStorage", GLOBAL_STORAGE, ST_BOOL},
};

const TorchGlobal *torch_global(const char *module, size_t module_size, const char *name,
                                size_t name_size) {
    for (size_t i = 0; i < sizeof globals / sizeof globals[0]; i++) {
        const char *whole = globals[i].name;
        if (strlen(whole) == module_size + 1 + name_size && whole[module_size] == '.' &&
            memcmp(whole, module, module_size) == 0 &&
            memcmp(whole + module_size + 1, name, name_size) == 0)
            return &globals[i];
    }
    return NULL;
}

static bool refuse_arguments(const Unpickler *u, const char *name, const char *what, Error *err) {
    return fail(err, "%s: its pickle calls %s with %s; the file is damaged", u->path, name, what);
}

static CHECKED bool new_value(Unpickler *u, ValueKind kind, Value **out, Error *err) {
    *out = value_new(u, kind);
    return *out || value_missing(u, err);
}

// Reads shape and stride from tuples of equal length.
static CHECKED bool read_extents(const Unpickler *u, const char *name, const Value *shape,
                                 const Value *stride, TorchView *v, Error *err) {
    if (shape->kind != VALUE_TUPLE || stride->kind != VALUE_TUPLE ||
        shape->list.count != stride->list.count)
        return refuse_arguments(u, name, "sizes and strides that do not belong together", err);
    if (shape->list.count > SAFETENSORS_MAX_RANK)
        return fail(err, "%s: a tensor has %d dimensions, at most %d are read", u->path,
                    shape->list.count, SAFETENSORS_MAX_RANK);
    v->rank = shape->list.count;
    v->count = 1;
    for (int i = 0; i < v->rank; i++) {
        const Value *n = shape->list.items[i], *s = stride->list.items[i];
        if (n->kind != VALUE_INT || s->kind != VALUE_INT || n->integer < 0 || s->integer < 0 ||
            __builtin_mul_overflow(v->count, n->integer, &v->count))
            return refuse_arguments(u, name, "impossible sizes or strides", err);
        v->shape[i] = n->integer;
        v->stride[i] = s->integer;
    }
    return true;
}

// Every element of the view must lie in the storage, as large as the pickle says that is; whether
// the file has it so is checked with the storage.
static CHECKED bool check_view(const Unpickler *u, const char *name, const TorchView *v,
                               Error *err) {
    int64_t last = v->offset;
    for (int i = 0; v->count > 0 && i < v->rank; i++) {
        int64_t reach;
        if (__builtin_mul_overflow(v->shape[i] - 1, v->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return refuse_arguments(u, name, "impossible sizes or strides", err);
    }
    if (v->offset < 0 || last >= v->storage->count + (v->count == 0))
        return refuse_arguments(u, name, "a view outside of its storage", err);
    return true;
}

static CHECKED bool rebuild_tensor(Unpickler *u, const char *name, const ValueList *args,
                                   Value **out, Error *err) {
    if (args->count < 4 || args->items[0]->kind != VALUE_STORAGE ||
        args->items[1]->kind != VALUE_INT)
        return refuse_arguments(
            u, name, "other arguments than a storage, an offset, sizes and strides", err);
    // What torch calls metadata: that the numbers are to be read with the other sign, say.
    if (args->count > 6 && args->items[6]->kind == VALUE_DICT && args->items[6]->list.count > 0)
        return refuse_arguments(u, name,
                                "a tensor that is read with another sign or conjugated "
                                "(save it with .clone())",
                                err);
    TorchView *v = arena_try(&u->arena, sizeof(TorchView));
    if (!v) return unpickler_no_memory(u, err);
    v->storage = args->items[0]->storage;
    v->offset = args->items[1]->integer;
    if (!read_extents(u, name, args->items[2], args->items[3], v, err) ||
        !check_view(u, name, v, err) || !new_value(u, VALUE_TENSOR, out, err))
        return false;
    (*out)->view = v;
    return true;
}

// OrderedDict() or OrderedDict([(key, value), ...]), as Python 2 wrote it.
static CHECKED bool ordered_dict(Unpickler *u, const char *name, const ValueList *args, Value **out,
                                 Error *err) {
    const Value *pairs = args->count ? args->items[0] : NULL;
    if (args->count > 1 || (pairs && pairs->kind != VALUE_LIST))
        return refuse_arguments(u, name, "other arguments than a list of pairs", err);
    if (!new_value(u, VALUE_DICT, out, err)) return false;
    int n = pairs ? pairs->list.count : 0;
    if (n > (TORCH_MAX_VALUES - u->values) / 2)
        return refuse_arguments(u, name, "too many pairs", err);
    u->values += 2 * n;
    ValueList *list = &(*out)->list;
    if (!ARENA_ARRAY_TRY_ROOM(&u->arena, list->items, list->count, list->capacity, 2 * (int64_t)n))
        return unpickler_no_memory(u, err);
    for (int i = 0; i < n; i++) {
        const Value *pair = pairs->list.items[i];
        if ((pair->kind != VALUE_LIST && pair->kind != VALUE_TUPLE) || pair->list.count != 2)
            return refuse_arguments(u, name, "other arguments than a list of pairs", err);
        list->items[list->count++] = pair->list.items[0];
        list->items[list->count++] = pair->list.items[1];
    }
    return true;
}

bool torch_call(Unpickler *u, const TorchGlobal *global, const ValueList *args, Value **out,
                Error *err) {
    switch (global->kind) {
    case GLOBAL_ORDERED_DICT:
        return ordered_dict(u, global->name, args, out, err);
    case GLOBAL_TENSOR:
        return rebuild_tensor(u, global->name, args, out, err);
    case GLOBAL_PARAMETER:
        if (args->count < 1 || args->items[0]->kind != VALUE_TENSOR)
            return refuse_arguments(u, global->name, "something that is no tensor", err);
        *out = args->items[0];
        return true;
    case GLOBAL_SIZE:
        if (args->count != 1 || args->items[0]->kind != VALUE_TUPLE)
            return refuse_arguments(u, global->name, "something that is no tuple", err);
        *out = args->items[0];
        return true;
    case GLOBAL_DEVICE:
        return new_value(u, VALUE_OTHER, out, err);
    case GLOBAL_STORAGE:
        break;
    }
    return refuse_arguments(u, global->name, "arguments, though storages are only named", err);
}

bool torch_persistent(Unpickler *u, const Value *id, Value **out, Error *err) {
    // ("storage", type, key, device, elements), in the older form also None or a view of another.
    Value *const *part = id->list.items;
    int n = id->kind == VALUE_TUPLE ? id->list.count : 0;
    if (n < 5 || n > 6 || part[0]->kind != VALUE_STRING ||
        strcmp(part[0]->string.text, "storage") != 0 || part[1]->kind != VALUE_GLOBAL ||
        part[1]->global->kind != GLOBAL_STORAGE || part[2]->kind != VALUE_STRING ||
        part[4]->kind != VALUE_INT || part[4]->integer < 0 ||
        (n == 6 && part[5]->kind != VALUE_NONE))
        return fail(err,
                    "%s: its pickle names a storage in a form that is not known; save it again "
                    "with a current PyTorch",
                    u->path);
    if (!new_value(u, VALUE_STORAGE, out, err)) return false;
    TorchStorage *s = arena_try(&u->arena, sizeof(TorchStorage));
    if (!s || !ARRAY_TRY_ROOM(u->storages, u->n_storages, u->storage_capacity, 1))
        return unpickler_no_memory(u, err);
    *s = (TorchStorage){part[2]->string.text, part[1]->global->type, part[4]->integer, NULL};
    (*out)->storage = s;
    u->storages[u->n_storages++] = s;
    return true;
}
