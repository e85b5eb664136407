// SPDX-License-Identifier: Apache-2.0
// The three benches of tact bench, which lie in bench/. Each measures, prints its figures to stdout
// and frees what it made; a bench of its own flags (the loader) is a command of its own.
#ifndef TACT_CLI_BENCH_H
#define TACT_CLI_BENCH_H

#include "cli/page.h"
#include "config/config.h"

// What the flags of tact bench ask for, beside the settings of a training.
typedef struct BenchOptions {
    int64_t steps;     // to time
    int64_t cameras;   // of the synthetic policy
    const char *image; // their size, HEIGHTxWIDTH, or one size a camera with commas between them
    bool infer, ops, json;
} BenchOptions;

// bench/training.c: the time of a training step on a synthetic batch, beside what the machine can
// do. The synthetic policy is written into config. Error: wrong sizes, no such device, no memory, a
// failed op, or a loss that is not finite.
CHECKED bool bench_training(TrainConfig *config, const BenchOptions *options, Error *err);

// bench/inference.c: the latency of a policy on synthetic frames, through include/tact.h: of
// config->policy.path, or of one with random weights and the configuration's shapes (then written
// into config). Error: wrong sizes, or what opening the policy, a step or the device says.
CHECKED bool bench_inference(TrainConfig *config, const BenchOptions *options, Error *err);

// bench/loader.c: `tact bench --loader`: whether the arguments ask for it, and the command itself
// (argv and the exit code are those of cmd_bench).
bool bench_loader_wanted(int argc, char **argv);
void describe_bench_loader(const PageWriter *w);
int bench_loader(int argc, char **argv);

#endif
