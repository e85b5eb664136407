// SPDX-License-Identifier: Apache-2.0
// The op layer: tensors, devices, and every operation of the model as forward + backward.
//
// A Device is a struct of function pointers, which are listed in ops.def with the contract of each.
// `ops/ref` fills all of it with plain readable C; `ops/cpu` and `ops/cuda` start from that table
// and overwrite what they have, on cuda all of it. `model/` calls through the Device and never
// names a variant.
//
// Letters: B batch, T timesteps, N images (B*T), C channels, H W pixels, L tokens, D width,
//          M rows, K inputs, S chunk length, A action width, NH heads.
// Gradients are named d + name. Gradients of PARAMETERS accumulate (+=) in every op; gradients of
// activations are overwritten, except where an op says otherwise.
// An empty Tensor (data NULL) stands for "none" where an argument is optional.
//
// Types: activations and their gradients have the device's type `activations`, IMAGE tensors its
// type `images`. Both are float32, or bfloat16 on a cuda or cpu device that was opened with it: ops
// compute in float32 all the same, and round once, to nearest even, as they write. Everything else
// is float32: parameters and their gradients, positions, statistics (mean, rstd, lse), the VAE's
// and the loss's tensors. linear takes either type for each of x, y, dx and dy.
//
// Errors: shapes are the caller's duty (asserted in debug builds). What fails at run time (memory,
// an engine's refusal) is kept in the Device and reported by device_check; ops after a failure do
// nothing useful but are safe to call.
#ifndef TACT_OPS_OPS_H
#define TACT_OPS_OPS_H

#include "base/error.h"
#include "base/log.h"
#include "base/rng.h"
#include <stddef.h>
#include <stdint.h>

enum { MAX_RANK = 5 };

typedef enum DType { DTYPE_F32, DTYPE_U8, DTYPE_I32, DTYPE_BF16 } DType;

// How a device computes. Weights, their gradients and moments are float32 in all of them.
typedef enum Precision {
    PRECISION_FLOAT32,  // float32 throughout
    PRECISION_TF32,     // float32 in memory; matrix units round factors to 10 mantissa bits (cuda)
    PRECISION_BFLOAT16, // factors of products in bfloat16, sums in float32 (cuda, cpu)
    // Factors of forward products in 8-bit integers where a Rounding says how, sums in 32-bit ones;
    // everything else as at bfloat16, or at float32 on processors without it. For policies that run
    // (cpu, ref).
    PRECISION_INT8,
} Precision;
enum { PRECISIONS = PRECISION_INT8 + 1 };

// How a product at int8 rounds what it multiplies weights with: to the nearest multiple of `step`,
// from -127 to 127 of them, or of what is never negative (`positive`) from 0 to 255; what is
// farther away becomes the last of them. step 0: the product's factors are not made integers. The
// weights themselves are rounded to multiples, -127 to 127, of a step of their own for each output,
// a 127th of its largest. Where a factor has a value that is not finite, all of the result is NaN.
typedef struct Rounding {
    float step;
    bool positive;
} Rounding;

// IMAGE tensors are (N, C, H, W) in an order of the device's choosing (blocked on the CPU, NHWC on
// a GPU) and only the image ops look inside; of their strides only the first, from one image to the
// next, means anything. Everything else is PLAIN.
typedef enum Layout { LAYOUT_PLAIN, LAYOUT_IMAGE } Layout;

// A view: it never owns its memory. Passed by value.
typedef struct Tensor {
    void *data;
    DType dtype;
    Layout layout;
    int rank;
    int64_t shape[MAX_RANK];
    int64_t stride[MAX_RANK]; // in elements; the last one is always 1
    Rounding rounding;        // of weights, at int8: of what a product multiplies them with
} Tensor;

static inline float *f32(Tensor t) {
    return (float *)t.data;
}
static inline int64_t tensor_count(Tensor t) {
    int64_t n = 1;
    for (int i = 0; i < t.rank; i++) n *= t.shape[i];
    return n;
}
// A tensor seen as rows: how many (the product of the leading dimensions), and how long they are.
static inline int64_t tensor_rows(Tensor t) {
    int64_t n = 1;
    for (int i = 0; i < t.rank - 1; i++) n *= t.shape[i];
    return n;
}
static inline int64_t tensor_columns(Tensor t) {
    return t.shape[t.rank - 1];
}
size_t dtype_size(DType dtype);
// A contiguous view of `data`.
Tensor tensor_view(void *data, DType dtype, int rank, const int64_t *shape);
#define SHAPE(...)                                                                                 \
    (const int64_t[]) {                                                                            \
        __VA_ARGS__                                                                                \
    }
// The view t[..., start : start + length, ...] along dimension dim.
Tensor tensor_slice(Tensor t, int dim, int64_t start, int64_t length);
// The same elements with another shape; t must be contiguous.
Tensor tensor_reshape(Tensor t, int rank, const int64_t *shape);
bool tensor_contiguous(Tensor t);

// Dropout with probability p. The mask is a function of key and position: element (row, col) of
// the op's (M, D) view is kept when rng_unit(word col%4 of rng_words(key, row, col/4)) >= p, and
// kept values are scaled by 1/(1-p). p == 0 means none.
typedef struct Dropout {
    float p;
    RngKey key;
} Dropout;

typedef enum Activation { ACT_NONE, ACT_RELU, ACT_GELU } Activation; // gelu: exact, with erf

// A convolution without bias followed by a frozen batch norm, which is folded into its weights:
// z = conv(x, w * scale[o]) + shift[o] + residual, y = relu(z) or z.
typedef struct ConvSpec {
    int64_t n, in_c, in_h, in_w, out_c; // x (n, in_c, in_h, in_w)
    int kernel, stride, padding, dilation;
    bool relu;         // apply max(z, 0)
    bool residual;     // forward gets a residual to add
    bool train;        // backward will be called
    bool need_dx;      // backward gives dx (not for the first convolution)
    Rounding rounding; // of x, at int8; z is then made of the sums in float32
} ConvSpec;
// Height or width of what a convolution, and the max pooling, makes of `in`, which is at least 1.
int64_t conv_out_size(int64_t in, int kernel, int stride, int padding, int dilation);
int64_t pool_out_size(int64_t in);

typedef struct Conv Conv; // a device's plan for one ConvSpec, with its packed weights
typedef struct Pool Pool; // a device's plan for one 3x3 stride 2 padding 1 max pooling

// A first moment nearer to 0 becomes 0. It moves no weight that a float32 holds beside it; but a
// unit that has died leaves moments that shrink by beta1 a step, and processors take many times as
// long over numbers below 1e-38.
#define ADAMW_LEAST_MOMENT 1e-30f

// What an optimiser step needs beside the flat arrays.
typedef struct AdamW {
    float lr, beta1, beta2, eps, weight_decay;
    float max_norm; // clip the gradient to this global norm; <= 0: no clipping
    int64_t step;   // 1 for the first
    int group;      // 0 or 1: which of StepNumbers.lr is lr
} AdamW;

// What differs from one training step to the next, beside the contents of its inputs.
typedef struct StepNumbers {
    uint32_t step; // RngKey.step and AdamW.step of every op
    float lr[2];   // AdamW.lr by group
} StepNumbers;

// What several devices need to add up over all of them, each in a process of its own (ranks/). All
// make the same calls in the same order.
typedef struct Peers {
    int count, rank;
    double timeout_s; // how long one waits for another that does not come
    void *user;
    // Begins to add up n floats in host memory, in place; waits until all that were begun are done.
    void (*sum_begin)(void *user, float *data, int64_t n);
    bool (*sums_end)(void *user, Error *err);
    // Process 0's bytes become everyone's.
    bool (*share)(void *user, void *data, size_t bytes, Error *err);
    // Whether a process is lost, so that sums will not end. Any thread may ask.
    bool (*lost)(void *user, Error *err);
} Peers;

typedef struct Record Record; // a device's recording of a sequence of ops
enum { DOWNLOAD_SLOTS = 4, DOWNLOAD_BYTES = 64 };

typedef struct Device Device;

// What a kind of device is and can, known without opening one; and how one is opened. Static.
typedef struct Backend {
    const char *name;      // "ref", "cpu", "cuda"
    unsigned precisions;   // PRECISION_BIT of each that it has, if the machine at hand does
    Precision trains_best; // what training takes unless another is asked for
    // Their types at each precision, see above; at int8 the cpu's are those that it has at bfloat16
    // if it has that.
    DType activations[PRECISIONS], images[PRECISIONS];
    bool asynchronous; // ops return before they are done
    bool host_memory;  // its memory is the host's
    // Several devices, each with a thread of its own, share the work of one well.
    bool side_by_side;
    int picture_channels; // how many channels a picture's three are stored as
    // A convolution keeps a second copy of its weights, and in training of their gradient.
    bool packs_weights;
    // Bytes that its libraries and workspaces take beside what is asked for, with so many trainable
    // parameters.
    size_t (*keeps)(Precision precision, size_t parameters);
    // Writes what computes on this machine, in a few words: libraries and their versions, the level
    // of the processor. NULL where that is known of an open device only (its description).
    void (*describe)(char *out, size_t room);
    // Fills in impl, description and what the device overwrites of ref's ops; the rest of d is set.
    // argument is what follows "NAME:", or NULL. On failure nothing is left to free.
    bool (*open)(Device *d, const char *argument, Error *err);
} Backend;
#define PRECISION_BIT(p) (1u << (p))

struct Device {
    const Backend *backend;
    Precision precision;
    DType activations, images; // of the backend at this precision
    char description[128];     // of the hardware, for people; may be empty
    int threads;
    void *impl;              // the backend's own
    struct Profile *profile; // ops/profile.h, or NULL
    struct Watch *watch;     // ops/watch.h, or NULL
    const Peers *peers;      // of join
    bool failed;             // an op failed since the last device_check
    Error error;
    // A module has a copy of base/log.h of its own: it sends its lines here, to the program's
    // log_line.
    void (*log)(void *unused, LogLevel level, const char *line);
    // Of download_begin, for backends that copy at once.
    uint8_t slots[DOWNLOAD_SLOTS][DOWNLOAD_BYTES];

    // What it does, entry by entry of ops.def.
#define OP(name, params, args) void(*name) params;
#define SERVICE(type, name, params) type(*name) params;
#include "ops/ops.def"
};

// The backend of "ref", "cpu", "cuda" or "cuda:N"; *argument (may be NULL) is N or NULL. That of
// cuda is in a module (base/module.h): the error says what is missing.
CHECKED bool backend_find(const char *name, const Backend **out, const char **argument, Error *err);
// Opens a device by such a name. threads 0: all processors. A device or precision that this machine
// does not have is refused, with what to do about it.
CHECKED bool device_open(const char *name, Precision precision, int threads, Device **out,
                         Error *err);
// "float32", "tf32", "bfloat16" or "int8"; NULL: what the device is best trained in (tf32 on cuda,
// as LeRobot's trainer allows it, else float32). Anything else is an error.
CHECKED bool precision_named(const char *dtype, const char *device, Precision *out, Error *err);
const char *precision_name(Precision precision);
void device_close(Device *d); // NULL allowed
// False, with the first failure since the last call, if an op failed.
CHECKED bool device_check(Device *d, Error *err);
// For backends: records a failure (the first one is kept).
void device_fail(Device *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The same where there was not enough memory (Error.memory).
void device_fail_memory(Device *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The backends that are in the program itself.
extern const Backend ref_backend, cpu_backend;
// Fills in everything of ops.def with ref's plain C, for the other backends to start from.
void ref_device(Device *d);

// A device that computes nothing and counts what is asked of its alloc, as it would be on a device
// of that backend: for estimates. Its tensors must not be looked into. NULL for want of memory.
Device *plan_device(const Backend *backend, Precision precision);
size_t plan_bytes(const Device *d);

// Memory of one purpose on a device: a bump allocator that is reset, not freed, between steps.
// The first step grows it block by block, each about as large as all before together; afterwards
// the same sequence of requests gives the same addresses without asking the device again.
typedef struct TensorArena {
    Device *device;
    struct TensorBlock *blocks, *current;
    size_t used;  // in the current block
    size_t total; // bytes held in all blocks
} TensorArena;
// A contiguous tensor; its contents are whatever the memory held. NULL data if the device failed.
Tensor arena_tensor(TensorArena *a, DType dtype, int rank, const int64_t *shape);
// An IMAGE tensor.
Tensor arena_image(TensorArena *a, int64_t n, int64_t c, int64_t h, int64_t w);
typedef struct ArenaMark {
    struct TensorBlock *block;
    size_t used;
} ArenaMark;
ArenaMark arena_mark(const TensorArena *a);
// Gives back everything taken since the mark.
void arena_rewind(TensorArena *a, ArenaMark mark);
void arena_reset(TensorArena *a);
void tensor_arena_free(TensorArena *a);

#endif
