// SPDX-License-Identifier: Apache-2.0
// A policy of one observation and plain ACT, made of each other where both compute the same.
#include "policy/convert.h"

#include "../train/saved.h"

static void set_times(Params *p, float value) {
    const Param *q = params_find(p, "temporal_pos_embed.weight");
    float *row = NEW(float, q->count);
    for (int64_t i = 0; i < q->count; i++) row[i] = value * (float)(i + 1);
    param_set(p, q, row);
    mem_free(row);
}

static Policy one_observation(Saved *f, const char *times, int cameras) {
    Error err;
    Policy p = {.config = f->config};
    PolicyConfig *c = &p.config.policy;
    c->obs_state_horizon = 1;
    c->temporal_pos_embed = times;
    c->n_cameras = cameras;
    c->cameras[0] = (CameraConfig){"observation.images.cam", 64, 64, 64, 64, 0, 0};
    OK(params_init(&p.params, f->device, c, false, &err));
    params_initialize(&p.params, 3);
    return p;
}

static void one_timestep_folds_into_plain_act(void **state) {
    Saved *f = *state;
    Error err;
    PolicyConfig config;
    Params out;
    Policy p = one_observation(f, "state", 0);
    set_times(&p.params, 0.5f);
    OK(policy_convert(&p, true, &config, &out, &err));
    assert_string_equal(config.temporal_pos_embed, "none");
    assert_null(params_find(&out, "temporal_pos_embed.weight"));
    const char *table = "model.encoder_1d_feature_pos_embed.weight";
    float before[48], after[48];
    param_get(&p.params, params_find(&p.params, table), before);
    param_get(&out, params_find(&out, table), after);
    for (int i = 0; i < 48; i++)
        assert_true(after[i] == before[i] + (i >= 16 && i < 32 ? 0.5f * (float)(i - 15) : 0));
    params_free(&out);
    // Converted back, the temporal embedding is zero.
    Policy plain = one_observation(f, "none", 0);
    OK(policy_convert(&plain, false, &config, &out, &err));
    const Param *q = params_find(&out, "temporal_pos_embed.weight");
    assert_non_null(q);
    float row[16];
    param_get(&out, q, row);
    for (int i = 0; i < 16; i++) assert_true(row[i] == 0);
    params_free(&out);
    params_free(&plain.params);
    params_free(&p.params);
}

// A table that is there stays on the tokens it was trained for, and the policy as it is.
static void a_table_is_not_spread_to_other_tokens(void **state) {
    Saved *f = *state;
    Error err;
    PolicyConfig config;
    Params out;
    Policy p = one_observation(f, "state", 1);
    set_times(&p.params, 0.5f);
    OK(policy_convert(&p, false, &config, &out, &err));
    assert_string_equal(config.temporal_pos_embed, "state");
    float row[16];
    param_get(&out, params_find(&out, "temporal_pos_embed.weight"), row);
    for (int i = 0; i < 16; i++) assert_true(row[i] == 0.5f * (float)(i + 1));
    params_free(&out);
    params_free(&p.params);
}

static void what_has_no_equal_is_refused(void **state) {
    Saved *f = *state;
    Error err;
    PolicyConfig config;
    Params out;
    Policy p = one_observation(f, "all", 1);
    OK(policy_convert(&p, true, &config, &out, &err)); // zero: nothing to fold
    params_free(&out);
    set_times(&p.params, 1);
    assert_false(policy_convert(&p, true, &config, &out, &err));
    assert_says(&err, "image tokens", "temporal_pos_embed=state");
    p.config.policy.action_down_sample_steps = 3;
    assert_false(policy_convert(&p, true, &config, &out, &err));
    assert_says(&err, "its actions are 3 frames apart", "one a frame");
    params_free(&p.params);
    p = (Policy){.config = f->config, .params = f->params};
    assert_false(policy_convert(&p, true, &config, &out, &err));
    assert_says(&err, "2 observations", "");
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, saved_new, saved_free)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(one_timestep_folds_into_plain_act),
        CASE(a_table_is_not_spread_to_other_tokens),
        CASE(what_has_no_equal_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
