// SPDX-License-Identifier: Apache-2.0
// The CPU as a backend: which level of our own code this processor runs. This file is compiled for
// any processor of the architecture, for it has to run on one that is too old in order to say so.
#include "ops/cpu/backend.h"

#include "base/log.h"
#include "ops/cpu/onednn.h"
#include <stdio.h>

typedef struct Level {
    const char *name; // of the processors that have it
    bool (*open)(Device *d, const char *argument, Error *err);
    void (*bf16_image_ops)(Device *d);
    void (*conv_ways)(const Conv *c, char *out, size_t room);
} Level;
#define LEVEL(name, level)                                                                         \
    { name, cpu_open_##level, cpu_bf16_image_ops_##level, cpu_conv_ways_##level }

#ifdef __x86_64__
#include <cpuid.h>

static const Level levels[] = {LEVEL("x86-64-v2", v2), LEVEL("x86-64-v3", v3),
                               LEVEL("x86-64-v4", v4)};

static bool has_v2(void) {
    return __builtin_cpu_supports("ssse3") && __builtin_cpu_supports("sse4.1") &&
           __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
}

static bool has_v3(void) {
    return has_v2() && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

static bool has_v4(void) {
    return has_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}

// The highest that the processor has and oneDNN may use: ONEDNN_MAX_CPU_ISA lowers both. NULL:
// none.
static const Level *level_here(void) {
    __builtin_cpu_init();
    if (has_v4() && onednn_may_use(dnnl_cpu_isa_avx512_core)) return &levels[2];
    if (has_v3() && onednn_may_use(dnnl_cpu_isa_avx2)) return &levels[1];
    return has_v2() ? &levels[0] : NULL;
}

// Where the processor has no bfloat16 instructions oneDNN would emulate them, and be slower than in
// float32.
static bool has_bfloat16(void) {
    return onednn_may_use(dnnl_cpu_isa_avx512_core_bf16);
}

// Intel's processors that have a matrix unit do bfloat16's dot products elsewhere at half of
// float32's rate (measured, docs/benchmarks.md). They are those with AVX-512 FP16. Of others
// nothing is known.
static bool bfloat16_is_slow(void) {
    enum { LEAF = 7, AVX512_FP16 = 1 << 23 };
    unsigned a, b, c, d;
    __builtin_cpu_init();
    return !onednn_may_use(dnnl_cpu_isa_avx512_core_amx) && __builtin_cpu_is("intel") &&
           __get_cpuid_count(LEAF, 0, &a, &b, &c, &d) && (d & AVX512_FP16);
}

// Without AVX-512 Intel's processors have dot products of 256 bits (AVX-VNNI; Core since its 12th
// generation).
static bool has_int8(void) {
    if (level_here() == &levels[2])
        return onednn_may_use(dnnl_cpu_isa_avx512_core_vnni) &&
               __builtin_cpu_supports("avx512vnni");
    return level_here() == &levels[1] && onednn_may_use(dnnl_cpu_isa_avx2_vnni);
}

#else

static const Level levels[] = {LEVEL(TACT_ARCHITECTURE, base)};

static const Level *level_here(void) {
    return &levels[0];
}

static bool has_bfloat16(void) {
    return false;
}

static bool bfloat16_is_slow(void) {
    return false;
}

static bool has_int8(void) {
    return false;
}

#endif

// What is no product of bytes is at int8 as at bfloat16 where the processor has that, which is no
// slower even where bfloat16 is (docs/benchmarks.md).
CHECKED static bool choose_types(Device *d, Error *err) {
    if (d->precision == PRECISION_BFLOAT16 && !has_bfloat16())
        return fail(err, "--policy.dtype=bfloat16: this processor has no bfloat16 instructions "
                         "(AVX-512 BF16 or AMX); use float32");
    if (d->precision == PRECISION_BFLOAT16 && bfloat16_is_slow())
        log_warn(
            "--policy.dtype=bfloat16: without its matrix unit (AMX), which a virtual machine or "
            "ONEDNN_MAX_CPU_ISA may hide, this processor is slower than in float32");
    if (d->precision != PRECISION_INT8) return true;
    if (!has_int8())
        return fail(err,
                    "--policy.dtype=int8: this processor has no dot products of 8-bit "
                    "integers (VNNI or AMX); use %s",
                    has_bfloat16() ? "bfloat16 or float32" : "float32");
    if (!has_bfloat16()) return true;
    d->activations = d->backend->activations[PRECISION_BFLOAT16];
    d->images = d->backend->images[PRECISION_BFLOAT16];
    return true;
}

static void describe(char *out, size_t room) {
    const Level *level = level_here();
    char library[32];
    onednn_describe(library, sizeof library);
    snprintf(out, room, "%s, %s", library, level ? level->name : "a processor that is too old");
}

CHECKED static bool open_at_level(Device *d, const char *argument, Error *err) {
    const Level *level = level_here();
    if (!level)
        return fail(err, "this processor is too old: tact needs x86-64-v2 (SSE4.2; Intel's since "
                         "2008, AMD's since 2011)");
    if (!choose_types(d, err)) return false;
    describe(d->description, sizeof d->description);
    return level->open(d, argument, err);
}

void cpu_images_in_bfloat16(Device *d) {
    level_here()->bf16_image_ops(d);
}

void cpu_conv_name(const Conv *c, char *out, size_t room) {
    level_here()->conv_ways(c, out, room);
}

// oneDNN, its scratch and its copies of weights: 310 to 430 MB in trainings of a ResNet-18
// (docs/benchmarks.md).
static size_t keeps(Precision precision, size_t parameters) {
    (void)precision, (void)parameters;
    return (size_t)350 << 20;
}

const Backend cpu_backend = {
    .name = "cpu",
    .precisions = PRECISION_BIT(PRECISION_FLOAT32) | PRECISION_BIT(PRECISION_BFLOAT16) |
                  PRECISION_BIT(PRECISION_INT8),
    .trains_best = PRECISION_FLOAT32,
    .activations = {[PRECISION_BFLOAT16] = DTYPE_BF16},
    .images = {[PRECISION_BFLOAT16] = DTYPE_BF16},
    .host_memory = true,
    .side_by_side = true,
    .picture_channels = 3,
    .keeps = keeps,
    .describe = describe,
    .open = open_at_level,
};
