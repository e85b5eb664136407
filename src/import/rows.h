// SPDX-License-Identifier: Apache-2.0
// Private to import/: the rows of an episode as a plan has them.
#ifndef TACT_IMPORT_ROWS_H
#define TACT_IMPORT_ROWS_H

#include "import/begun.h"
#include "import/plan.h"

typedef struct Rows {
    Arena arena; // owns the arrays
    int n;       // observation.state and observation.environment_state where there are any, action,
                 // the vectors of their own: the order in which the writer wants them
    const PlanVector **vectors; // (n)
    const double **values;      // (n) of (length, dim)
} Rows;

// Reads an episode. What the source's vectors hold is added to a digest; NULL: none. Fails as
// ImportForm.vector does. One thread at a time; after a failure there is nothing to free.
CHECKED bool rows_read(const Plan *plan, ImportSource *source, const PlanEpisode *episode,
                       Digest *digest, Rows *out, Error *err);
void rows_free(Rows *rows);

#endif
