// SPDX-License-Identifier: Apache-2.0
// How the time of a step is shared out between the ops of its device.
#ifndef TACT_CLI_BENCH_OP_TIMES_H
#define TACT_CLI_BENCH_OP_TIMES_H

#include "ops/ops.h"

struct json_t;

typedef struct OpTime {
    const char *op;
    double calls, seconds; // of one step
} OpTime;

enum { MAX_OP_TIMES = 64 };

typedef struct OpTimes {
    OpTime list[MAX_OP_TIMES]; // the longest first
    int count;
} OpTimes;

typedef bool (*BenchStep)(void *user, Error *err);

// Runs `steps` steps with every op of the device timed, after one to warm up. Error: what the step
// says.
CHECKED bool op_times_measure(Device *d, BenchStep step, void *user, int64_t steps, OpTimes *out,
                              Error *err);
void op_times_print(const OpTimes *times);
struct json_t *op_times_json(const OpTimes *times); // a new reference

#endif
