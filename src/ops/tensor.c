// SPDX-License-Identifier: Apache-2.0
// Tensors and their memory, and what else every backend needs. Modules have a copy of this file.
#include "base/memory.h"
#include "ops/ops.h"

size_t dtype_size(DType dtype) {
    return dtype == DTYPE_U8 ? 1 : dtype == DTYPE_BF16 ? 2 : 4;
}

const char *precision_name(Precision precision) {
    static const char *const names[] = {"float32", "tf32", "bfloat16", "int8"};
    return names[precision];
}

Tensor tensor_view(void *data, DType dtype, int rank, const int64_t *shape) {
    Tensor t = {.data = data, .dtype = dtype, .rank = rank};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t.shape[i] = shape[i];
        t.stride[i] = stride;
        stride *= shape[i];
    }
    return t;
}

Tensor tensor_slice(Tensor t, int dim, int64_t start, int64_t length) {
    if (t.data) t.data = (char *)t.data + (size_t)(start * t.stride[dim]) * dtype_size(t.dtype);
    t.shape[dim] = length;
    return t;
}

Tensor tensor_reshape(Tensor t, int rank, const int64_t *shape) {
    Tensor r = tensor_view(t.data, t.dtype, rank, shape);
    r.rounding = t.rounding;
    return r;
}

bool tensor_contiguous(Tensor t) {
    int64_t stride = 1;
    for (int i = t.rank - 1; i >= 0; i--) {
        if (t.shape[i] != 1 && t.stride[i] != stride) return false;
        stride *= t.shape[i];
    }
    return true;
}

int64_t conv_out_size(int64_t in, int kernel, int stride, int padding, int dilation) {
    int64_t room = in + 2 * padding - (int64_t)dilation * (kernel - 1) - 1; // to move the kernel in
    return room < 0 ? 0 : room / stride + 1;
}

int64_t pool_out_size(int64_t in) {
    return conv_out_size(in, 3, 2, 1, 1);
}

typedef struct TensorBlock {
    struct TensorBlock *next;
    char *data;
    size_t size;
} TensorBlock;

enum { TENSOR_ALIGNMENT = 256 };
static const size_t least_block = (size_t)1 << 20, most_block = (size_t)64 << 20;

// A small model gets by with small blocks, a large one with few.
static size_t block_size(const TensorArena *a, size_t bytes) {
    size_t size = a->total < least_block  ? least_block
                  : a->total > most_block ? most_block
                                          : a->total;
    return bytes > size ? bytes : size;
}

// Moves on to the next block with room for `bytes`, asking the device for one if there is none.
static bool next_block(TensorArena *a, size_t bytes) {
    TensorBlock **link = a->current ? &a->current->next : &a->blocks;
    while (*link && (*link)->size < bytes) link = &(*link)->next;
    if (!*link) {
        TensorBlock *block = TRY_NEW(TensorBlock, 1);
        if (!block) {
            device_fail_memory(a->device, "a block for tensors");
            return false;
        }
        block->size = block_size(a, bytes);
        block->data = a->device->alloc_raw(a->device, block->size);
        if (!block->data) {
            mem_free(block);
            return false;
        }
        a->total += block->size;
        *link = block;
    }
    a->current = *link;
    a->used = 0;
    return true;
}

static void *arena_take(TensorArena *a, size_t bytes) {
    bytes = (bytes + TENSOR_ALIGNMENT - 1) / TENSOR_ALIGNMENT * TENSOR_ALIGNMENT;
    if (!a->current || a->current->size - a->used < bytes)
        if (!next_block(a, bytes)) return NULL;
    void *p = a->current->data + a->used;
    a->used += bytes;
    return p;
}

Tensor arena_tensor(TensorArena *a, DType dtype, int rank, const int64_t *shape) {
    Tensor t = tensor_view(NULL, dtype, rank, shape);
    t.data = arena_take(a, (size_t)tensor_count(t) * dtype_size(dtype));
    return t;
}

Tensor arena_image(TensorArena *a, int64_t n, int64_t c, int64_t h, int64_t w) {
    Tensor t = tensor_view(NULL, a->device->images, 4, SHAPE(n, c, h, w));
    t.layout = LAYOUT_IMAGE;
    t.stride[0] = (int64_t)(a->device->image_bytes(a->device, 1, c, h, w) / dtype_size(t.dtype));
    t.data = arena_take(a, a->device->image_bytes(a->device, n, c, h, w));
    return t;
}

ArenaMark arena_mark(const TensorArena *a) {
    return (ArenaMark){a->current, a->used};
}

void arena_rewind(TensorArena *a, ArenaMark mark) {
    a->current = mark.block;
    a->used = mark.used;
}

void arena_reset(TensorArena *a) {
    a->current = NULL;
    a->used = 0;
}

void tensor_arena_free(TensorArena *a) {
    while (a->blocks) {
        TensorBlock *next = a->blocks->next;
        a->device->release(a->device, a->blocks->data);
        mem_free(a->blocks);
        a->blocks = next;
    }
    a->current = NULL;
    a->used = a->total = 0;
}
