// SPDX-License-Identifier: Apache-2.0
// Which of the processes of a training this one is, as what started it says in the environment.
#ifndef TACT_RANKS_PLACE_H
#define TACT_RANKS_PLACE_H

#include "base/error.h"
#include <stdbool.h>

typedef enum RanksStarter {
    STARTED_ALONE,
    STARTED_TORCHRUN, // or whoever sets RANK, WORLD_SIZE, MASTER_ADDR
    STARTED_OPENMPI,  // mpirun
    STARTED_MPICH,    // mpiexec of MPICH, Intel MPI, MVAPICH
    STARTED_SLURM,    // srun
} RanksStarter;

typedef struct RanksPlace {
    RanksStarter starter;
    int count, rank;             // of all processes; 1, 0 when alone
    int local_rank, local_count; // of those on this host; -1, 0 where nothing says so
    bool mpi;                    // this environment has what MPI needs to start
    // Where process 0 listens: a name or an address, and the first of RANKS_PORTS ports. "": no one
    // says so, and MPI has to.
    char master[256];
    int port;
    char key[128];  // what the processes of this run have in common, and no others
    char from[160]; // the variables that say all this, for messages
} RanksPlace;

enum { RANKS_PORTS = 16 };

// Reads the environment. Errors are one line that names the variables: one of a pair is missing, a
// number is none, two sources say different things, or nothing tells where process 0 is.
CHECKED bool ranks_place(RanksPlace *out, Error *err);

#endif
