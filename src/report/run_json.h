// SPDX-License-Identifier: Apache-2.0
// Private to report/: what the page has of one run.
#ifndef TACT_REPORT_RUN_JSON_H
#define TACT_REPORT_RUN_JSON_H

#include "formats/json.h"
#include "report/run_log.h"

// run: the directory, as run_find gives it. A new reference.
json_t *run_json(const char *run, const RunLog *log);

#endif
