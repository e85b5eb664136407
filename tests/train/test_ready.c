// SPDX-License-Identifier: Apache-2.0
// Gradients of which backward says that it is done with them do not change any more: they are sent
// to the other processes of a run at that moment. A step sends each gradient once.
#include "one_step.h"
#include "ranks/sums.h"
#include "train/step.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
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

static void configure(PolicyConfig *p, bool pre_norm, bool images) {
    p->dim_model = 16;
    p->dim_feedforward = 24;
    p->n_heads = p->obs_state_horizon = T;
    p->n_encoder_layers = p->n_vae_encoder_layers = 2;
    p->n_decoder_layers = 2;
    p->pre_norm = pre_norm;
    p->chunk_size = S;
    p->state_dim = p->action_dim = A;
    p->env_dim = images ? 0 : A;
    p->n_cameras = images ? 2 : 0; // of two sizes: the ResNet's backward runs twice
    p->cameras[0] = (CameraConfig){"observation.images.a", SIDE, SIDE, SIDE, SIDE, 0, 0};
    p->cameras[1] = (CameraConfig){"observation.images.b", OTHER, SIDE, OTHER, SIDE, 0, 0};
}

// A policy on the CPU, and a batch for it.
typedef struct Fixture {
    TrainConfig config;
    Device *device;
    Params params;
    Act *act;
    ActInput in;
    const uint8_t *images[2];
} Fixture;

static void open_fixture(Fixture *f, bool pre_norm, bool images) {
    static float state[B * T * A], env[B * T * A], action[B * S * A];
    static uint8_t pad[B * S], first[B * T * SIDE * SIDE * 3], second[B * T * OTHER * SIDE * 3];
    f->images[0] = first;
    f->images[1] = second;
    f->in = (ActInput){.batch = B,
                       .state = state,
                       .env = env,
                       .images = f->images,
                       .action = action,
                       .action_is_pad = pad};
    const ImageStats stats[] = {image_stats_imagenet, image_stats_imagenet};
    RngStream random = {.key = {.seed = 3}};
    for (size_t i = 0; i < sizeof first; i++) first[i] = (uint8_t)rng_next(&random);
    for (size_t i = 0; i < sizeof second; i++) second[i] = (uint8_t)rng_next(&random);
    for (int i = 0; i < B * S * A; i++) action[i] = (float)rng_between(&random, -1, 1);

    Error err;
    train_config_default(&f->config);
    configure(&f->config.policy, pre_norm, images);
    assert_true(device_open("cpu", PRECISION_FLOAT32, 1, &f->device, &err));
    assert_true(params_init(&f->params, f->device, &f->config.policy, true, &err));
    params_initialize(&f->params, 1);
    assert_true(act_new(f->device, &f->config.policy, &f->params, B, true, stats, &f->act, &err));
}

static void close_fixture(Fixture *f) {
    act_free(f->act);
    params_free(&f->params);
    device_close(f->device);
    train_config_free(&f->config);
}

static void announced_gradients_are_final(bool pre_norm) {
    Fixture f;
    ActLosses losses;
    Error err;
    open_fixture(&f, pre_norm, true);
    const Params params = f.params;
    Seen seen = {.params = &params, .grads = NEW(float, params.trainable)};
    act_on_gradients(f.act, note, &seen);
    assert_true(train_once(f.device, f.act, &f.in, 1, 1, &losses, &err));

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
    close_fixture(&f);
}

static void as_act_is(void **state) {
    (void)state;
    announced_gradients_are_final(false);
}

static void with_norms_first(void **state) {
    (void)state;
    announced_gradients_are_final(true);
}

// ---- a step -------------------------------------------------------------------------------------

// What a step gives to be added up, in place of other processes.
typedef struct Sent {
    const Params *params;
    const float *losses;
    float *grads; // as they were when they were sent
    uint8_t *times;
    int sums, early, of_losses, ends;
    bool lost;
} Sent;

static void add_nothing(void *user, float *data, int64_t n) {
    Sent *s = user;
    s->sums++;
    if (data == s->losses) {
        s->of_losses++;
        return;
    }
    const int64_t start = data - f32(s->params->grads);
    assert_true(start >= 0 && n > 0 && start + n <= s->params->trainable);
    for (int64_t i = start; i < start + n; i++) s->times[i]++;
    memcpy(s->grads + start, data, (size_t)n * sizeof(float));
}

// While sums go on all of them have to be done with.
static bool end_nothing(void *user, Error *err) {
    Sent *s = user;
    s->ends++;
    int64_t once = 0;
    for (int64_t i = 0; i < s->params->trainable; i++) once += s->times[i] == 1;
    assert_int_equal(once, s->params->trainable);
    assert_memory_equal(s->grads, f32(s->params->grads),
                        (size_t)s->params->trainable * sizeof(float));
    if (s->lost) snprintf(err->text, sizeof err->text, "rank 1 is gone");
    return !s->lost;
}

static void every_gradient_is_sent_once(bool images) {
    enum { PIECES = 2 };
    Fixture f;
    Optimizer optimizer;
    Step step;
    Error err;
    StepResult result;
    open_fixture(&f, false, images);
    const int64_t n = f.params.trainable;
    Sent sent = {.params = &f.params,
                 .losses = f32(act_losses(f.act)),
                 .grads = NEW(float, n),
                 .times = NEW(uint8_t, n)};
    const Peers peers = {
        .count = 2, .user = &sent, .sum_begin = add_nothing, .sums_end = end_nothing};
    f.device->join(f.device, &peers);
    assert_true(optimizer_init(&optimizer, &f.params, &f.config, &err));
    step_init(&step, f.act, &optimizer, PIECES);
    f.in.step_samples = PIECES * B;
    f.in.step_actions = PIECES * B * S;
    assert_true(step_piece(&step, &f.in, 1, &err));
    assert_int_equal(sent.sums, 0); // not before the last
    assert_true(step_piece(&step, &f.in, 1, &err));
    assert_true(step_finish(&step, &result, &err));
    assert_int_equal(sent.of_losses, 1);
    assert_int_equal(sent.ends, 1);
    assert_in_range(sent.sums, images ? 8 : 2, SUMS_UNDER_WAY); // several while backward goes on

    // One that is lost: the weights stay as they were.
    float *before = NEW(float, n);
    memcpy(before, f32(f.params.values), (size_t)n * sizeof(float));
    memset(sent.times, 0, (size_t)n);
    sent.lost = true;
    assert_true(step_piece(&step, &f.in, 1, &err));
    assert_false(step_piece(&step, &f.in, 1, &err));
    assert_string_equal(err.text, "rank 1 is gone");
    assert_int_equal(optimizer.step, 1);
    assert_int_equal(step.started, 1);
    assert_memory_equal(before, f32(f.params.values), (size_t)n * sizeof(float));
    mem_free(before);
    mem_free(sent.grads);
    mem_free(sent.times);
    step_free(&step);
    optimizer_free(&optimizer);
    close_fixture(&f);
}

static void a_step_sends_every_gradient_once(void **state) {
    (void)state;
    every_gradient_is_sent_once(true);
}

// Whose last gradients are not among those that are announced.
static void a_step_without_images_does(void **state) {
    (void)state;
    every_gradient_is_sent_once(false);
}

// With two steps under way each gives its own figures: the same as with one at a time.
static void two_steps_under_way(void **state) {
    (void)state;
    StepResult of[2][3];
    for (int together = 0; together < 2; together++) {
        Fixture f;
        Optimizer optimizer;
        Step step;
        Error err;
        open_fixture(&f, false, false);
        assert_true(optimizer_init(&optimizer, &f.params, &f.config, &err));
        step_init(&step, f.act, &optimizer, 1);
        f.in.step_samples = B;
        f.in.step_actions = B * S;
        for (int i = 0; i < 3; i++) {
            assert_true(step_piece(&step, &f.in, (uint64_t)(1 + i), &err));
            if (i >= together) assert_true(step_finish(&step, &of[together][i - together], &err));
        }
        if (together) assert_true(step_finish(&step, &of[together][2], &err));
        assert_true(step.started == 3 && step.finished == 3);
        step_free(&step);
        optimizer_free(&optimizer);
        close_fixture(&f);
    }
    for (int i = 0; i < 3; i++) {
        assert_true(of[0][i].grad_norm > 0 && of[0][i].losses.total > 0);
        assert_true(of[0][i].grad_norm == of[1][i].grad_norm);
        assert_true(of[0][i].losses.total == of[1][i].losses.total);
        assert_true(i == 0 || of[0][i].grad_norm != of[0][i - 1].grad_norm);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_steps_under_way), cmocka_unit_test(as_act_is),
        cmocka_unit_test(with_norms_first), cmocka_unit_test(a_step_sends_every_gradient_once),
        cmocka_unit_test(a_step_without_images_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
