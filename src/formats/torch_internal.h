// SPDX-License-Identifier: Apache-2.0
// Private to the reader of PyTorch files: torch_pickle.c turns pickle bytes into values,
// torch_globals.c says what the few known names mean, torch_tensors.c makes entries of the tensors
// among the values, torch_read.c knows the two kinds of file.
#ifndef TACT_FORMATS_TORCH_INTERNAL_H
#define TACT_FORMATS_TORCH_INTERNAL_H

#include "base/array.h"
#include "formats/torch.h"

// What one file may ask of us. A ResNet-152 needs 20 000 values and 100 KB of pickle.
enum {
    TORCH_MAX_PICKLE = 32 << 20, // bytes
    TORCH_MAX_VALUES = 1 << 20,  // values, stack slots and memo numbers
    TORCH_MAX_DEPTH = 32,        // dicts in dicts
};

typedef enum ValueKind {
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_BYTES,
    VALUE_TUPLE,
    VALUE_LIST,
    VALUE_DICT,
    VALUE_GLOBAL,
    VALUE_STORAGE,
    VALUE_TENSOR,
    VALUE_OTHER,
} ValueKind;

// The names a pickle may use.
typedef enum GlobalKind {
    GLOBAL_ORDERED_DICT,
    GLOBAL_TENSOR,
    GLOBAL_PARAMETER,
    GLOBAL_SIZE,
    GLOBAL_DEVICE,
    GLOBAL_STORAGE,
} GlobalKind;

typedef struct TorchGlobal {
    const char *name; // with its module: "torch._utils._rebuild_tensor_v2"
    GlobalKind kind;
    SafetensorsType type; // of a storage's elements
} TorchGlobal;

// A run of elements of the file. `data` is filled in by torch_read.c, once all are known; until
// then `count` is only what the pickle claims.
typedef struct TorchStorage {
    const char *key;
    SafetensorsType type;
    int64_t count;
    const uint8_t *data;
} TorchStorage;

// A view of a storage, in elements.
typedef struct TorchView {
    const TorchStorage *storage;
    int64_t offset, count; // count: product of shape
    int rank;
    int64_t shape[SAFETENSORS_MAX_RANK], stride[SAFETENSORS_MAX_RANK];
} TorchView;

typedef struct Value Value;
typedef struct ValueList {
    Value **items; // DICT: key, value, key, value ...
    int count;
    int64_t capacity;
} ValueList;

struct Value {
    ValueKind kind;
    union {
        int64_t integer; // INT, BOOL
        struct {
            const char *text; // terminated, without zero bytes inside
            size_t size;
        } string;       // STRING, BYTES (which also hold integers too wide for int64)
        ValueList list; // TUPLE, LIST, DICT
        const TorchGlobal *global;
        const TorchStorage *storage;
        const TorchView *view; // TENSOR
    };
};

// One file's values, however many pickles they come from.
typedef struct Unpickler {
    const char *path;
    Arena arena;
    int values;     // made so far
    bool no_memory; // why value_new gave NULL
    TorchStorage *
        *storages; // every mention of one; mem_free. Those of one key may stand here twice
    int n_storages;
    int64_t storage_capacity;
} Unpickler;

// torch_pickle.c ------------------------------------------------------------------------------
// Runs one pickle at *at of size bytes, moves *at behind it, and gives the value it leaves.
CHECKED bool unpickle(Unpickler *u, const uint8_t *bytes, size_t size, size_t *at,
                      const Value **out, Error *err);
void unpickler_free(Unpickler *u);
// NULL when u has made too many, or there is too little memory; value_missing then says which.
Value *value_new(Unpickler *u, ValueKind kind);
CHECKED bool value_missing(const Unpickler *u, Error *err);
// Fails for want of memory for a file's values.
CHECKED bool unpickler_no_memory(const Unpickler *u, Error *err);
// The value of a string key, or NULL. As in Python the last of several counts.
const Value *value_get(const Value *dict, const char *key);

// torch_globals.c -----------------------------------------------------------------------------
// NULL for every name but the known ones.
const TorchGlobal *torch_global(const char *module, size_t module_size, const char *name,
                                size_t name_size);
// What calling a known name with these arguments gives.
CHECKED bool torch_call(Unpickler *u, const TorchGlobal *global, const ValueList *args, Value **out,
                        Error *err);
// The storage that a persistent id means.
CHECKED bool torch_persistent(Unpickler *u, const Value *id, Value **out, Error *err);

// torch_tensors.c -----------------------------------------------------------------------------
typedef struct TensorList {
    const char *path;
    Arena arena;               // names
    SafetensorsEntry *entries; // mem_free
    int count;
    int64_t capacity;
    int *by_name;  // entries in the order of their names
    void **copies; // (copied) memory of tensors that had to be made contiguous
    int copied;
    int64_t copies_capacity;
} TensorList;
// Entries for all tensors of `root`. file_bytes bounds what copies may take.
CHECKED bool tensors_collect(TensorList *t, const Value *root, size_t file_bytes, Error *err);
void tensors_free(TensorList *t);

#endif
