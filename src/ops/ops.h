// SPDX-License-Identifier: Apache-2.0
// The op layer: tensors, devices, and every operation of the model as forward + backward.
//
// A Device is a struct of function pointers. `ops/ref` fills all of it with plain readable C;
// `ops/cpu` (and `ops/cuda`) start from that table and overwrite what they have. `model/` calls
// through the Device and never names a variant.
//
// Letters: B batch, T timesteps, N images (B*T), C channels, H W pixels, L tokens, D width,
//          M rows, K inputs, S chunk length, A action width, NH heads.
// Gradients are named d + name. Gradients of PARAMETERS accumulate (+=) in every op; gradients of
// activations are overwritten, except where an op says otherwise.
// An empty Tensor (data NULL) stands for "none" where an argument is optional.
//
// Types: activations and their gradients have the device's type `activations`, IMAGE tensors its
// type `images`. Both are float32, or on a device that was opened with bfloat16: bfloat16 on cuda;
// on the cpu images are bfloat16, and the others float32, which matrix products round to bfloat16
// as they read. Everything else is float32: parameters and their gradients, positions, statistics
// (mean, rstd, lse), the VAE's and the loss's tensors. linear takes either type for each of x, y,
// dx and dy.
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
} Precision;

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
} Tensor;

static inline float *f32(Tensor t) {
    return (float *)t.data;
}
static inline int64_t tensor_count(Tensor t) {
    int64_t n = 1;
    for (int i = 0; i < t.rank; i++) n *= t.shape[i];
    return n;
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
    bool relu;     // apply max(z, 0)
    bool residual; // forward gets a residual to add
    bool train;    // backward will be called
    bool need_dx;  // backward gives dx (not for the first convolution)
} ConvSpec;
int64_t conv_out_size(int64_t in, int kernel, int stride, int padding, int dilation);

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

typedef struct Record Record; // a device's recording of a sequence of ops
enum { DOWNLOAD_SLOTS = 4, DOWNLOAD_BYTES = 64 };

typedef struct Device Device;

// What a kind of device is and can, known without opening one; and how one is opened. Static.
typedef struct Backend {
    const char *name;      // "ref", "cpu", "cuda"
    unsigned precisions;   // PRECISION_BIT of each that it has, if the machine at hand does
    Precision trains_best; // what training takes unless it is told
    DType activations[3], images[3]; // their types at each precision, see above
    bool asynchronous;               // ops return before they are done
    bool host_memory;                // its memory is the host's
    bool side_by_side; // several devices, each with a thread of its own, share the work of one well
    int picture_channels; // that a picture's three channels are stored as
    bool packs_weights; // a convolution keeps its weights, and when it trains their gradient, once
                        // more
    // Bytes that its libraries and workspaces take beside what is asked for, with so many trainable
    // parameters.
    size_t (*keeps)(Precision precision, size_t parameters);
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
    bool failed;             // an op failed since the last device_check
    Error error;
    // Where a module, which has a copy of its own of base/log.h, sends its lines: the program's
    // log_line.
    void (*log)(void *unused, LogLevel level, const char *line);
    uint8_t slots[DOWNLOAD_SLOTS][DOWNLOAD_BYTES]; // for backends that copy at once

    // Before the first call of a thread other than the one that opened the device, and of one that
    // calls several devices: this one is meant. One thread at a time.
    void (*attach)(Device *d);

    // ---- memory -------------------------------------------------------------------------------
    // Zeroed device memory, 256-byte aligned; NULL (and failed) when there is none.
    void *(*alloc)(Device *d, size_t bytes);
    // The same, but not cleared, where that spares something: of a block on the host only what is
    // used then takes memory.
    void *(*alloc_raw)(Device *d, size_t bytes);
    void (*release)(Device *d, void *p);
    void (*upload)(Device *d, void *device_dst, const void *host_src, size_t bytes);
    void (*download)(Device *d, void *host_dst, const void *device_src, size_t bytes);
    void (*synchronize)(Device *d);
    void (*close)(Device *d); // frees impl and d
    // Bytes that can still be had, for messages; 0 where that is unknown.
    size_t (*memory_free)(Device *d);
    // Page-locks host memory that stage reads from, where that makes copies faster. Undone with
    // pinned = false before the memory is freed.
    void (*pin)(Device *d, void *host, size_t bytes, bool pinned);
    // As upload, but while ops that were issued before still run; ops issued after see the new
    // contents. host_src must stay as it is until staged() has returned. device_dst is one of few
    // buffers that live as long as the device.
    void (*stage)(Device *d, void *device_dst, const void *host_src, size_t bytes);
    void (*staged)(Device *d);
    // Reads up to DOWNLOAD_BYTES back without waiting for them; download_end waits. A slot holds
    // one.
    void (*download_begin)(Device *d, int slot, const void *device_src, size_t bytes);
    void (*download_end)(Device *d, int slot, void *host_dst, size_t bytes);

    // ---- recording ----------------------------------------------------------------------------
    // For a sequence of ops that is issued again and again on the same tensors: between begin and
    // end the caller issues them when begin returns true; when it returns false the device replays
    // what it has recorded, with the new numbers, and the caller issues nothing. *r starts as NULL.
    // In between there is no alloc, upload, download or synchronize. A device may never replay.
    bool (*record_begin)(Device *d, Record **r, StepNumbers numbers);
    void (*record_end)(Device *d, Record **r);
    void (*record_free)(Device *d, Record *r); // NULL allowed

    // Tells the device that the parameters in a flat array (F32) changed: it may keep copies of
    // them in a form of its own. Call before the first use and after every change. lasting: they
    // will be used many times before they change, so that work on their form pays. The array must
    // outlive the device or be forgotten with count 0.
    void (*weights_load)(Device *d, Tensor flat, bool lasting);

    // ---- plain data movement (f32) ------------------------------------------------------------
    void (*zero)(Device *d, Tensor y);                    // any contiguous tensor
    void (*copy)(Device *d, Tensor y, Tensor x);          // rank <= 3, any strides, same shape
    void (*add)(Device *d, Tensor y, Tensor a, Tensor b); // contiguous, or IMAGE; y may be a or b
    // y += weight * (x - y): flat arrays, float32 whatever the device's activations are. Nothing
    // where halt (one value; may be empty) is not 0.
    void (*lerp)(Device *d, Tensor y, Tensor x, Tensor halt, float weight);
    // y[b] = x[b] + row for every b: y, x (B, L, D), row (L, D); x may be empty (broadcast).
    // y may be a strided slice of tokens, x likewise.
    void (*add_rows)(Device *d, Tensor y, Tensor x, Tensor row);
    // drow (L, D) += sum over b of dy (B, L, D); dy may be strided.
    void (*sum_rows)(Device *d, Tensor drow, Tensor dy);
    // y (L, D) = base (L, D) + table[index[l]]; base may be empty (0) or y itself;
    // index is (L) int32 on the device, -1 adds nothing. table (R, D).
    void (*embed_forward)(Device *d, Tensor y, Tensor base, Tensor table, Tensor index);
    void (*embed_backward)(Device *d, Tensor dtable, Tensor dy, Tensor index);
    // Standard normals by counter, (M, D): pair (2j, 2j+1) of a row comes from words (0,1) or (2,3)
    // of its block by Box-Muller: r = sqrt(-2 ln(1-u0)), r cos 2 pi u1, r sin 2 pi u1.
    void (*random_normal)(Device *d, Tensor y, RngKey key);

    // ---- images -------------------------------------------------------------------------------
    // A tensor of layout IMAGE has image_bytes(n, c, h, w) bytes.
    size_t (*image_bytes)(Device *d, int64_t n, int64_t c, int64_t h, int64_t w);
    // y IMAGE (N, 3, H, W) = (x / 255 - mean) / (std + 1e-8), x U8 (N, H, W, 3).
    void (*image_normalize)(Device *d, Tensor y, Tensor x, const float mean[3], const float std[3]);
    // Between IMAGE and plain (N, C, H, W), either way; for tests and for tokens below.
    void (*image_from_plain)(Device *d, Tensor y, Tensor x);
    void (*image_to_plain)(Device *d, Tensor y, Tensor x);
    // y plain (N, H*W, C) from x IMAGE (N, C, H, W), and back for gradients.
    void (*tokens_from_image)(Device *d, Tensor y, Tensor x);
    void (*image_from_tokens)(Device *d, Tensor dx, Tensor dy);

    Conv *(*conv_new)(Device *d, ConvSpec spec); // NULL and failed on error
    void (*conv_free)(Device *d, Conv *c);       // NULL allowed
    // Packs w (O, I, k, k) times scale (O), and keeps shift (O). Call after every change of w and
    // before forward. scale and shift stay borrowed until the next load.
    void (*conv_load)(Device *d, Conv *c, Tensor w, Tensor scale, Tensor shift);
    // In training the relu leaves NaN as it is; without `train`, and in a library's relu, it may
    // become 0.
    void (*conv_forward)(Device *d, Conv *c, Tensor y, Tensor x, Tensor residual);
    // dz is the gradient before the relu (see relu_backward). dx overwritten (ignored when
    // !need_dx), dw (O, I, k, k) += scale * gradient of the packed weights.
    void (*conv_backward)(Device *d, Conv *c, Tensor dx, Tensor dw, Tensor dz, Tensor x);
    // dz = (dy + dskip) where y > 0, NaN where y is not finite, else 0: a library's relu may turn
    // the NaN that comes of infinities into 0, and a run that has either must not go on. IMAGE
    // tensors of one shape; dskip may be empty; dz may be dy or dskip.
    void (*relu_backward)(Device *d, Tensor dz, Tensor dy, Tensor dskip, Tensor y);

    Pool *(*pool_new)(Device *d, int64_t n, int64_t c, int64_t h, int64_t w, bool train);
    void (*pool_free)(Device *d, Pool *p);
    // y IMAGE (n, c, (h-1)/2+1, (w-1)/2+1), padding never wins; a NaN does. Keeps what backward
    // needs.
    void (*pool_forward)(Device *d, Pool *p, Tensor y, Tensor x);
    void (*pool_backward)(Device *d, Pool *p, Tensor dx, Tensor dy);

    // ---- dense --------------------------------------------------------------------------------
    // y (M, N) = x (M, K) w^T + b; w (N, K), b (N) or empty. Rows of x and y may be strided.
    // Higher ranks are accepted when contiguous and flattened to rows.
    void (*linear_forward)(Device *d, Tensor y, Tensor x, Tensor w, Tensor b);
    // dx (M, K) = dy w, or += when accumulate; dw += dy^T x; db += column sums of dy.
    // Any of dx, dw, db may be empty. w is needed for dx only, x for dw only.
    void (*linear_backward)(Device *d, Tensor dx, Tensor dw, Tensor db, Tensor dy, Tensor x,
                            Tensor w, bool accumulate);
    // y = dropout(act(x)), (M, D) contiguous (rows: all leading dimensions). y may be x, but not
    // for gelu in training (backward needs x).
    void (*activation_forward)(Device *d, Tensor y, Tensor x, Activation act, Dropout drop);
    // dx from dy; relu reads y (the forward's output), gelu reads x. dx may be dy.
    void (*activation_backward)(Device *d, Tensor dx, Tensor dy, Tensor x, Tensor y, Activation act,
                                Dropout drop);
    // r = x + dropout(s), contiguous (M, D); r may be x or s.
    void (*dropout_add_forward)(Device *d, Tensor r, Tensor x, Tensor s, Dropout drop);
    // ds = dropout mask and scale applied to dr; ds may be dr only if the caller no longer needs
    // dr.
    void (*dropout_add_backward)(Device *d, Tensor ds, Tensor dr, Dropout drop);

    // y = (x - mean) * rstd * gamma + beta over the last dimension, eps 1e-5 (biased variance);
    // x, y (M, D) contiguous; mean, rstd (M).
    void (*layernorm_forward)(Device *d, Tensor y, Tensor mean, Tensor rstd, Tensor x, Tensor gamma,
                              Tensor beta);
    // dx overwritten, or += when accumulate; dx may be dy when not accumulating.
    void (*layernorm_backward)(Device *d, Tensor dx, Tensor dgamma, Tensor dbeta, Tensor dy,
                               Tensor x, Tensor mean, Tensor rstd, Tensor gamma, bool accumulate);

    // o = softmax(q k^T / sqrt(D/NH)) v by head. q, o (B, Lq, D), k, v (B, Lk, D); head h is the
    // columns h*D/NH ...; rows may be strided. key_pad U8 (B, Lk), 1 = ignore that key, or empty.
    // Dropout acts on the probabilities; its row is (b*NH + h)*Lq + i, its column the key.
    // lse (B, NH, Lq) keeps log-sum-exp of each row of scores for backward.
    void (*attention_forward)(Device *d, Tensor o, Tensor lse, Tensor q, Tensor k, Tensor v,
                              Tensor key_pad, int heads, Dropout drop);
    // dq, dk, dv overwritten; strides as q, k, v may have them.
    void (*attention_backward)(Device *d, Tensor dq, Tensor dk, Tensor dv, Tensor dout, Tensor o,
                               Tensor lse, Tensor q, Tensor k, Tensor v, Tensor key_pad, int heads,
                               Dropout drop);

    // ---- VAE and loss -------------------------------------------------------------------------
    // z (B, Z) = mu + exp(logvar / 2) * eps; params (B, 2Z) = [mu | logvar].
    void (*vae_sample_forward)(Device *d, Tensor z, Tensor params, Tensor eps);
    // dparams from dz and from kl_weight * KL, KL = mean over B of
    // sum over Z of -0.5 (1 + logvar - mu^2 - exp(logvar)).
    void (*vae_sample_backward)(Device *d, Tensor dparams, Tensor dz, Tensor params, Tensor eps,
                                float kl_weight);
    // losses (3) = [l1 + kl_weight * kld, l1, kld]. l1 = sum |prediction - target| over unpadded
    // (b, s) / max(1, unpadded * A). prediction, target (B, S, A), pad U8 (B, S), params (B, 2Z)
    // or empty (kld 0).
    void (*act_loss_forward)(Device *d, Tensor losses, Tensor prediction, Tensor target, Tensor pad,
                             Tensor params, float kl_weight);
    // dprediction of l1; the sign of 0 is 0.
    void (*act_loss_backward)(Device *d, Tensor dprediction, Tensor prediction, Tensor target,
                              Tensor pad);

    // ---- optimiser, over flat arrays ----------------------------------------------------------
    // norm (1) = 2-norm of g (count), summed in double. halt (1) becomes 1 when the norm or
    // losses[0] is not finite, and is never cleared. losses and halt may be empty.
    void (*grad_norm)(Device *d, Tensor norm, Tensor halt, Tensor g, Tensor losses);
    // One AdamW step on p, m, v (count) from g * min(1, max_norm / (norm + 1e-6)), then g = 0:
    // p *= 1 - lr*wd; p -= lr/(1-beta1^t) * m / (sqrt(v)/sqrt(1-beta2^t) + eps).
    // An m below ADAMW_LEAST_MOMENT becomes 0 before it is used.
    // Leaves p, m and v alone (but clears g) when halt is not 0. No clipping when a.max_norm <= 0.
    // halt may be empty.
    void (*adamw)(Device *d, Tensor p, Tensor g, Tensor m, Tensor v, Tensor norm, Tensor halt,
                  AdamW a);
};

// The backend of "ref", "cpu", "cuda" or "cuda:N"; *argument (may be NULL) is N or NULL. That of
// cuda is in a module (base/module.h): the error says what it lacks.
CHECKED bool backend_find(const char *name, const Backend **out, const char **argument, Error *err);
// Opens a device by such a name. threads 0: all processors. A device or precision this machine
// lacks is refused with what to do about it.
CHECKED bool device_open(const char *name, Precision precision, int threads, Device **out,
                         Error *err);
// "float32", "tf32" or "bfloat16"; NULL: what the device is best trained in (tf32 on cuda, as
// LeRobot's trainer allows it, else float32). Anything else is an error.
CHECKED bool precision_named(const char *dtype, const char *device, Precision *out, Error *err);
const char *precision_name(Precision precision);
void device_close(Device *d); // NULL allowed
// False, with the first failure since the last call, if an op failed.
CHECKED bool device_check(Device *d, Error *err);
// For backends: records a failure (the first one is kept).
void device_fail(Device *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The same where memory is what was lacking (Error.memory).
void device_fail_memory(Device *d, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Those of the program itself.
extern const Backend ref_backend, cpu_backend;
// For the others to start from: all ops in plain C.
void ref_device(Device *d);

// A device that computes nothing and counts what is asked of its alloc, as it would be on a device
// of that backend: for estimates. Its tensors must not be looked into.
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
