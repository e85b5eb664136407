// SPDX-License-Identifier: Apache-2.0
// Sums over the ring: processes are threads here, joined by socket pairs or by TCP. Then one
// process alone, whose neighbour is the test: values that come in odd pieces, and a neighbour that
// is wrong or gone.
#include "base/memory.h"
#include "check_sums.h"
#include "ranks/ring.h"
#include "ranks/sums.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../ok.h"

enum { MOST_RANKS = 7, MOST_SUMS = 8, PATIENCE_MS = 30000 };

// ---- several processes --------------------------------------------------------------------------

typedef struct World {
    int count, n_sums;
    int64_t n[MOST_SUMS];
    uint64_t seed; // of when each process begins its sums
    bool tcp;
    int small_buffers; // bytes; 0: as the system has them
    bool not_finite;   // some of the first sum's values are not
    int leaves;        // rank that goes when it has begun and moved a little; -1: none
} World;

typedef struct Process {
    const World *world;
    int rank, next, previous;
    float *data[MOST_SUMS];
    bool ok;
    Error err;
} Process;

static void tcp_pair(int pair[2]) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_return_code(bind(listener, (struct sockaddr *)&at, size), 0);
    assert_return_code(listen(listener, 1), 0);
    assert_return_code(getsockname(listener, (struct sockaddr *)&at, &size), 0);
    pair[0] = socket(AF_INET, SOCK_STREAM, 0);
    assert_return_code(connect(pair[0], (struct sockaddr *)&at, size), 0);
    pair[1] = accept(listener, NULL, NULL);
    assert_return_code(pair[1], 0);
    close(listener);
}

static void join(const World *w, int pair[2]) {
    if (w->tcp)
        tcp_pair(pair);
    else
        assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    for (int i = 0; i < 2 && w->small_buffers; i++) {
        setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &w->small_buffers, sizeof(int));
        setsockopt(pair[i], SOL_SOCKET, SO_RCVBUF, &w->small_buffers, sizeof(int));
    }
}

// Waits until the sums can move, as long as patience lasts.
static bool wait_for(Sums *s, Error *err) {
    struct pollfd at[SUMS_DESCRIPTORS];
    int n = s->kind->descriptors(s, at);
    if (n < 1 || n > SUMS_DESCRIPTORS) return (fail)(err, "%d descriptors to wait for", n);
    if (poll(at, (nfds_t)n, PATIENCE_MS) == 0) return (fail)(err, "nothing moves");
    return true;
}

static bool run_process(Process *p, Sums *s, Error *err) {
    const World *w = p->world;
    int begun = 0, under_way = 0;
    for (uint64_t k = 0; begun < w->n_sums || under_way > 0; k++) {
        uint64_t chance = mix(w->seed + mix(k + 100 * (uint64_t)p->rank));
        if (begun < w->n_sums && (under_way == 0 || chance % 3 == 0)) {
            if (chance % 7 == 0) usleep(500);
            int64_t n = w->n[begun];
            if (!s->kind->begin(s, p->data[begun], n, err)) return false;
            begun++;
        }
        if (!s->kind->progress(s, &under_way, err)) return false;
        if (p->rank == w->leaves && under_way > 0) return (fail)(err, "left");
        if (under_way > 0 && !wait_for(s, err)) return false;
    }
    return true;
}

static void *process_thread(void *user) {
    Process *p = user;
    Sums *s;
    p->ok = ring_open(p->rank, p->world->count, p->next, p->previous, &s, &p->err);
    if (!p->ok) return NULL;
    p->ok = run_process(p, s, &p->err);
    s->kind->close(s);
    return NULL;
}

// Runs the world's processes to their end.
static void run_world(const World *w, Process *p) {
    pthread_t threads[MOST_RANKS];
    for (int r = 0; r < w->count; r++) {
        int pair[2];
        join(w, pair);
        p[r].next = pair[0];
        p[(r + 1) % w->count].previous = pair[1];
    }
    for (int r = 0; r < w->count; r++) {
        p[r].world = w;
        p[r].rank = r;
        for (int i = 0; i < w->n_sums; i++) {
            p[r].data[i] = NEW(float, w->n[i] + 1);
            summand_fill(p[r].data[i], (uint64_t)i, r, w->n[i]);
            p[r].data[i][w->n[i]] = 77; // nothing beyond the end changes
        }
        if (!w->not_finite) continue;
        float *first = p[r].data[0];
        if (r == 0) first[0] = NAN, first[200] = INFINITY;
        if (r == 1) first[100] = -INFINITY, first[200] = -INFINITY;
        if (r == w->count - 1) first[299] = NAN;
    }
    for (int r = 0; r < w->count; r++)
        assert_int_equal(pthread_create(&threads[r], NULL, process_thread, &p[r]), 0);
    for (int r = 0; r < w->count; r++) pthread_join(threads[r], NULL);
}

static void free_world(const World *w, Process *p) {
    for (int r = 0; r < w->count; r++)
        for (int i = 0; i < w->n_sums; i++) mem_free(p[r].data[i]);
}

static void check_world(const World *w) {
    Process first[MOST_RANKS] = {0}, again[MOST_RANKS] = {0};
    World other = *w;
    other.seed = mix(w->seed);
    run_world(w, first);
    run_world(&other, again);
    for (int r = 0; r < w->count; r++) {
        if (!first[r].ok) fail_msg("rank %d: %s", r, first[r].err.text);
        if (!again[r].ok) fail_msg("rank %d, again: %s", r, again[r].err.text);
    }
    for (int i = 0; i < w->n_sums; i++) {
        size_t bytes = (size_t)w->n[i] * sizeof(float);
        assert_true(sum_is_right(first[0].data[i], (uint64_t)i, w->count, w->n[i]));
        for (int r = 0; r < w->count; r++) {
            assert_memory_equal(first[r].data[i], first[0].data[i], bytes);
            assert_memory_equal(again[r].data[i], first[0].data[i], bytes);
            assert_true(first[r].data[i][w->n[i]] == 77);
        }
    }
    free_world(w, first);
    free_world(w, again);
}

static void test_sums(void **state) {
    (void)state;
    static const int counts[] = {2, 3, 4, 7};
    for (int c = 0; c < 4; c++)
        for (uint64_t seed = 0; seed < 6; seed++) {
            World w = {.count = counts[c],
                       .n_sums = 1 + (int)(mix(seed) % MOST_SUMS),
                       .seed = seed,
                       .tcp = seed % 2 == 1,
                       .small_buffers = seed % 4 == 0 ? 5000 : 0,
                       .leaves = -1};
            for (int i = 0; i < w.n_sums; i++) {
                static const int64_t most[] = {1, 6, 40, 1000, 60000};
                uint64_t x = mix(seed * 100 + (uint64_t)(10 * i + c));
                w.n[i] = (int64_t)(x % (uint64_t)(most[x / 7 % 5] + 1));
            }
            check_world(&w);
        }
}

// Larger than all that the sockets and one turn take.
static void test_large(void **state) {
    (void)state;
    check_world(&(World){
        .count = 3, .n_sums = 2, .n = {2000003, 17}, .seed = 4, .tcp = true, .leaves = -1});
}

static void test_empty(void **state) {
    (void)state;
    check_world(&(World){.count = 2, .n_sums = 3, .leaves = -1});
    check_world(&(World){.count = 4, .n_sums = 5, .n = {0, 3, 0, 0, 1}, .seed = 2, .leaves = -1});
}

// A process that goes in the middle ends the sums of all others, who name a neighbour: the one
// that is gone, or one that gave up.
static void test_gone(void **state) {
    (void)state;
    for (int leaves = 0; leaves < 4; leaves++) {
        World w = {.count = 4,
                   .n_sums = 2,
                   .n = {3000000, 3000000},
                   .seed = 5,
                   .tcp = leaves % 2 == 0,
                   .leaves = leaves};
        Process p[MOST_RANKS] = {0};
        run_world(&w, p);
        for (int r = 0; r < w.count; r++) {
            assert_false(p[r].ok);
            if (r == leaves) continue;
            int named = -1;
            assert_int_equal(sscanf(p[r].err.text, "the connection to rank %d ended", &named), 1);
            assert_true(named == (r + 1) % w.count || named == (r + 3) % w.count);
        }
        free_world(&w, p);
    }
}

// Infinities and NaN come out where they went in, on every process, and nowhere else.
static void test_not_finite(void **state) {
    (void)state;
    World w = {.count = 4, .n_sums = 1, .n = {300}, .not_finite = true, .leaves = -1};
    Process p[MOST_RANKS] = {0};
    run_world(&w, p);
    for (int r = 0; r < w.count; r++) {
        const float *sum = p[r].data[0];
        if (!p[r].ok) fail_msg("rank %d: %s", r, p[r].err.text);
        assert_memory_equal(sum, p[0].data[0], 300 * sizeof(float));
        assert_true(isnan(sum[0]) && isnan(sum[299]) && isinf(sum[100]) && isnan(sum[200]));
        for (int i = 0; i < 300; i++) assert_true(isfinite(sum[i]) == (i != 299 && i % 100 != 0));
    }
    free_world(&w, p);
}

// ---- one process whose neighbours are the test --------------------------------------------------

typedef struct Alone {
    Sums *s;
    int next, previous; // the neighbours' ends
    int under_way;
    float data[96];
} Alone;

static void alone_open(Alone *a, int count) {
    int to_next[2], from_previous[2];
    Error err;
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, to_next), 0);
    assert_return_code(socketpair(AF_UNIX, SOCK_STREAM, 0, from_previous), 0);
    a->next = to_next[1];
    a->previous = from_previous[1];
    OK(ring_open(0, count, to_next[0], from_previous[0], &a->s, &err));
    summand_fill(a->data, 0, 0, 96);
}

static void alone_close(Alone *a) {
    a->s->kind->close(a->s);
    if (a->next >= 0) close(a->next);
    if (a->previous >= 0) close(a->previous);
}

static void put(int to, const void *what, size_t bytes) {
    assert_int_equal(write(to, what, bytes), bytes);
}

static void get(int from, void *what, size_t bytes) {
    assert_int_equal(recv(from, what, bytes, MSG_WAITALL), bytes);
}

// Two processes, a sum of 50: segments of 32 and 18. What comes in pieces of 1 to 7 bytes is
// added and sent on as if it had come at once.
static void test_pieces(void **state) {
    (void)state;
    Alone a;
    Error err;
    struct {
        RingHeader first;
        float second_segment[18];
        RingHeader second;
        float first_segment[32];
    } in =
        {
            .first = {RING_MAGIC, 2, 1, 0, 0, 50},
            .second = {RING_MAGIC, 2, 1, 1, 0, 50},
        },
      out;
    static float own[50];
    summand_fill(own, 0, 0, 50);
    alone_open(&a, 2);
    for (int i = 0; i < 18; i++) in.second_segment[i] = summand_value(9, 1, i);
    for (int i = 0; i < 32; i++) in.first_segment[i] = (float)i;
    OK(a.s->kind->begin(a.s, a.data, 50, &err));
    for (size_t at = 0, piece = 1; at < sizeof in; at += piece, piece = 1 + at % 7) {
        if (piece > sizeof in - at) piece = sizeof in - at;
        OK(a.s->kind->progress(a.s, &a.under_way, &err));
        assert_int_equal(a.under_way, 1);
        put(a.previous, (char *)&in + at, piece);
    }
    OK(a.s->kind->progress(a.s, &a.under_way, &err));
    assert_int_equal(a.under_way, 0);
    get(a.next, &out.first, sizeof(RingHeader) + sizeof in.first_segment);
    assert_memory_equal((char *)&out.first + sizeof(RingHeader), own, 32 * sizeof(float));
    get(a.next, &out.second, sizeof(RingHeader));
    assert_int_equal(out.second.step, 1);
    get(a.next, out.second_segment, sizeof out.second_segment);
    for (int i = 0; i < 32; i++) assert_true(a.data[i] == in.first_segment[i]);
    for (int i = 0; i < 18; i++) {
        assert_true(a.data[32 + i] == own[32 + i] + in.second_segment[i]);
        assert_true(out.second_segment[i] == a.data[32 + i]);
    }
    for (int i = 50; i < 96; i++) assert_true(a.data[i] == summand_value(0, 0, i));
    alone_close(&a);
}

// Moves until it fails, and holds the message against what it has to say.
static void fails(Alone *a, const char *message) {
    Error err = {""};
    for (int i = 0; i < 3; i++)
        if (!a->s->kind->progress(a->s, &a->under_way, &err)) break;
    if (!strstr(err.text, message)) fail_msg("\"%s\" is not in \"%s\"", message, err.text);
    Error again; // it stays so
    assert_false(a->s->kind->progress(a->s, &a->under_way, &again));
    assert_string_equal(err.text, again.text);
    assert_false(a->s->kind->begin(a->s, a->data, 1, &again));
}

static const RingHeader right = {RING_MAGIC, 3, 2, 0, 0, 96};

// Rank 0 of 3, whose neighbours are 1 and 2, and whose sum of 96 values began.
static void test_wrong_headers(void **state) {
    (void)state;
    static const struct {
        RingHeader header;
        const char *message;
    } cases[] = {
        {{0, 3, 2, 0, 0, 96}, "rank 2 sent something that is no message of a sum"},
        {{RING_MAGIC, 4, 2, 0, 0, 96}, "should be rank 2 of 3 says it is rank 2 of 4"},
        {{RING_MAGIC, 3, 1, 0, 0, 96}, "should be rank 2 of 3 says it is rank 1 of 3"},
        {{RING_MAGIC, 3, 2, 1, 0, 96}, "of sum 0 it sent step 1, and step 0 is next here"},
        {{RING_MAGIC, 3, 2, 0, 1, 96}, "rank 2 is out of step: it sent part of sum 1, and sum 0"},
        {{RING_MAGIC, 3, 2, 0, 0, 97}, "its sum 0 has 97 values, and here it has 96"},
        {{RING_MAGIC, 3, 2, 0, 0, UINT64_MAX}, "rank 2 is out of step: its sum 0 has 1844674"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        Alone a;
        Error err;
        alone_open(&a, 3);
        OK(a.s->kind->begin(a.s, a.data, 96, &err));
        put(a.previous, &cases[i].header, sizeof(RingHeader));
        put(a.previous, a.data, 7);
        fails(&a, cases[i].message);
        alone_close(&a);
    }
}

// The header of a sum that has not begun is held against it when it does.
static void test_early(void **state) {
    (void)state;
    for (int n = 0; n < 97; n += 96) {
        Alone a;
        Error err;
        struct pollfd at[SUMS_DESCRIPTORS];
        alone_open(&a, 3);
        put(a.previous, &right, sizeof right);
        put(a.previous, a.data, 32 * sizeof(float));
        OK(a.s->kind->progress(a.s, &a.under_way, &err));
        assert_int_equal(a.under_way, 0);
        // What follows it waits, and does not wake anyone.
        assert_int_equal(poll(at, (nfds_t)a.s->kind->descriptors(a.s, at), 0), 0);
        if (n == 0) {
            assert_false(a.s->kind->begin(a.s, a.data, 0, &err));
            assert_non_null(strstr(err.text, "rank 2 is out of step: it sent part of sum 0"));
            fails(&a, err.text);
        } else {
            OK(a.s->kind->begin(a.s, a.data, 96, &err));
            OK(a.s->kind->progress(a.s, &a.under_way, &err));
            assert_true(a.data[95] == summand_value(0, 0, 95) + summand_value(0, 0, 31));
        }
        alone_close(&a);
    }
}

static void test_garbage(void **state) {
    (void)state;
    static const char web[] = "GET / HTTP/1.1\r\nHost: 10.0.0.7\r\nAccept: */*\r\n\r\n";
    for (int begun = 0; begun < 2; begun++) {
        Alone a;
        Error err;
        alone_open(&a, 3);
        if (begun) OK(a.s->kind->begin(a.s, a.data, 96, &err));
        put(a.previous, web, sizeof web);
        fails(&a, "rank 2 sent something that is no message of a sum");
        alone_close(&a);
    }
    Alone a; // the next process has nothing to say
    alone_open(&a, 3);
    put(a.next, web, 1);
    fails(&a, "rank 1 sent something that is no message of a sum");
    alone_close(&a);
}

// Connections that end in the middle of a header, of values, and before anything.
static void test_ends(void **state) {
    (void)state;
    for (int bytes = 0; bytes < 80; bytes += 20) {
        Alone a;
        Error err;
        char message[sizeof right + 64] = {0};
        memcpy(message, &right, sizeof right);
        alone_open(&a, 3);
        OK(a.s->kind->begin(a.s, a.data, 96, &err));
        put(a.previous, message, (size_t)bytes);
        close(a.previous);
        a.previous = -1;
        fails(&a, "the connection to rank 2 ended");
        alone_close(&a);
    }
    Alone a;
    Error err;
    alone_open(&a, 3);
    OK(a.s->kind->begin(a.s, a.data, 96, &err));
    close(a.next);
    a.next = -1;
    fails(&a, "the connection to rank 1 ended");
    alone_close(&a);
}

// Neighbours that close when nothing is under way have what they need: it is an error only for
// the next sum. Until then nothing wakes anyone.
static void test_end_in_order(void **state) {
    (void)state;
    Alone a;
    Error err;
    struct pollfd at[SUMS_DESCRIPTORS];
    alone_open(&a, 3);
    close(a.next);
    close(a.previous);
    a.next = a.previous = -1;
    OK(a.s->kind->progress(a.s, &a.under_way, &err));
    assert_int_equal(a.s->kind->descriptors(a.s, at), 0);
    OK(a.s->kind->begin(a.s, a.data, 0, &err));
    OK(a.s->kind->progress(a.s, &a.under_way, &err));
    OK(a.s->kind->begin(a.s, a.data, 96, &err));
    fails(&a, "ended");
    alone_close(&a);
}

static void test_refused(void **state) {
    (void)state;
    Alone a;
    Error err;
    Sums *s;
    alone_open(&a, 3);
    assert_false(a.s->kind->begin(a.s, a.data, -1, &err));
    for (int i = 0; i < SUMS_UNDER_WAY; i++) OK(a.s->kind->begin(a.s, a.data, 1, &err));
    assert_false(a.s->kind->begin(a.s, a.data, 1, &err));
    assert_string_equal(err.text, "more than 64 sums at once");
    assert_false(ring_open(3, 3, a.next, a.previous, &s, &err));
    assert_false(ring_open(0, 1, a.next, a.previous, &s, &err));
    alone_close(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),          cmocka_unit_test(test_large),
        cmocka_unit_test(test_empty),         cmocka_unit_test(test_gone),
        cmocka_unit_test(test_not_finite),    cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_wrong_headers), cmocka_unit_test(test_early),
        cmocka_unit_test(test_garbage),       cmocka_unit_test(test_ends),
        cmocka_unit_test(test_end_in_order),  cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
