// SPDX-License-Identifier: Apache-2.0
// Learning-rate schedules and the decay of the moving average against values worked out by hand.
#include "train/ema.h"
#include "train/schedule.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void assert_factor(const SchedulerConfig *s, int64_t taken, int64_t steps, double want) {
    double got = schedule_factor(s, taken, steps);
    if (!(fabs(got - want) <= 1e-12))
        fail_msg("after %lld steps %.15g, not %.15g", (long long)taken, got, want);
}

static void without_a_schedule_nothing_changes(void **state) {
    (void)state;
    assert_factor(&(SchedulerConfig){.name = "cosine", .num_warmup_steps = 10}, 3, 100, 1);
}

static void diffusers_schedules(void **state) {
    (void)state;
    SchedulerConfig s = {.type = "diffuser", .name = "cosine", .num_warmup_steps = 10};
    assert_factor(&s, 0, 110, 0);
    assert_factor(&s, 5, 110, 0.5);
    assert_factor(&s, 10, 110, 1);
    assert_factor(&s, 10 + 25, 110, 0.5 * (1 + sqrt(0.5)));
    assert_factor(&s, 10 + 50, 110, 0.5);
    assert_factor(&s, 110, 110, 0);
    s.name = "linear";
    assert_factor(&s, 2, 110, 0.2);
    assert_factor(&s, 10 + 30, 110, 0.7);
    assert_factor(&s, 200, 110, 0);
    s.name = "constant_with_warmup";
    assert_factor(&s, 9, 110, 0.9);
    assert_factor(&s, 100, 110, 1);
    s.name = "constant";
    assert_factor(&s, 0, 110, 1);
    s = (SchedulerConfig){.type = "diffuser", .name = "cosine"}; // no warm-up
    assert_factor(&s, 0, 100, 1);
    assert_factor(&s, 50, 100, 0.5);
}

// A run of a step or two, with a warm-up that fills it or is longer: no division by 0, and what
// diffusers 0.42.1 gives.
static void diffusers_schedules_of_a_step(void **state) {
    (void)state;
    static const struct {
        int64_t warmup, taken, steps;
        double cosine, linear;
    } runs[] = {{0, 0, 1, 1, 1},     {0, 1, 1, 0, 0},     {1, 0, 1, 0, 0},
                {1, 1, 1, 1, 0},     {0, 1, 2, 0.5, 0.5}, {2, 1, 10, 0.5, 0.5},
                {9, 9, 10, 1, 1},    {9, 10, 10, 0, 0},   {10, 10, 10, 1, 0},
                {2, 3, 4, 0.5, 0.5}, {3, 3, 2, 1, 0},     {3, 2, 2, 2.0 / 3, 2.0 / 3}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++) {
        SchedulerConfig s = {
            .type = "diffuser", .name = "cosine", .num_warmup_steps = runs[i].warmup};
        assert_factor(&s, runs[i].taken, runs[i].steps, runs[i].cosine);
        s.name = "linear";
        assert_factor(&s, runs[i].taken, runs[i].steps, runs[i].linear);
    }
}

static void cosine_decay_with_warmup(void **state) {
    (void)state;
    SchedulerConfig s = {.type = "cosine_decay_with_warmup",
                         .num_warmup_steps = 4,
                         .num_decay_steps = 100,
                         .peak_lr = 1e-3,
                         .decay_lr = 1e-4};
    assert_factor(&s, 0, 1000, 0.2);
    assert_factor(&s, 2, 1000, 0.6); // half-way from 1/5 to 1
    assert_factor(&s, 50, 1000, 0.1 + 0.9 * 0.5);
    assert_factor(&s, 25, 1000, 0.1 + 0.9 * 0.5 * (1 + sqrt(0.5)));
    assert_factor(&s, 100, 1000, 0.1);
    assert_factor(&s, 999, 1000, 0.1);
    // Half as many steps as the decay: everything in half the time.
    assert_factor(&s, 1, 50, 1.0 / 3 + (1 - 1.0 / 3) / 2);
    assert_factor(&s, 25, 50, 0.1 + 0.9 * 0.5);
    assert_factor(&s, 50, 50, 0.1);
    assert_factor(&s, 4, 1000, 0.1 + 0.9 * 0.5 * (1 + cos(0.04 * M_PI))); // on the cosine already
    assert_factor(&s, 0, 1, 1); // one step: no warm-up is left of the four
    assert_factor(&s, 1, 1, 0.1);
    s.num_warmup_steps = s.num_decay_steps = 1;
    assert_factor(&s, 0, 1, 0.5);
    assert_factor(&s, 1, 1, 0.1);
}

static void vqbet(void **state) {
    (void)state;
    SchedulerConfig s = {
        .type = "vqbet", .num_warmup_steps = 10, .num_vqvae_training_steps = 20, .num_cycles = 0.5};
    assert_factor(&s, 19, 110, 1);
    assert_factor(&s, 20, 110, 0);
    assert_factor(&s, 25, 110, 0.5);
    assert_factor(&s, 30, 110, 1);
    assert_factor(&s, 30 + 50, 110, 0.5);
    s.num_vqvae_training_steps = 2; // and one step more, without a warm-up and with one of a step
    s.num_warmup_steps = 0;
    assert_factor(&s, 2, 1, 1);
    assert_factor(&s, 3, 1, 0);
    s.num_warmup_steps = 1;
    assert_factor(&s, 2, 1, 0);
    assert_factor(&s, 3, 1, 1);
    assert_factor(&s, 4, 1, 0);
}

static void assert_decay(const EmaConfig *c, int64_t n, double want) {
    double got = ema_decay(c, n);
    if (!(fabs(got - want) <= 1e-12))
        fail_msg("update %lld keeps %.15g, not %.15g", (long long)n, got, want);
}

static void the_average_keeps_more_and_more(void **state) {
    (void)state;
    EmaConfig c = {.enable = true,
                   .decay = CONFIG_NULL_NUMBER,
                   .inv_gamma = 1,
                   .power = 0.75,
                   .max_decay = 0.9999};
    assert_decay(&c, 1, 0);
    assert_decay(&c, 2, 1 - pow(2, -0.75));
    assert_decay(&c, 16, 1 - pow(16, -0.75));
    assert_decay(&c, 100000000, 0.9999);
    c.update_after_step = 15;
    assert_decay(&c, 16, 0);
    assert_decay(&c, 17, 1 - pow(2, -0.75));
    c.min_decay = 0.9;
    assert_decay(&c, 17, 0.9);
    assert_decay(&c, 16, 0); // the first that counts is a copy, whatever the least is
    assert_decay(&c, 15, 0);
    c = (EmaConfig){.decay = 0.99, .update_after_step = 2, .max_decay = 0.9999};
    assert_decay(&c, 2, 0);
    assert_decay(&c, 3, 0.99);
}

// inv_gamma is the number of updates by which the warm-up's base, 1 + updates / inv_gamma, grows by
// one: (1 + 12 / 4)^-0.5 = 1/2.
static void the_average_warms_up_over_inv_gamma(void **state) {
    (void)state;
    EmaConfig c = {.decay = CONFIG_NULL_NUMBER, .inv_gamma = 4, .power = 0.5, .max_decay = 0.9999};
    assert_decay(&c, 13, 0.5);
    assert_decay(&c, 33, 1 - 1.0 / 3);
    assert_decay(&c, 2, 1 - sqrt(0.8));
    c.inv_gamma = 0.5;
    c.power = 1;
    assert_decay(&c, 4, 1 - 1.0 / 7);
    c.update_after_step = 1;
    assert_decay(&c, 4, 1 - 1.0 / 5);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_schedule_nothing_changes),
        cmocka_unit_test(diffusers_schedules),
        cmocka_unit_test(cosine_decay_with_warmup),
        cmocka_unit_test(vqbet),
        cmocka_unit_test(the_average_keeps_more_and_more),
        cmocka_unit_test(diffusers_schedules_of_a_step),
        cmocka_unit_test(the_average_warms_up_over_inv_gamma),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
