// SPDX-License-Identifier: Apache-2.0
// control_loop POLICY [STEPS]: lets a policy drive a robot at the rate it was trained at. The robot
// is a stand-in, so that it runs anywhere; yours goes into read_robot and move_robot.
#include <tact.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// An arm of LeRobot's; of a policy with other values (poses, 7 an arm) their numbers stand for
// them.
static const char *const joints[] = {"shoulder_pan.pos", "shoulder_lift.pos", "elbow_flex.pos",
                                     "wrist_flex.pos",   "wrist_roll.pos",    "gripper.pos"};
enum { JOINTS = 6, CAMERAS = 8, VALUES = 64, PIXELS = 3 * 1920 * 1080 };
static double state[VALUES], env[VALUES], action[VALUES];
static uint8_t pixels[CAMERAS][PIXELS];

// The newest state and frames, in the units of the dataset: the cameras see moving stripes.
static void read_robot(const tact_image *images, size_t n, int step) {
    for (size_t i = 0; i < n; i++)
        for (int y = 0, row = 3 * images[i].width; y < images[i].height; y++)
            memset(pixels[i] + (size_t)y * (size_t)row, (y + 2 * step) & 255, (size_t)row);
}

// The stand-in is at once where it is told to be.
static void move_robot(size_t values) {
    memcpy(state, action, values * sizeof *action);
}

static double seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void sleep_until(double deadline) {
    struct timespec t = {.tv_sec = (time_t)deadline};
    t.tv_nsec = (long)(1e9 * (deadline - (double)t.tv_sec));
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

// One episode. Deadlines are absolute, so that a late step does not move those after it; what is
// missed is counted and left out, never made up for in a hurry.
static int run(tact_policy *policy, const tact_observation *now, int steps) {
    const double period = 1 / (tact_fps(policy) > 0 ? tact_fps(policy) : 10);
    const size_t n = tact_action_size(policy);
    int missed = 0, held = 0;
    tact_step(policy, now, action); // the first prediction takes longest, and is thrown away
    tact_reset(policy);
    double deadline = seconds();
    for (int step = 0; step < steps; step++, deadline += period) {
        sleep_until(deadline);
        double start = seconds();
        read_robot(now->images, now->n_images, step);
        if (tact_step(policy, now, action) == TACT_OK)
            move_robot(n);
        else if (++held) // the robot stays where it is
            fprintf(stderr, "step %d: %s\n", step, tact_message(policy));
        double end = seconds();
        printf("%4d  %6.2f ms ", step, 1e3 * (end - start));
        for (size_t i = 0; i < n; i++)
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
    // Here is where to ask for smooth borders between chunks, for predictions beside the loop, or
    // for limits: options.blend_steps = 6; options.asynchronous = 1; options.max_translation =
    // 0.02;
    if (argc < 2 || tact_open(argv[1], &options, &policy) != TACT_OK) {
        fprintf(stderr, "%s\n",
                argc < 2 ? "usage: control_loop POLICY [STEPS]" : tact_message(NULL));
        return argc < 2 ? 2 : 1;
    }
    tact_observation now = {.size = sizeof now, .state = state, .env = env, .images = images};
    now.state_size = tact_state_size(policy), now.env_size = tact_env_size(policy);
    int fits =
        now.state_size <= VALUES && now.env_size <= VALUES && tact_action_size(policy) <= VALUES;
    for (int i = 0; i < tact_camera_count(policy) && i < CAMERAS; i++, now.n_images++) {
        tact_camera c = {.size = sizeof c};
        tact_camera_at(policy, i, &c);
        fits = fits && 3 * c.height * c.width <= PIXELS;
        images[i] = (tact_image){sizeof images[i], c.name, pixels[i], c.height, c.width, 0};
    }
    int code = fits ? run(policy, &now, argc > 2 ? atoi(argv[2]) : 50) : 1;
    if (!fits) fprintf(stderr, "control_loop: a larger policy than there is room for here\n");
    tact_close(&policy);
    return code;
}
