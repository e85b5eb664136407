// SPDX-License-Identifier: Apache-2.0
// The table of the module tact_mpi: starting, agreeing and adding by MPI. One thread makes all
// calls (MPI_THREAD_FUNNELED, and it is the one that opened). Nothing here spins: whoever waits
// sleeps in between.
#ifndef TACT_RANKS_MPI_H
#define TACT_RANKS_MPI_H

#include "ranks/sums.h"
#include <stddef.h>

typedef struct MpiModule {
    const char *library; // what it was built with, for the log: "Open MPI 4.1.4"
    // Initialises MPI. The errors of its communicator return instead of ending the process.
    bool (*open)(int *rank, int *count, Error *err);
    // `bytes` of process 0 become everyone's. Gives up after timeout_s.
    bool (*share)(void *data, size_t bytes, double timeout_s, Error *err);
    bool (*sums_open)(Sums **out, Error *err);
    // Ends MPI in order, when all do; nothing is under way. orderly false: others may be gone, so
    // MPI is left as it is.
    void (*close)(bool orderly);
} MpiModule;

// Two MPIs do not go together in one process, so each that was there when tact was built has a
// module: tact_mpi_openmpi, tact_mpi_mpich.
typedef enum MpiFlavor { MPI_OPENMPI, MPI_MPICH } MpiFlavor;
// Loads the module. Errors say what to install.
CHECKED bool mpi_module_load(MpiFlavor flavor, const MpiModule **out, Error *err);

#endif
