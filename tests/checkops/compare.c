// SPDX-License-Identifier: Apache-2.0
// How the outputs of a case on two devices are compared, and how the checker is checked.
#include "checkops.h"

#include "base/memory.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

// What coarser numbers add, relative to an output's size. TF32 rounds the factors of matrix
// products to 2^-11, bfloat16 to 2^-9, and what is stored in bfloat16 to 2^-9 once more, which is
// 2^-10 of it on the average. Two of those roundings lie behind a product, a few in a row behind a
// product that feeds another (attention and its gradients). An output of few elements may be small
// beside the terms that it is made of, and so is wrong by more.
static double precision_error(const Case *candidate, const Buffer *b) {
    const bool products = candidate->flops > 0,
               halves =
                   b->tensor.dtype == DTYPE_BF16 || (candidate->stores_halves && b->activation),
               coarse =
                   candidate->precision == PRECISION_BFLOAT16 ||
                   // Where the cpu's other products are bfloat16 images are too.
                   (candidate->precision == PRECISION_INT8 && candidate->activations == DTYPE_BF16);
    if (candidate->precision == PRECISION_TF32) return products ? 0x1p-9 : 0;
    if (!coarse) return 0; // int8: sums of integers are exact
    if (!products) return halves ? 0x1p-8 : 0;
    const double few = 1 + 4 / sqrt((double)tensor_count(b->tensor)), most = 0x1p-5,
                 error = (candidate->chained ? 0x1p-6 : 0x1p-7) * few;
    return error < most ? error : most;
}

// Rounding errors of a sum of K terms grow like sqrt(K) units in the last place; 4 of those are
// allowed over the whole output (2-norm), and twice as much, of the largest value, anywhere.
// With edges a value of the reference that is not finite asks for the same one, and has no part in
// the sums.
static bool compare_values(const Buffer *a, const Buffer *b, double extra, bool edges, Verdict *v) {
    int64_t n = tensor_count(a->tensor), worst = 0;
    double square = 0, difference = 0, scale = 0, largest = 0;
    bool finite = true;
    for (int64_t i = 0; i < n; i++) {
        if (edges && !isfinite(a->values[i])) {
            bool same = isnan(a->values[i]) ? isnan(b->values[i]) : a->values[i] == b->values[i];
            if (!same) finite = false, worst = i;
            continue;
        }
        double gap = fabs(a->values[i] - b->values[i]);
        if (!isfinite(gap)) finite = false, worst = i;
        if (finite && gap > largest) largest = gap, worst = i;
        if (fabs(a->values[i]) > scale) scale = fabs(a->values[i]);
        square += a->values[i] * a->values[i];
        difference += gap * gap;
    }
    double tolerance = 4 * (FLT_EPSILON / 2) * sqrt(a->reduction) + extra;
    double overall = difference > 0 ? sqrt(difference / square) : 0;
    double single = largest > 0 ? largest / scale / 2 : 0;
    double error = overall > single ? overall : single;
    if (!finite) error = NAN;
    bool passed = error <= tolerance;
    bool worse = v->tolerance == 0 || error * v->tolerance > v->error * tolerance;
    if (v->passed && (worse || !passed)) v->error = error, v->tolerance = tolerance;
    if (v->passed && !passed)
        snprintf(v->problem, sizeof v->problem,
                 "%s: element %lld of %lld is %.9g, not %.9g; error %.2e, tolerance %.2e", a->name,
                 (long long)worst, (long long)n, b->values[worst], a->values[worst], error,
                 tolerance);
    return passed;
}

Verdict case_compare(const Case *reference, const Case *candidate) {
    Verdict v = {.passed = true};
    const char *text = reference->problem[0] ? reference->problem : candidate->problem;
    if (text[0]) {
        snprintf(v.problem, sizeof v.problem, "%s%s", reference->problem[0] ? "in ref: " : "",
                 text);
        v.passed = false;
        return v;
    }
    int compared = 0;
    for (int i = 0; i < reference->count; i++) {
        const Buffer *a = &reference->buffers[i], *b = &candidate->buffers[i];
        if (!a->values) continue;
        compared++;
        if (!compare_values(a, b, precision_error(candidate, b), reference->edges, &v))
            v.passed = false;
    }
    if (compared == 0) {
        snprintf(v.problem, sizeof v.problem, "the check names no output");
        v.passed = false;
    }
    return v;
}

// ---- the checker itself -------------------------------------------------------------------------

// A value that is wrong by so much of the largest, or all values by so much of themselves, is a
// fault. At bfloat16, where many a term of a sum is less than the rounding: what becomes of a sum
// that lacks one term in fifty, or, where few elements say less, in 25.
static double fault(const Case *c, const Buffer *b, Damage damage) {
    const bool coarse = c->precision == PRECISION_BFLOAT16 || c->activations == DTYPE_BF16;
    if (!coarse) return 1e-3;
    return damage == DAMAGE_VALUE ? 1.0 / 8 : tensor_count(b->tensor) >= 256 ? 0.02 : 0.04;
}

// Of the finite ones, the last of which is at *last; -1: there is none.
static double largest_of(const Buffer *b, int64_t *last) {
    double largest = -1;
    for (int64_t i = 0; i < tensor_count(b->tensor); i++) {
        if (!isfinite(b->values[i])) continue;
        *last = i;
        largest = fmax(largest, fabs(b->values[i]));
    }
    return largest;
}

static void spoil_canary(Case *c, const Buffer *b) {
    uint8_t *after = NEW(uint8_t, b->bytes);
    memcpy(after, b->start, b->bytes);
    after[b->bytes - CANARY_BYTES] ^= 1;
    case_check_bytes(c, b, after);
    mem_free(after);
}

bool case_damage(Case *c, int output, Damage damage) {
    Buffer *b = &c->buffers[output];
    int64_t last = 0;
    if (!b->values) return false;
    if (damage == DAMAGE_CANARY) {
        spoil_canary(c, b);
        return true;
    }
    const double largest = largest_of(b, &last), by = fault(c, b, damage);
    if (largest < 0) return false;
    if (damage == DAMAGE_NAN) b->values[last] = NAN;
    if (damage == DAMAGE_VALUE) b->values[last] += (largest > 1e-3 ? largest : 1e-3) * by;
    for (int64_t i = 0; damage == DAMAGE_ALL && i < tensor_count(b->tensor); i++)
        b->values[i] *= 1 + by;
    return damage != DAMAGE_ALL || largest > 0;
}
