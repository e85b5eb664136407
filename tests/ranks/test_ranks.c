// SPDX-License-Identifier: Apache-2.0
// Processes that meet, agree, add up, and end together when one of them fails, dies or stalls.
#include "base/log.h"
#include "base/memory.h"
#include "free_port.h"
#include "need.h"
#include "ranks/ranks.h"
#include "ranks/sockets.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { MOST = 4, FLOATS = 100000 };

// What one process does with the others, in a process of its own. Its exit status is what it
// returns; 9: it could not open.
typedef int (*Work)(Ranks *r);

// Memory of all processes, where process 0 notes that it has saved; NULL: no one looks.
static _Atomic int *saved;

static int run_process(int rank, int count, int port, double timeout_s, Work work) {
    RanksOptions o = {.backend = "auto", .timeout_s = timeout_s};
    Ranks *r;
    Error err;
    o.place = (RanksPlace){
        .starter = STARTED_TORCHRUN, .count = count, .rank = rank, .local_rank = -1, .port = port};
    snprintf(o.place.master, sizeof o.place.master, "localhost");
    snprintf(o.place.key, sizeof o.place.key, "test %d", port);
    if (!ranks_open(&o, &r, &err)) {
        fprintf(stderr, "rank %d: %s\n", rank, err.text);
        return 9;
    }
    int status = work(r);
    ranks_close(r);
    if (status == 0 && saved && !*saved) return 4;
    return status;
}

static void start_all(int count, int port, double timeout_s, Work work, pid_t pids[MOST]) {
    for (int i = count - 1; i >= 0; i--) { // process 0 may come last
        pids[i] = fork();
        if (pids[i] == 0) _exit(run_process(i, count, port, timeout_s, work));
    }
}

static void wait_for_all(int count, const pid_t pids[MOST], int status[MOST]) {
    for (int i = 0; i < count; i++) {
        int s;
        waitpid(pids[i], &s, 0);
        status[i] = WIFEXITED(s) ? WEXITSTATUS(s) : -WTERMSIG(s);
    }
}

// Runs the work in `count` processes. Their exit statuses, negative: the signal that ended one.
static void run_all_for(int count, double timeout_s, Work work, int status[MOST]) {
    pid_t pids[MOST];
    start_all(count, free_port(), timeout_s, work, pids);
    wait_for_all(count, pids, status);
}

static void all_give(int count, Work work, int expected) {
    int status[MOST];
    run_all_for(count, 20, work, status);
    for (int i = 0; i < count; i++) assert_int_equal(status[i], expected);
}

// ---- what goes well -----------------------------------------------------------------------------

static int agree(Ranks *r) {
    Error err;
    const int rank = ranks_rank(r), count = ranks_count(r);
    int all[MOST] = {0}, mine = 10 + rank, processors = 0;
    char word[32];
    NEED(ranks_local_count(r) == count && ranks_local_rank(r) == rank);
    snprintf(word, sizeof word, "from %d", rank);
    NEED(ranks_share(r, word, sizeof word, &err) && strcmp(word, "from 0") == 0);
    NEED(ranks_gather(r, &mine, sizeof mine, all, &err));
    for (int i = 0; i < count; i++) NEED(all[i] == 10 + i);
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    NEED(!ranks_gather(r, &mine, 40 << 20, all, &err) && strstr(err.text, "more than a message"));
    NEED(ranks_processors(r, &processors, &err));
    long there = sysconf(_SC_NPROCESSORS_ONLN);
    NEED(processors >= 1 && processors <= (there > count ? there / count : 1));
    return ranks_leave(r, &err) ? 0 : 1;
}

static int add(Ranks *r) {
    Error err;
    const int rank = ranks_rank(r), count = ranks_count(r);
    float *a = NEW(float, FLOATS), *b = NEW(float, 3), none = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < FLOATS; i++) a[i] = (float)((i % 100) * (rank + 1) + round);
        for (int i = 0; i < 3; i++) b[i] = (float)(rank + i);
        ranks_sum_begin(r, a, FLOATS);
        ranks_sum_begin(r, &none, 0);
        ranks_sum_begin(r, b, 3);
        NEED(ranks_sums_end(r, &err));
        const int ranks = count * (count + 1) / 2;
        for (int i = 0; i < FLOATS; i++) NEED(a[i] == (float)((i % 100) * ranks + count * round));
        for (int i = 0; i < 3; i++) NEED(b[i] == (float)(ranks - count + count * i));
    }
    NEED(ranks_sums_end(r, &err)); // of none
    mem_free(a);
    mem_free(b);
    return ranks_leave(r, &err) ? 0 : 1;
}

static void they_agree(void **state) {
    (void)state;
    for (int count = 2; count <= MOST; count++) all_give(count, agree, 0);
}

static void they_add(void **state) {
    (void)state;
    all_give(2, add, 0);
    all_give(3, add, 0);
}

static void one_alone(void **state) {
    (void)state;
    Error err;
    int mine = 4, all = 0;
    float f = 3;
    assert_true(ranks_gather(NULL, &mine, sizeof mine, &all, &err));
    assert_int_equal(all, 4);
    assert_true(ranks_share(NULL, &mine, sizeof mine, &err));
    ranks_sum_begin(NULL, &f, 1);
    assert_true(ranks_sums_end(NULL, &err));
    assert_true(f == 3);
    assert_int_equal(ranks_count(NULL), 1);
    assert_true(ranks_leave(NULL, &err));
    ranks_close(NULL);
}

// ---- what goes wrong ----------------------------------------------------------------------------

// Gathers until it fails, and says whether the line has a part: 0 yes.
static int wait_for_line(Ranks *r, const char *part) {
    Error err;
    double start = clock_seconds();
    while (ranks_gather(r, NULL, 0, NULL, &err))
        if (clock_seconds() - start > 30) return 3;
    if (strstr(err.text, part)) return 0;
    fprintf(stderr, "%s: no \"%s\"\n", err.text, part);
    return 2;
}

static int one_fails(Ranks *r) {
    Error err;
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    if (ranks_rank(r) == 1) {
        ranks_fail(r, "its disk is full");
        NEED(!ranks_tells(r)); // process 0 does
        NEED(!ranks_gather(r, NULL, 0, NULL, &err) && strstr(err.text, "disk is full"));
        NEED(!ranks_leave(r, &err) && ranks_lost(r, &err));
        return 0;
    }
    int bad = wait_for_line(r, ") ended: its disk is full");
    NEED(!ranks_leave(r, &err) && ranks_tells(r) == (ranks_rank(r) == 0));
    return bad;
}

static int one_dies(Ranks *r) {
    Error err;
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    if (ranks_rank(r) == 1) raise(SIGKILL);
    return wait_for_line(r, "rank 1 (");
}

// In the middle of a sum, which the ring's neighbours see first.
static int one_dies_adding(Ranks *r) {
    Error err;
    float *a = NEW(float, FLOATS);
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    if (ranks_rank(r) == 2) raise(SIGKILL);
    ranks_sum_begin(r, a, FLOATS);
    NEED(!ranks_sums_end(r, &err));
    mem_free(a);
    return strstr(err.text, "rank 2 (") && strstr(err.text, "is gone") ? 0 : 2;
}

static int root_dies(Ranks *r) {
    Error err;
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    if (ranks_rank(r) == 0) raise(SIGKILL);
    int bad = wait_for_line(r, "rank 0 (");
    NEED(ranks_tells(r));
    return bad;
}

static int one_stalls(Ranks *r) {
    Error err;
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    if (ranks_rank(r) == 1) {
        nanosleep(&(struct timespec){.tv_sec = 5}, NULL);
        return wait_for_line(r, "rank 1 ("); // it hears of itself
    }
    return wait_for_line(r, "has not come for 3 s");
}

// The whole run is stopped for longer than anyone waits, while process 1 is not there yet.
static int suspended(Ranks *r) {
    Error err;
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    if (ranks_rank(r) == 1) nanosleep(&(struct timespec){.tv_nsec = 400000000}, NULL);
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    return ranks_leave(r, &err) ? 0 : 1;
}

static void a_suspended_run_goes_on(void **state) {
    (void)state;
    pid_t pids[MOST];
    int status[MOST];
    start_all(2, free_port(), 1, suspended, pids);
    nanosleep(&(struct timespec){.tv_nsec = 250000000}, NULL);
    for (int i = 0; i < 2; i++) kill(pids[i], SIGSTOP);
    nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 300000000}, NULL);
    for (int i = 0; i < 2; i++) kill(pids[i], SIGCONT);
    wait_for_all(2, pids, status);
    for (int i = 0; i < 2; i++) assert_int_equal(status[i], 0);
}

static int out_of_step(Ranks *r) {
    Error err;
    char all[64], mine[16] = {0};
    bool ok = ranks_gather(r, mine, ranks_rank(r) ? 8 : 16, all, &err);
    return !ok && strstr(err.text, "out of step") ? 0 : 2;
}

static int out_of_step_by_more(Ranks *r) {
    Error err;
    char all[64], mine[16] = {0};
    bool ok = ranks_gather(r, mine, ranks_rank(r) ? 16 : 8, all, &err);
    return !ok && strstr(err.text, "it sent 16 bytes where 8 were expected") ? 0 : 2;
}

static void ends_everywhere(void **state) {
    (void)state;
    int status[MOST];
    all_give(3, one_fails, 0);
    all_give(3, out_of_step, 0);
    all_give(3, out_of_step_by_more, 0);
    run_all_for(3, 3, one_stalls, status);
    for (int i = 0; i < 3; i++) assert_int_equal(status[i], 0);
    run_all_for(3, 20, one_dies, status);
    for (int i = 0; i < 3; i++) assert_int_equal(status[i], i == 1 ? -SIGKILL : 0);
    run_all_for(4, 20, one_dies_adding, status);
    for (int i = 0; i < 4; i++) assert_int_equal(status[i], i == 2 ? -SIGKILL : 0);
    run_all_for(3, 20, root_dies, status);
    for (int i = 0; i < 3; i++) assert_int_equal(status[i], i == 0 ? -SIGKILL : 0);
}

// What started them may end all when one has ended, so the others wait for process 0 to save.
static int process_0_saves(Ranks *r) {
    Error err;
    NEED(ranks_gather(r, NULL, 0, NULL, &err));
    if (ranks_rank(r) == 1) ranks_fail(r, "its disk is full");
    NEED(!ranks_leave(r, &err));
    if (ranks_rank(r)) return 0;
    nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
    *saved = 1;
    return 0;
}

static void the_others_wait_for_it(void **state) {
    (void)state;
    saved = mmap(NULL, sizeof *saved, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(saved, MAP_FAILED);
    all_give(3, process_0_saves, 0);
    munmap((void *)saved, sizeof *saved);
    saved = NULL;
}

// ---- meeting ------------------------------------------------------------------------------------

static int leave(Ranks *r) {
    Error err;
    return ranks_leave(r, &err) ? 0 : 1;
}

static void one_never_comes(void **state) {
    (void)state;
    assert_int_equal(run_process(0, 2, free_port(), 0.5, leave), 9);
    assert_int_equal(run_process(1, 2, free_port(), 0.5, leave), 9);
}

// As often as one likes: connections that have ended keep no port.
static void again_on_one_port(void **state) {
    (void)state;
    pid_t pids[MOST];
    int status[MOST];
    const int port = free_port();
    for (int i = 0; i < RANKS_PORTS + 2; i++) {
        start_all(2, port, 20, leave, pids);
        wait_for_all(2, pids, status);
        assert_int_equal(status[0], 0);
        assert_int_equal(status[1], 0);
    }
}

// A machine without IPv6 has to reach what a socket of both families saw.
static void plain_addresses(void **state) {
    (void)state;
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_port = htons(7)};
    Address a = {.length = sizeof six};
    inet_pton(AF_INET6, "::ffff:192.0.2.5", &six.sin6_addr);
    memcpy(&a.address, &six, sizeof six);
    address_plain(&a);
    const struct sockaddr_in *four = (const struct sockaddr_in *)&a.address;
    assert_int_equal(four->sin_family, AF_INET);
    assert_int_equal(a.length, sizeof *four);
    assert_int_equal(ntohs(four->sin_port), 7);
    assert_int_equal(ntohl(four->sin_addr.s_addr), 0xc0000205);
    inet_pton(AF_INET6, "2001:db8::5", &six.sin6_addr);
    a.length = sizeof six;
    memcpy(&a.address, &six, sizeof six);
    address_plain(&a);
    assert_int_equal(a.address.ss_family, AF_INET6);
}

static void two_of_one_rank(void **state) {
    (void)state;
    int port = free_port(), status;
    pid_t pids[3];
    for (int i = 0; i < 3; i++) {
        pids[i] = fork();
        if (pids[i] == 0) _exit(run_process(i ? 1 : 0, 3, port, 20, leave));
    }
    for (int i = 0; i < 3; i++) {
        waitpid(pids[i], &status, 0);
        assert_int_equal(WEXITSTATUS(status), 9);
    }
}

// As where one was started with another number of processes.
static void another_count(void **state) {
    (void)state;
    const int port = free_port();
    int status;
    pid_t pids[2];
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0) _exit(run_process(i, 2 + i, port, 20, leave));
    }
    for (int i = 0; i < 2; i++) {
        waitpid(pids[i], &status, 0);
        assert_int_equal(WEXITSTATUS(status), 9);
    }
}

// Someone who knows the port and nothing else: silence, garbage, and a message that is too long.
static void strangers(void **state) {
    (void)state;
    const int port = free_port();
    int status;
    pid_t pids[2];
    Addresses at;
    Error err;
    pids[0] = fork();
    if (pids[0] == 0) _exit(run_process(0, 2, port, 20, agree));
    assert_true(addresses_of("127.0.0.1", port, 1, &at, &err));
    int fds[40];
    for (int i = 0; i < 40; i++) {
        static const char garbage[4096] = "GET / HTTP/1.1\r\n\r\n";
        const uint64_t long_message[3] = {0x0000000174616374u, 0, UINT64_MAX};
        double start = clock_seconds();
        while ((fds[i] = socket_connect(&at.list[0], 1)) < 0 && clock_seconds() - start < 10)
            nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        assert_true(fds[i] >= 0);
        if (i % 3 == 1) (void)!socket_send_all(fds[i], garbage, sizeof garbage);
        if (i % 3 == 2) (void)!socket_send_all(fds[i], long_message, sizeof long_message);
    }
    pids[1] = fork();
    if (pids[1] == 0) _exit(run_process(1, 2, port, 20, agree));
    for (int i = 0; i < 2; i++) {
        waitpid(pids[i], &status, 0);
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    for (int i = 0; i < 40; i++) close(fds[i]);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_alone),
                                       cmocka_unit_test(they_agree),
                                       cmocka_unit_test(they_add),
                                       cmocka_unit_test(ends_everywhere),
                                       cmocka_unit_test(one_never_comes),
                                       cmocka_unit_test(two_of_one_rank),
                                       cmocka_unit_test(strangers),
                                       cmocka_unit_test(again_on_one_port),
                                       cmocka_unit_test(plain_addresses),
                                       cmocka_unit_test(a_suspended_run_goes_on),
                                       cmocka_unit_test(the_others_wait_for_it),
                                       cmocka_unit_test(another_count)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
