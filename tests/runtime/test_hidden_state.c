// SPDX-License-Identifier: Apache-2.0
// The runtime with policies whose model does not see the state.
#include "fixture.h"

// Writes another policy of the scene's, whose model sees no state.
static void hide_state(Scene *s, bool relative) {
    PolicyConfig *p = &s->config.policy;
    p->use_state = false;
    p->state_dim = 0;
    if (!relative) {
        p->arms = 0;
        p->pose_repr = "none";
        p->action_dim = ACTION;
    }
    s->model = at(&s->arena, s->dir, relative ? "unseen" : "blind");
    write_policy(s);
}

// Its model does not see the pose, but the pose has to be there: chunks begin at it. A robot that
// stands somewhere else and sees the same does the same there.
static void poses_may_be_relative_to_one_that_is_not_seen(void **state) {
    Scene *s = *state;
    Reference r;
    double got[CHUNK * ACTION], want[CHUNK * ACTION], least = INFINITY;
    hide_state(s, true);
    tact_policy *p = open_policy(s, NULL);
    assert_int_equal(tact_state_size(p), ACTION);
    reference_open(&r, s);
    assert_null(r.batch.state);
    for (int64_t row = 0; row < s->ds->rows; row++) {
        if (row == dataset_episode_of(s->ds, row)->first_row) WORKS(p, tact_reset(p));
        WORKS(p, tact_observe(p, look(s, row)));
        WORKS(p, tact_predict_chunk(p, got));
        double before = row ? chunk_distance(got, want, CHUNK) : INFINITY;
        reference_chunk(&r, row, want);
        assert_within(chunk_distance(got, want, CHUNK), 0, 3e-6); // float32, sums in another order
        least = fmin(least, before);
    }
    assert_true(least > 1e-4);
    const double beside[3] = {0.5, -2, 1};
    look(s, s->ds->rows - 1);
    WORKS(p, tact_reset(p));
    WORKS(p, tact_observe(p, &s->seen));
    WORKS(p, tact_predict_chunk(p, want));
    for (int i = 0; i < 3; i++) s->state[i] += beside[i];
    WORKS(p, tact_reset(p));
    WORKS(p, tact_observe(p, &s->seen));
    WORKS(p, tact_predict_chunk(p, got));
    for (int i = 0; i < CHUNK * ACTION; i++)
        assert_within(got[i] - want[i], i % ACTION < 3 ? beside[i % ACTION] : 0, 1e-12);
    s->seen.state = NULL;
    assert_int_equal(tact_observe(p, &s->seen), TACT_ERROR_OBSERVATION);
    assert_non_null(strstr(tact_message(p), "observation.state has 0 values; the policy does not "
                                            "look at it, but its poses are relative"));
    s->seen.state = s->state;
    s->seen.state_size = ACTION - 1;
    assert_int_equal(tact_observe(p, &s->seen), TACT_ERROR_OBSERVATION);
    assert_non_null(strstr(tact_message(p), "has 6 values"));
    s->seen.state_size = ACTION;
    WORKS(p, tact_observe(p, &s->seen));
    reference_close(&r);
    tact_close(&p);
}

static void a_policy_without_a_state_takes_any(void **state) {
    Scene *s = *state;
    double with[CHUNK * ACTION], without[CHUNK * ACTION];
    hide_state(s, false);
    tact_policy *p = open_policy(s, NULL);
    assert_int_equal(tact_state_size(p), 0);
    const double *given[] = {s->state, NULL, s->state};
    const size_t sizes[] = {ACTION, 0, 2};
    for (int i = 0; i < 3; i++) {
        look(s, 4);
        s->seen.state = given[i];
        s->seen.state_size = sizes[i];
        WORKS(p, tact_reset(p));
        WORKS(p, tact_observe(p, &s->seen));
        WORKS(p, tact_predict_chunk(p, i ? without : with));
        if (i) assert_memory_equal(with, without, sizeof with);
    }
    tact_close(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(poses_may_be_relative_to_one_that_is_not_seen, scene_new,
                                        scene_free),
        cmocka_unit_test_setup_teardown(a_policy_without_a_state_takes_any, scene_new, scene_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
