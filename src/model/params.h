// SPDX-License-Identifier: Apache-2.0
// The one table of a model's tensors: name, shape, kind, initialisation. Allocation, checkpoint,
// optimiser and tests all walk it. Entries stand in LeRobot's optimiser order (registration order,
// backbone last), trainable parameters first, then buffers.
#ifndef TACT_MODEL_PARAMS_H
#define TACT_MODEL_PARAMS_H

#include "base/memory.h"
#include "config/config.h"
#include "ops/ops.h"

typedef enum ParamKind {
    PARAM_MAIN,     // optimiser group 0
    PARAM_BACKBONE, // optimiser group 1
    PARAM_BUFFER,   // not trained: frozen norms, the VAE's position table
} ParamKind;

typedef enum ParamInit {
    INIT_ZERO,
    INIT_ONE,
    INIT_XAVIER,       // U(+-sqrt(6 / (rows + columns)))
    INIT_FAN_IN,       // U(+-1/sqrt(fan)): PyTorch's default of linear weights and biases
    INIT_NORMAL,       // N(0, 1): embeddings
    INIT_KAIMING_CONV, // N(0, sqrt(2 / (out_c k k)))
    INIT_SINUSOID,     // the VAE's fixed table
} ParamInit;

// The table that tells the timesteps apart; a model has it unless temporal_pos_embed is "none".
#define TEMPORAL_TABLE "temporal_pos_embed.weight"
// The decoder's queries: a row for every action of the chunk, and behind them one for every past
// action, newest first. So a row means the same action whatever the number of past ones, and from
// the same seed the chunk's start with the same values.
#define QUERY_TABLE "model.decoder_pos_embed.weight"

// What makes decoder inputs of the actions that are given; a model has it where max_action_prefix
// is not 0. Its last column is for the 1 that tells a given action from none.
#define ACTION_PREFIX_WEIGHT "model.action_prefix_proj.weight"

enum { PARAM_PARTS = 3 };

typedef struct Param {
    const char *name; // as in model.safetensors: "model.encoder.layers.0.linear1.weight"
    ParamKind kind;
    ParamInit init;
    int64_t fan; // INIT_FAN_IN: fan-in; INIT_XAVIER: unused
    int rank;
    int64_t shape[4];
    int64_t count;
    int64_t offset; // in elements: into values/grads (trainable) or buffers
    // At int8, of what products multiply it with: of the product with all of it, or with rows from
    // the third i on of those of queries, keys and values. Step 0: none.
    Rounding rounding[PARAM_PARTS];
} Param;

typedef struct Params {
    Param *list;
    int count;
    int64_t trainable; // elements of all trainable parameters, padding included
    int64_t main;      // of those, in group 0: [0, main) is group 0, [main, trainable) group 1
    int64_t buffers;   // elements of all buffers
    int64_t learnable; // elements without padding, as LeRobot's num_learnable_params counts
    Device *device;
    Tensor values, grads, buffer_values; // flat, on the device
    bool borrowed;                       // values and buffer_values are someone else's
    Arena arena;                         // names and list
} Params;

// Lists the tensors of a configuration and allocates them on the device (grads only if train).
CHECKED bool params_init(Params *p, Device *d, const PolicyConfig *config, bool train, Error *err);
// The same over values that lie in host memory already, for a device that computes there:
// where(user, param) gives a tensor's, all of them within `count` floats from base. Read only; must
// outlive the Params.
typedef const float *(*ParamWhere)(const void *user, const Param *param);
CHECKED bool params_borrow(Params *p, Device *d, const PolicyConfig *config, const float *base,
                           int64_t count, ParamWhere where, const void *user, Error *err);
void params_free(Params *p);
// A flat float32 tensor of zeros on the device, as those of Params are; released by its owner. A
// failure is the device's.
Tensor params_flat(Device *d, int64_t count);
// Whether a tensor of a file has the parameter's shape.
bool param_has_shape(const Param *param, int rank, const int64_t *shape);
// Elements [start, end) of the flat arrays.
typedef struct ParamRange {
    int64_t start, end;
} ParamRange;
// Those of the trainable parameters whose names begin so, which stand together, with the padding
// between and behind them; empty where there are none.
ParamRange params_range(const Params *p, const char *prefix);
// The rounding of a product with the parameter's rows from the third `part` on. The name exists.
Rounding rounding_of(const Params *p, int part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// NULL if there is no such name.
const Param *params_find(const Params *p, const char *name);
// Device views with the parameter's shape, and its first rounding.
Tensor param_value(const Params *p, const Param *param);
Tensor param_grad(const Params *p, const Param *param); // empty for buffers or without grads
// By name; the name must exist (programming error otherwise).
Tensor value_of(const Params *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
Tensor grad_of(const Params *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
// Fills every tensor as LeRobot initialises it, from the seed.
void params_initialize(Params *p, uint64_t seed);
// Copies one parameter to or from host memory (count floats).
void param_get(const Params *p, const Param *param, float *out);
void param_set(const Params *p, const Param *param, const float *in);

#endif
