// SPDX-License-Identifier: Apache-2.0
#include "base/available.h"
#include "base/file.h"
#include "base/memory.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char root[64];

static int make_root(void **state) {
    (void)state;
    snprintf(root, sizeof root, "/tmp/tact-available-XXXXXX");
    return mkdtemp(root) ? 0 : 1;
}

static int remove_root(void **state) {
    Error err;
    (void)state;
    return remove_tree(root, &err) ? 0 : 1;
}

// A file of the pretended system.
static void say(const char *name, const char *text) {
    char path[512], dir[512];
    Error err;
    snprintf(path, sizeof path, "%s/%s", root, name);
    path_parent(dir, sizeof dir, path);
    assert_true(make_dirs(dir, &err));
    assert_true(file_write(path, text, strlen(text), &err));
}

static void the_machine(void **state) {
    (void)state;
    assert_int_equal(memory_available_at(root), -1);
    say("proc/meminfo", "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable:    500 kB\n");
    assert_int_equal(memory_available_at(root), 500 * 1024);
    say("proc/self/cgroup", "0::/\n");
    assert_int_equal(memory_available_at(root), 500 * 1024);
}

// Version 2: a group below a slice with a lower limit, and one without any.
static void groups_of_version_2(void **state) {
    (void)state;
    say("proc/meminfo", "MemAvailable:    500 kB\n");
    say("proc/self/cgroup", "0::/user.slice/run.scope\n");
    say("sys/fs/cgroup/user.slice/run.scope/memory.max", "max\n");
    say("sys/fs/cgroup/user.slice/run.scope/memory.current", "100000\n");
    assert_int_equal(memory_available_at(root), 500 * 1024);
    say("sys/fs/cgroup/user.slice/memory.max", "200000\n");
    say("sys/fs/cgroup/user.slice/memory.current", "150000\n");
    assert_int_equal(memory_available_at(root), 50000);
    // Pages of files give way.
    say("sys/fs/cgroup/user.slice/memory.stat",
        "anon 1\nfile 70000\ninactive_anon 9\ninactive_file 60000\nactive_file 5000\n");
    assert_int_equal(memory_available_at(root), 115000);
    say("sys/fs/cgroup/user.slice/run.scope/memory.max", "101000\n");
    assert_int_equal(memory_available_at(root), 1000);
    say("sys/fs/cgroup/user.slice/run.scope/memory.current", "110000\n");
    assert_int_equal(memory_available_at(root), 0);
}

// Version 1, beside an empty version 2 as systems of both have it.
static void groups_of_version_1(void **state) {
    (void)state;
    say("proc/meminfo", "MemAvailable:    500 kB\n");
    say("proc/self/cgroup", "9:name=systemd:/\n4:memory:/jobs/7\n3:cpu,memorytwo:/x\n0::/\n");
    say("sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", "9223372036854771712\n");
    say("sys/fs/cgroup/memory/jobs/7/memory.usage_in_bytes", "1000\n");
    say("sys/fs/cgroup/memory/x/memory.limit_in_bytes", "1\n");
    say("sys/fs/cgroup/memory/x/memory.usage_in_bytes", "1\n");
    assert_int_equal(memory_available_at(root), 500 * 1024);
    say("sys/fs/cgroup/memory/jobs/7/memory.limit_in_bytes", "300000\n");
    assert_int_equal(memory_available_at(root), 299000);
    // A container sees its own group at the mount.
    say("proc/self/cgroup", "5:blkio,memory:/docker/0123\n");
    say("sys/fs/cgroup/memory/memory.limit_in_bytes", "250000\n");
    say("sys/fs/cgroup/memory/memory.usage_in_bytes", "150000\n");
    say("sys/fs/cgroup/memory/memory.stat",
        "cache 9\ninactive_file 1\ntotal_inactive_file 40000\n");
    assert_int_equal(memory_available_at(root), 140000);
}

// What there cannot be is refused before it is taken, though the system would promise it.
static void large_blocks_are_held_to_it(void **state) {
    (void)state;
    int64_t left = memory_available();
    if (left < 0) skip();
    size_t more = (size_t)left + (size_t)left / 2 + (64u << 20);
    assert_false(mem_could(more));
    assert_null(mem_try_raw(more));
    assert_null(mem_try(more));
    assert_true(mem_could(1 << 20));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_machine, make_root, remove_root),
        cmocka_unit_test_setup_teardown(groups_of_version_2, make_root, remove_root),
        cmocka_unit_test_setup_teardown(groups_of_version_1, make_root, remove_root),
        cmocka_unit_test(large_blocks_are_held_to_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
