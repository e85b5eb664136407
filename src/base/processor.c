// SPDX-License-Identifier: Apache-2.0
// This file is compiled for any x86-64 processor, and its first caller should be too: they have
// to run on a processor that is too old in order to say so.
#include "base/processor.h"
#include <stddef.h>

const char *processor_lacks(void) {
#ifdef TACT_PORTABLE
    __builtin_cpu_init();
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
        !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
        return "this tact is built for x86-64-v3 (AVX2 and FMA: Intel since Haswell, AMD since "
               "Zen), which this "
               "processor is not; build it from source here (scripts/build)";
#endif
    return NULL;
}
