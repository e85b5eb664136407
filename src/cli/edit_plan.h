// SPDX-License-Identifier: Apache-2.0
// From the flags of `tact edit` to the episodes of new datasets.
#ifndef TACT_CLI_EDIT_PLAN_H
#define TACT_CLI_EDIT_PLAN_H

#include "base/memory.h"
#include "edit/edit.h"

// The flags, as they were given; NULL where not.
typedef struct EditFlags {
    const char *root, *drop, *keep, *trim, *splits, *rename_map, *remove_features;
    bool dry_run;
} EditFlags;

// A dataset that is to be written.
typedef struct EditTarget {
    const char *name; // of its split; NULL: there is one, at --root itself
    EditPiece *pieces;
    int64_t n_pieces, room;
} EditTarget;

typedef struct EditPlan {
    Arena arena; // owns all below but the datasets
    Dataset **sources;
    int n_sources;
    EditPiece *pieces; // of all targets, in the order of the sources
    int64_t n_pieces;
    int64_t left_out, trimmed, trimmed_rows; // episodes, episodes, rows
    EditTarget *targets;
    int n_targets;
    const char **removed;
    int n_removed;
} EditPlan;

// Opens the datasets of those names (folders, or names on the Hub) and makes the plan.
CHECKED bool edit_plan_make(const EditFlags *f, const char *const *names, int n, EditPlan *out,
                            Error *err);
void edit_plan_free(EditPlan *plan); // a zeroed one is allowed

// edit_splits.c: makes the targets of the pieces.
CHECKED bool edit_plan_split(const char *splits, EditPlan *plan, Error *err);

#endif
