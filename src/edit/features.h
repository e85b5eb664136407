// SPDX-License-Identifier: Apache-2.0
// What a new dataset has of the features of the old ones. Private to src/edit.
#ifndef TACT_EDIT_FEATURES_H
#define TACT_EDIT_FEATURES_H

#include "dataset/writer.h"
#include "edit/edit.h"

typedef struct EditFeatures {
    Arena arena; // owns the arrays and texts
    // Of numbers, with their type and shape; the writer's counters are not among them.
    WriterVector *vectors;
    int n_vectors;
    const char **texts; // of strings
    int n_texts;
    WriterCamera *cameras;
    int *camera_of; // (n_cameras) position in the first source's cameras
    int n_cameras;
    json_t *json; // for info.json; a reference of its own
} EditFeatures;

// Of the first source, without those that are removed. Refused are features that cannot be
// written, and names to be removed that are not there.
CHECKED bool features_make(const EditOptions *o, EditFeatures *out, Error *err);
void features_free(EditFeatures *f); // a zeroed one is allowed

// Reads a source's info.json; the caller frees it.
CHECKED bool edit_info(const Dataset *ds, json_t **out, Error *err);
// The name that a feature of the new dataset has in the files of a source.
const char *feature_on_disk(const Dataset *ds, const char *name);
// The position of a camera of that name among a source's; -1: none.
int camera_position(const Dataset *ds, const char *name);

#endif
