// SPDX-License-Identifier: Apache-2.0
// control_loop POLICY [STEPS]: lets a policy drive a robot at the rate it was trained at. It has a
// simulated robot in it, so that it runs anywhere: its cameras see moving stripes, and it is at
// once where it is told to be. Put your robot into read_robot and move_robot; the rest can stay.
#include <tact.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MOST_CAMERAS = 16 };

typedef struct Robot {
    double *state, *env; // what tact_state_size and tact_env_size ask for
    size_t state_size, env_size, action_size;
    tact_image images[MOST_CAMERAS]; // named by the policy; (height, width, 3) uint8 RGB
    int n_images;
} Robot;

// ---- put your robot here ------------------------------------------------------------------------

// The newest state and frames: absolute poses (metres, rotation vectors), as in the dataset.
static void read_robot(Robot *r, int step) {
    for (int i = 0; i < r->n_images; i++) {
        const tact_image *image = &r->images[i];
        uint8_t *rgb = (uint8_t *)image->rgb;
        for (int y = 0; y < image->height; y++)
            memset(rgb + (size_t)y * image->stride, (y + 2 * step) & 255, image->stride);
    }
}

static void move_robot(Robot *r, const double *action) {
    size_t n = r->state_size < r->action_size ? r->state_size : r->action_size;
    memcpy(r->state, action, n * sizeof *action);
}

// ---- the loop -----------------------------------------------------------------------------------

static int robot_open(Robot *r, const tact_policy *policy) {
    *r = (Robot){.state_size = tact_state_size(policy), .env_size = tact_env_size(policy)};
    r->action_size = tact_action_size(policy);
    r->state = calloc(r->state_size + 1, sizeof *r->state);
    r->env = calloc(r->env_size + 1, sizeof *r->env);
    for (; r->n_images < tact_camera_count(policy) && r->n_images < MOST_CAMERAS; r->n_images++) {
        tact_camera c = {.size = sizeof c};
        tact_camera_at(policy, r->n_images, &c);
        size_t stride = 3 * (size_t)c.width;
        uint8_t *rgb = malloc(stride * (size_t)c.height);
        r->images[r->n_images] =
            (tact_image){sizeof(tact_image), c.name, rgb, c.height, c.width, stride};
        if (!rgb) return 0;
    }
    return r->state && r->env;
}

static void robot_close(Robot *r) {
    for (int i = 0; i < r->n_images; i++) free((void *)r->images[i].rgb);
    free(r->state);
    free(r->env);
}

static double seconds(const struct timespec *t) {
    return (double)t->tv_sec + 1e-9 * (double)t->tv_nsec;
}

static void add(struct timespec *t, double s) {
    long long ns = t->tv_nsec + (long long)(s * 1e9);
    t->tv_sec += (time_t)(ns / 1000000000);
    t->tv_nsec = (long)(ns % 1000000000);
}

// One episode. Deadlines are absolute, so that a late step does not move those after it; what is
// missed is counted and left out, never made up for in a hurry.
static int run(tact_policy *policy, Robot *robot, double *action, int steps) {
    tact_observation now = {sizeof now,      robot->state,  robot->state_size,      robot->env,
                            robot->env_size, robot->images, (size_t)robot->n_images};
    double period = 1 / (tact_fps(policy) > 0 ? tact_fps(policy) : 10), slowest = 0;
    int missed = 0, held = 0;
    struct timespec deadline, start, end;
    // The first prediction takes longest (memory, kernels made for this machine), and is thrown
    // away.
    read_robot(robot, 0);
    if (tact_step(policy, &now, action) != TACT_OK) fprintf(stderr, "%s\n", tact_message(policy));
    tact_reset(policy);
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    for (int step = 0; step < steps; step++) {
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &deadline, NULL);
        clock_gettime(CLOCK_MONOTONIC, &start);
        read_robot(robot, step);
        if (tact_step(policy, &now, action) == TACT_OK) {
            move_robot(robot, action);
        } else { // the robot stays where it is
            fprintf(stderr, "step %d: %s\n", step, tact_message(policy));
            held++;
        }
        clock_gettime(CLOCK_MONOTONIC, &end);
        double took = seconds(&end) - seconds(&start);
        if (took > slowest) slowest = took;
        printf("%4d  %6.2f ms ", step, 1e3 * took);
        for (size_t i = 0; i < robot->action_size; i++) printf(" %8.4f", action[i]);
        printf("\n");
        for (add(&deadline, period); seconds(&deadline) < seconds(&end); add(&deadline, period))
            missed++;
    }
    printf("%d steps at %.4g Hz, the slowest %.2f ms; %d deadlines missed, held still %d times\n",
           steps, 1 / period, 1e3 * slowest, missed, held);
    return held == 0;
}

int main(int argc, char **argv) {
    tact_options options;
    tact_policy *policy;
    Robot robot;
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: control_loop POLICY [STEPS]\n");
        return 2;
    }
    tact_options_default(&options, sizeof options);
    // Where it matters, say how far an action may lie from the one before: options.max_translation
    // = 0.02;
    if (tact_open(argv[1], &options, &policy) != TACT_OK) {
        fprintf(stderr, "%s\n", tact_message(NULL));
        return 1;
    }
    double *action = calloc(tact_action_size(policy), sizeof *action);
    int ok = robot_open(&robot, policy) && action &&
             run(policy, &robot, action, argc > 2 ? atoi(argv[2]) : 50);
    robot_close(&robot);
    free(action);
    tact_close(&policy);
    return ok ? 0 : 1;
}
