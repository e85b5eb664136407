// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/random_policy.h"

#include "base/file.h"
#include "base/memory.h"
#include "policy/policy_int8.h"
#include "policy/policy_locate.h"
#include "policy/policy_stats.h"
#include "policy/policy_write.h"
#include <string.h>

static Stats unit_stats(int dim) {
    Stats s = {.dim = dim,
               .min = NEW(double, dim),
               .max = NEW(double, dim),
               .mean = NEW(double, dim),
               .std = NEW(double, dim)};
    for (int i = 0; i < dim; i++) {
        s.min[i] = -1;
        s.max[i] = s.std[i] = 1;
    }
    return s;
}

// Made up: a calibration of a policy that nobody asks for sense. The numbers behind a relu are not
// negative.
CHECKED static bool write_roundings(const char *dir, const Params *p, Error *err) {
    const Int8Calibration about = {.dataset = "none", .method = "made up"};
    Rounding(*table)[PARAM_PARTS] = mem_alloc((size_t)p->count * sizeof *table);
    for (int i = 0; i < p->count; i++) {
        const char *name = p->list[i].name;
        const bool positive =
            strstr(name, "linear2") || strstr(name, "img_feat") || strstr(name, "backbone");
        for (int k = 0; k < policy_rounded_parts(&p->list[i]); k++)
            table[i][k] =
                (Rounding){.step = positive ? 4.0f / 255 : 4.0f / 127, .positive = positive};
    }
    bool ok = policy_write_int8(dir, p, (const Rounding(*)[PARAM_PARTS])table, &about, err);
    mem_free(table);
    return ok;
}

CHECKED static bool write_policy(const TrainConfig *config, const char *dir, Error *err) {
    const PolicyConfig *p = &config->policy;
    Device *d = NULL;
    Params params = {0};
    PolicyStats stats = {.state = unit_stats(p->state_dim), .action = unit_stats(p->action_dim)};
    bool ok = true;
    for (int i = 0; ok && i < p->n_cameras; i++)
        ok = policy_camera_imagenet(&stats.cameras[i], err);
    ok = ok && device_open("ref", PRECISION_FLOAT32, 1, &d, err) &&
         params_init(&params, d, p, false, err);
    if (ok) params_initialize(&params, (uint64_t)config->seed);
    ok = ok && policy_write(dir, p, &params, &stats, NULL, err) &&
         write_roundings(dir, &params, err);
    params_free(&params);
    policy_stats_free(&stats);
    device_close(d);
    return ok;
}

bool random_policy_write(const TrainConfig *config, char dir[POLICY_PATH], Error *err) {
    return make_temporary_dir(dir, POLICY_PATH, NULL, err) && write_policy(config, dir, err);
}
