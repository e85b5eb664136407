// SPDX-License-Identifier: Apache-2.0
// The settings of tact_open.
#include "runtime/calls.h"

#include "base/memory.h"
#include "runtime/actions.h"
#include "runtime/handle.h"
#include "runtime/versions.h"
#include <math.h>

tact_options options_default(void) {
    return (tact_options){.size = sizeof(tact_options),
                          .temporal_ensemble_coeff = NAN,
                          .frame_cache = 1,
                          .chunk_size_threshold = 0.5,
                          .rate_check = 1,
                          .max_action_prefix = -1,
                          .workspace_min = {-INFINITY, -INFINITY, -INFINITY},
                          .workspace_max = {INFINITY, INFINITY, INFINITY},
                          .max_translation = INFINITY,
                          .max_rotation = INFINITY};
}

bool options_from_caller(const tact_options *given, tact_options *o, Error *err) {
    *o = options_default();
    return !given || struct_from_caller(o, sizeof *o, OPTIONS_LEAST, given, "tact_options", err);
}

bool options_choose_actions(tact_policy *p, const tact_options *o, Error *err) {
    const PolicyConfig *c = p->config;
    const int every = c->action_down_sample_steps, steps = policy_chunk_steps(c);
    // Every step has a prediction, and none is made for those after the chunk's last action.
    const int foreseen = steps - every + 1;
    double coeff = o->temporal_ensemble_coeff;
    // LeRobot demands both together, the first as 1.
    if (o->n_action_steps > 1 && !isnan(coeff))
        return fail(
            err,
            "n_action_steps %d: temporal_ensemble_coeff asks for a new chunk every step; leave "
            "n_action_steps out, or set it to 1",
            o->n_action_steps);
    if (o->n_action_steps < 0 || o->n_action_steps > steps)
        return fail(err, "n_action_steps %d: the policy's chunks have %d actions",
                    o->n_action_steps, steps);
    bool as_trained = isnan(coeff) && o->n_action_steps == 0;
    if (as_trained && c->temporal_ensemble_coeff != CONFIG_NULL_NUMBER)
        coeff = c->temporal_ensemble_coeff;
    p->ensembles = !isnan(coeff);
    if (p->ensembles && !ensemble_possible(foreseen, coeff))
        return fail(
            err,
            "temporal_ensemble_coeff %g: the weights exp(-coeff * i) of %d predictions are beyond "
            "all numbers; LeRobot's is 0.01",
            coeff, foreseen);
    p->n_action_steps = p->ensembles        ? 1
                        : o->n_action_steps ? o->n_action_steps
                                            : c->n_action_steps * every;
    if (p->n_action_steps < 1 || p->n_action_steps > steps)
        return fail(err, "%s: n_action_steps %d, but chunks have %d actions", p->policy->dir,
                    c->n_action_steps, c->chunk_size);
    if (o->asynchronous && p->ensembles)
        return fail(err, "asynchronous: temporal ensembling needs a prediction every step; leave "
                         "temporal_ensemble_coeff out and set n_action_steps");
    if (!(o->chunk_size_threshold >= 0 && o->chunk_size_threshold <= 1))
        return fail(err, "chunk_size_threshold %g: must be from 0 to 1", o->chunk_size_threshold);
    if (o->blend_steps < 0 || o->blend_steps > steps)
        return fail(err, "blend_steps %lld: must be from 0 to the chunk's %d actions",
                    (long long)o->blend_steps, steps);
    if (o->blend_steps && p->ensembles)
        return fail(err, "blend_steps: temporal ensembling has no borders between chunks to blend "
                         "over; leave one of the two out");
    const int most = c->max_action_prefix * every;
    if (o->max_action_prefix < -1 || o->max_action_prefix > most)
        return fail(err,
                    "max_action_prefix %lld: must be from 0 to the %d steps that the policy was "
                    "trained for, or -1 for all of them",
                    (long long)o->max_action_prefix, most);
    p->prefix.most = !o->asynchronous             ? 0
                     : o->max_action_prefix == -1 ? most
                                                  : (int)o->max_action_prefix;
    p->blend_steps = (int)o->blend_steps;
    p->worker.threshold = o->chunk_size_threshold;
    int width = c->arms ? LINEAR_ARM * c->arms : c->action_dim;
    if (!p->ensembles) return true;
    p->linear = TRY_NEW(double, (size_t)steps *(size_t)width);
    if (!p->linear) return fail_memory(err, "a chunk of %d actions", steps);
    return ensemble_init(&p->ensemble, foreseen, width, coeff, err);
}
