// SPDX-License-Identifier: Apache-2.0
// Borders between chunks that are blended: against the chunks predicted at the same rows, and by
// what a geodesic is.
#include "fixture.h"

#include "runtime/blend.h"

// ---- two chunks ---------------------------------------------------------------------------------

static double turn_between(const double *a, const double *b) {
    Pose p = pose_from_vector(a), q = pose_from_vector(b), way = pose_relative(&p, &q);
    double v[6];
    pose_to_vector(&way, v);
    return sqrt(v[3] * v[3] + v[4] * v[4] + v[5] * v[5]);
}

// That `got` is the share of the way from one action to another: of all rotations only one is that
// far from both.
static void is_between(const double *got, const double *from, const double *to, double share) {
    double whole = turn_between(from, to);
    for (int k = 0; k < 3; k++) assert_within(got[k], from[k] + share * (to[k] - from[k]), 1e-12);
    assert_within(got[6], from[6] + share * (to[6] - from[6]), 1e-12);
    assert_within(turn_between(from, got), share * whole, 1e-7);
    assert_within(turn_between(got, to), (1 - share) * whole, 1e-7);
}

static void the_share_rises_from_nothing_to_all(void **state) {
    (void)state;
    for (int steps = 1; steps <= 20; steps++) {
        double before = 0;
        for (int i = 0; i < steps; i++) {
            double share = blend_share(i, steps);
            assert_true(share > before && share < 1);
            assert_within(share, 1 - blend_share(steps - 1 - i, steps), 1e-12);
            before = share;
        }
    }
    assert_true(blend_share(0, 1) == 0.5);
}

static void poses_go_over_on_the_shortest_way(void **state) {
    (void)state;
    enum { N = 6, B = 4 };
    double old[N * ACTION], new[N * ACTION], rows[N * ACTION], scratch[2 * ACTION];
    for (int i = 0; i < N; i++) {
        const double a[ACTION] = {0.1 * i, 0.3, -0.2, 0.2, 0.1 * i, 3.0, 0.05};
        const double b[ACTION] = {0.1 * i, 0.1, 0.2, -1.5, 0.7, 0.2 * i, 0.01};
        memcpy(old + i * ACTION, a, sizeof a);
        memcpy(new + i *ACTION, b, sizeof b);
    }
    memcpy(rows, new, sizeof rows);
    Played played = {.rest = old, .n_rest = N, .last = old};
    blend_chunks(&played, rows, N, B, ACTION, 1, scratch);
    for (int i = 0; i < B; i++)
        is_between(rows + i * ACTION, old + i * ACTION, new + i *ACTION, blend_share(i, B));
    for (int i = B; i < N; i++)
        assert_within(distance(rows + i * ACTION, new + i *ACTION), 0, 1e-9);
}

// Rotation vectors go on from one action to the next: no turn of 2 pi lies between two numbers.
static void rotation_vectors_make_no_jump(void **state) {
    (void)state;
    enum { N = 8 };
    double old[N * ACTION] = {0}, rows[N * ACTION] = {0}, scratch[2 * ACTION];
    for (int i = 0; i < N; i++) {
        old[i * ACTION + 3] = 3.0 + 0.05 * i; // through pi
        rows[i * ACTION + 3] = -3.2 + 0.05 * i;
    }
    Played played = {.rest = old + ACTION, .n_rest = N - 1, .last = old};
    blend_chunks(&played, rows, N, 3, ACTION, 1, scratch);
    double before = old[3];
    for (int i = 0; i < N; i++) {
        if (i <= 3) assert_true(fabs(rows[i * ACTION + 3] - before) < 0.2);
        before = rows[i * ACTION + 3];
    }
}

static void beyond_its_end_the_last_step_is_repeated(void **state) {
    (void)state;
    enum { N = 4 };
    const double before[ACTION] = {0, 0, 0, 0, 0, 0.1, 0.09};
    const double last[ACTION] = {0.01, 0, -0.02, 0, 0, 0.2, 0.08};
    const double rest[ACTION] = {0.03, 0, -0.05, 0, 0, 0.4, 0.06};
    const double new[ACTION] = {0.5, 0.5, 0.5, 0, 0, -1, 0};
    double rows[N * ACTION], scratch[2 * ACTION];
    for (int n_rest = 0; n_rest < 2; n_rest++) {
        for (int i = 0; i < N; i++) memcpy(rows + i * ACTION, new, sizeof new);
        Played played = {.rest = rest, .n_rest = n_rest, .last = last, .before = before};
        blend_chunks(&played, rows, N, N, ACTION, 1, scratch);
        for (int i = 0; i < N; i++) {
            // From the newest of what is known, as many steps as lie beyond it.
            const double *end = n_rest ? rest : last, *start = n_rest ? last : before;
            double old[ACTION], beyond = n_rest ? i : i + 1;
            for (int k = 0; k < 6; k++) old[k] = end[k] + beyond * (end[k] - start[k]);
            old[6] = end[6];
            is_between(rows + i * ACTION, old, new, blend_share(i, N));
        }
    }
    // With one action there is no step.
    for (int i = 0; i < N; i++) memcpy(rows + i * ACTION, new, sizeof new);
    Played one = {.last = last};
    blend_chunks(&one, rows, N, N, ACTION, 1, scratch);
    for (int i = 0; i < N; i++) is_between(rows + i * ACTION, last, new, blend_share(i, N));
}

static void joints_go_over_as_numbers(void **state) {
    (void)state;
    enum { N = 4, J = 6 };
    double old[2 * J], rows[N * J], want[N * J], scratch[2 * J], last[J], before[J];
    for (int k = 0; k < J; k++) {
        before[k] = 10 * k - 2, last[k] = 10 * k - 1;
        for (int i = 0; i < 2; i++) old[i * J + k] = 10 * k + i;
        for (int i = 0; i < N; i++) rows[i * J + k] = 7 - k + 0.5 * i;
    }
    for (int i = 0; i < N; i++)
        for (int k = 0; k < J; k++) {
            double w = i < 3 ? blend_share(i, 3) : 1;
            want[i * J + k] = (1 - w) * (10 * k + i) + w * rows[i * J + k];
        }
    Played played = {.rest = old, .n_rest = 2, .last = last, .before = before};
    blend_chunks(&played, rows, N, 3, J, 0, scratch);
    for (int i = 0; i < N * J; i++) assert_within(rows[i], want[i], 1e-12);
}

// ---- a policy -----------------------------------------------------------------------------------

typedef struct Chunks {
    double at[FRAMES][CHUNK * ACTION]; // predicted at every row of an episode
} Chunks;

static Chunks *chunks_of(const Scene *s) {
    Chunks *c = NEW(Chunks, 1);
    tact_policy *p = open_policy(s, NULL);
    for (int row = 0; row < FRAMES; row++) {
        WORKS(p, tact_observe(p, look((Scene *)s, row)));
        WORKS(p, tact_predict_chunk(p, c->at[row]));
    }
    tact_close(&p);
    return c;
}

// Plays an episode of which a chunk takes over every STEPS rows, `delay` rows after it was asked
// for, and holds each action against chunks that are blended here.
static void plays_blended(Scene *s, const Chunks *c, tact_policy *p, int steps, int delay) {
    double track[FRAMES + CHUNK][ACTION], action[ACTION]; // what is to be played at each row
    for (int row = 0; row < FRAMES; row++) {
        int asked = row - delay;
        if (row == 0) {
            memcpy(track[0], c->at[0], sizeof c->at[0]);
        } else if (asked > 0 && asked % STEPS == 0) {
            for (int i = 0; i < CHUNK - delay; i++) {
                const double *new = c->at[asked] + (delay + i) * ACTION;
                double old[ACTION], *out = track[row + i];
                int share_of = steps < CHUNK - delay ? steps : CHUNK - delay;
                if (i >= share_of) {
                    memcpy(out, new, sizeof old);
                    continue;
                }
                memcpy(old, out, sizeof old); // blended itself, where the old chunk still was
                Pose a = pose_from_vector(old), b = pose_from_vector(new);
                Pose m = pose_between(&a, &b, blend_share(i, share_of));
                pose_to_vector(&m, out);
                out[6] = old[6] + blend_share(i, share_of) * (new[6] - old[6]);
            }
        }
        WORKS(p, tact_step(p, look(s, row), action));
        assert_within(distance(action, track[row]), 0, 1e-9);
    }
}

static tact_options blended(int steps) {
    tact_options o = options();
    o.blend_steps = steps;
    return o;
}

static void a_policy_blends_its_chunks(void **state) {
    Scene *s = *state;
    Chunks *c = chunks_of(s);
    for (int steps = 1; steps <= CHUNK - STEPS; steps++) {
        tact_options o = blended(steps);
        tact_policy *p = open_policy(s, &o);
        for (int episode = 0; episode < 2; episode++) {
            WORKS(p, tact_reset(p));
            plays_blended(s, c, p, steps, 0);
        }
        tact_close(&p);
    }
    mem_free(c);
}

static void it_does_so_asynchronously(void **state) {
    Scene *s = *state;
    Chunks *c = chunks_of(s);
    for (int delay = 0; delay < CHUNK - STEPS; delay++) {
        tact_options o = blended(CHUNK - STEPS - delay);
        o.asynchronous = 1;
        o.chunk_size_threshold = 0; // asked for when STEPS actions are given out
        tact_policy *p = open_policy(s, &o);
        async_simulate_delay(p, delay);
        for (int episode = 0; episode < 2; episode++) {
            WORKS(p, tact_reset(p));
            plays_blended(s, c, p, (int)o.blend_steps, delay);
        }
        assert_int_equal(async_counts(p).longest_delay, delay);
        tact_close(&p);
    }
    mem_free(c);
}

// Without it every action is the chunk's, to the bit.
static void none_is_no_change(void **state) {
    Scene *s = *state;
    Chunks *c = chunks_of(s);
    for (int mode = 0; mode < 2; mode++) {
        tact_options o = blended(0);
        o.asynchronous = mode;
        o.chunk_size_threshold = 0;
        tact_policy *p = open_policy(s, &o);
        if (mode) async_simulate_delay(p, 0);
        double action[ACTION];
        for (int row = 0; row < FRAMES; row++) {
            WORKS(p, tact_step(p, look(s, row), action));
            assert_memory_equal(action, c->at[row / STEPS * STEPS] + row % STEPS * ACTION,
                                sizeof action);
        }
        tact_close(&p);
    }
    mem_free(c);
}

static double second_difference(const double a[3][ACTION]) {
    double worst = 0;
    for (int k = 0; k < 3; k++) worst = fmax(worst, fabs(a[2][k] - 2 * a[1][k] + a[0][k]));
    return worst;
}

// A chunk that is played to its end: the border is a smaller change of speed than without.
static void a_chunk_that_has_ended_is_gone_on_with(void **state) {
    Scene *s = *state;
    double worst[2] = {0};
    for (int with = 0; with < 2; with++) {
        tact_options o = blended(with ? CHUNK : 0);
        o.n_action_steps = CHUNK;
        tact_policy *p = open_policy(s, &o);
        double a[3][ACTION];
        for (int row = 0; row < FRAMES; row++) {
            memmove(a, a + 1, 2 * sizeof a[0]);
            WORKS(p, tact_step(p, look(s, row), a[2]));
            if (row >= CHUNK && row % CHUNK == 0)
                worst[with] = fmax(worst[with], second_difference((const double(*)[ACTION])a));
        }
        tact_close(&p);
    }
    assert_true(worst[1] < 0.5 * worst[0]);
}

static void what_cannot_be_is_refused(void **state) {
    const Scene *s = *state;
    tact_options o = blended(-1);
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT,
               "blend_steps -1: must be from 0 to the chunk's 5");
    o = blended(CHUNK + 1);
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "blend_steps 6: must be");
    o = blended(2);
    o.temporal_ensemble_coeff = 0.01;
    not_opened(s->model, &o, TACT_ERROR_ARGUMENT, "temporal ensembling has no borders");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_share_rises_from_nothing_to_all),
        cmocka_unit_test(poses_go_over_on_the_shortest_way),
        cmocka_unit_test(rotation_vectors_make_no_jump),
        cmocka_unit_test(beyond_its_end_the_last_step_is_repeated),
        cmocka_unit_test(joints_go_over_as_numbers),
        cmocka_unit_test(a_policy_blends_its_chunks),
        cmocka_unit_test(it_does_so_asynchronously),
        cmocka_unit_test(none_is_no_change),
        cmocka_unit_test(a_chunk_that_has_ended_is_gone_on_with),
        cmocka_unit_test(what_cannot_be_is_refused),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
