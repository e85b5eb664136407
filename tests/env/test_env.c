// SPDX-License-Identifier: Apache-2.0
// The simulated tasks: the same seed is the same episode, the expert picks, others do not, and a
// stem breaks under force alone. Skipped without MuJoCo or EGL, and where EGL cannot render.
#include "env/env.h"

#include "base/rng.h"
#include "env/rolls.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#ifdef TACT_MUJOCO
#include "env/mujoco/world.h"
#endif

enum { SIZE = 64, PIXELS = SIZE * SIZE * 3 };
static const char *const tasks[2] = {"strawberry", "strawberry_swing"};

static Env *open_env(const char *type) {
    Env *env;
    Error err;
    if (env_open(type, SIZE, SIZE, &env, &err)) return env;
    if (!strstr(err.text, "simulation needs") && strncmp(err.text, "rendering:", 10) != 0)
        fail_msg("%s", err.text);
    print_message("skipped: %s\n", err.text);
    skip();
    return NULL;
}

static void reset(Env *env, uint64_t seed) {
    Error err;
    if (!env_reset(env, seed, &err)) fail_msg("%s", err.text);
}

static void observe(Env *env, double *state, uint8_t *rgb) {
    Error err;
    if (!env_observe(env, state, rgb ? &rgb : NULL, &err)) fail_msg("%s", err.text);
}

static void step(Env *env, const double *action) {
    Error err;
    if (!env_step(env, action, &err)) fail_msg("%s", err.text);
}

static void run_expert(Env *env, int steps) {
    double action[ENV_DIM];
    for (int i = 0; i < steps && !env_done(env); i++) {
        env_expert(env, action);
        step(env, action);
    }
}

static void test_same_seed_same_bits(void **unused) {
    (void)unused;
    static uint8_t first[PIXELS], again[PIXELS];
    for (int t = 0; t < 2; t++) {
        Env *one = open_env(tasks[t]), *two = open_env(tasks[t]);
        double a[ENV_DIM], b[ENV_DIM];
        reset(one, 7);
        run_expert(one, 12);
        observe(one, a, first);
        reset(two, 3); // another episode before it, on another Env
        run_expert(two, 30);
        reset(two, 7);
        run_expert(two, 12);
        observe(two, b, again);
        assert_memory_equal(a, b, sizeof a);
        assert_memory_equal(first, again, sizeof first);
        env_close(&one);
        env_close(&two);
        assert_null(one);
    }
}

static void test_different_seeds_differ(void **unused) {
    (void)unused;
    static uint8_t first[PIXELS], second[PIXELS];
    for (int t = 0; t < 2; t++) {
        Env *env = open_env(tasks[t]);
        double a[ENV_DIM], b[ENV_DIM];
        reset(env, 1);
        observe(env, a, first);
        reset(env, 2);
        observe(env, b, second);
        assert_memory_not_equal(a, b, sizeof a);
        int differing = 0;
        for (int i = 0; i < PIXELS; i++) differing += abs(first[i] - second[i]) > 8;
        assert_true(differing > PIXELS / 10);
        env_close(&env);
    }
}

// The camera has red pixels: a berry is in sight.
static int count_red(const uint8_t *rgb) {
    int n = 0;
    for (int i = 0; i < SIZE * SIZE; i++)
        n += rgb[3 * i] > 90 && rgb[3 * i] > 2 * rgb[3 * i + 1] && rgb[3 * i] > 2 * rgb[3 * i + 2];
    return n;
}

static void test_berry_in_sight(void **unused) {
    (void)unused;
    static uint8_t rgb[PIXELS];
    for (int t = 0; t < 2; t++) {
        Env *env = open_env(tasks[t]);
        for (uint64_t seed = 0; seed < 10; seed++) {
            reset(env, seed);
            observe(env, NULL, rgb);
            int far = count_red(rgb);
            assert_true(far >= 4);
            run_expert(env, 100);
            observe(env, NULL, rgb);
            assert_true(count_red(rgb) > 3 * far); // held, near the camera
        }
        env_close(&env);
    }
}

static void test_expert_picks(void **unused) {
    (void)unused;
    for (int t = 0; t < 2; t++) {
        Env *env = open_env(tasks[t]);
        for (uint64_t seed = 100; seed < 110; seed++) {
            reset(env, seed);
            assert_string_equal(env_outcome(env), "on the stem");
            run_expert(env, 1000);
            if (!env_success(env))
                fail_msg("%s, seed %d: %s", tasks[t], (int)seed, env_outcome(env));
            assert_true(env_done(env));
            assert_string_equal(env_outcome(env), "picked");
            assert_in_range(env_steps(env), 25, 60);
        }
        env_close(&env);
    }
}

static void test_idle_and_random_fail(void **unused) {
    (void)unused;
    for (int t = 0; t < 2; t++) {
        Env *env = open_env(tasks[t]);
        for (int walk = 0; walk < 2; walk++) {
            double state[ENV_DIM], action[ENV_DIM];
            RngStream rng = {.key = {.seed = 5}};
            reset(env, 11);
            observe(env, action, NULL);
            while (!env_done(env)) {
                observe(env, state, NULL);
                for (int i = 0; walk && i < ENV_DIM; i++) {
                    double size = i < 3 ? 0.02 : i < 6 ? 0.1 : 0.03;
                    action[i] = state[i] + size * (2 * rng_double(&rng) - 1);
                }
                step(env, action);
            }
            assert_false(env_success(env));
            assert_int_equal(env_steps(env), env_spec(env)->max_steps);
            if (!walk) assert_string_equal(env_outcome(env), "on the stem");
        }
        env_close(&env);
    }
}

// The berry weighs 0.2 N and its stem bears 4 N; the pull grows slowly, for a jerk is more than its
// force.
static void test_strength_of_the_stem(void **unused) {
    (void)unused;
    Env *env = open_env("strawberry");
#ifdef TACT_MUJOCO
    const double force[2] = {3.6, 4.0};
    for (int i = 0; i < 2; i++) {
        double state[ENV_DIM];
        reset(env, 6);
        observe(env, state, NULL);
        for (int k = 1; k <= 40; k++) {
            env->d->xfrc_applied[6 * env->h.berry + 2] = -force[i] * fmin(1, k / 30.0);
            step(env, state);
        }
        assert_string_equal(env_outcome(env), i ? "berry dropped" : "on the stem");
    }
#endif
    env_close(&env);
}

// While the berry is held but not pulled, the stem stays whole; when it is pulled, the stem tears.
static void test_stem_tears_under_force_only(void **unused) {
    (void)unused;
    Env *env = open_env("strawberry");
    double action[ENV_DIM], state[ENV_DIM];
    reset(env, 4);
    for (int i = 0; i < 60; i++) {
        observe(env, state, NULL);
        env_expert(env, action);
        if (state[6] < 0.045) break;
        step(env, action);
    }
    assert_true(state[6] < 0.045);
    observe(env, action, NULL);
    action[6] = 0;
    for (int i = 0; i < 15; i++) step(env, action);
    assert_string_equal(env_outcome(env), "on the stem");
    for (int i = 0; i < 6; i++) {
        action[2] -= 0.01;
        step(env, action);
    }
    assert_string_not_equal(env_outcome(env), "on the stem");
    // A berry that is let go falls.
    action[6] = ENV_OPENING;
    for (int i = 0; i < 15 && !env_done(env); i++) step(env, action);
    assert_string_equal(env_outcome(env), "berry dropped");
    assert_false(env_success(env));
    env_close(&env);
}

static void test_limits_and_refusals(void **unused) {
    (void)unused;
    Env *env = open_env("strawberry");
    Error err;
    double before[ENV_DIM], after[ENV_DIM], action[ENV_DIM];
    uint8_t picture[48 * 32 * 3];
    assert_false(env_observe(env, before, NULL, &err)); // not reset yet
    reset(env, 0);
    observe(env, before, NULL);
    memcpy(action, before, sizeof action);
    action[3] = NAN;
    assert_false(env_step(env, action, &err));
    assert_non_null(strstr(err.text, "rx is not finite"));
    observe(env, after, NULL);
    assert_memory_equal(before, after, sizeof before);
    action[3] = before[3];
    action[0] += 100; // followed at a bearable speed
    step(env, action);
    observe(env, after, NULL);
    double moved = after[0] - before[0];
    assert_true(moved > 0.02 && moved < 0.08);
    assert_false(env_render(env, "nowhere", 32, 48, picture, &err));
    assert_non_null(strstr(err.text, "nowhere"));
    assert_true(env_render(env, "scene", 32, 48, picture, &err));
    env_close(&env);
    assert_false(env_open("strawbery", SIZE, SIZE, &env, &err));
    assert_non_null(strstr(err.text, "did you mean strawberry?"));
    assert_null(env);
    assert_false(env_open("strawberry", 8, SIZE, &env, &err));
}

// Another start in the same world: only the gripper's place differs, by the shift.
static void test_start_is_shifted(void **unused) {
    (void)unused;
    static const double shift[3] = {0.03, -0.05, 0.10}, none[3] = {0};
    static const double into[2][3] = {{0, 0.35, 0.17}, {0, 0.454, 0.37}}; // the gutter
    static uint8_t first[PIXELS], other[PIXELS], again[PIXELS];
    Error err;
    for (int t = 0; t < 2; t++) {
        Env *env = open_env(tasks[t]);
        double a[ENV_DIM], b[ENV_DIM], c[ENV_DIM];
        reset(env, 7);
        observe(env, a, first);
#ifdef TACT_MUJOCO
        double berry[3];
        memcpy(berry, env->d->xpos + 3 * env->h.berry, sizeof berry);
#endif
        env_shift_start(env, shift);
        reset(env, 7);
        observe(env, b, other);
        for (int i = 0; i < 3; i++) assert_true(fabs(b[i] - a[i] - shift[i]) < 1e-12);
        for (int i = 3; i < ENV_DIM; i++) assert_true(fabs(b[i] - a[i]) < 1e-12);
        assert_memory_not_equal(first, other, PIXELS);
#ifdef TACT_MUJOCO
        assert_memory_equal(berry, env->d->xpos + 3 * env->h.berry, sizeof berry);
#endif
        step(env, b); // it stays there: the commanded pose is shifted too
        observe(env, c, NULL);
        for (int i = 0; i < 3; i++) assert_true(fabs(c[i] - b[i]) < 1e-3);
        env_shift_start(env, none);
        reset(env, 7);
        observe(env, c, again);
        assert_memory_equal(a, c, sizeof a);
        assert_memory_equal(first, again, sizeof first);
        env_shift_start(env, into[t]);
        assert_false(env_reset(env, 7, &err));
        assert_non_null(
            strstr(err.text, "]: in the episode of seed 7 the gripper would start in something"));
        env_shift_start(env, shift);
        reset(env, 100);
        run_expert(env, 1000);
        if (t == 0 && !env_success(env)) fail_msg("shifted: %s", env_outcome(env));
        env_close(&env);
    }
}

static void test_shifts_are_read(void **unused) {
    (void)unused;
    static const char *const bad[] = {"",         "0.1",       "[0.1,0.2]", "[0,0,0,0]",
                                      "[0,0,0]x", "[0,0,0.6]", "[nan,0,0]", "0,0,0",
                                      "[0,0,",    "[a,0,0]"};
    double shift[3];
    Error err;
    assert_true(env_read_shift("[0.1, -5e-2,0]", shift, &err));
    assert_true(shift[0] == 0.1 && shift[1] == -0.05 && shift[2] == 0);
    assert_true(env_read_shift(" [0,0,0.5] ", shift, &err) && shift[2] == 0.5);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (env_read_shift(bad[i], shift, &err)) fail_msg("%s: was accepted", bad[i]);
        assert_non_null(strstr(err.text, "expected [dx,dy,dz] in metres, each from -0.5 to 0.5"));
    }
}

// Pictures of other sizes may be rendered in between; those of the camera stay the same.
static void test_pictures_leave_the_camera_alone(void **unused) {
    (void)unused;
    static uint8_t first[PIXELS], again[PIXELS], picture[120 * 160 * 3];
    Env *env = open_env("strawberry");
    Error err;
    reset(env, 9);
    observe(env, NULL, first);
    assert_true(env_render(env, "scene", 120, 160, picture, &err));
    assert_true(env_render(env, "close", 60, 80, picture, &err));
    observe(env, NULL, again);
    assert_memory_equal(first, again, sizeof first);
    env_close(&env);
}

static void test_rolls_do_not_depend_on_threads(void **unused) {
    (void)unused;
    Env *env = open_env("strawberry_swing"); // skips where there is none
    env_close(&env);
    Error err;
    Rolls *rolls[2];
    for (int i = 0; i < 2; i++) {
        const RollsOptions o = {"strawberry_swing", 40, SIZE, SIZE, i ? 3 : 1, true, {0}};
        if (!rolls_open(&o, &rolls[i], &err)) fail_msg("%s", err.text);
    }
    for (uint64_t k = 0; k < 5; k++) {
        Roll a, b;
        if (!rolls_next(rolls[0], &a, &err) || !rolls_next(rolls[1], &b, &err))
            fail_msg("%s", err.text);
        assert_int_equal(a.seed, 40 + k);
        assert_int_equal(b.seed, 40 + k);
        assert_int_equal(a.frames, b.frames);
        assert_memory_equal(a.action, b.action, sizeof(float) * ENV_DIM * (size_t)a.frames);
        assert_memory_equal(a.rgb, b.rgb, (size_t)PIXELS * (size_t)a.frames);
        roll_free(&a);
        roll_free(&b);
    }
    rolls_close(rolls[0]);
    rolls_close(rolls[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_bits),
        cmocka_unit_test(test_different_seeds_differ),
        cmocka_unit_test(test_berry_in_sight),
        cmocka_unit_test(test_expert_picks),
        cmocka_unit_test(test_idle_and_random_fail),
        cmocka_unit_test(test_strength_of_the_stem),
        cmocka_unit_test(test_stem_tears_under_force_only),
        cmocka_unit_test(test_limits_and_refusals),
        cmocka_unit_test(test_start_is_shifted),
        cmocka_unit_test(test_shifts_are_read),
        cmocka_unit_test(test_pictures_leave_the_camera_alone),
        cmocka_unit_test(test_rolls_do_not_depend_on_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
