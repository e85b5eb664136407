// SPDX-License-Identifier: Apache-2.0
// The variables are those of PyTorch's torchrun, Open MPI's mpirun, MPICH's Hydra and Slurm's srun,
// as their manuals give them.
#include "ranks/place.h"

#include "base/text.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PROCESSES = 65536, TORCH_PORT = 29500, FIRST_PORT = 20000, PORT_RANGE = 20000 };

static const char *variable(const char *name) {
    const char *value = name ? getenv(name) : NULL;
    return value && value[0] ? value : NULL;
}

// The number in a variable, or `otherwise` where it is not set.
CHECKED static bool number_of(const char *name, int least, int otherwise, int *out, Error *err) {
    const char *value = variable(name);
    char *end = NULL;
    *out = otherwise;
    if (!value) return true;
    long n = strtol(value, &end, 10);
    if (*end || isspace((unsigned char)value[0]) || n < least || n > MOST_PROCESSES)
        return fail(err,
                    "the environment has %s=%.40s, which is no number of processes; unset it, or "
                    "start the processes with torchrun, mpirun or srun",
                    name, value);
    *out = (int)n;
    return true;
}

// One way in which the environment may say it. NULL: this way has no such variable.
typedef struct Source {
    RanksStarter starter;
    const char *rank, *count, *local_rank, *local_count;
} Source;

static const Source torchrun = {STARTED_TORCHRUN, "RANK", "WORLD_SIZE", "LOCAL_RANK",
                                "LOCAL_WORLD_SIZE"};
static const Source openmpi = {STARTED_OPENMPI, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE",
                               "OMPI_COMM_WORLD_LOCAL_RANK", "OMPI_COMM_WORLD_LOCAL_SIZE"};
static const Source mpich = {STARTED_MPICH, "PMI_RANK", "PMI_SIZE", "MPI_LOCALRANKID",
                             "MPI_LOCALNRANKS"};
static const Source slurm = {STARTED_SLURM, "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID",
                             NULL};

// What one source says; starter STARTED_ALONE where it says nothing.
CHECKED static bool read_source(const Source *s, RanksPlace *p, Error *err) {
    *p = (RanksPlace){.count = 1, .local_rank = -1};
    bool has_rank = variable(s->rank), has_count = variable(s->count);
    if (!has_rank && !has_count) return true;
    // A script of Slurm's has a number of its own, and is no step of several.
    if (s->starter == STARTED_SLURM && !has_count) return true;
    if (!has_rank || !has_count)
        return fail(err,
                    "the environment has %s and no %s, so it is not known how many processes there "
                    "are; set both, or unset it",
                    has_rank ? s->rank : s->count, has_rank ? s->count : s->rank);
    if (!number_of(s->rank, 0, 0, &p->rank, err) || !number_of(s->count, 1, 1, &p->count, err) ||
        !number_of(s->local_rank, 0, -1, &p->local_rank, err) ||
        !number_of(s->local_count, 1, 0, &p->local_count, err))
        return false;
    if (p->rank >= p->count)
        return fail(err, "the environment has %s=%d and %s=%d: ranks count from 0", s->rank,
                    p->rank, s->count, p->count);
    p->starter = s->starter;
    snprintf(p->from, sizeof p->from, "%s=%d, %s=%d", s->rank, p->rank, s->count, p->count);
    return true;
}

// Two sources that both say something have to say the same.
CHECKED static bool agree(const RanksPlace *a, const RanksPlace *b, Error *err) {
    if (a->starter == STARTED_ALONE || b->starter == STARTED_ALONE) return true;
    if (a->rank == b->rank && a->count == b->count) return true;
    return fail(err,
                "the environment says two things: %s, but %s; unset those that do not come from "
                "what started this process",
                a->from, b->from);
}

// The first host of Slurm's "node[03-05,9]-ib,login": "node03-ib".
static void first_host(const char *list, char *out, size_t size) {
    size_t n = 0;
    while (*list && *list != ',' && n + 1 < size) {
        if (*list != '[') {
            out[n++] = *list++;
            continue;
        }
        for (list++; isdigit((unsigned char)*list) && n + 1 < size; list++) out[n++] = *list;
        list += strcspn(list, "]");
        list += *list == ']';
    }
    out[n] = 0;
}

// A port that all processes of a run arrive at, and other runs mostly do not.
static int port_of_key(const char *key) {
    unsigned h = 5381;
    for (; *key; key++) h = h * 33 + (unsigned char)*key;
    return FIRST_PORT + (int)(h % (PORT_RANGE / RANKS_PORTS)) * RANKS_PORTS;
}

// MASTER_ADDR and MASTER_PORT; torchrun itself listens at that port, which it says.
CHECKED static bool find_master(RanksPlace *p, Error *err) {
    const char *host = variable("MASTER_ADDR"), *port = variable("MASTER_PORT");
    const char *store = variable("TORCHELASTIC_USE_AGENT_STORE"), *run = NULL;
    char *end = NULL;
    if (!host) return true;
    long n = port ? strtol(port, &end, 10) : TORCH_PORT;
    if ((end && *end) || n < 1 || n > 65534)
        return fail(err, "the environment has MASTER_PORT=%.40s, which is no port to use", port);
    if (strlen(host) >= sizeof p->master)
        return fail(err, "the environment's MASTER_ADDR is too long for a host's name");
    snprintf(p->master, sizeof p->master, "%s", host);
    p->port = (int)n + (store && strcmp(store, "True") == 0);
    run = variable("TORCHELASTIC_RUN_ID");
    const char *again = variable("TORCHELASTIC_RESTART_COUNT");
    if (p->starter == STARTED_TORCHRUN)
        // Not the host: process 0 may call itself localhost.
        snprintf(p->key, sizeof p->key, "%ld/%.40s/%.10s", n, run ? run : "", again ? again : "");
    return true;
}

// Without a word about process 0: Slurm's list of hosts has it first, and processes on one host
// find each other there.
static void guess_master(RanksPlace *p) {
    const char *job = variable("SLURM_JOB_ID"), *step = variable("SLURM_STEP_ID");
    const char *hosts = variable("SLURM_STEP_NODELIST"), *space = variable("PMIX_NAMESPACE");
    if (p->starter == STARTED_SLURM && hosts && job) {
        snprintf(p->key, sizeof p->key, "slurm %.40s.%.20s", job, step ? step : "");
        if (!p->master[0]) first_host(hosts, p->master, sizeof p->master);
    } else if (space) {
        snprintf(p->key, sizeof p->key, "pmix %.100s", space);
        if (!p->master[0] && p->local_count == p->count)
            snprintf(p->master, sizeof p->master, "localhost");
    }
    if (p->master[0] && !p->port) p->port = port_of_key(p->key);
}

bool ranks_place(RanksPlace *out, Error *err) {
    RanksPlace torch, ompi, hydra, step;
    *out = (RanksPlace){.count = 1, .local_rank = -1};
    if (!read_source(&torchrun, &torch, err) || !read_source(&openmpi, &ompi, err) ||
        !read_source(&mpich, &hydra, err) || !read_source(&slurm, &step, err))
        return false;
    // Open MPI sets what MPICH would read too; and its daemons are steps of Slurm's, as are
    // torchrun's.
    const RanksPlace *mpi = ompi.starter != STARTED_ALONE ? &ompi : &hydra;
    if (!agree(&torch, mpi, err)) return false;
    const bool elastic = variable("TORCHELASTIC_RUN_ID") || mpi->starter != STARTED_ALONE;
    if (!elastic && !agree(&torch, &step, err)) return false;
    if (mpi->starter != STARTED_ALONE)
        *out = *mpi;
    else
        *out = torch.starter != STARTED_ALONE ? torch : step;
    if (out->count == 1) {
        *out = (RanksPlace){.count = 1, .local_rank = -1};
        return true;
    }
    out->mpi =
        mpi->starter != STARTED_ALONE || (out->starter == STARTED_SLURM && variable("PMIX_RANK"));
    if (!find_master(out, err)) return false;
    guess_master(out);
    if (!out->mpi && !out->master[0])
        return fail(err,
                    "the environment says %s, but not where process 0 is; set MASTER_ADDR (its "
                    "host) and MASTER_PORT, as torchrun does",
                    out->from);
    return true;
}
