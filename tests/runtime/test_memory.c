// SPDX-License-Identifier: Apache-2.0
// On a machine with too little memory opening and the first step fail with an error, and nothing
// worse happens.
#include "fixture.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1 // the sanitizer's own memory must not be limited
#else
#define SANITIZED 0
#endif

enum { MEGABYTE = 1 << 20, STEP = 3, MOST = 300, CRASHED = 100 };

static size_t address_space(void) {
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_true(f && fscanf(f, "%lu", &pages) == 1);
    fclose(f);
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

// From here on the process may have so many bytes more than now, and no others.
static void allow(size_t more) {
    struct rlimit limit;
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = more == SIZE_MAX ? limit.rlim_max : address_space() + more;
    setrlimit(RLIMIT_AS, &limit);
}

// The worst that a child process came to, as a tact_status; what it does is limited to it.
static int in_child(int (*call)(Scene *s, size_t more), Scene *s, size_t more) {
    int status;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        const int signals[] = {SIGSEGV, SIGABRT, SIGBUS}; // cmocka takes them for its own
        for (int i = 0; i < 3; i++) signal(signals[i], SIG_DFL);
        _exit(call(s, more));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : CRASHED;
}

static int opening(Scene *s, size_t more) {
    tact_options o = options();
    tact_policy *p;
    double action[ACTION];
    allow(more);
    tact_status status = tact_open(s->model, &o, &p);
    if (status == TACT_OK) status = tact_step(p, &s->seen, action);
    tact_close(&p);
    return (int)status;
}

// After a first step that failed the next one succeeds, when there is memory again.
static int first_step(Scene *s, size_t more) {
    double want[ACTION], got[ACTION];
    tact_policy *p = open_policy(s, NULL), *q = open_policy(s, NULL);
    if (tact_step(q, &s->seen, want) != TACT_OK) return CRASHED;
    allow(more);
    tact_status status = tact_step(p, &s->seen, got);
    if (status != TACT_OK && strstr(tact_message(p), "out of memory") == NULL) return CRASHED;
    allow(SIZE_MAX);
    if (tact_reset(p) != TACT_OK || tact_step(p, &s->seen, got) != TACT_OK) return CRASHED;
    if (memcmp(got, want, sizeof got) != 0) return CRASHED;
    tact_close(&p);
    tact_close(&q);
    return (int)status;
}

// There is more and more memory: an error comes until it is enough.
static void check(Scene *s, int (*call)(Scene *s, size_t more)) {
    int refused = 0, worked = 0;
    look(s, 0);
    if (SANITIZED) skip();
    for (size_t megabytes = 0; megabytes < MOST && worked < 3; megabytes += STEP) {
        int status = in_child(call, s, megabytes * MEGABYTE);
        if (status != TACT_OK && status != TACT_ERROR_MEMORY)
            fail_msg("with %zu MB: %d", megabytes, status);
        refused += status != TACT_OK;
        worked += status == TACT_OK;
    }
    assert_true(refused > 2 && worked == 3);
}

static void opening_with_too_little_memory_is_an_error(void **state) {
    check(*state, opening);
}

static void and_so_is_the_first_step(void **state) {
    check(*state, first_step);
}

// The small policy gets by with little: blocks are as large as what lies in them.
static void a_handle_takes_what_it_needs(void **state) {
    Scene *s = *state;
    if (SANITIZED) skip();
    look(s, 0);
    double action[ACTION];
    size_t weights = 0, before = address_space();
    tact_policy *p = open_policy(s, NULL);
    for (int i = 0; i < p->policy->params.count; i++)
        weights += (size_t)p->policy->params.list[i].count * sizeof(float);
    WORKS(p, tact_step(p, &s->seen, action));
    // The weights as they are and as the kernels want them, which is once for each of the cameras'
    // two sizes; activations, what is folded, and the kernels themselves.
    assert_true(address_space() - before < 3 * weights + (size_t)120 * MEGABYTE);
    tact_close(&p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_with_too_little_memory_is_an_error),
        cmocka_unit_test(and_so_is_the_first_step),
        cmocka_unit_test(a_handle_takes_what_it_needs),
    };
    return cmocka_run_group_tests(tests, scene_new, scene_free);
}
