// SPDX-License-Identifier: Apache-2.0
// consumer POLICY STEPS: a program as a user of the library would write it, in C99, with nothing of
// tact but its header: steps a policy on made-up observations and prints every action, then a
// chunk. consumer.py sees the same and must print the same.
#include "tact.h"

#include <stdio.h>
#include <stdlib.h>

enum { MOST_CAMERAS = 16 };

static void print(const double *action, size_t n) {
    for (size_t i = 0; i < n; i++) printf("%.17g%c", action[i], i + 1 < n ? ' ' : '\n');
}

static double *numbers(size_t n) {
    return calloc(n + 1, sizeof(double));
}

// The numbers and pixels of a step.
static void look(int step, double *state, size_t n, double *env, size_t m, const tact_image *images,
                 uint8_t *const *pixels, int cameras) {
    for (size_t i = 0; i < n; i++) state[i] = 0.01 * (step + 1) * (double)(i + 1);
    for (size_t i = 0; i < m; i++) env[i] = 0.02 * (step + 1) * (double)(i + 1);
    for (int c = 0; c < cameras; c++) {
        size_t bytes = (size_t)images[c].height * (size_t)images[c].width * 3;
        for (size_t i = 0; i < bytes; i++)
            pixels[c][i] = (uint8_t)(7 * i + 31 * (size_t)step + 17 * (size_t)c);
    }
}

int main(int argc, char **argv) {
    tact_policy *policy;
    if (argc != 3 || tact_open(argv[1], NULL, &policy) != TACT_OK) {
        fprintf(stderr, "%s\n", argc == 3 ? tact_message(NULL) : "usage: consumer POLICY STEPS");
        return 1;
    }
    size_t n = tact_state_size(policy), m = tact_env_size(policy), width = tact_action_size(policy);
    size_t rows = (size_t)tact_chunk_size(policy);
    tact_image images[MOST_CAMERAS] = {{0}};
    uint8_t *pixels[MOST_CAMERAS];
    int cameras = tact_camera_count(policy), failed = 0;
    double *state = numbers(n), *env = numbers(m), *action = numbers(width),
           *chunk = numbers(rows * width);
    for (int i = 0; i < cameras; i++) {
        tact_camera c = {.size = sizeof c};
        tact_camera_at(policy, i, &c);
        pixels[i] = malloc((size_t)c.height * (size_t)c.width * 3);
        images[i].size = sizeof images[i];
        images[i].camera = c.name, images[i].rgb = pixels[i];
        images[i].height = c.height, images[i].width = c.width;
    }
    tact_observation now = {sizeof now, state, n, env, m, images, cameras, 0, 0};
    for (int step = 0; step < atoi(argv[2]) && !failed; step++) {
        look(step, state, n, env, m, images, pixels, cameras);
        failed = tact_step(policy, &now, action) != TACT_OK;
        if (!failed) print(action, width);
    }
    failed = failed || tact_predict_chunk(policy, chunk) != TACT_OK;
    for (size_t i = 0; i < rows && !failed; i++) print(chunk + i * width, width);
    if (failed) fprintf(stderr, "%s\n", tact_message(policy));
    for (int i = 0; i < cameras; i++) free(pixels[i]);
    free(state);
    free(env);
    free(action);
    free(chunk);
    tact_close(&policy);
    return failed;
}
