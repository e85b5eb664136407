// SPDX-License-Identifier: Apache-2.0
// tact info DATASET --stats: the statistics that a training would use.
#include "base/memory.h"
#include "cli/cli.h"
#include "cli/info.h"
#include "formats/json.h"
#include "train/policy_from_dataset.h"
#include "train/statistics.h"

static void set_vector_stats(json_t *object, const char *name, const Stats *s) {
    if (s->dim > 0) {
        json_t *values = json_object();
        const double *const columns[] = {s->min, s->max, s->mean, s->std};
        static const char *const names[] = {"min", "max", "mean", "std"};
        for (int i = 0; i < 4; i++)
            json_object_set_new(values, names[i], cli_numbers_json(columns[i], s->dim));
        json_object_set_new(object, name, values);
    }
}

static void set_image_stats(json_t *object, const PolicyConfig *p, const ImageStats *stats) {
    for (int i = 0; i < p->n_cameras; i++) {
        const float *m = stats[i].mean, *s = stats[i].std;
        json_object_set_new_nocheck(object, p->cameras[i].name,
                                    json_pack("{s:[f,f,f], s:[f,f,f]}", "mean", (double)m[0],
                                              (double)m[1], (double)m[2], "std", (double)s[0],
                                              (double)s[1], (double)s[2]));
    }
}

// The rows a training draws from: all but those of the held-out episodes.
static int64_t *training_rows(const Dataset *ds, double eval_split, int64_t *count) {
    int64_t *rows = NEW(int64_t, ds->rows);
    uint8_t *held_out = NEW(uint8_t, ds->n_episodes);
    *count = 0;
    if (eval_split > 0) dataset_split(ds, eval_split, held_out);
    for (int64_t e = 0; e < ds->n_episodes; e++)
        for (int64_t k = 0; !held_out[e] && k < ds->episodes[e].length; k++)
            rows[(*count)++] = ds->episodes[e].first_row + k;
    mem_free(held_out);
    return rows;
}

bool info_print_stats(const Dataset *ds, TrainConfig *c, Error *err) {
    const PolicyConfig *p = &c->policy;
    PolicyStats stats = {0};
    json_t *object = json_object();
    bool ok = false;
    int64_t n_rows, samples = c->num_stat_samples;
    int64_t *rows = training_rows(ds, c->dataset.eval_split, &n_rows);
    const StatsRows from = {rows, n_rows, samples, (uint64_t)c->seed};
    if (!policy_from_dataset(&c->policy, ds, err) ||
        !policy_image_stats(p, ds, c->dataset.use_imagenet_stats, &stats, err) ||
        !policy_vector_stats(p, ds, from, &stats, err))
        goto done;
    set_vector_stats(object, "state", &stats.state);
    set_vector_stats(object, "env", &stats.env);
    set_vector_stats(object, "action", &stats.action);
    set_image_stats(object, p, stats.images);
    bool drawn = p->arms > 0 && samples > 0 && samples < n_rows;
    json_object_set_new(object, "samples",
                        json_integer(drawn         ? samples
                                     : p->arms > 0 ? n_rows
                                                   : stats.action.count));
    cli_print_json(object, 0);
    ok = true;
done:
    policy_stats_free(&stats);
    json_decref(object);
    mem_free(rows);
    return ok;
}
