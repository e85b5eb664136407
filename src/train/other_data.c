// SPDX-License-Identifier: Apache-2.0
// A run that goes on from a checkpoint may do so with data of another rate or from another place.
// That is allowed, but it is often a mistake.
#include "train/run_data.h"

#include "base/file.h"
#include "base/log.h"
#include "formats/json.h"
#include "train/settings.h"
#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void warn_of_other_rate(const Dataset *ds, const json_t *tact) {
    double trained = json_number_value(json_object_get(tact, "fps"));
    if (trained > 0 && fabs(trained - ds->fps) > 1e-3 * trained)
        log_warn("%s: %g frames a second, but the policy was trained at %g; its actions are spaced "
                 "differently",
                 ds->root, ds->fps, trained);
}

// Whether a dataset is not the one of before: told by its place, if that one is still there, or
// else by its name.
static bool is_other_dataset(const Dataset *ds, const char *root, const char *repo_id) {
    char a[PATH_MAX], b[PATH_MAX];
    if (root && realpath(root, a)) return !realpath(ds->root, b) || strcmp(a, b) != 0;
    return repo_id && ds->repo_id && strcmp(repo_id, ds->repo_id) != 0;
}

static void warn_of_other_dataset(const TrainConfig *c, const Dataset *ds, const json_t *training) {
    const json_t *dataset = json_object_get(training, "dataset");
    const char *root = json_string_value(json_object_get(dataset, "root"));
    const char *repo_id = json_string_value(json_object_get(dataset, "repo_id"));
    const char *was = repo_id ? repo_id : root;
    if (!was || !is_other_dataset(ds, root, repo_id)) return;
    if (c->resume)
        log_warn("The run was trained on %s and goes on with %s, with the statistics of the first",
                 was, ds->root);
    else if (strcmp(c->policy.stats_from, "checkpoint") == 0)
        log_warn("%s: normalised with the statistics of %s, which the policy was trained on "
                 "(--policy.stats_from=checkpoint)",
                 ds->root, was);
    else
        log_info("The policy was trained on %s and goes on with %s", was, ds->root);
}

void warn_of_other_data(const TrainConfig *c, const Dataset *ds) {
    const char *dir = train_first_policy(c);
    if (!dir) return;
    json_t *tact = json_read_optional(dir, "tact.json"),
           *training = json_read_optional(dir, "train_config.json");
    warn_of_other_rate(ds, tact);
    warn_of_other_dataset(c, ds, training);
    json_decref(tact);
    json_decref(training);
}
