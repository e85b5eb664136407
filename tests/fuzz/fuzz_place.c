// SPDX-License-Identifier: Apache-2.0
// Any lines NAME=VALUE as the environment of a process that others started beside it: refused, or a
// rank below the count and a place where process 0 is to be found.
#include "driver.h"
#include "ranks/place.h"
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {"RANK",
                                    "WORLD_SIZE",
                                    "LOCAL_RANK",
                                    "LOCAL_WORLD_SIZE",
                                    "OMPI_COMM_WORLD_RANK",
                                    "OMPI_COMM_WORLD_SIZE",
                                    "OMPI_COMM_WORLD_LOCAL_RANK",
                                    "OMPI_COMM_WORLD_LOCAL_SIZE",
                                    "PMI_RANK",
                                    "PMI_SIZE",
                                    "MPI_LOCALRANKID",
                                    "MPI_LOCALNRANKS",
                                    "SLURM_PROCID",
                                    "SLURM_STEP_NUM_TASKS",
                                    "SLURM_LOCALID",
                                    "SLURM_JOB_ID",
                                    "SLURM_STEP_ID",
                                    "SLURM_STEP_NODELIST",
                                    "PMIX_NAMESPACE",
                                    "PMIX_RANK",
                                    "MASTER_ADDR",
                                    "MASTER_PORT",
                                    "TORCHELASTIC_USE_AGENT_STORE",
                                    "TORCHELASTIC_RUN_ID",
                                    "TORCHELASTIC_RESTART_COUNT"};
enum { NAMES = sizeof names / sizeof names[0] };

static void set_variable(char *line) {
    char *value = strchr(line, '=');
    if (!value) return;
    *value++ = 0;
    for (int i = 0; i < NAMES; i++)
        if (strcmp(names[i], line) == 0) setenv(line, value, 1);
}

void fuzz_input(const uint8_t *data, size_t size) {
    char *text = malloc(size + 1), *rest;
    RanksPlace p;
    Error err = {""};
    memcpy(text, data, size);
    text[size] = 0;
    for (int i = 0; i < NAMES; i++) unsetenv(names[i]);
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        set_variable(line);
    if (fuzz_ok(ranks_place(&p, &err), &err)) {
        if (p.count < 1 || p.rank < 0 || p.rank >= p.count || p.port < 0 || p.port > 65535) abort();
        if (p.count > 1 && !p.mpi && !p.master[0]) abort();
        if (!memchr(p.master, 0, sizeof p.master) || !memchr(p.key, 0, sizeof p.key)) abort();
    }
    for (int i = 0; i < NAMES; i++) unsetenv(names[i]);
    free(text);
}
