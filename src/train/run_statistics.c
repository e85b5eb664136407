// SPDX-License-Identifier: Apache-2.0
#include "train/run_data.h"

#include "policy/policy_stats.h"
#include "train/settings.h"
#include "train/statistics.h"
#include <string.h>

CHECKED static bool find_policy_stats(PolicyStats *s, const TrainConfig *c, const RunData *data,
                                      Error *err) {
    const PolicyConfig *p = &c->policy;
    bool kept = c->resume || (p->path && strcmp(p->stats_from, "checkpoint") == 0);
    if (kept) return policy_read_stats(train_first_policy(c), NULL, p, s, err);
    const StatsRows from = {data->train_rows, data->n_train, c->num_stat_samples,
                            (uint64_t)c->seed};
    return policy_vector_stats(p, data->dataset, from, s, err) &&
           policy_image_stats(p, data->dataset, c->dataset.use_imagenet_stats, s, err);
}

bool run_statistics_find(RunStatistics *s, const TrainConfig *c, const RunData *data, Error *err) {
    return find_policy_stats(&s->policy, c, data, err) &&
           policy_normalizers(&c->policy, &s->policy, &s->state, &s->env, &s->action, err);
}

void run_statistics_free(RunStatistics *s) {
    Normalizer *norms[] = {&s->state, &s->action, &s->env};
    for (int i = 0; i < 3; i++) normalizer_free(norms[i]);
    policy_stats_free(&s->policy);
}
