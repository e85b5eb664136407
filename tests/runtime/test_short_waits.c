// SPDX-License-Identifier: Apache-2.0
// OpenMP's threads go to sleep soon where libtact is in use, and nothing of that is left behind.
#include "runtime/short_waits.h"

#include <dirent.h>
#include <omp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { REGIONS = 60 };

static int threads_here(void) {
    int n = 0;
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    for (struct dirent *e; (e = readdir(tasks));) n += e->d_name[0] != '.';
    closedir(tasks);
    return n;
}

// How often a thread has gone to sleep.
static long sleeps_of(long thread) {
    char path[64], line[256];
    long sleeps = -1;
    snprintf(path, sizeof path, "/proc/self/task/%ld/status", thread);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (sscanf(line, "voluntary_ctxt_switches: %ld", &sleeps) == 1) break;
    fclose(f);
    assert_true(sleeps >= 0);
    return sleeps;
}

// How often the second thread of a team sleeps between parallel regions that are 2 ms apart, which
// is less than the library spins of its own accord.
static long sleeps_between_regions(int threads) {
    atomic_long second = 0;
    long before = 0;
    for (int i = 0; i < REGIONS; i++) {
#pragma omp parallel num_threads(threads)
        if (omp_get_thread_num() == 1) atomic_store(&second, syscall(SYS_gettid));
        if (i == 0) before = sleeps_of(second);
        nanosleep(&(struct timespec){.tv_nsec = 2000000}, NULL);
    }
    return sleeps_of(second) - before;
}

// Whether the environment, as the library read it, leaves the waits to the library, and there are
// processors to wait on.
static bool waits_are_long(void) {
    const bool told = getenv("GOMP_SPINCOUNT") || getenv("OMP_WAIT_POLICY");
    if (told || omp_get_num_procs() < 2)
        print_message("skipped: %s\n", told ? "the environment says how to wait" : "one processor");
    return !told && omp_get_num_procs() >= 2;
}

static void threads_sleep_soon(void **state) {
    (void)state;
    const int threads = omp_get_num_procs(); // one more are more than there are processors
    if (!waits_are_long()) return;
    long sleeps = 0;
    const int had = threads_here();
    assert_true(short_waits_begin(threads));
    assert_true(short_waits_begin(threads)); // another handle
    assert_int_equal(threads_here(), had + 2);
    // On a busy machine a thread may not even come to it; but not each time.
    for (int i = 0; i < 10 && sleeps < REGIONS / 2; i++) sleeps = sleeps_between_regions(threads);
    print_message("the second thread slept %ld times in %d waits\n", sleeps, REGIONS);
    assert_true(sleeps >= REGIONS / 2);
    short_waits_end();
    assert_int_equal(threads_here(), had + 2 + threads - 1);
    short_waits_end();
    assert_int_equal(threads_here(), had + threads - 1);
    assert_true(short_waits_begin(threads)); // and again
    short_waits_end();
    assert_int_equal(threads_here(), had + threads - 1);
}

static void nothing_is_done_where_it_is_not_wanted(void **state) {
    (void)state;
    const int threads = omp_get_num_procs(), had = threads_here();
    const char *const names[] = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"};
    assert_false(short_waits_begin(1));
    for (int i = 0; i < 2; i++) {
        if (getenv(names[i])) continue;
        setenv(names[i], i ? "passive" : "77", 1);
        assert_false(short_waits_begin(threads));
        unsetenv(names[i]);
    }
    assert_int_equal(threads_here(), had);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_sleep_soon),
        cmocka_unit_test(nothing_is_done_where_it_is_not_wanted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
