// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "cli/cli.h"
#include "config/fields.h"

bool cli_name_dataset(TrainConfig *c, const char *name, Error *err) {
    bool directory = dir_exists(name);
    // What looks like a path is not the name of a dataset, even where nothing lies there.
    if (!directory && (*name == '/' || *name == '.'))
        return fail(err, "%s: no such directory", name);
    return field_set(c, field_find(directory ? "dataset.root" : "dataset.repo_id"), name, err);
}
