// SPDX-License-Identifier: Apache-2.0
// Values as JSON has them in a report.
#ifndef TACT_REPORT_DESCRIBE_H
#define TACT_REPORT_DESCRIBE_H

#include "formats/json.h"
#include <time.h>

// All of them give a new reference.

// null for NaN and infinity, which JSON cannot write.
json_t *describe_number(double x);
// A path, or another text of a file system or a file, which need not be UTF-8 (formats/json.h); a
// page shows U+FFFD for a byte that is none.
json_t *describe_path(const char *path);
// A moment in local time, "2026-11-25T10:15:42+0100".
json_t *describe_time(time_t moment);

#endif
