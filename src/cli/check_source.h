// SPDX-License-Identifier: Apache-2.0
// Sources of `tact import` for `tact check`: rows and frames as a dataset of them would have.
#ifndef TACT_CLI_CHECK_SOURCE_H
#define TACT_CLI_CHECK_SOURCE_H

#include "check/check.h"
#include "cli/source.h"
#include "config/config.h"

typedef struct CheckedSource {
    ImportSource *import;
    CheckSource about; // for CheckReport.source
    Arena arena;
} CheckedSource;

// Whether a path is such a source, or looks like one that cannot be read here.
bool check_source_is_one(const char *path);
// Opens it with --fps, --action and --colors of `flags` and the chosen episodes (values NULL: all).
// What cannot be read is a finding (unreadable) of the episode or, with *ds NULL, of the whole.
// Fails for flags that cannot be.
CHECKED bool check_source_open(const char *path, const ImportFlags *flags, const IntList *episodes,
                               CheckReport *report, CheckedSource *out, Dataset **ds, Error *err);
void check_source_close(CheckedSource *source); // a zeroed struct is allowed; behind the report's

#endif
