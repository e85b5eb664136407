// SPDX-License-Identifier: Apache-2.0
// The report of trainings: one page of one run, or of several side by side.
#ifndef TACT_REPORT_RUNS_H
#define TACT_REPORT_RUNS_H

#include "formats/json.h"
#include "policy/policy_locate.h"
#include "report/run_log.h"

enum { RUNS_MOST = 64 };

// Directories of runs, none twice.
typedef struct RunList {
    int count;
    char (*dirs)[POLICY_PATH]; // (count), owned
} RunList;

// Finds the runs that `paths` mean (run_files.h). A path that is not there is an error, as is one
// that is no run and stands alone; of several, as a shell makes of "outputs/*", those that are no
// runs are left out with a warning, pages (.html) without one.
CHECKED bool runs_find(const char *const *paths, int count, RunList *out, Error *err);
void runs_free(RunList *list); // a zeroed struct is allowed

// Describes runs as the page wants them, for a page that will lie in the directory page_dir: videos
// are named relative to it, and left out where a run does not lie in or below it. The keys are in
// docs/report.md. A run whose log has no line yet is an error or, beside others, left out with a
// warning. *out: a new reference.
CHECKED bool runs_describe(const RunList *list, const char *page_dir, json_t **out, Error *err);

// Where the page of these runs goes when nothing else is said: into the run, or, of several, into
// the directory that they all lie in.
void runs_page_dir(const RunList *list, char out[POLICY_PATH]);

// Writes the page, whole or not at all. description: of runs_describe.
CHECKED bool runs_write(const char *path, const json_t *description, Error *err);

#endif
