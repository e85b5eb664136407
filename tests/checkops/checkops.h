// SPDX-License-Identifier: Apache-2.0
// checkops compares a device with the reference device, op by op.
//
// The check of an op is one function that makes random inputs, calls the op on case->device and
// names its outputs. It is called twice with the same random stream, once for the reference and
// once for the candidate, so both see the same shapes, strides and numbers; the outputs are then
// compared. Around and between the elements of every buffer lie canary bytes that no op may touch;
// inputs must come out as they went in; outputs start as NaN.
#ifndef TACT_TESTS_CHECKOPS_H
#define TACT_TESTS_CHECKOPS_H

#include "ops/ops.h"
#include <stdbool.h>

enum { MAX_BUFFERS = 24, CANARY_BYTES = 256 };
#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))

typedef enum Role {
    ROLE_INPUT,      // must not change
    ROLE_OUTPUT,     // compared; starts as NaN
    ROLE_ACCUMULATE, // compared; starts with random numbers, which the op adds to
    ROLE_SCRATCH,    // may change
} Role;

typedef struct Buffer {
    const char *name;
    Role role;
    Tensor tensor;    // a view into the device memory at base
    char *base;       // device memory: canary, elements with gaps, canary
    size_t bytes;     // of all of it
    uint8_t *start;   // host copy of all of it before the op
    uint8_t *inside;  // per byte: 1 = belongs to an element; not for images, which have no gaps
    bool activation;  // a device at bfloat16 would keep it so; images too
    double reduction; // terms in the sum behind an element; 0: must agree exactly
    double *values;   // outputs: the elements after the op, plain order
} Buffer;

typedef struct Case {
    Device *device;
    RngStream random;
    DType activations;     // the candidate's narrowest: both sides start from numbers it can hold
    Precision precision;   // of the candidate
    const char *candidate; // its backend's name
    int index;             // cases below an op's number of real sizes use those
    bool bench;            // time the op on real sizes; nothing is compared
    bool stores_halves;    // as a device at bfloat16: outputs that are activations are rounded
    bool chained;          // products that feed others: coarser numbers add up
    bool edges;            // outputs may be NaN or infinite, where the reference's are the same
    Buffer buffers[MAX_BUFFERS];
    int count;
    char shape[160];       // for messages
    double flops;          // of one call, for --bench; 0: only bytes count
    double seconds;        // of one call, for --bench
    int64_t calls, target; // of the timing loop
    double started;
    char problem[256]; // "" or what is wrong (canary, changed input, device error)
} Case;

// What one comparison found; error / tolerance is largest at the worst output.
typedef struct Verdict {
    bool passed;
    double error, tolerance;
    char problem[320];
} Verdict;

typedef struct OpCheck {
    const char *name;
    void (*run)(Case *c);
} OpCheck;
// Each OP of ops/ops.def has its case, check_NAME: one that is missing does not link.
#define OP(name, params, args) void check_##name(Case *c);
#define TRANSFER(name, params, args)
#include "ops/ops.def"
// Further cases, of ops at the edges; ends with a NULL name.
extern const OpCheck edge_checks[];
// And of products of 8-bit integers, for devices at int8.
extern const OpCheck int8_checks[];

// ---- shapes and choices -----------------------------------------------------------------------
// Fills size[0..n) from row `index` of the real sizes (rows of n), or, when those are used up, at
// random from 1, odd, prime and tile-size +-1 values up to max[i]. In a bench size[0] is multiplied
// by 8 (a batch), and false is returned after the last real row: the check then returns at once.
bool case_sizes(Case *c, int n, int64_t *size, int real_rows, const int64_t *real,
                const int64_t *max);
bool case_chance(Case *c, int n);       // true once in n; never in a bench
int64_t case_below(Case *c, int64_t n); // 0 <= result < n; 0 in a bench
Dropout case_dropout(Case *c);

// ---- buffers ----------------------------------------------------------------------------------
// All are filled and uploaded. Elements are uniform with mean 0 and variance 1. case_tensor is
// float32, case_activation and case_strided have the device's activation type.
Tensor case_tensor(Case *c, const char *name, Role role, double reduction, int rank,
                   const int64_t *shape);
Tensor case_activation(Case *c, const char *name, Role role, double reduction, int rank,
                       const int64_t *shape);
// As case_activation, but a slice of a wider tensor half of the time: every dimension but the first
// may have neighbours.
Tensor case_strided(Case *c, const char *name, Role role, double reduction, int rank,
                    const int64_t *shape);
// The same, now and then of float32 where activations are not.
Tensor case_strided_either(Case *c, const char *name, Role role, double reduction, int rank,
                           const int64_t *shape);
// An IMAGE tensor. Its content passes through image_from_plain and image_to_plain.
Tensor case_image(Case *c, const char *name, Role role, double reduction, int64_t n, int64_t ch,
                  int64_t h, int64_t w);
// Tensors from given host elements.
Tensor case_given(Case *c, const char *name, DType dtype, const void *data, int rank,
                  const int64_t *shape);
Tensor case_given_image(Case *c, const char *name, const float *data, int64_t n, int64_t ch,
                        int64_t h, int64_t w);
// Random bytes: U8 with 1 about once in `once` and 0 elsewhere, or with any value when once is 0.
Tensor case_bytes(Case *c, const char *name, int once, int rank, const int64_t *shape);
// Random int32 in -1 .. n-1.
Tensor case_indices(Case *c, const char *name, int64_t n, int64_t count);
// Makes an input into an output too, for an op that works in place.
Tensor case_in_place(Case *c, Tensor input, const char *name, double reduction);

// ---- running ----------------------------------------------------------------------------------
// CALL(c, op(...)): calls the op; under --bench as often as timing needs.
#define CALL(c, ...)                                                                               \
    for (case_start(c); case_again(c);) __VA_ARGS__
void case_start(Case *c);
bool case_again(Case *c);

// Downloads every buffer, checks canaries and inputs, and keeps the outputs' values.
void case_finish(Case *c);
void case_free(Case *c);
// Tolerances follow from each output's type and reduction and the candidate's precision.
Verdict case_compare(const Case *reference, const Case *candidate);
double case_bytes_moved(const Case *c);

// Prints the device's convolutions and dense layers of the whole model, by how much longer each
// takes than its arithmetic would at the rate of a large matrix product.
void rate_table(Device *d);

// To check the checker: damages what the candidate left behind in its buffer number `output`, so
// that its comparison must fail. False if that is no output, or nothing in it could be damaged so.
typedef enum Damage {
    DAMAGE_NONE,
    DAMAGE_NAN,   // one value
    DAMAGE_VALUE, // one value is wrong
    DAMAGE_ALL,   // all values are, by a little
    DAMAGE_CANARY,
    DAMAGES
} Damage;
bool case_damage(Case *c, int output, Damage damage);
// Notes as the case's problem what a buffer's bytes, as they are now, show of an op that wrote
// where it must not.
void case_check_bytes(Case *c, const Buffer *b, const uint8_t *after);

#endif
