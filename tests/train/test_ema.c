// SPDX-License-Identifier: Apache-2.0
// The moving average: its numbers, and that the weights come back from an evaluation of it.
#include "saved.h"
#include "train/ema.h"

enum { BATCH = 2 };
static const Tensor running = {0}; // no optimiser that could halt

static float *copy_of(Saved *f, Tensor t) {
    size_t bytes = (size_t)f->params.trainable * sizeof(float);
    float *values = mem_alloc(bytes);
    f->device->download(f->device, values, t.data, bytes);
    return values;
}

static void it_follows_the_weights(void **state) {
    Saved *f = *state;
    Error err;
    Ema ema;
    EmaConfig c = {.enable = true, .decay = 0.75, .update_after_step = 1, .max_decay = 0.9999};
    fill_flat(f, f->params.values, 1);
    OK(ema_init(&ema, &c, &f->params, &err));
    fill_flat(f, f->params.values, 8);
    ema_update(&ema, running); // the first is a copy
    assert_true(f32(ema.average)[10] == 8 * 11);
    fill_flat(f, f->params.values, 4);
    ema_update(&ema, running);
    assert_true(f32(ema.average)[10] == 7 * 11);
    ema_update(&ema, running);
    assert_true(f32(ema.average)[10] == 6.25 * 11 && ema.updates == 3);
    ema_free(&ema);
    ema_update(&ema, running); // a run without one
}

// A step whose loss or gradient was not finite changes neither the weights nor the average.
static void a_step_not_taken_does_not_count(void **state) {
    Saved *f = *state;
    Error err;
    Ema ema;
    EmaConfig c = {.enable = true, .decay = 0.75};
    float one = 1;
    fill_flat(f, f->params.values, 1);
    OK(ema_init(&ema, &c, &f->params, &err));
    fill_flat(f, f->params.values, 8);
    ema_update(&ema, f->optimizer.halt);
    assert_true(f32(ema.average)[10] == 2.75 * 11);
    f->device->upload(f->device, f->optimizer.halt.data, &one, sizeof one);
    ema_update(&ema, f->optimizer.halt);
    assert_true(f32(ema.average)[10] == 2.75 * 11);
    ema_free(&ema);
}

// Actions that the policy chooses on a fixed input.
static void predict(Act *act, float *actions) {
    Error err;
    float numbers[BATCH * 2 * 3];
    for (int i = 0; i < BATCH * 2 * 3; i++) numbers[i] = 0.1f * (float)i;
    const ActInput in = {.batch = BATCH, .state = numbers, .env = numbers};
    OK(act_predict(act, &in, actions, NULL, &err));
}

static void an_evaluation_gives_the_weights_back(void **state) {
    Saved *f = *state;
    enum { ACTIONS = BATCH * 4 * 3 };
    Error err;
    Ema ema;
    Act *act;
    EmaConfig c = {.enable = true, .decay = 0.9};
    float live[ACTIONS], average[ACTIONS], again[ACTIONS], want[ACTIONS];
    OK(ema_init(&ema, &c, &f->params, &err)); // the weights of seed 4
    params_initialize(&f->params, 99);
    OK(act_new(f->device, &f->config.policy, &f->params, BATCH, true, NULL, &act, &err));
    float *weights = copy_of(f, f->params.values);
    predict(act, live);
    ema_swap_in(&ema, act);
    predict(act, average);
    ema_swap_out(&ema, act);
    predict(act, again);
    float *after = copy_of(f, f->params.values), *grads = copy_of(f, f->params.grads);
    assert_memory_equal(weights, after, (size_t)f->params.trainable * sizeof(float));
    for (int64_t i = 0; i < f->params.trainable; i++) assert_true(grads[i] == 0);
    assert_memory_equal(live, again, sizeof live);
    params_initialize(&f->params, 4);
    act_load_params(act);
    predict(act, want);
    assert_memory_equal(average, want, sizeof want);
    assert_memory_not_equal(average, live, sizeof live);
    mem_free(weights), mem_free(after), mem_free(grads);
    act_free(act);
    ema_free(&ema);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_follows_the_weights, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(a_step_not_taken_does_not_count, saved_new, saved_free),
        cmocka_unit_test_setup_teardown(an_evaluation_gives_the_weights_back, saved_new,
                                        saved_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
