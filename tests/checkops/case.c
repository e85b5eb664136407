// SPDX-License-Identifier: Apache-2.0
// The buffers of a case, and how it is run and timed.
#include "checkops.h"

#include "base/log.h"
#include "base/memory.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CANARY = 0xC5, NAN_BITS = 0x7fc0dead };
static const double bench_seconds = 0.2;

// ---- shapes and choices -----------------------------------------------------------------------
int64_t case_below(Case *c, int64_t n) {
    return c->bench ? 0 : (int64_t)rng_below(&c->random, (uint64_t)n);
}

bool case_chance(Case *c, int n) {
    return !c->bench && rng_below(&c->random, (uint64_t)n) == 0;
}

bool case_sizes(Case *c, int n, int64_t *size, int real_rows, const int64_t *real,
                const int64_t *max) {
    static const int64_t sizes[] = {1,   2,   3,   5,   7,   8,   9,   13,  15,  16,  17,
                                    31,  32,  33,  47,  63,  64,  65,  97,  127, 128, 129,
                                    211, 255, 256, 257, 383, 509, 512, 513, 769};
    if (c->bench && c->index >= real_rows) return false;
    size_t used = 0;
    for (int i = 0; i < n; i++) {
        if (c->index < real_rows)
            size[i] = real[c->index * n + i] * (c->bench && i == 0 ? 8 : 1);
        else
            do size[i] = sizes[case_below(c, COUNT(sizes))];
            while (size[i] > max[i]);
        used += (size_t)snprintf(c->shape + used, sizeof c->shape - used, i ? "x%lld" : "%lld",
                                 (long long)size[i]);
    }
    return true;
}

Dropout case_dropout(Case *c) {
    static const float rates[] = {0.1f, 0.0f, 0.5f};
    RngKey key = {.seed = rng_next(&c->random), .step = rng_next(&c->random), .site = 3};
    if (case_chance(c, 2)) key.first_row = rng_next(&c->random);
    return (Dropout){.p = rates[case_below(c, COUNT(rates))], .key = key};
}

// ---- buffers ----------------------------------------------------------------------------------
static Buffer *new_buffer(Case *c, const char *name, Role role, double reduction, size_t bytes) {
    if (c->count == MAX_BUFFERS) {
        fprintf(stderr, "checkops: too many buffers in one case; raise MAX_BUFFERS\n");
        return &c->buffers[MAX_BUFFERS - 1];
    }
    Buffer *b = &c->buffers[c->count++];
    *b = (Buffer){.name = name, .role = role, .reduction = reduction};
    b->bytes = bytes + 2 * CANARY_BYTES;
    b->start = NEW(uint8_t, b->bytes);
    memset(b->start, CANARY, b->bytes);
    b->base = c->device->alloc(c->device, b->bytes);
    return b;
}

// Byte offset of logical element i of the buffer's tensor from the buffer's base.
static size_t element_offset(const Buffer *b, int64_t i) {
    int64_t offset = 0;
    for (int dim = b->tensor.rank - 1; dim >= 0; dim--) {
        offset += i % b->tensor.shape[dim] * b->tensor.stride[dim];
        i /= b->tensor.shape[dim];
    }
    return (size_t)((char *)b->tensor.data - b->base) +
           (size_t)offset * dtype_size(b->tensor.dtype);
}

// The nearest bfloat16, ties to even, as its bits; x is finite or NaN.
static uint16_t bfloat16_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x)) return 0x7fc0;
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1)) >> 16);
}

static float bfloat16_value(uint16_t bits) {
    uint32_t whole = (uint32_t)bits << 16;
    float x;
    memcpy(&x, &whole, sizeof x);
    return x;
}

// Random elements that the type can hold for buffer number `site`, or NaN for an output.
static void random_elements(float *to, int64_t n, Role role, DType type, RngKey key) {
    uint32_t words[4] = {0}, nan_bits = NAN_BITS;
    if (role == ROLE_OUTPUT) {
        for (int64_t i = 0; i < n; i++) memcpy(&to[i], &nan_bits, sizeof nan_bits);
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (i % 4 == 0) rng_words(words, key, (uint32_t)(i >> 32), (uint32_t)(i / 4));
        to[i] = (2 * rng_unit(words[i % 4]) - 1) * 1.7320508f;
        if (type == DTYPE_BF16) to[i] = bfloat16_value(bfloat16_bits(to[i]));
    }
}

static RngKey element_key(const Case *c) {
    return (RngKey){
        .seed = c->random.key.seed, .step = c->random.key.step, .site = 100 + (uint32_t)c->count};
}

// Writes a buffer's logical elements (floats for bfloat16), wherever they lie.
static void scatter_elements(Buffer *b, const void *data) {
    size_t size = dtype_size(b->tensor.dtype);
    for (int64_t i = 0; i < tensor_count(b->tensor); i++) {
        size_t at = element_offset(b, i);
        if (b->tensor.dtype == DTYPE_BF16) {
            uint16_t bits = bfloat16_bits(((const float *)data)[i]);
            memcpy(b->start + at, &bits, size);
        } else {
            memcpy(b->start + at, (const char *)data + (size_t)i * size, size);
        }
        memset(b->inside + at, 1, size);
    }
}

// A buffer for the slice [before[i], before[i] + shape[i]) of a tensor with `after` more; its
// logical elements are copied from data (floats for bfloat16). `shift` moves it off its alignment,
// in elements.
static Tensor fill_buffer(Case *c, const char *name, Role role, double reduction, DType dtype,
                          const void *data, int rank, const int64_t *shape, const int64_t *before,
                          const int64_t *after, int64_t shift) {
    int64_t whole[MAX_RANK];
    for (int i = 0; i < rank; i++) whole[i] = shape[i] + before[i] + after[i];
    size_t size = dtype_size(dtype), skip = CANARY_BYTES + (size_t)shift * size;
    Tensor t = tensor_view(NULL, dtype, rank, whole);
    Buffer *b = new_buffer(c, name, role, reduction, (size_t)(tensor_count(t) + shift) * size);
    if (!b->base) return (Tensor){0};
    t.data = b->base + skip;
    for (int i = 0; i < rank; i++) t = tensor_slice(t, i, before[i], shape[i]);
    b->tensor = t;
    b->inside = NEW(uint8_t, b->bytes);
    if (tensor_contiguous(t) && dtype != DTYPE_BF16) {
        memcpy(b->start + element_offset(b, 0), data, (size_t)tensor_count(t) * size);
        memset(b->inside + element_offset(b, 0), 1, (size_t)tensor_count(t) * size);
    } else {
        scatter_elements(b, data);
    }
    c->device->upload(c->device, b->base, b->start, b->bytes);
    return t;
}

static const int64_t no_gaps[MAX_RANK] = {0};

static Tensor random_tensor(Case *c, const char *name, Role role, double reduction, DType type,
                            int rank, const int64_t *shape, const int64_t *before,
                            const int64_t *after) {
    int64_t n = tensor_count(tensor_view(NULL, DTYPE_F32, rank, shape));
    float *data = NEW(float, n);
    random_elements(data, n, role, c->activations, element_key(c));
    int64_t shift = case_chance(c, 3) ? 1 + case_below(c, 15) : 0;
    Tensor t = fill_buffer(c, name, role, reduction, type, data, rank, shape, before, after, shift);
    mem_free(data);
    return t;
}

Tensor case_tensor(Case *c, const char *name, Role role, double reduction, int rank,
                   const int64_t *shape) {
    return random_tensor(c, name, role, reduction, DTYPE_F32, rank, shape, no_gaps, no_gaps);
}

// Of the buffer made last: a device at bfloat16 would keep it so.
static void note_activation(Case *c) {
    c->buffers[c->count - 1].activation = true;
}

Tensor case_activation(Case *c, const char *name, Role role, double reduction, int rank,
                       const int64_t *shape) {
    Tensor t = random_tensor(c, name, role, reduction, c->device->activations, rank, shape, no_gaps,
                             no_gaps);
    note_activation(c);
    return t;
}

static Tensor strided_tensor(Case *c, const char *name, Role role, double reduction, DType type,
                             int rank, const int64_t *shape) {
    int64_t before[MAX_RANK] = {0}, after[MAX_RANK] = {0};
    for (int i = 1; i < rank; i++) {
        if (!case_chance(c, 2)) continue;
        before[i] = case_chance(c, 2) ? shape[i] : case_below(c, 4);
        after[i] = case_chance(c, 2) ? shape[i] : case_below(c, 4);
    }
    Tensor t = random_tensor(c, name, role, reduction, type, rank, shape, before, after);
    if (type == c->device->activations) note_activation(c);
    return t;
}

Tensor case_strided(Case *c, const char *name, Role role, double reduction, int rank,
                    const int64_t *shape) {
    return strided_tensor(c, name, role, reduction, c->device->activations, rank, shape);
}

Tensor case_strided_either(Case *c, const char *name, Role role, double reduction, int rank,
                           const int64_t *shape) {
    DType type = case_chance(c, 4) ? DTYPE_F32 : c->device->activations;
    return strided_tensor(c, name, role, reduction, type, rank, shape);
}

Tensor case_given(Case *c, const char *name, DType dtype, const void *data, int rank,
                  const int64_t *shape) {
    return fill_buffer(c, name, ROLE_INPUT, 0, dtype, data, rank, shape, no_gaps, no_gaps, 0);
}

Tensor case_bytes(Case *c, const char *name, int once, int rank, const int64_t *shape) {
    int64_t n = tensor_count(tensor_view(NULL, DTYPE_U8, rank, shape));
    uint8_t *data = NEW(uint8_t, n);
    for (int64_t i = 0; i < n; i++) {
        uint32_t word = rng_next(&c->random);
        data[i] = once ? word % (uint32_t)once == 0 : (uint8_t)(word >> 8);
    }
    Tensor t = case_given(c, name, DTYPE_U8, data, rank, shape);
    mem_free(data);
    return t;
}

Tensor case_indices(Case *c, const char *name, int64_t n, int64_t count) {
    int32_t *data = NEW(int32_t, count);
    for (int64_t i = 0; i < count; i++)
        data[i] = (int32_t)rng_below(&c->random, (uint64_t)n + 1) - 1;
    Tensor t = case_given(c, name, DTYPE_I32, data, 1, SHAPE(count));
    mem_free(data);
    return t;
}

// `data` (plain order) reaches the buffer through image_from_plain; NULL leaves NaN bits there.
static Tensor fill_image(Case *c, const char *name, Role role, double reduction, const float *data,
                         int64_t n, int64_t ch, int64_t h, int64_t w) {
    Device *d = c->device;
    size_t bytes = d->image_bytes(d, n, ch, h, w);
    Buffer *b = new_buffer(c, name, role, reduction, bytes);
    if (!b->base) return (Tensor){0};
    b->tensor = tensor_view(b->base + CANARY_BYTES, d->images, 4, SHAPE(n, ch, h, w));
    b->tensor.layout = LAYOUT_IMAGE;
    b->activation = true;
    uint32_t nan_bits = NAN_BITS;
    for (size_t i = 0; i + 4 <= bytes; i += 4) memcpy(b->start + CANARY_BYTES + i, &nan_bits, 4);
    d->upload(d, b->base, b->start, b->bytes);
    if (data) {
        size_t plain_bytes = (size_t)(n * ch * h * w) * sizeof(float);
        Tensor plain = tensor_view(d->alloc(d, plain_bytes), DTYPE_F32, 4, SHAPE(n, ch, h, w));
        d->upload(d, plain.data, data, plain_bytes);
        d->image_from_plain(d, b->tensor, plain);
        d->synchronize(d);
        d->release(d, plain.data);
        d->download(d, b->start, b->base, b->bytes);
    }
    return b->tensor;
}

Tensor case_image(Case *c, const char *name, Role role, double reduction, int64_t n, int64_t ch,
                  int64_t h, int64_t w) {
    if (role == ROLE_OUTPUT) return fill_image(c, name, role, reduction, NULL, n, ch, h, w);
    float *data = NEW(float, n *ch *h *w);
    random_elements(data, n * ch * h * w, role, c->activations, element_key(c));
    Tensor t = fill_image(c, name, role, reduction, data, n, ch, h, w);
    mem_free(data);
    return t;
}

Tensor case_given_image(Case *c, const char *name, const float *data, int64_t n, int64_t ch,
                        int64_t h, int64_t w) {
    return fill_image(c, name, ROLE_INPUT, 0, data, n, ch, h, w);
}

Tensor case_in_place(Case *c, Tensor input, const char *name, double reduction) {
    for (int i = 0; i < c->count; i++) {
        Buffer *b = &c->buffers[i];
        if (b->tensor.data != input.data) continue;
        b->name = name;
        b->role = ROLE_ACCUMULATE;
        b->reduction = reduction;
    }
    return input;
}

// ---- running ----------------------------------------------------------------------------------
void case_start(Case *c) {
    c->device->synchronize(c->device);
    c->calls = 0;
    c->target = 1;
    c->started = clock_seconds();
}

// The first call warms up; then ever more calls are timed together until they take long enough.
bool case_again(Case *c) {
    if (c->device->failed) return false;
    if (c->calls < c->target) return ++c->calls;
    if (!c->bench) return false;
    c->device->synchronize(c->device);
    double elapsed = clock_seconds() - c->started;
    if (elapsed > bench_seconds && c->target > 1) {
        c->seconds = elapsed / (double)c->target;
        return false;
    }
    c->target *= 2;
    c->calls = 1;
    c->started = clock_seconds();
    return true;
}

static void note_problem(Case *c, const Buffer *b, const char *what, size_t at) {
    if (!c->problem[0])
        snprintf(c->problem, sizeof c->problem, "%s: %s at byte %lld of %zu", b->name, what,
                 (long long)at - CANARY_BYTES, b->bytes - 2 * CANARY_BYTES);
}

static void note_change(Case *c, const Buffer *b, size_t at, bool between_canaries) {
    if (!(b->inside ? b->inside[at] : between_canaries))
        note_problem(c, b, "the op wrote outside the tensor", at);
    else if (b->role == ROLE_INPUT)
        note_problem(c, b, "the op changed its input", at);
}

void case_check_bytes(Case *c, const Buffer *b, const uint8_t *after) {
    size_t image_end = b->bytes - CANARY_BYTES;
    enum { BLOCK = 256 };
    for (size_t i = 0; i < b->bytes; i++) {
        size_t left = b->bytes - i;
        if (i % BLOCK == 0 && left > BLOCK && memcmp(after + i, b->start + i, BLOCK) == 0)
            i += BLOCK - 1;
        else if (after[i] != b->start[i])
            note_change(c, b, i, i >= CANARY_BYTES && i < image_end);
    }
}

static void keep_values(Case *c, Buffer *b, const uint8_t *after) {
    int64_t n = tensor_count(b->tensor);
    b->values = NEW(double, n);
    float *plain = NULL;
    if (b->tensor.layout == LAYOUT_IMAGE) {
        Device *d = c->device;
        size_t bytes = (size_t)n * sizeof(float);
        plain = NEW(float, n);
        Tensor t = tensor_view(d->alloc(d, bytes), DTYPE_F32, 4, b->tensor.shape);
        d->image_to_plain(d, t, b->tensor);
        d->download(d, plain, t.data, bytes);
        d->release(d, t.data);
    }
    bool contiguous = tensor_contiguous(b->tensor);
    size_t size = dtype_size(b->tensor.dtype), first = (size_t)((char *)b->tensor.data - b->base);
    for (int64_t i = 0; i < n; i++) {
        float value = 0;
        const uint8_t *at =
            after + (contiguous || plain ? first + (size_t)i * size : element_offset(b, i));
        if (plain)
            value = plain[i];
        else if (b->tensor.dtype == DTYPE_F32)
            memcpy(&value, at, sizeof value);
        else if (b->tensor.dtype == DTYPE_BF16) {
            uint16_t bits;
            memcpy(&bits, at, sizeof bits);
            value = bfloat16_value(bits);
        } else
            value = *at;
        b->values[i] = value;
    }
    mem_free(plain);
}

// As if the buffer were of bfloat16.
static void round_values(Buffer *b) {
    for (int64_t i = 0; b->values && i < tensor_count(b->tensor); i++)
        if (isfinite(b->values[i]))
            b->values[i] = bfloat16_value(bfloat16_bits((float)b->values[i]));
}

void case_finish(Case *c) {
    Device *d = c->device;
    d->synchronize(d);
    for (int i = 0; i < c->count && !d->failed; i++) {
        Buffer *b = &c->buffers[i];
        uint8_t *after = NEW(uint8_t, b->bytes);
        d->download(d, after, b->base, b->bytes);
        case_check_bytes(c, b, after);
        if (b->role == ROLE_OUTPUT || b->role == ROLE_ACCUMULATE) keep_values(c, b, after);
        if (c->stores_halves && b->activation) round_values(b);
        mem_free(after);
    }
    Error err;
    if (!device_check(d, &err)) snprintf(c->problem, sizeof c->problem, "%.200s", err.text);
}

void case_free(Case *c) {
    for (int i = 0; i < c->count; i++) {
        Buffer *b = &c->buffers[i];
        if (b->base) c->device->release(c->device, b->base);
        mem_free(b->start);
        mem_free(b->inside);
        mem_free(b->values);
    }
    c->count = 0;
}

double case_bytes_moved(const Case *c) {
    double bytes = 0;
    for (int i = 0; i < c->count; i++)
        bytes += (double)tensor_count(c->buffers[i].tensor) *
                 (double)dtype_size(c->buffers[i].tensor.dtype);
    return bytes;
}
