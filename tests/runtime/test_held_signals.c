// SPDX-License-Identifier: Apache-2.0
// A program's signals do not interrupt what libtact computes in its threads (base/signals.h), and
// are the program's own again afterwards.
#include "fixture.h"

#include <sys/time.h>

static bool is_held(int number) {
    sigset_t now;
    sigprocmask(SIG_BLOCK, NULL, &now);
    return sigismember(&now, number);
}

static void while_it_computes(void **state) {
    Scene *s = *state;
    tact_policy *p = open_policy(s, NULL);
    double action[ACTION];
    assert_false(is_held(SIGINT));
    const Computing before = compute_begin(p);
    assert_true(is_held(SIGINT));
    assert_false(is_held(SIGSEGV));
    compute_end(&before);
    assert_false(is_held(SIGINT));
    WORKS(p, tact_step(p, look(s, 0), action));
    assert_false(is_held(SIGINT));
    tact_close(&p);
}

static void not_opened_either(void **state) {
    tact_policy *p = NULL;
    (void)state;
    assert_int_not_equal(tact_open("/nowhere", NULL, &p), TACT_OK);
    assert_false(is_held(SIGINT));
}

static volatile sig_atomic_t ticks;

static void on_tick(int number) {
    (void)number;
    ticks++;
}

// A timer as a profiler's, all along: the same actions.
static void beside_a_timer(void **state) {
    Scene *s = *state;
    double want[FRAMES / 2][ACTION], got[ACTION];
    const struct itimerval often = {{0, 200}, {0, 200}}, never = {{0, 0}, {0, 0}};
    struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART};
    for (int timed = 0; timed < 2; timed++) {
        if (timed) {
            assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
            assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
        }
        tact_policy *p = open_policy(s, NULL);
        for (int row = 0; row < FRAMES / 2; row++) {
            WORKS(p, tact_step(p, look(s, row), timed ? got : want[row]));
            if (timed) assert_memory_equal(got, want[row], sizeof got);
        }
        tact_close(&p);
    }
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    assert_true(ticks > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(while_it_computes),
        cmocka_unit_test(not_opened_either),
        cmocka_unit_test(beside_a_timer),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
