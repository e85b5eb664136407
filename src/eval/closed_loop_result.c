// SPDX-License-Identifier: Apache-2.0
// The result of a closed-loop evaluation as text and as JSON.
#include "eval/closed_loop.h"

#include "base/memory.h"
#include "env/env.h"
#include "eval/describe.h"
#include "policy/policy_config.h"
#include "policy/policy_locate.h"
#include <math.h>

void wilson_interval(int64_t successes, int64_t n, double *low, double *high) {
    const double z = 1.959963984540054;
    double p = (double)successes / (double)n, z2 = z * z / (double)n;
    double centre = (p + z2 / 2) / (1 + z2);
    double half = z / (1 + z2) * sqrt(p * (1 - p) / (double)n + z2 / (4 * (double)n));
    *low = successes > 0 ? centre - half : 0; // exactly, not but for rounding
    *high = successes < n ? centre + half : 1;
}

void closed_loop_free(ClosedLoopResult *r) {
    for (int64_t i = 0; i < r->count; i++) mem_free(r->episodes[i].moves);
    mem_free(r->episodes);
    *r = (ClosedLoopResult){0};
}

json_t *closed_loop_to_json(const ClosedLoopResult *r) {
    json_t *episodes = json_array();
    for (int64_t i = 0; i < r->count; i++) {
        const ClosedLoopEpisode *e = &r->episodes[i];
        json_t *one = json_pack("{s:I, s:b, s:s, s:i}", "seed", (json_int_t)e->seed, "success",
                                e->success, "outcome", e->outcome, "steps", e->steps);
        if (e->video[0]) json_object_set_new(one, "video", json_bytes(e->video));
        json_array_append_new(episodes, one);
    }
    // pc_success is LeRobot's name and unit.
    return json_pack("{s:s, s:I, s:I, s:f, s:[f, f], s:f, s:o, s:o}", "env_type", r->env_type,
                     "n_episodes", (json_int_t)r->count, "successes", (json_int_t)r->succeeded,
                     "pc_success", 100.0 * (double)r->succeeded / (double)r->count, "pc_success_95",
                     100 * r->low, 100 * r->high, "mean_steps", r->mean_steps, "seam",
                     seam_to_json(&r->seam), "episodes", episodes);
}

bool closed_loop_describe(const ClosedLoopOptions *o, json_t *out, Error *err) {
    char dir[POLICY_PATH];
    const EnvSpec *spec;
    TrainConfig config;
    train_config_default(&config);
    bool ok = env_find(o->env_type, &spec, err) && policy_resolve(o->policy_path, dir, err) &&
              policy_read_config(dir, false, &config, err);
    if (ok) {
        const PolicyConfig *p = &config.policy;
        bool given = o->temporal_ensemble_coeff != CONFIG_NULL_NUMBER;
        // A number of actions that is given puts off the checkpoint's ensemble.
        double coeff = given                   ? o->temporal_ensemble_coeff
                       : o->n_action_steps > 0 ? CONFIG_NULL_NUMBER
                                               : p->temporal_ensemble_coeff;
        json_object_set_new(out, "version", json_integer(1));
        json_object_set_new(out, "kind", json_string("closed_loop"));
        json_object_set_new(out, "tact", json_string(TACT_VERSION));
        json_object_set_new(out, "fps", json_real(spec->fps));
        json_object_set_new(out, "policy", describe_policy(dir, policy_step(dir), p));
        json_object_set_new(out, "n_action_steps",
                            json_integer(o->n_action_steps > 0 ? o->n_action_steps
                                         : given               ? 1
                                                               : p->n_action_steps));
        json_object_set_new(out, "temporal_ensemble_coeff",
                            coeff != CONFIG_NULL_NUMBER ? json_real(coeff) : json_null());
        json_object_set_new(out, "max_action_prefix",
                            json_integer(o->inference_delay < 0     ? 0
                                         : o->max_action_prefix < 0 ? p->max_action_prefix
                                                                    : o->max_action_prefix));
        json_object_set_new(out, "inference_delay_s",
                            o->inference_delay >= 0 ? json_real(o->inference_delay) : json_null());
    }
    train_config_free(&config);
    return ok;
}

void closed_loop_print(const ClosedLoopResult *r, FILE *out) {
    fprintf(out,
            "%s: %lld of %lld episodes succeeded, %.1f %% (95 %%: %.1f to %.1f), %.1f steps on "
            "average\n",
            r->env_type, (long long)r->succeeded, (long long)r->count,
            100.0 * (double)r->succeeded / (double)r->count, 100 * r->low, 100 * r->high,
            r->mean_steps);
    seam_print(&r->seam, out);
    for (int64_t i = 0; i < r->count; i++)
        if (!r->episodes[i].success)
            fprintf(out, "  seed %llu: %s after %d steps\n",
                    (unsigned long long)r->episodes[i].seed, r->episodes[i].outcome,
                    r->episodes[i].steps);
}
