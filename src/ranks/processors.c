// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "ranks/ranks_internal.h"
#include <sched.h>
#include <string.h>

// mpirun and srun may give every process processors of its own, or all of them to all.
bool ranks_processors(Ranks *r, int *out, Error *err) {
    cpu_set_t own, *all = NEW(cpu_set_t, ranks_count(r));
    CPU_ZERO(&own);
    if (sched_getaffinity(0, sizeof own, &own) != 0) CPU_SET(0, &own);
    bool ok = ranks_gather(r, &own, sizeof own, all, err);
    int sharing = 0;
    for (int i = 0; ok && i < ranks_count(r); i++) {
        cpu_set_t both;
        CPU_AND(&both, &own, &all[i]);
        bool here =
            !r || strcmp(r->meeting.members[i].machine, r->meeting.members[r->rank].machine) == 0;
        sharing += here && CPU_COUNT(&both) > 0;
    }
    mem_free(all);
    *out = sharing ? CPU_COUNT(&own) / sharing : 1;
    if (*out < 1) *out = 1;
    return ok;
}
