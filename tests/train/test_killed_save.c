// SPDX-License-Identifier: Apache-2.0
// A process that is killed at any moment of a save. The system calls of a save are counted here, in
// functions that stand before those of the C library. For every n a child process dies at the n-th
// call, and the directory must hold what it held before or what it should hold afterwards. Then the
// same calls fail instead, as on a full disk.
#include "saved.h"

#include "policy/policy_stats.h"
#include "policy/policy_weights.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

// How many calls are left until the process dies or, with `failing`, until every call fails; -1:
// never.
static int left = -1;
static bool failing;

static bool strike(void) {
    if (left < 0 || --left >= 0) return false;
    if (!failing) kill(getpid(), SIGKILL);
    left = 0;
    errno = ENOSPC;
    return true;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int fsync(int fd) { // a process that dies loses nothing that was written; only a machine does
    (void)fd;
    return strike() ? -1 : 0;
}
int rename(const char *from, const char *to) {
    return strike() ? -1 : REAL(rename)(from, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    return strike() ? -1 : REAL(renameat2)(a, from, b, to, flags);
}
int symlink(const char *target, const char *path) {
    return strike() ? -1 : REAL(symlink)(target, path);
}
int mkdir(const char *path, mode_t mode) {
    return strike() ? -1 : REAL(mkdir)(path, mode);
}
int remove(const char *path) {
    return !failing && strike() ? -1 : REAL(remove)(path);
}

static bool try_save(Saved *f, int64_t step, Error *err) {
    char path[4096];
    f->state.step = f->optimizer.step = step;
    return checkpoint_write(&f->parts, path, sizeof path, err);
}

// Reads a checkpoint whole; its weights must be those of `seed`.
static void assert_whole(Saved *f, const char *name, const uint64_t *seeds, int n_seeds) {
    Error err;
    TrainingState s;
    Params read;
    char *model =
        arena_printf(&f->arena, "%s/checkpoints/%s/pretrained_model", f->config.output_dir, name);
    char *state =
        arena_printf(&f->arena, "%s/checkpoints/%s/training_state", f->config.output_dir, name);
    OK(params_init(&read, f->device, &f->config.policy, true, &err));
    OK(policy_read_weights(model, &read, (WeightsOptions){0}, &err));
    PolicyStats stats;
    OK(policy_read_stats(model, NULL, &f->config.policy, &stats, &err));
    policy_stats_free(&stats);
    OK(training_state_read(state, &s, &err));
    OK(optimizer_state_read(state, s.step, false, &f->optimizer, &err));
    bool same = false;
    size_t bytes = (size_t)read.trainable * sizeof(float);
    for (int i = 0; i < n_seeds; i++) {
        params_initialize(&f->params, seeds[i]);
        same = same || memcmp(f->params.values.data, read.values.data, bytes) == 0;
    }
    if (!same) fail_msg("%s holds other weights", name);
    params_free(&read);
}

// The link names a whole checkpoint whenever there is one.
static void assert_directory(Saved *f, const uint64_t *seeds, int n) {
    Error err;
    char *dir = at(&f->arena, f->config.output_dir, "checkpoints");
    OK(checkpoints_clean(dir, &err));
    assert_whole(f, "000050", seeds, n);
    assert_whole(f, "last", seeds, n);
    if (dir_exists(at(&f->arena, dir, "000060"))) assert_whole(f, "000060", seeds, n);
}

// Whether the child that was to die at call n had finished before.
static bool killed_at(Saved *f, int n, int64_t step, uint64_t seed) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        Error err;
        params_initialize(&f->params, seed);
        left = n;
        _exit(try_save(f, step, &err) ? 0 : 1);
    }
    int status;
    assert_true(waitpid(child, &status, 0) == child);
    if (WIFSIGNALED(status))
        assert_int_equal(WTERMSIG(status), SIGKILL);
    else
        assert_int_equal(WEXITSTATUS(status), 0);
    return WIFEXITED(status);
}

static void a_kill_leaves_a_whole_checkpoint(void **state) {
    Saved *f = *state;
    static const uint64_t seeds[] = {11, 12};
    params_initialize(&f->params, 11);
    save_at(f, 50);
    // Saves a new step, then the same step again, which replaces a checkpoint.
    for (int64_t step = 60; step >= 50; step -= 10) {
        int n = 0;
        while (!killed_at(f, n, step, 12)) {
            assert_directory(f, seeds, 2);
            assert_true(++n < 1000);
        }
        assert_true(n > 30);
        assert_directory(f, seeds, 2);
        assert_whole(f, step == 60 ? "000060" : "000050", &seeds[1], 1);
    }
}

// The disk is full from the n-th call on: the save says so, and what was there before stays.
static void a_full_disk_leaves_what_was_there(void **state) {
    Saved *f = *state;
    static const uint64_t seeds[] = {11, 12};
    Error err;
    params_initialize(&f->params, 11);
    save_at(f, 50);
    bool ok = false;
    int n = 0;
    for (; !ok; n++) {
        params_initialize(&f->params, 12);
        left = n;
        failing = true;
        ok = try_save(f, 60, &err);
        left = -1;
        failing = false;
        if (!ok && !strstr(err.text, strerror(ENOSPC))) fail_msg("call %d: %s", n, err.text);
        assert_whole(f, "000050", seeds, 1);
        assert_whole(f, "last", seeds, 2);
        assert_true(n < 1000);
        assert_false(dir_exists(checkpoint_file(f, ".000060.tmp")));
    }
    assert_true(n > 30);
    assert_whole(f, "000060", &seeds[1], 1);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_kill_leaves_a_whole_checkpoint, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_what_was_there, saved_new, saved_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
