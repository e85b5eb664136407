// SPDX-License-Identifier: Apache-2.0
// Two cards, and threads whose current card is the other one: what a device does lands on its own
// card, whichever thread asks. The runtime's current card belongs to the thread; threads begin with
// card 0.
#include "ops/ops.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ROWS = 6, WIDTH = 16 };

typedef struct Pair {
    Device *used, *other;
} Pair;

static void check(Device *d) {
    Error err;
    if (!device_check(d, &err)) fail_msg("%s", err.text);
}

// Each call comes while the other card is this thread's current one.
#define ON(call) (p->other->attach(p->other), d->call)

static void train(const Pair *p, Tensor Y, Tensor X, Tensor W, float *x, size_t bytes) {
    Device *d = p->used;
    Tensor none = {0};
    Record *record = NULL;
    for (int i = 0; i < 4; i++) {
        ON(stage(d, X.data, x, bytes));
        ON(staged(d));
        if (ON(record_begin(d, &record, (StepNumbers){.step = (uint32_t)i}))) {
            ON(linear_forward(d, Y, X, W, none));
            ON(add(d, Y, Y, X));
        }
        ON(record_end(d, &record));
        ON(download_begin(d, 0, Y.data, sizeof(float)));
        float first = 0;
        ON(download_end(d, 0, &first, sizeof first));
        assert_float_equal(first, 3 * x[0], 1e-6);
    }
    ON(record_free(d, record));
    check(d);
}

static void convolve(const Pair *p) {
    Device *d = p->used;
    ConvSpec spec = {.n = 1,
                     .in_c = 4,
                     .in_h = 6,
                     .in_w = 6,
                     .out_c = 4,
                     .kernel = 3,
                     .stride = 1,
                     .padding = 1,
                     .dilation = 1,
                     .relu = true,
                     .train = true,
                     .need_dx = true};
    Conv *c = ON(conv_new(d, spec));
    ON(conv_free(d, c));
    check(d);
}

static void *use(void *argument) {
    const Pair *p = argument;
    Device *d = p->used;
    float x[ROWS * WIDTH], w[WIDTH * WIDTH], y[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(i % 7) - 3;
    for (int i = 0; i < WIDTH * WIDTH; i++)
        w[i] = i % (WIDTH + 1) == 0 ? 2 : 0; // twice the identity
    ON(pin(d, x, sizeof x, true));
    Tensor X = tensor_view(ON(alloc(d, sizeof x)), DTYPE_F32, 2, SHAPE(ROWS, WIDTH));
    Tensor Y = tensor_view(ON(alloc(d, sizeof y)), DTYPE_F32, 2, SHAPE(ROWS, WIDTH));
    Tensor W = tensor_view(ON(alloc(d, sizeof w)), DTYPE_F32, 2, SHAPE(WIDTH, WIDTH));
    ON(upload(d, W.data, w, sizeof w));
    ON(weights_load(d, W, true));
    train(p, Y, X, W, x, sizeof x);
    ON(download(d, y, Y.data, sizeof y));
    for (int i = 0; i < ROWS * WIDTH; i++) assert_float_equal(y[i], 3 * x[i], 1e-6);
    convolve(p);
    assert_true(ON(memory_free(d)) > 0);
    ON(synchronize(d));
    ON(pin(d, x, sizeof x, false));
    ON(release(d, X.data));
    ON(release(d, Y.data));
    ON(release(d, W.data));
    check(d);
    return NULL;
}

static void *shut(void *argument) {
    device_close(argument);
    return NULL;
}

static void in_a_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

static Device *opened(const char *name) {
    Error err;
    Device *d = NULL;
    if (!device_open(name, PRECISION_FLOAT32, 1, &d, &err)) fail_msg("%s", err.text);
    return d;
}

static void test_threads(void **state) {
    (void)state;
    Device *second = opened("cuda:1"), *first = opened("cuda:0");
    Pair a = {second, first}, b = {first, second};
    in_a_thread(use, &a);
    in_a_thread(use, &b);
    use(&a);
    use(&b);
    first->attach(first);
    in_a_thread(shut, second);
    b.other = first;
    use(&b);
    device_close(first);
}

int main(void) {
    setenv("EMULATION_CARDS", "2", 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
