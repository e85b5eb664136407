// SPDX-License-Identifier: Apache-2.0
// consumer POLICY STEPS: a program as a user of the library would write it, in C99, with nothing of
// tact but its header: steps a policy on grey frames and zeros, and prints the last action.
#include "tact.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CAMERAS = 16 };

int main(int argc, char **argv) {
    tact_policy *policy;
    if (argc != 3 || tact_open(argv[1], NULL, &policy) != TACT_OK) {
        fprintf(stderr, "%s\n", argc == 3 ? tact_message(NULL) : "usage: consumer POLICY STEPS");
        return 1;
    }
    tact_image images[MOST_CAMERAS];
    tact_observation now = {0};
    double *state = calloc(tact_state_size(policy) + 1, sizeof *state);
    double *env = calloc(tact_env_size(policy) + 1, sizeof *env);
    double *action = calloc(tact_action_size(policy), sizeof *action);
    now.state = state, now.state_size = tact_state_size(policy);
    now.env = env, now.env_size = tact_env_size(policy);
    now.images = images, now.n_images = tact_camera_count(policy);
    for (int i = 0; i < now.n_images; i++) {
        tact_camera c = tact_camera_at(policy, i);
        uint8_t *rgb = malloc((size_t)c.height * (size_t)c.width * 3);
        memset(rgb, 128, (size_t)c.height * (size_t)c.width * 3);
        images[i].camera = c.name, images[i].rgb = rgb;
        images[i].height = c.height, images[i].width = c.width, images[i].stride = 0;
    }
    int failed = 0;
    for (int i = 0; i < atoi(argv[2]); i++)
        if (tact_step(policy, &now, action) != TACT_OK) {
            fprintf(stderr, "%s\n", tact_message(policy));
            failed = 1;
        }
    for (size_t i = 0; i < tact_action_size(policy); i++) printf("%g ", action[i]);
    printf("\n");
    for (int i = 0; i < now.n_images; i++) free((void *)images[i].rgb);
    free(state);
    free(env);
    free(action);
    tact_close(&policy);
    return failed;
}
