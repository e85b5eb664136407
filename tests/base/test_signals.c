// SPDX-License-Identifier: Apache-2.0
// Signals that are held back while something computes, and handlers on a stack of their own.
#include "base/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static volatile sig_atomic_t arrived;
static volatile uintptr_t place; // of the handler's stack

static void on_signal(int number) {
    arrived = number;
    place = (uintptr_t)__builtin_frame_address(0);
}

static void they_arrive_afterwards(void **state) {
    sigset_t before, outer;
    (void)state;
    signals_handle(SIGUSR1, on_signal);
    arrived = 0;
    signals_hold(&outer);
    signals_hold(&before); // within another one
    raise(SIGUSR1);
    assert_int_equal(arrived, 0);
    signals_release(&before);
    assert_int_equal(arrived, 0);
    signals_release(&outer);
    assert_int_equal(arrived, SIGUSR1);
}

static void faults_are_not_held_back(void **state) {
    sigset_t before, now;
    (void)state;
    signals_hold(&before);
    sigprocmask(SIG_BLOCK, NULL, &now);
    signals_release(&before);
    assert_false(sigismember(&now, SIGSEGV));
    assert_false(sigismember(&now, SIGABRT));
    assert_true(sigismember(&now, SIGINT));
    assert_true(sigismember(&now, SIGALRM));
}

static void handlers_run_on_their_own_stack(void **state) {
    stack_t own;
    (void)state;
    signals_handle(SIGUSR2, on_signal);
    place = 0;
    raise(SIGUSR2);
    assert_int_equal(sigaltstack(NULL, &own), 0);
    const uintptr_t from = (uintptr_t)own.ss_sp;
    assert_true(own.ss_size >= 1 << 15);
    assert_in_range(place, from, from + own.ss_size);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_arrive_afterwards),
        cmocka_unit_test(faults_are_not_held_back),
        cmocka_unit_test(handlers_run_on_their_own_stack),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
