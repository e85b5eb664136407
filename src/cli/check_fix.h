// SPDX-License-Identifier: Apache-2.0
// `tact check --fix=DIR`: a copy of a dataset with what can be mended without guessing.
#ifndef TACT_CLI_CHECK_FIX_H
#define TACT_CLI_CHECK_FIX_H

#include "check/check.h"

// Writes the copy and says on stderr, a line each, what was changed: tables, counts, file numbers,
// sizes and statistics are written anew; timestamps by frame, where the videos agree; frames that
// `report` found upside down are turned; episodes that cannot be read are left out.
// `open` is how ds was opened (NULL: it could not be, which is an error here).
CHECKED bool check_fix(const DatasetOptions *open, const Dataset *ds, const CheckReport *report,
                       const char *root, Error *err);

#endif
