// SPDX-License-Identifier: Apache-2.0
#include "train/run_data.h"

#include "base/log.h"
#include "train/policy_from_dataset.h"
#include <limits.h>
#include <stdlib.h>

bool run_data_open(RunData *data, TrainConfig *config, Error *err) {
    const DatasetOptions options = dataset_options_of(config, true);
    if (!dataset_open(&options, &data->dataset, err) ||
        !policy_from_dataset(&config->policy, data->dataset, err))
        return false;
    policy_warn_unused(data->dataset);
    char found[PATH_MAX];
    if (realpath(data->dataset->root, found))
        config->dataset.found = arena_strdup(&config->arena, found);
    return true;
}

// Says which episodes are held out, of all there are.
static void log_held_out(const RunData *data, const uint8_t *held_out) {
    const Dataset *ds = data->dataset;
    int64_t n = 0, *episodes = NEW(int64_t, ds->n_episodes);
    char list[400];
    bool cut;
    for (int64_t e = 0; e < ds->n_episodes; e++)
        if (held_out[e]) episodes[n++] = ds->episodes[e].index;
    dataset_episodes_text(episodes, n, list, sizeof list, &cut);
    log_info("held out from training: %lld of %lld episodes (%lld frames): %s%s", (long long)n,
             (long long)ds->n_episodes, (long long)data->n_eval, list, cut ? " and more" : "");
    mem_free(episodes);
}

bool run_data_split(RunData *data, const TrainConfig *c, Error *err) {
    const Dataset *ds = data->dataset;
    uint8_t *held_out = NEW(uint8_t, ds->n_episodes);
    if (c->dataset.eval_split > 0) dataset_split(ds, c->dataset.eval_split, held_out);
    int64_t held_rows = 0;
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        data->train_episodes += !held_out[e];
        held_rows += held_out[e] ? ds->episodes[e].length : 0;
    }
    data->train_rows = NEW(int64_t, ds->rows - held_rows);
    data->eval_rows = NEW(int64_t, held_rows);
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        int64_t *rows = held_out[e] ? data->eval_rows : data->train_rows;
        int64_t *n = held_out[e] ? &data->n_eval : &data->n_train;
        for (int64_t k = 0; k < ds->episodes[e].length; k++)
            rows[(*n)++] = ds->episodes[e].first_row + k;
    }
    if (data->n_eval) log_held_out(data, held_out);
    mem_free(held_out);
    if (c->dataset.eval_split > 0 && data->n_eval == 0)
        return fail(
            err,
            "--dataset.eval_split=%g: no task has two episodes, and none is held out whole, "
            "so there is nothing to hold out of the %lld; leave it out, or evaluate on other "
            "episodes with `tact eval`",
            c->dataset.eval_split, (long long)ds->n_episodes);
    // The model is planned for one batch size, so partial batches are left out.
    const int64_t samples = train_step_samples(c);
    if (data->n_train < samples)
        return fail(err,
                    "--batch_size=%d%s: a step of %lld samples is more than the %lld frames there "
                    "are to train on; lower it",
                    c->batch_size,
                    c->gradient_accumulation_steps > 1 ? " and --gradient_accumulation_steps" : "",
                    (long long)samples, (long long)data->n_train);
    return true;
}

void run_data_close(RunData *data) {
    mem_free(data->train_rows);
    mem_free(data->eval_rows);
    dataset_close(data->dataset);
}
