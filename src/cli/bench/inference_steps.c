// SPDX-License-Identifier: Apache-2.0
#include "cli/bench/inference_steps.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/rng.h"
#include "base/stats.h"
#include "image/image.h"
#include "runtime/handle.h" // for the handle's device, whose ops are timed
#include "tact.h"
#include <math.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { WARM_UP = 3, SITE_FRAMES = 0xbf };

typedef struct Scene {
    double *state, *env, *action;
    uint8_t *frames[MAX_CAMERAS];
    tact_image images[MAX_CAMERAS];
    tact_observation seen;
} Scene;

static Scene scene_new(const tact_policy *p, uint64_t seed) {
    Scene s = {.state = NEW(double, tact_state_size(p)),
               .env = NEW(double, tact_env_size(p)),
               .action = NEW(double, tact_action_size(p))};
    RngStream rng = {.key = {.seed = seed, .site = SITE_FRAMES}};
    int n = tact_camera_count(p);
    for (int i = 0; i < n; i++) {
        tact_camera c = {.size = sizeof c};
        tact_camera_at(p, i, &c);
        size_t bytes = image_rgb_bytes(c.height, c.width);
        s.frames[i] = NEW(uint8_t, bytes);
        for (size_t k = 0; k < bytes; k++) s.frames[i][k] = (uint8_t)rng_next(&rng);
        s.images[i] = (tact_image){.size = sizeof(tact_image),
                                   .camera = c.name,
                                   .rgb = s.frames[i],
                                   .height = c.height,
                                   .width = c.width};
    }
    s.seen = (tact_observation){.size = sizeof s.seen,
                                .state = s.state,
                                .state_size = tact_state_size(p),
                                .env = s.env,
                                .env_size = tact_env_size(p),
                                .n_images = (size_t)n};
    return s;
}

static void scene_free(Scene *s) {
    for (int i = 0; i < MAX_CAMERAS; i++) mem_free(s->frames[i]);
    mem_free(s->state);
    mem_free(s->env);
    mem_free(s->action);
}

CHECKED static bool control_step(tact_policy *p, Scene *s, Error *err) {
    s->seen.images = s->images;
    return tact_step(p, &s->seen, s->action) == TACT_OK || fail(err, "%s", tact_message(p));
}

CHECKED static bool time_control_steps(tact_policy *p, Scene *s, int64_t steps, Latency *out,
                                       Error *err) {
    double *ms = NEW(double, steps);
    bool ok = true;
    for (int64_t i = -WARM_UP; ok && i < steps; i++) {
        double start = clock_seconds();
        ok = control_step(p, s, err);
        if (i >= 0) ms[i] = 1e3 * (clock_seconds() - start);
    }
    if (ok) {
        sort_doubles(ms, steps);
        out->p50 = quantile(ms, steps, 0.5);
        out->p95 = quantile(ms, steps, 0.95);
        out->p99 = quantile(ms, steps, 0.99);
    }
    mem_free(ms);
    return ok;
}

CHECKED static bool open_policy(const TrainConfig *c, const char *path, bool cache,
                                tact_policy **out, Error *err) {
    tact_options o;
    tact_options_default(&o, sizeof o);
    o.device = c->policy.device;
    o.dtype = c->policy.dtype;
    o.threads = c->threads;
    o.n_action_steps = 1;
    o.frame_cache = cache;
    o.rate_check = 0; // steps follow each other without a pause
    return tact_open(path, &o, out) == TACT_OK || fail(err, "%s", tact_message(NULL));
}

// Seconds since this process was started, as exactly as the kernel counts them (hundredths).
static double process_age(void) {
    unsigned long long ticks = 0;
    FILE *f = fopen("/proc/self/stat", "r");
    // Field 22 counts from the boot; the name, field 2, ends with the last parenthesis.
    bool ok =
        f && fscanf(f,
                    "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
                    "%*d %*d %*d %llu",
                    &ticks) == 1;
    if (f) fclose(f);
    struct timespec now;
    if (!ok || clock_gettime(CLOCK_BOOTTIME, &now) != 0) return NAN;
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec -
           (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

typedef struct ControlStep {
    tact_policy *policy;
    Scene *scene;
} ControlStep;

CHECKED static bool call_control_step(void *user, Error *err) {
    ControlStep *c = user;
    return control_step(c->policy, c->scene, err);
}

bool time_inference(const TrainConfig *c, const char *path, bool cache, int64_t steps, bool ops,
                    InferenceTimings *out, Error *err) {
    tact_policy *p = NULL;
    double start = clock_seconds();
    if (!open_policy(c, path, cache, &p, err)) return false;
    double loaded = clock_seconds();
    Scene s = scene_new(p, (uint64_t)c->seed);
    double ready = clock_seconds();
    bool ok = control_step(p, &s, err);
    if (ok && cache) {
        out->load_ms = 1e3 * (loaded - start);
        out->first_ms = 1e3 * (clock_seconds() - ready);
        out->start_ms = 1e3 * (process_age() - (ready - loaded));
    }
    ok = ok && time_control_steps(p, &s, steps, cache ? &out->cached : &out->uncached, err);
    if (ok && cache && ops)
        ok = op_times_measure(p->device, call_control_step, &(ControlStep){p, &s}, steps, &out->ops,
                              err);
    if (cache) out->resident_mb = (double)mem_most_resident() / 1e6;
    scene_free(&s);
    tact_close(&p);
    return ok;
}
