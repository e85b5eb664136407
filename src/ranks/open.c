// SPDX-License-Identifier: Apache-2.0
// From what the environment says to connections, and a way to add.
#include "ranks/ranks_internal.h"

#include "base/log.h"
#include <stdio.h>
#include <string.h>

// Starts MPI where it started this process, unless only TCP is wanted and can do without.
CHECKED static bool open_mpi(Ranks *r, Error *err) {
    const RanksPlace *p = &r->options.place;
    const bool wanted = strcmp(r->options.backend, "mpi") == 0;
    int rank = 0, count = 0;
    if (wanted && !p->mpi)
        return fail(err,
                    "--dist.backend=mpi: the processes were not started by MPI (%s); start "
                    "them with mpirun",
                    p->from);
    if (!p->mpi || (strcmp(r->options.backend, "tcp") == 0 && p->master[0])) return true;
    Error why;
    if (!mpi_module_load(p->starter == STARTED_MPICH ? MPI_MPICH : MPI_OPENMPI, &r->mpi, &why)) {
        if (wanted || !p->master[0])
            return fail(err, "%.700s; or set MASTER_ADDR and MASTER_PORT to go without MPI",
                        why.text);
        if (p->rank == 0) log_info("gradients go by TCP: %s", why.text);
        return true;
    }
    if (!r->mpi->open(&rank, &count, err)) {
        r->mpi = NULL;
        return false;
    }
    if (rank == p->rank && count == p->count) return true;
    return fail(err,
                "MPI says this is process %d of %d, but the environment has %s; is the "
                "program that started it of the same MPI as %s?",
                rank, count, p->from, r->mpi->library);
}

CHECKED static bool open_sums(Ranks *r, Error *err) {
    int next, previous;
    if (r->mpi && strcmp(r->options.backend, "tcp") != 0) {
        snprintf(r->way, sizeof r->way, "MPI (%s)", r->mpi->library);
        return r->mpi->sums_open(&r->sums, err);
    }
    snprintf(r->way, sizeof r->way, "TCP");
    return meet_neighbours(&r->meeting, r->options.timeout_s, &next, &previous, err) &&
           ring_open(r->rank, r->count, next, previous, &r->sums, err);
}

bool ranks_meet(Ranks *r, Error *err) {
    return open_mpi(r, err) &&
           meet(&r->options.place, r->mpi, r->options.timeout_s, &r->meeting, err) &&
           open_sums(r, err);
}
