// SPDX-License-Identifier: Apache-2.0
#include "base/module.h"
#include "ranks/mpi.h"

static Module modules[] = {
    [MPI_OPENMPI] =
        {
            .name = "tact_mpi_openmpi",
            .what = "a training of several processes by Open MPI",
            .built = "Open MPI (libopenmpi-dev)",
            .needs = {{"libmpi", "libopenmpi3"}, {"libopen", "libopenmpi3"}},
        },
    [MPI_MPICH] =
        {
            .name = "tact_mpi_mpich",
            .what = "a training of several processes by MPICH",
            .built = "MPICH (libmpich-dev)",
            .needs = {{"libmpi", "libmpich12"}},
        },
};

bool mpi_module_load(MpiFlavor flavor, const MpiModule **out, Error *err) {
    if (!module_load(&modules[flavor], err)) return false;
    *out = module_table(&modules[flavor]);
    return true;
}
