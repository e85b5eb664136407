// SPDX-License-Identifier: Apache-2.0
// Gradients of which backward says that it is done with them do not change any more: they are sent
// to the other processes of a run at that moment.
#include "one_step.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { B = 2, T = 2, S = 4, A = 3, SIDE = 32, OTHER = 40, MOST = 64 };

typedef struct Seen {
    const Params *params;
    float *grads;            // as they were when they were announced
    ParamRange ranges[MOST]; // in that order
    int n;
} Seen;

static void note(void *user, ParamRange r) {
    Seen *s = user;
    assert_true(r.start >= 0 && r.start < r.end && r.end <= s->params->trainable);
    for (int i = 0; i < s->n; i++) // no gradient is announced twice
        assert_true(r.end <= s->ranges[i].start || r.start >= s->ranges[i].end);
    assert_int_not_equal(s->n, MOST);
    s->ranges[s->n++] = r;
    memcpy(s->grads + r.start, f32(s->params->grads) + r.start,
           (size_t)(r.end - r.start) * sizeof(float));
}

static void configure(PolicyConfig *p, bool pre_norm) {
    p->dim_model = 16;
    p->dim_feedforward = 24;
    p->n_heads = p->obs_state_horizon = T;
    p->n_encoder_layers = p->n_vae_encoder_layers = 2;
    p->n_decoder_layers = 2;
    p->pre_norm = pre_norm;
    p->chunk_size = S;
    p->state_dim = p->action_dim = A;
    p->n_cameras = 2; // of two sizes: the ResNet's backward runs twice
    p->cameras[0] = (CameraConfig){"observation.images.a", SIDE, SIDE, SIDE, SIDE};
    p->cameras[1] = (CameraConfig){"observation.images.b", OTHER, SIDE, OTHER, SIDE};
}

static void announced_gradients_are_final(bool pre_norm) {
    static float state[B * T * A], action[B * S * A];
    static uint8_t pad[B * S], first[B * T * SIDE * SIDE * 3], second[B * T * OTHER * SIDE * 3];
    const uint8_t *images[] = {first, second};
    const ActInput in = {
        .batch = B, .state = state, .images = images, .action = action, .action_is_pad = pad};
    const ImageStats stats[] = {image_stats_imagenet, image_stats_imagenet};
    RngStream random = {.key = {.seed = 3}};
    for (size_t i = 0; i < sizeof first; i++) first[i] = (uint8_t)rng_next(&random);
    for (size_t i = 0; i < sizeof second; i++) second[i] = (uint8_t)rng_next(&random);
    for (int i = 0; i < B * S * A; i++) action[i] = (float)rng_between(&random, -1, 1);

    TrainConfig config;
    Device *d;
    Params params;
    Act *act;
    ActLosses losses;
    Error err;
    train_config_default(&config);
    configure(&config.policy, pre_norm);
    assert_true(device_open("cpu", PRECISION_FLOAT32, 1, &d, &err));
    assert_true(params_init(&params, d, &config.policy, true, &err));
    params_initialize(&params, 1);
    assert_true(act_new(d, &config.policy, &params, B, true, stats, &act, &err));
    Seen seen = {.params = &params, .grads = NEW(float, params.trainable)};
    act_on_gradients(act, note, &seen);
    assert_true(train_once(d, act, &in, 1, 1, &losses, &err));

    // 2 layers of each kind and 8 blocks; most of the model, so that it is worth while.
    int64_t elements = 0;
    assert_int_equal(seen.n, 2 + 2 + 2 + 8);
    for (int i = 0; i < seen.n; i++) {
        const ParamRange r = seen.ranges[i];
        elements += r.end - r.start;
        assert_memory_equal(seen.grads + r.start, f32(params.grads) + r.start,
                            (size_t)(r.end - r.start) * sizeof(float));
    }
    assert_true(elements > params.trainable * 9 / 10);
    mem_free(seen.grads);
    act_free(act);
    params_free(&params);
    device_close(d);
    train_config_free(&config);
}

static void as_act_is(void **state) {
    (void)state;
    announced_gradients_are_final(false);
}

static void with_norms_first(void **state) {
    (void)state;
    announced_gradients_are_final(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(as_act_is),
                                       cmocka_unit_test(with_norms_first)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
