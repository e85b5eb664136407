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

static void *use(void *argument) {
    Device *d = argument;
    float x[ROWS * WIDTH], w[WIDTH * WIDTH], y[ROWS * WIDTH];
    for (int i = 0; i < ROWS * WIDTH; i++) x[i] = (float)(i % 7) - 3;
    for (int i = 0; i < WIDTH * WIDTH; i++)
        w[i] = i % (WIDTH + 1) == 0 ? 2 : 0; // twice the identity
    d->pin(d, x, sizeof x, true);
    Tensor X = tensor_view(d->alloc(d, sizeof x), DTYPE_F32, 2, SHAPE(ROWS, WIDTH));
    Tensor Y = tensor_view(d->alloc(d, sizeof y), DTYPE_F32, 2, SHAPE(ROWS, WIDTH));
    Tensor W = tensor_view(d->alloc(d, sizeof w), DTYPE_F32, 2, SHAPE(WIDTH, WIDTH)), none = {0};
    d->upload(d, W.data, w, sizeof w);
    Record *record = NULL;
    for (int i = 0; i < 4; i++) {
        d->stage(d, X.data, x, sizeof x);
        d->staged(d);
        if (d->record_begin(d, &record, (StepNumbers){.step = (uint32_t)i})) {
            d->linear_forward(d, Y, X, W, none);
            d->add(d, Y, Y, X);
        }
        d->record_end(d, &record);
        d->download(d, y, Y.data, sizeof y);
    }
    Error err;
    if (!device_check(d, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < ROWS * WIDTH; i++) assert_float_equal(y[i], 3 * x[i], 1e-6);
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
    d->conv_free(d, d->conv_new(d, spec));
    if (!device_check(d, &err)) fail_msg("%s", err.text);
    assert_true(d->memory_free(d) > 0);
    d->record_free(d, record);
    d->pin(d, x, sizeof x, false);
    d->release(d, X.data);
    d->release(d, Y.data);
    d->release(d, W.data);
    if (!device_check(d, &err)) fail_msg("%s", err.text);
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
    Device *second = opened("cuda:1");
    in_a_thread(use, second);
    Device *first = opened("cuda:0"); // and this thread's current card is 0 from here on
    use(second);
    use(first);
    in_a_thread(use, first);
    in_a_thread(shut, second);
    use(first);
    device_close(first);
}

int main(void) {
    setenv("EMULATION_CARDS", "2", 1);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
