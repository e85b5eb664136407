// SPDX-License-Identifier: Apache-2.0
// control_loop POLICY [STEPS]: lets a policy drive a robot at the rate it was trained at. The robot
// is the one of stand_in.h.
#include "stand_in.h"
#include <stdio.h>
#include <stdlib.h>
#include <tact.h>

// One episode. Deadlines are absolute, so that a late step does not move those after it; what is
// missed is counted and left out, never made up for in a hurry.
static int run(tact_policy *policy, const tact_observation *now, int steps) {
    const double period = 1 / (tact_fps(policy) > 0 ? tact_fps(policy) : 10);
    const int n = (int)tact_action_size(policy);
    static double action[VALUES];
    int missed = 0, held = 0;
    tact_step(policy, now, action); // the first prediction takes longest, and is thrown away
    tact_reset(policy);
    double deadline = seconds();
    for (int step = 0; step < steps; step++, deadline += period) {
        sleep_until(deadline);
        double start = seconds();
        for (int i = 0; i < (int)now->n_images; i++)
            robot_read(i, now->images[i].height, now->images[i].width, step);
        if (tact_step(policy, now, action) == TACT_OK)
            robot_move(action, (size_t)n);
        else if (++held) // the robot stays where it is
            fprintf(stderr, "step %d: %s\n", step, tact_message(policy));
        double end = seconds();
        printf("%4d  %6.2f ms ", step, 1e3 * (end - start));
        for (int i = 0; i < n; i++)
            printf(n == JOINTS ? "  %s %.4f" : "  %.0s%.4f", joints[i % JOINTS], action[i]);
        for (printf("\n"); deadline + period < end; deadline += period) missed++;
    }
    printf("%d steps at %.4g Hz; %d deadlines missed, held still %d times\n", steps, 1 / period,
           missed, held);
    return held ? 1 : 0;
}

int main(int argc, char **argv) {
    tact_options options;
    tact_policy *policy;
    tact_image images[CAMERAS];
    tact_options_default(&options, sizeof options);
    // Ask here for smooth borders between chunks, for predictions beside the loop, for limits:
    // options.blend_steps = 6; options.asynchronous = 1; options.max_translation = 0.02;
    if (argc < 2) return fprintf(stderr, "usage: control_loop POLICY [STEPS]\n"), 2;
    if (tact_open(argv[1], &options, &policy) != TACT_OK)
        return fprintf(stderr, "%s\n", tact_message(NULL)), 1;
    tact_observation now = {.size = sizeof now, .state = robot_state, .env = robot_env};
    now.images = images, now.n_images = (size_t)tact_camera_count(policy);
    now.state_size = tact_state_size(policy), now.env_size = tact_env_size(policy);
    int fits = now.state_size <= VALUES && now.env_size <= VALUES && now.n_images <= CAMERAS &&
               tact_action_size(policy) <= VALUES;
    for (int i = 0; fits && i < (int)now.n_images; i++) {
        tact_camera c = {.size = sizeof c};
        tact_camera_at(policy, i, &c);
        fits = 3 * c.height * c.width <= PIXELS;
        images[i] = (tact_image){sizeof images[i], c.name, robot_pixels[i], c.height, c.width, 0};
    }
    int code = fits ? run(policy, &now, argc > 2 ? atoi(argv[2]) : 50) : 1;
    if (!fits) fprintf(stderr, "control_loop: a larger policy than stand_in.h has room for\n");
    tact_close(&policy);
    return code;
}
