// SPDX-License-Identifier: Apache-2.0
// Private to ops/cpu: the levels that it is compiled for (level.h), lowest first.
#ifndef TACT_OPS_CPU_BACKEND_H
#define TACT_OPS_CPU_BACKEND_H

#include "ops/ops.h"

#ifdef __x86_64__
#define CPU_LEVELS(LEVEL) LEVEL(v2) LEVEL(v3) LEVEL(v4)
#else
#define CPU_LEVELS(LEVEL) LEVEL(base)
#endif

// What is outside of the levels calls of each: Backend.open, image_bf16.c's ops, and the names
// of conv.c's ways.
#define CPU_LEVEL_FUNCTIONS(level)                                                                 \
    CHECKED bool cpu_open_##level(Device *d, const char *argument, Error *err);                    \
    void cpu_bf16_image_ops_##level(Device *d);                                                    \
    void cpu_conv_ways_##level(const Conv *c, char *out, size_t room);
CPU_LEVELS(CPU_LEVEL_FUNCTIONS)
#undef CPU_LEVEL_FUNCTIONS

// For people: what does a convolution's forward, backward data and backward weights.
void cpu_conv_name(const Conv *c, char *out, size_t room);
// For tests: gives a cpu device the ops on images at bfloat16, which need no instructions for it.
void cpu_images_in_bfloat16(Device *d);

#endif
