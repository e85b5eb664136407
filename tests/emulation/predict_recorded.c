// SPDX-License-Identifier: Apache-2.0
// A robot's control steps on an emulated card: frames into slots, predictions out of them. They are
// those of the CPU when their ops are issued, when they are recorded and when they are replayed,
// each slot with the frame that lies in it, and a replayed step issues no op.
#include "base/memory.h"
#include "base/rng.h"
#include "config/config.h"
#include "model/act.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { SLOTS = 2, T = 2, A = 3, CHUNK = 4, SIZE = 32, STEPS = 7 };

typedef struct Robot {
    Device *device;
    Params params;
    Act *act;
} Robot;

static void tiny_policy(TrainConfig *c) {
    train_config_default(c);
    PolicyConfig *p = &c->policy;
    p->dim_model = 16;
    p->dim_feedforward = 24;
    p->n_heads = 2;
    p->n_encoder_layers = 1;
    p->use_vae = false;
    p->obs_state_horizon = T;
    p->chunk_size = CHUNK;
    p->state_dim = p->action_dim = A;
    p->n_cameras = 1;
    p->cameras[0].image_height = p->cameras[0].image_width = SIZE;
}

static void robot_open(Robot *r, const char *device, const PolicyConfig *p) {
    Error err;
    bool ok = device_open(device, PRECISION_FLOAT32, 1, &r->device, &err) &&
              params_init(&r->params, r->device, p, false, &err);
    if (ok) params_initialize(&r->params, 1);
    ok =
        ok && act_new_stream(r->device, p, &r->params, SLOTS, &image_stats_imagenet, &r->act, &err);
    if (!ok) fail_msg("%s: %s", device, err.text);
}

static void robot_close(Robot *r) {
    act_free(r->act);
    params_free(&r->params);
    device_close(r->device);
}

// Observation number `step` into the older slot, and what is done about it.
static void control_step(Robot *r, int step, float *actions) {
    static uint8_t frame[SIZE * SIZE * 3];
    float state[T * A];
    Error err;
    RngStream random = {.key = {.seed = (uint64_t)step + 1}};
    for (int i = 0; i < SIZE * SIZE * 3; i++) frame[i] = (uint8_t)rng_between(&random, 0, 255);
    for (int i = 0; i < T * A; i++) state[i] = (float)rng_between(&random, -1, 1);
    const int newest = step % SLOTS, slots[T] = {(step + 1) % SLOTS, newest};
    ActInput in = {.batch = 1, .state = state};
    if (!act_encode_frame(r->act, 0, frame, newest, &err) ||
        !act_predict_slots(r->act, &in, slots, actions, &err))
        fail_msg("step %d: %s", step, err.text);
}

// In the place of every op once all is recorded.
static int issued;
#define OP(name, params, args)                                                                     \
    static void counted_##name params {                                                            \
        issued++;                                                                                  \
    }
#define TRANSFER(name, params, args)
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "ops/ops.def"

static void count_ops(Device *d) {
#define OP(name, params, args) d->name = counted_##name;
#define TRANSFER(name, params, args)
#include "ops/ops.def"
}

static void test_steps(void **state) {
    (void)state;
    TrainConfig c;
    Robot cpu = {0}, card = {0};
    float want[CHUNK * A], got[CHUNK * A];
    tiny_policy(&c);
    robot_open(&cpu, "cpu", &c.policy);
    robot_open(&card, "cuda", &c.policy);
    for (int step = 0; step < STEPS; step++) {
        // Each of two slots is written, and each pair of them read, for the third time.
        if (step == 2 * SLOTS) count_ops(card.device);
        control_step(&cpu, step, want);
        control_step(&card, step, got);
        for (int i = 0; i < CHUNK * A; i++)
            if (!(fabsf(got[i] - want[i]) <= 1e-4f))
                fail_msg("step %d, action %d: %g on the card, %g on the CPU", step, i, got[i],
                         want[i]);
    }
    assert_int_equal(issued, 0);
    robot_close(&cpu);
    robot_close(&card);
    train_config_free(&c);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_steps)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
