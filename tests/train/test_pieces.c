// SPDX-License-Identifier: Apache-2.0
// A step in pieces has the losses and gradients of one large batch: dropout, the VAE's noise, the
// mean over unpadded actions and that over samples are the step's, not the piece's.
#include "base/rng.h"
#include "one_step.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SAMPLES = 6, T = 2, S = 4, A = 3, SIDE = 32, FRAME = SIDE * SIDE * 3, MOST_GIVEN = 2 };
// Sides of the images: ref's loops take a second for one frame of SIDE there and back.
enum { SIDE_REF = SIDE / 2 };

typedef struct Data {
    float state[SAMPLES * T * A], action[SAMPLES * S * A];
    uint8_t pad[SAMPLES * S], images[SAMPLES * T * FRAME];
    int64_t actions; // unpadded
    // The same where the first of them are given.
    int given[SAMPLES];
    int64_t not_given;
} Data;

typedef struct Fixture {
    TrainConfig config;
    int side; // of the images
    bool given;
    Device *device;
    Params params;
    Data data;
} Fixture;

static void make_data(Data *d) {
    RngStream random = {.key = {.seed = 7}};
    for (int i = 0; i < SAMPLES * T * A; i++) d->state[i] = (float)rng_between(&random, -1, 1);
    for (int i = 0; i < SAMPLES * S * A; i++) d->action[i] = (float)rng_between(&random, -1, 1);
    for (int i = 0; i < SAMPLES * T * FRAME; i++) d->images[i] = (uint8_t)rng_next(&random);
    for (int i = 0; i < SAMPLES; i++) // 4, 3, 2, 1, 4, 3 actions that are there
        for (int s = 0; s < S; s++) d->pad[i * S + s] = s >= S - i % S;
    for (int i = 0; i < SAMPLES * S; i++) d->actions += !d->pad[i];
    for (int i = 0; i < SAMPLES; i++) { // of the third sample all
        d->given[i] = i % (MOST_GIVEN + 1);
        for (int s = d->given[i]; s < S; s++) d->not_given += !d->pad[i * S + s];
    }
}

// *state: the device, and then whether actions are given.
static int open_all(void **state) {
    Fixture *f = NEW(Fixture, 1);
    const char *device = *state;
    Error err;
    train_config_default(&f->config);
    PolicyConfig *p = &f->config.policy;
    p->dim_model = 16;
    p->dim_feedforward = 24;
    p->n_heads = p->obs_state_horizon = T;
    p->chunk_size = S;
    p->state_dim = p->action_dim = A;
    p->dropout = 0.3;
    p->n_cameras = 1;
    f->given = strstr(device, "given") != NULL;
    if (f->given) device = "cpu", p->max_action_prefix = MOST_GIVEN;
    f->side = strcmp(device, "ref") == 0 ? SIDE_REF : SIDE;
    p->cameras[0] =
        (CameraConfig){"observation.images.cam", f->side, f->side, f->side, f->side, 0, 0};
    if (!device_open(device, PRECISION_FLOAT32, 1, &f->device, &err) ||
        !params_init(&f->params, f->device, p, true, &err))
        fail_msg("%s", err.text);
    params_initialize(&f->params, 1);
    if (f->given) {
        float values[16 * (A + 1)];
        for (int i = 0; i < 16 * (A + 1); i++) values[i] = sinf((float)i);
        param_set(&f->params, params_find(&f->params, ACTION_PREFIX_WEIGHT), values);
    }
    make_data(&f->data);
    *state = f;
    return 0;
}

static int close_all(void **state) {
    Fixture *f = *state;
    params_free(&f->params);
    device_close(f->device);
    train_config_free(&f->config);
    mem_free(f);
    return 0;
}

// The losses and gradients (trainable) of a step in pieces of so many samples. The caller's.
static float *step_in_pieces(Fixture *f, int piece, bool placed, ActLosses *losses) {
    Device *d = f->device;
    Data *in = &f->data;
    Act *act;
    Error err;
    size_t bytes = (size_t)f->params.trainable * sizeof(float);
    float *grads = mem_alloc(bytes);
    if (!act_new(d, &f->config.policy, &f->params, piece, true, &image_stats_imagenet, &act, &err))
        fail_msg("%s", err.text);
    d->zero(d, f->params.grads);
    act_train_begin(act);
    for (int first = 0; first < SAMPLES; first += piece) {
        const uint8_t *images = in->images + (size_t)(first * T * f->side * f->side * 3);
        ActInput a = {.batch = piece,
                      .state = in->state + first * T * A,
                      .images = &images,
                      .action = in->action + first * S * A,
                      .action_is_pad = in->pad + first * S,
                      .action_prefix = f->given ? in->given + first : NULL};
        if (placed) {
            a.first_sample = first;
            a.step_samples = SAMPLES;
            a.step_actions = f->given ? in->not_given : in->actions;
        }
        act_stage(act, &a);
        d->staged(d);
        act_train_forward(act, NULL, 9, 5);
        act_train_backward(act);
    }
    d->download(d, losses, act_losses(act).data, sizeof *losses);
    d->download(d, grads, f->params.grads.data, bytes);
    if (!device_check(d, &err)) fail_msg("%s", err.text);
    act_free(act);
    return grads;
}

static double norm_of(const float *g, const float *minus, int64_t n) {
    double sum = 0;
    for (int64_t i = 0; i < n; i++) {
        double x = (double)g[i] - (minus ? (double)minus[i] : 0);
        sum += x * x;
    }
    return sqrt(sum);
}

static bool close_to(float a, float b) {
    return fabs((double)a - (double)b) <= 1e-5 * fabs((double)b);
}

static void pieces_are_the_whole(void **state) {
    Fixture *f = *state;
    int64_t n = f->params.trainable;
    ActLosses whole, got;
    float *wanted = step_in_pieces(f, SAMPLES, false, &whole);
    double norm = norm_of(wanted, NULL, n);
    assert_true(norm > 1e-3 && whole.kld > 0);
    static const int pieces[] = {SAMPLES, 3, 2, 1};
    for (int i = 0; i < 4; i++) {
        float *g = step_in_pieces(f, pieces[i], true, &got);
        double error = norm_of(g, wanted, n);
        if (!(error <= 2e-5 * norm))
            fail_msg("pieces of %d: gradients differ by %g of %g", pieces[i], error, norm);
        if (!close_to(got.total, whole.total) || !close_to(got.l1, whole.l1) ||
            !close_to(got.kld, whole.kld))
            fail_msg("pieces of %d: losses %g %g %g, not %g %g %g", pieces[i], (double)got.total,
                     (double)got.l1, (double)got.kld, (double)whole.total, (double)whole.l1,
                     (double)whole.kld);
        if (pieces[i] == SAMPLES) assert_memory_equal(g, wanted, (size_t)n * sizeof *g);
        mem_free(g);
    }
    mem_free(wanted);
}

int main(void) {
    static char ref[] = "ref", cpu[] = "cpu", given[] = "cpu, some given";
    const struct CMUnitTest tests[] = {
        {"ref", pieces_are_the_whole, open_all, close_all, ref},
        {"cpu", pieces_are_the_whole, open_all, close_all, cpu},
        {"cpu, actions given", pieces_are_the_whole, open_all, close_all, given},
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
