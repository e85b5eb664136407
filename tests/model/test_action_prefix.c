// SPDX-License-Identifier: Apache-2.0
// Actions that are given: what they change, what they do not, and their part of the loss and of the
// gradient, on every device of this machine.
#include "base/memory.h"
#include "base/rng.h"
#include "model/act.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "../ok.h"

enum { B = 3, T = 2, S = 6, A = 3, D = 16, ENV = 2, GIVEN = 4 };

static void assert_within(double got, double want, double tolerance) {
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.12g is not %.12g", got, want);
}

// A policy without cameras, so that ref's loops take no time.
typedef struct Policy1 {
    TrainConfig config;
    Device *device;
    Params params;
    Act *act;
} Policy1;

typedef struct Data {
    float state[B * T * A], env[B * ENV], action[B * S * A];
    uint8_t pad[B * S];
    int given[B];
} Data;

static Data make_data(void) {
    Data d = {.given = {0, 2, 4}};
    RngStream random = {.key = {.seed = 7}};
    for (int i = 0; i < B * T * A; i++) d.state[i] = (float)rng_between(&random, -1, 1);
    for (int i = 0; i < B * ENV; i++) d.env[i] = (float)rng_between(&random, -1, 1);
    for (int i = 0; i < B * S * A; i++) d.action[i] = (float)rng_between(&random, -1, 1);
    for (int b = 0; b < B; b++) // 6, 5 and 4 that are there: of the last sample all are given
        for (int s = 0; s < S; s++) d.pad[b * S + s] = s >= S - b;
    return d;
}

static void set_all(const Params *p, const char *name, double most, uint64_t seed) {
    const Param *q = params_find(p, name);
    float *values = NEW(float, q->count);
    RngStream random = {.key = {.seed = seed}};
    for (int64_t i = 0; i < q->count; i++) values[i] = (float)rng_between(&random, -most, most);
    param_set(p, q, values);
    mem_free(values);
}

static void open_policy(Policy1 *p, const char *device, int most, bool pre_norm, bool train) {
    Error err;
    train_config_default(&p->config);
    PolicyConfig *c = &p->config.policy;
    c->dim_model = D;
    c->dim_feedforward = 24;
    c->n_heads = 2;
    c->n_encoder_layers = c->n_vae_encoder_layers = 1;
    c->n_decoder_layers = 2;
    c->obs_state_horizon = T;
    c->chunk_size = S;
    c->n_action_steps = 1;
    c->state_dim = c->action_dim = A;
    c->env_dim = ENV;
    c->feedforward_activation = "gelu"; // without corners
    c->dropout = 0;
    c->kl_weight = 0.1;
    c->pre_norm = pre_norm;
    c->max_action_prefix = most;
    OK(device_open(device, PRECISION_FLOAT32, 1, &p->device, &err));
    OK(params_init(&p->params, p->device, c, true, &err));
    params_initialize(&p->params, 5);
    OK(act_new(p->device, c, &p->params, B, train, NULL, &p->act, &err));
}

static void close_policy(Policy1 *p) {
    act_free(p->act);
    params_free(&p->params);
    device_close(p->device);
    train_config_free(&p->config);
}

// With weights of the projection that are none's start.
static void project(Policy1 *p) {
    set_all(&p->params, ACTION_PREFIX_WEIGHT, 0.7, 11);
    act_load_params(p->act);
}

static ActInput input_of(const Data *d, const int *given) {
    return (ActInput){.batch = B,
                      .state = d->state,
                      .env = d->env,
                      .images = (const uint8_t *const[1]){NULL},
                      .action = d->action,
                      .action_is_pad = d->pad,
                      .action_prefix = given};
}

static ActLosses predict(Policy1 *p, const ActInput *in, float *out) {
    Error err;
    ActLosses losses;
    OK(act_predict(p->act, in, out, &losses, &err));
    return losses;
}

// A step's losses; its gradients are added to params.grads.
static ActLosses train(Policy1 *p, const ActInput *in) {
    Error err;
    ActLosses losses;
    act_load_params(p->act);
    act_stage(p->act, in);
    p->device->staged(p->device);
    act_train_begin(p->act);
    act_train_forward(p->act, NULL, 9, 3);
    p->device->download(p->device, &losses, act_losses(p->act).data, sizeof losses);
    act_train_backward(p->act);
    OK(device_check(p->device, &err));
    return losses;
}

// ---- tests ------------------------------------------------------------------------------------

static void given_nothing_it_is_the_policy_without(void **state) {
    const char *device = *state;
    const Data data = make_data();
    const ActInput none = input_of(&data, NULL), some = input_of(&data, data.given);
    float want[B * S * A], got[B * S * A];
    for (int pre_norm = 0; pre_norm < 2; pre_norm++)
        for (int training = 0; training < 2; training++) {
            Policy1 without, with;
            open_policy(&without, device, 0, pre_norm, training);
            open_policy(&with, device, GIVEN, pre_norm, training);
            assert_null(params_find(&without.params, ACTION_PREFIX_WEIGHT));
            assert_int_equal(with.params.learnable - without.params.learnable, D * (A + 1));
            ActLosses a = predict(&without, &none, want);
            // The projection starts as zeros: what is given does not matter yet.
            ActLosses b = predict(&with, &some, got);
            for (int i = 0; i < B * S * A; i++)
                assert_within((double)got[i], (double)want[i], 1e-6);
            project(&with);
            b = predict(&with, &none, got);
            for (int i = 0; i < B * S * A; i++)
                assert_within((double)got[i], (double)want[i], 1e-6);
            assert_within((double)b.l1, (double)a.l1, 1e-6);
            if (training) { // the same ops: the same bits
                a = train(&without, &none), b = train(&with, &none);
                assert_memory_equal(&a, &b, sizeof a);
            }
            close_policy(&without);
            close_policy(&with);
        }
}

static double most_difference(const float *a, const float *b, int sample, int from) {
    double most = 0;
    for (int i = (sample * S + from) * A; i < (sample + 1) * S * A; i++)
        most = fmax(most, fabs((double)a[i] - (double)b[i]));
    return most;
}

static void what_is_given_matters_and_nothing_else(void **state) {
    const Data data = make_data();
    Data other = data;
    const ActInput in = input_of(&data, data.given);
    float before[B * S * A], after[B * S * A];
    Policy1 p;
    open_policy(&p, *state, GIVEN, false, false);
    project(&p);
    predict(&p, &in, before);
    for (int b = 0; b < B; b++) // what is not given is not looked at
        for (int i = (b * S + data.given[b]) * A; i < (b + 1) * S * A; i++) other.action[i] = 9;
    ActInput moved = input_of(&other, data.given);
    predict(&p, &moved, after);
    assert_memory_equal(before, after, sizeof before);
    other = data;
    other.action[(1 * S + 1) * A] += 0.5f; // the second of the second sample's two
    moved = input_of(&other, data.given);
    predict(&p, &moved, after);
    assert_true(most_difference(before, after, 0, 0) == 0);
    assert_true(most_difference(before, after, 1, 2) > 1e-4);
    assert_true(most_difference(before, after, 2, 0) == 0);
    // Whether padding is told does not matter to a prediction.
    moved.action_is_pad = NULL;
    Error err;
    float again[B * S * A];
    OK(act_predict(p.act, &moved, again, NULL, &err));
    assert_memory_equal(again, after, sizeof after);
    close_policy(&p);
}

// Queries without positions know their rows by what is given alone.
static void each_row_gets_its_own_action(void **state) {
    Data data = make_data();
    float y[B * S * A];
    Policy1 p;
    open_policy(&p, *state, GIVEN, false, false);
    set_all(&p.params, "model.decoder_pos_embed.weight", 0, 1);
    project(&p);
    for (int b = 0; b < B; b++)
        for (int s = 0; s < S; s++) // the first and the third action are one
            for (int k = 0; k < A; k++) data.action[(b * S + s) * A + k] = s % 2 ? 0.5f : -0.25f;
    const ActInput in = input_of(&data, data.given);
    predict(&p, &in, y);
    for (int b = 0; b < B; b++)
        for (int s = 1; s < S; s++)
            for (int r = 0; r < s; r++) {
                const int n = data.given[b];
                const bool alike = s < n ? (s - r) % 2 == 0 : r >= n;
                double apart = 0;
                for (int k = 0; k < A; k++)
                    apart = fmax(apart, fabs((double)y[(b * S + s) * A + k] -
                                             (double)y[(b * S + r) * A + k]));
                if (alike ? !(apart < 1e-5) : !(apart > 1e-4))
                    fail_msg("sample %d, rows %d and %d: %g apart", b, r, s, apart);
            }
    close_policy(&p);
}

static void what_is_given_does_not_count(void **state) {
    const Data data = make_data();
    const ActInput in = input_of(&data, data.given), none = input_of(&data, NULL);
    float y[B * S * A];
    for (int training = 0; training < 2; training++) {
        Policy1 p;
        open_policy(&p, *state, GIVEN, false, training);
        project(&p);
        const ActLosses l = predict(&p, &in, y);
        double sum = 0;
        int count = 0;
        for (int b = 0; b < B; b++)
            for (int s = data.given[b]; s < S - b; s++)
                for (int k = 0; k < A; k++, count++)
                    sum += fabs((double)y[(b * S + s) * A + k] -
                                (double)data.action[(b * S + s) * A + k]);
        assert_int_equal(count, (6 + 3 + 0) * A);
        assert_within((double)l.l1, sum / count, 1e-6);
        assert_true(fabs((double)predict(&p, &none, y).l1 - (double)l.l1) > 1e-4);
        if (training) { // the VAE's encoder sees the whole chunk
            assert_true(train(&p, &in).kld > 0);
            assert_true(train(&p, &in).kld == train(&p, &none).kld);
        }
        close_policy(&p);
    }
}

// What is left of a step of which every action is given: no l1, and no NaN.
static void a_step_without_an_action_left(void **state) {
    Data data = make_data();
    const int all[B] = {GIVEN, GIVEN, GIVEN};
    Policy1 p;
    open_policy(&p, *state, GIVEN, false, true);
    project(&p);
    for (int i = 0; i < B * S; i++) data.pad[i] = i % S >= GIVEN;
    const ActInput in = input_of(&data, all);
    const ActLosses l = train(&p, &in);
    assert_true(l.l1 == 0 && l.kld > 0 && isfinite(l.total));
    close_policy(&p);
}

// The slope of the loss along a random direction of a parameter, against the gradient; its size.
static double check_slope(Policy1 *p, const ActInput *in, const char *name, uint64_t seed) {
    const double h = 1e-3;
    const size_t n = (size_t)p->params.trainable, bytes = n * sizeof(float);
    float *grads = NEW(float, n), *start = NEW(float, n), *there = NEW(float, n);
    double *way = NEW(double, n), along = 0, total[2];
    RngStream random = {.key = {.seed = seed}};
    Device *d = p->device;
    d->zero(d, p->params.grads);
    train(p, in);
    d->download(d, grads, p->params.grads.data, bytes);
    d->download(d, start, p->params.values.data, bytes);
    const Param *q = params_find(&p->params, name);
    const size_t first = (size_t)q->offset, end = first + (size_t)q->count;
    for (size_t i = first; i < end; i++) way[i] = rng_between(&random, -1, 1);
    for (size_t i = first; i < end; i++) along += way[i] * (double)grads[i];
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < n; i++)
            there[i] = (float)((double)start[i] + (side ? h : -h) * way[i]);
        d->upload(d, p->params.values.data, there, bytes);
        total[side] = (double)train(p, in).total;
    }
    d->upload(d, p->params.values.data, start, bytes);
    const double slope = (total[1] - total[0]) / (2 * h);
    if (!(fabs(slope - along) <= 0.02 * fabs(along) + 5e-4)) // the loss has seven digits
        fail_msg("%s: slope %g, gradient along it %g", name, slope, along);
    mem_free(grads), mem_free(start), mem_free(there), mem_free(way);
    return fabs(along);
}

static void gradients_are_slopes(void **state) {
    Data data = make_data();
    // Far from what is predicted: the loss has a corner where an error changes its sign.
    for (int i = 0; i < B * S * A; i++)
        if (i / A % S >= data.given[i / A / S]) data.action[i] += data.action[i] > 0 ? 3.f : -3.f;
    const ActInput in = input_of(&data, data.given);
    static const char *const names[] = {
        ACTION_PREFIX_WEIGHT, "model.decoder.layers.0.self_attn.in_proj_weight",
        "model.decoder.layers.0.multihead_attn.in_proj_weight", "model.decoder_pos_embed.weight",
        "model.encoder.layers.0.linear1.weight"};
    for (int pre_norm = 0; pre_norm < 2; pre_norm++) {
        Policy1 p;
        open_policy(&p, *state, GIVEN, pre_norm, true);
        project(&p);
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            double most = 0;
            for (uint64_t seed = 1; seed < 5; seed++)
                most = fmax(most, check_slope(&p, &in, names[i], seed));
            assert_true(most > 2e-3);
        }
        close_policy(&p);
    }
}

// Weights of zeros learn: their gradient is of the actions, which are none.
static void a_projection_of_zeros_has_a_gradient(void **state) {
    const Data data = make_data();
    const ActInput in = input_of(&data, data.given);
    Policy1 p;
    open_policy(&p, *state, GIVEN, false, true);
    const Param *q = params_find(&p.params, ACTION_PREFIX_WEIGHT);
    float grads[D * (A + 1)];
    p.device->zero(p.device, p.params.grads);
    train(&p, &in);
    p.device->download(p.device, grads, param_grad(&p.params, q).data, sizeof grads);
    double most = 0;
    for (int i = 0; i < D * (A + 1); i++) most = fmax(most, fabs((double)grads[i]));
    assert_true(most > 1e-4);
    close_policy(&p);
}

#define ON_BOTH(test)                                                                              \
    {"ref " #test, test, NULL, NULL, ref}, {                                                       \
        "cpu " #test, test, NULL, NULL, cpu                                                        \
    }

int main(void) {
    static char ref[] = "ref", cpu[] = "cpu";
    const struct CMUnitTest tests[] = {
        ON_BOTH(given_nothing_it_is_the_policy_without),
        ON_BOTH(what_is_given_matters_and_nothing_else),
        ON_BOTH(each_row_gets_its_own_action),
        ON_BOTH(what_is_given_does_not_count),
        ON_BOTH(a_step_without_an_action_left),
        ON_BOTH(gradients_are_slopes),
        ON_BOTH(a_projection_of_zeros_has_a_gradient),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
