// SPDX-License-Identifier: Apache-2.0
#include "train/schedule.h"

#include <math.h>
#include <string.h>

static double at_least_one(int64_t n) {
    return n > 1 ? (double)n : 1;
}

// 1 at progress 0, 0 after `cycles` periods at progress 1.
static double cosine(double progress, double cycles) {
    double value = 0.5 * (1 + cos(M_PI * cycles * 2 * progress));
    return value > 0 ? value : 0;
}

// The schedules of Hugging Face's diffusers library that have no settings of their own.
static double diffuser(const SchedulerConfig *s, int64_t taken, int64_t steps) {
    if (strcmp(s->name, "constant") == 0) return 1;
    if (taken < s->num_warmup_steps) return (double)taken / at_least_one(s->num_warmup_steps);
    if (strcmp(s->name, "constant_with_warmup") == 0) return 1;
    double after = at_least_one(steps - s->num_warmup_steps);
    if (strcmp(s->name, "cosine") == 0)
        return cosine((double)(taken - s->num_warmup_steps) / after, 0.5);
    return taken < steps ? (double)(steps - taken) / after : 0; // linear
}

static double vqbet(const SchedulerConfig *s, int64_t taken, int64_t steps) {
    int64_t after = taken - s->num_vqvae_training_steps;
    if (after < 0) return 1;
    if (after < s->num_warmup_steps) return (double)after / at_least_one(s->num_warmup_steps);
    double progress =
        (double)(after - s->num_warmup_steps) / at_least_one(steps - s->num_warmup_steps);
    return cosine(progress, s->num_cycles);
}

// A run that is shorter than the decay scales it down, so that it still ends at the lowest rate.
// The cosine starts at step 0, not after the warm-up: as LeRobot has it.
static double cosine_decay(const SchedulerConfig *s, int64_t taken, int64_t steps) {
    int64_t warmup = s->num_warmup_steps, decay = s->num_decay_steps;
    if (steps < decay) {
        warmup = (int64_t)((double)warmup * ((double)steps / (double)decay));
        decay = steps;
    }
    double first = 1 / (double)(warmup + 1);
    if (taken < warmup)
        return taken <= 0 ? first : 1 + (first - 1) * (1 - (double)taken / (double)warmup);
    double lowest = s->decay_lr / s->peak_lr;
    double progress = taken < decay ? (double)taken / (double)decay : 1;
    return (1 - lowest) * 0.5 * (1 + cos(M_PI * progress)) + lowest;
}

double schedule_factor(const SchedulerConfig *s, int64_t taken, int64_t steps) {
    if (!s->type) return 1;
    if (strcmp(s->type, "diffuser") == 0) return diffuser(s, taken, steps);
    if (strcmp(s->type, "vqbet") == 0) return vqbet(s, taken, steps);
    return cosine_decay(s, taken, steps);
}
