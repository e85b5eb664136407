// SPDX-License-Identifier: Apache-2.0
// The report of trainings: one page of one run, or of several side by side.
#ifndef TACT_REPORT_RUNS_H
#define TACT_REPORT_RUNS_H

#include "formats/json.h"
#include "policy/policy_locate.h"
#include "report/run_log.h"

enum { RUNS_MOST = 64 };

// Describes the runs that `paths` mean (run_files.h) as the page wants them, for a page that will
// lie in the directory page_dir: videos are named relative to it, and left out where a run does not
// lie in or below it. A run that is named twice is shown once. The keys are in docs/report.md.
// *out: a new reference. A run whose log has no line yet is an error.
CHECKED bool runs_describe(const char *const *paths, int count, const char *page_dir, json_t **out,
                           Error *err);

// Where the page of these runs goes when nothing else is said: into the run, or, of several, into
// the directory that they all lie in.
CHECKED bool runs_page_dir(const char *const *paths, int count, char out[POLICY_PATH], Error *err);

// Writes the page, whole or not at all. description: of runs_describe.
CHECKED bool runs_write(const char *path, const json_t *description, Error *err);

#endif
