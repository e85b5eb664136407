// SPDX-License-Identifier: Apache-2.0
// tact_at: the curve between the actions, how it goes on when the plan changes, where it ends, and
// that it does not wait for a prediction. The clock is the test's.
#include "fixture.h"

#include "clock.h"

#include "runtime/actions.h"
#include <stdatomic.h>

enum { ROWS = 10 }; // of an episode: three borders
static void is_at(tact_policy *p, double time, const double *want) {
    double got[ACTION];
    assert_int_equal(tact_at(p, time, got), TACT_OK);
    assert_memory_equal(got, want, sizeof got);
}

// ---- through the actions ------------------------------------------------------------------------

static void it_passes_through_the_actions(void **state) {
    Scene *s = *state;
    tact_policy *p = open_timed(s, NULL);
    double action[ACTION], chunk[CHUNK * ACTION], got[ACTION];
    for (int row = 0; row < ROWS; row++, now += 0.1) {
        WORKS(p, tact_observe(p, look(s, row)));
        if (row % STEPS == 0) WORKS(p, tact_predict_chunk(p, chunk));
        WORKS(p, tact_act(p, action));
        assert_within(p->schedule.given, now, 1e-9);
        is_at(p, p->schedule.given, action);
        // And through those that the chunk foresees, from one moment on; the last is its end.
        for (int i = row % STEPS + 1; i < CHUNK; i++) {
            int ahead = i - row % STEPS;
            tact_status status = tact_at(p, p->schedule.given + ahead * 0.1, got);
            assert_int_equal(status, i == CHUNK - 1 ? TACT_HOLDING : TACT_OK);
            assert_within(distance(got, chunk + i * ACTION), 0, 1e-9);
        }
        p->follower.moving = false; // the next row begins anew
    }
    tact_close(&p);
}

// The greatest change of speed from one call to the next, per second of a call's distance.
typedef struct Sharpest {
    double position, rotation, gripper;
} Sharpest;

static Sharpest follow(Scene *s, const tact_options *o, int calls_a_step) {
    tact_policy *p = open_timed(s, o);
    Sharpest most = {0};
    double action[ACTION], at[3][ACTION] = {{0}}, dt = 0.1 / calls_a_step;
    int n = 0;
    for (int row = 0; row < ROWS; row++) {
        now = 1000 + 0.1 * row;
        WORKS(p, tact_step(p, look(s, row), action));
        for (int i = 0; i < calls_a_step; i++, n++) {
            memmove(at, at + 1, 2 * sizeof at[0]);
            tact_status status = tact_at(p, now + 0.003 + dt * i, at[2]);
            assert_true(status == TACT_OK || status == TACT_HOLDING);
            if (n < 2) continue;
            for (int k = 0; k < 7; k++) {
                if (k >= 3 && k < 6) continue;
                double change = fabs(at[2][k] - 2 * at[1][k] + at[0][k]) / dt;
                double *worst = k == 6 ? &most.gripper : &most.position;
                *worst = fmax(*worst, change);
            }
            Pose a = pose_from_vector(at[0]), b = pose_from_vector(at[1]),
                 c = pose_from_vector(at[2]);
            Pose first = pose_relative(&a, &b), second = pose_relative(&b, &c);
            double u[6], v[6];
            pose_to_vector(&first, u), pose_to_vector(&second, v);
            for (int k = 3; k < 6; k++) most.rotation = fmax(most.rotation, fabs(v[k] - u[k]) / dt);
        }
    }
    tact_close(&p);
    return most;
}

// Where the speed goes on without a jump, its greatest change between two calls shrinks with their
// distance; a jump would stay as large as it is. Borders between chunks are in it, blended or not.
static void the_speed_makes_no_jump(void **state) {
    Scene *s = *state;
    for (int blend = 0; blend <= 2; blend += 2) {
        tact_options o = options();
        o.blend_steps = blend;
        Sharpest coarse = follow(s, &o, 400), fine = follow(s, &o, 1600);
        assert_true(coarse.position > 0 && coarse.rotation > 0 && coarse.gripper > 0);
        assert_true(fine.position < 0.3 * coarse.position);
        assert_true(fine.rotation < 0.3 * coarse.rotation);
        assert_true(fine.gripper < 0.3 * coarse.gripper);
    }
}

static void the_end_is_reached_and_held(void **state) {
    Scene *s = *state;
    tact_policy *p = open_timed(s, NULL);
    double action[ACTION], chunk[CHUNK * ACTION], got[ACTION], before[ACTION], last[ACTION];
    WORKS(p, tact_observe(p, look(s, 0)));
    WORKS(p, tact_predict_chunk(p, chunk));
    WORKS(p, tact_act(p, action));
    const double end = p->schedule.given + (CHUNK - 1) * 0.1;
    memcpy(last, chunk + (CHUNK - 1) * ACTION, sizeof last);
    assert_int_equal(tact_at(p, end - 2e-3, before), TACT_OK);
    assert_int_equal(tact_at(p, end - 1e-3, got), TACT_OK);
    double near = distance(before, got);
    assert_true(near > 0 && distance(got, last) < 1.1 * near / 3); // ever slower, as a parabola
    for (int i = 0; i < 5; i++) {
        assert_int_equal(tact_at(p, end + i * i * 0.01, got), TACT_HOLDING);
        assert_within(distance(got, last), 0, 1e-9);
    }
    // The next action ends the holding, from where the robot is.
    memcpy(before, got, sizeof before);
    now = end + 0.16;
    WORKS(p, tact_step(p, look(s, 5), action));
    assert_int_equal(tact_at(p, end + 0.161, got), TACT_OK);
    assert_true(distance(got, before) < 1e-4);
    tact_close(&p);
}

static void there_has_to_be_an_action(void **state) {
    Scene *s = *state;
    tact_policy *p = open_timed(s, NULL);
    double action[ACTION], got[ACTION] = {42};
    for (int episode = 0; episode < 2; episode++) {
        assert_int_equal(tact_at(p, now, got), TACT_ERROR_NOTHING_SEEN);
        WORKS(p, tact_observe(p, look(s, 0)));
        assert_int_equal(tact_at(p, now, got), TACT_ERROR_NOTHING_SEEN);
        assert_true(got[0] == 42);
        WORKS(p, tact_act(p, action));
        double other[ACTION];
        assert_int_equal(tact_at(p, now - 5, other), TACT_OK); // before it: the first one
        assert_memory_equal(other, action, sizeof other);
        WORKS(p, tact_reset(p));
    }
    assert_int_equal(tact_at(p, NAN, got), TACT_ERROR_ARGUMENT);
    assert_int_equal(tact_at(p, now, NULL), TACT_ERROR_ARGUMENT);
    assert_int_equal(tact_at(NULL, now, got), TACT_ERROR_ARGUMENT);
    tact_close(&p);
}

// A new episode begins where it begins, not on the way there from the last one.
static void a_reset_forgets_the_way(void **state) {
    Scene *s = *state;
    tact_policy *p = open_timed(s, NULL);
    double action[ACTION], got[ACTION];
    WORKS(p, tact_step(p, look(s, 0), action));
    assert_int_equal(tact_at(p, now + 0.05, got), TACT_OK);
    WORKS(p, tact_reset(p));
    now += 0.06;
    WORKS(p, tact_step(p, look(s, FRAMES), action));
    is_at(p, now, action);
    tact_close(&p);
}

static void what_is_foreseen_is_limited_too(void **state) {
    Scene *s = *state;
    tact_options o = options();
    look(s, 0);
    for (int i = 0; i < 3; i++) {
        o.workspace_min[i] = s->state[i] - 0.004;
        o.workspace_max[i] = s->state[i] + 0.004;
    }
    o.max_translation = 0.002;
    tact_policy *p = open_timed(s, &o);
    double action[ACTION], got[ACTION], before[ACTION];
    for (int row = 0; row < ROWS; row++, now += 0.1) {
        WORKS(p, tact_step(p, look(s, row), action));
        memcpy(before, action, sizeof before);
        double way = 0;
        for (int i = 1; i < 4; i++) { // from action to action
            assert_true(tact_at(p, p->schedule.given + 0.1 * i, got) != TACT_ERROR_NOTHING_SEEN);
            for (int k = 0; k < 3; k++) way += (got[k] - before[k]) * (got[k] - before[k]);
            assert_true(sqrt(way) <= 0.002 + 1e-9);
            memcpy(before, got, sizeof before), way = 0;
        }
        p->follower.moving = false;
        const int64_t counted = limit_counts(p).workspace;
        for (int i = 0; i < 600; i++) {
            tact_status status = tact_at(p, now + i * 1e-3, got);
            assert_true(status == TACT_OK || status == TACT_HOLDING);
            for (int k = 0; k < 3; k++)
                assert_true(got[k] >= o.workspace_min[k] && got[k] <= o.workspace_max[k]);
        }
        assert_int_equal(limit_counts(p).workspace, counted);
        p->follower.moving = false;
    }
    assert_true(limit_counts(p).translation > 0);
    tact_close(&p);
}

// From outside of the box the curve goes as far with each action as the actions do, and no leap
// into it.
static void the_box_is_entered_step_by_step(void **state) {
    Scene *s = *state;
    tact_options o = options();
    look(s, 0);
    o.workspace_min[2] = s->state[2] + 0.1;
    o.max_translation = 0.01;
    tact_policy *p = open_timed(s, &o);
    double action[ACTION], got[ACTION], before = s->state[2];
    for (int row = 0; row < 5; row++, now += 0.1) {
        WORKS(p, tact_step(p, look(s, row), action));
        assert_true(action[2] > before && action[2] < o.workspace_min[2]);
        is_at(p, now, action);
        for (int i = 1; i < 10; i++) {
            assert_int_equal(tact_at(p, now + 0.01 * i, got), TACT_OK);
            assert_true(got[2] >= action[2] && got[2] <= action[2] + 0.01 + 1e-9);
        }
        before = action[2];
        p->follower.moving = false; // the next row begins anew
    }
    tact_close(&p);
}

static void a_gripper_may_be_told_earlier(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.gripper_action_latency = 0.13;
    tact_policy *p = open_timed(s, NULL), *q = open_timed(s, &o);
    double action[ACTION], plain[ACTION], later[ACTION], got[ACTION];
    WORKS(p, tact_step(p, look(s, 3), action));
    WORKS(q, tact_step(q, look(s, 3), action));
    for (int i = 0; i < 20; i++) {
        double time = now + 0.01 * i;
        tact_at(p, time, plain), tact_at(p, time + 0.13, later);
        assert_int_equal(tact_at(q, time, got), TACT_OK);
        assert_within(distance(got, (const double[]){plain[0], plain[1], plain[2], plain[3],
                                                     plain[4], plain[5], later[6]}),
                      0, 1e-9);
    }
    tact_close(&p);
    tact_close(&q);
}

static void write_plan(PlanBoard *board, int64_t episode, double start, int n, double base) {
    Plan *plan = plan_to_write(board);
    *plan = (Plan){episode, n, 0.1, plan->times, plan->actions};
    for (int i = 0; i < n; i++) {
        plan->times[i] = start + 0.1 * i;
        for (int k = 0; k < board->width; k++)
            plan->actions[i * board->width + k] = base + k + 0.1 * (i * (k + 3) % 5);
    }
    plan_publish(board);
}

// Without poses all values are numbers. Also: two plans since the last call, of which the second
// counts; a goal that is moved at the last moment is not leapt to.
static void joints_are_followed_as_numbers(void **state) {
    (void)state;
    enum { J = 8, N = 5 };
    PlanBoard board;
    Follower f;
    double got[J], before[J];
    Error err;
    OK(plan_board_init(&board, N, J, &err));
    OK(follower_init(&f, J, 0, (const double[]){0, 0}, NULL, NULL, &err));
    write_plan(&board, 0, 3, N, 7);
    write_plan(&board, 0, 5, N, 0);
    const double *actions = board.plans[board.middle & 3].actions;
    for (int i = 0; i < N; i++) {
        double time = 5 + 0.1 * i;
        assert_int_equal(follower_at(&f, &board, time, got), i < N - 1 ? TACT_OK : TACT_HOLDING);
        assert_memory_equal(got, actions + i * J, sizeof got);
        for (int step = 1; i < N - 1 && step < 10; step++) {
            follower_at(&f, &board, time + 0.01 * step, got);
            for (int k = 0; k < J; k++) {
                double a = actions[i * J + k], b = actions[(i + 1) * J + k];
                assert_true(got[k] >= fmin(a, b) - 1e-12 && got[k] <= fmax(a, b) + 1e-12);
            }
        }
    }
    write_plan(&board, 1, 5, N, 0); // another episode: from its own beginning
    assert_int_equal(follower_at(&f, &board, 5.199, before), TACT_OK);
    write_plan(&board, 1, 5, N, 0.3); // everything is elsewhere, a millisecond before an action
    double most = 0;
    for (int ms = 1; ms < 300; ms++) {
        follower_at(&f, &board, 5.199 + 1e-3 * ms, got);
        for (int k = 0; k < J; k++) most = fmax(most, fabs(got[k] - before[k]));
        memcpy(before, got, sizeof got);
    }
    assert_true(most < 0.02); // 0.3 in a step and more, not in a millisecond
    plan_board_free(&board);
    follower_free(&f);
}

static void means_are_followed_too(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.temporal_ensemble_coeff = 0.01;
    tact_policy *p = open_timed(s, &o);
    double action[ACTION], ahead[ACTION], got[ACTION];
    for (int row = 0; row < 4; row++, now += 0.1) {
        WORKS(p, tact_step(p, look(s, row), action));
        is_at(p, p->schedule.given, action);
        action_from_linear(p->ensemble.mean, ACTION, 1, ahead);
        assert_int_equal(tact_at(p, p->schedule.given + 0.1, got), TACT_OK);
        assert_within(distance(got, ahead), 0, 1e-9);
        p->follower.moving = false;
    }
    tact_close(&p);
}

// ---- threads ------------------------------------------------------------------------------------

// Not on the stack: a test that fails leaves its worker waiting there.
typedef struct Gate {
    tact_policy *policy;
    sem_t reached, open;
    atomic_bool done;
    double action[ACTION];
} Gate;

static void pass_gate(void *context) {
    Gate *g = context;
    sem_post(&g->reached);
    while (sem_wait(&g->open)) {
    }
}

static void *act_in_thread(void *context) {
    Gate *g = context;
    if (tact_act(g->policy, g->action) != TACT_OK) g->action[0] = NAN;
    g->done = true;
    return NULL;
}

// The policy's thread waits for a prediction that does not end, until this one has had its answers.
static void it_does_not_wait_for_a_prediction(void **state) {
    Scene *s = *state;
    tact_options o = options();
    o.asynchronous = 1;
    Gate *g = NEW(Gate, 1);
    tact_policy *p = g->policy = open_timed(s, &o);
    double action[ACTION], got[ACTION];
    pthread_t thread;
    sem_init(&g->reached, 0, 0), sem_init(&g->open, 0, 0);
    WORKS(p, tact_step(p, look(s, 0), action));
    WORKS(p, tact_reset(p));
    p->worker.before = pass_gate, p->worker.context = g;
    WORKS(p, tact_observe(p, look(s, 3)));
    assert_int_equal(pthread_create(&thread, NULL, act_in_thread, g), 0);
    while (sem_wait(&g->reached)) {
    }
    for (int i = 0; i < 100; i++)
        assert_int_equal(tact_at(p, now + 1e-3 * i, got), TACT_ERROR_NOTHING_SEEN);
    assert_false(g->done);
    sem_post(&g->open);
    pthread_join(thread, NULL);
    assert_true(isfinite(g->action[0]));
    is_at(p, now, g->action);
    tact_close(&p);
    sem_destroy(&g->reached), sem_destroy(&g->open);
    mem_free(g);
}

typedef struct Controller {
    tact_policy *policy;
    atomic_bool stop;
    int64_t calls, bad;
} Controller;

static void *control(void *context) {
    Controller *c = context;
    double action[ACTION];
    const struct timespec pause = {.tv_nsec = 50000};
    for (; !c->stop; c->calls++, nanosleep(&pause, NULL)) {
        tact_status status = tact_at(c->policy, clock_seconds(), action);
        bool known = status == TACT_OK || status == TACT_HOLDING;
        if (!known && status != TACT_ERROR_NOTHING_SEEN) c->bad++;
        for (int k = 0; known && k < ACTION; k++)
            if (!(fabs(action[k]) < 10)) c->bad++;
    }
    return NULL;
}

// ThreadSanitizer watches it.
static void a_controller_runs_beside_the_policy(void **state) {
    Scene *s = *state;
    for (int mode = 0; mode < 2; mode++) {
        tact_options o = options();
        o.asynchronous = mode, o.blend_steps = 2;
        Controller c = {.policy = open_policy(s, &o)};
        double action[ACTION];
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, control, &c), 0);
        for (int row = 0; row < ROWS; row++) {
            if (row == ROWS / 2) WORKS(c.policy, tact_reset(c.policy));
            WORKS(c.policy, tact_step(c.policy, look(s, row), action));
        }
        c.stop = true;
        pthread_join(thread, NULL);
        assert_true(c.calls > 0 && c.bad == 0);
        tact_close(&c.policy);
    }
}

int main(void) {
    const struct CMUnitTest alone[] = {
        cmocka_unit_test(it_passes_through_the_actions),
        cmocka_unit_test(the_speed_makes_no_jump),
        cmocka_unit_test(the_end_is_reached_and_held),
        cmocka_unit_test(there_has_to_be_an_action),
        cmocka_unit_test(a_reset_forgets_the_way),
        cmocka_unit_test(what_is_foreseen_is_limited_too),
        cmocka_unit_test(the_box_is_entered_step_by_step),
        cmocka_unit_test(a_gripper_may_be_told_earlier),
        cmocka_unit_test(joints_are_followed_as_numbers),
        cmocka_unit_test(means_are_followed_too),
    };
    const struct CMUnitTest beside[] = {
        cmocka_unit_test(it_does_not_wait_for_a_prediction),
        cmocka_unit_test(a_controller_runs_beside_the_policy),
    };
    int failed = 0;
#ifdef __SANITIZE_THREAD__ // which takes long, and looks at what has two threads
    (void)alone;
#else
    failed += cmocka_run_group_tests(alone, scene_new, scene_free);
#endif
    return failed + cmocka_run_group_tests(beside, scene_new, scene_free);
}
