// SPDX-License-Identifier: Apache-2.0
// A robot's program in C, measured: bench/host compiles it against libtact.
//
//   host start POLICY DTYPE RUNS      milliseconds from exec to the first action, of so many starts
//   host steps POLICY DTYPE STEPS MS  of control steps that each predict, so many milliseconds
//   apart
//
// Nothing is in it that a robot's program would not have: no environment variable is set.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <tact.h>
#include <time.h>
#include <unistd.h>

enum { CAMERAS = 16, VALUES = 4096 };

static double state[VALUES], env[VALUES], action[VALUES];
static tact_image images[CAMERAS];

static double milliseconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return 1e3 * (double)t.tv_sec + 1e-6 * (double)t.tv_nsec;
}

static int failed(const tact_policy *policy) {
    fprintf(stderr, "%s\n", tact_message(policy));
    return 1;
}

// Opens the policy, and fills in what it is shown. NULL on an error.
static tact_policy *open_policy(const char *path, const char *dtype, tact_observation *seen) {
    tact_options o;
    tact_policy *policy;
    tact_options_default(&o, sizeof o);
    o.dtype = dtype;
    o.n_action_steps = 1;
    o.rate_check = 0; // steps follow each other without a pause
    if (tact_open(path, &o, &policy) != TACT_OK) return failed(NULL), NULL;
    *seen = (tact_observation){.size = sizeof *seen, .state = state, .env = env, .images = images};
    seen->state_size = tact_state_size(policy), seen->env_size = tact_env_size(policy);
    seen->n_images = (size_t)tact_camera_count(policy);
    if (seen->state_size > VALUES || seen->env_size > VALUES || seen->n_images > CAMERAS ||
        tact_action_size(policy) > VALUES)
        return fprintf(stderr, "%s: more values or cameras than this program has\n", path), NULL;
    for (size_t i = 0; i < seen->n_images; i++) {
        tact_camera c = {.size = sizeof c};
        tact_camera_at(policy, (int)i, &c);
        const size_t bytes = (size_t)c.height * (size_t)c.width * 3;
        uint8_t *rgb = malloc(bytes);
        if (!rgb) return perror("frames"), NULL;
        for (size_t k = 0; k < bytes; k++) rgb[k] = (uint8_t)(k * 7 + k / 1000);
        images[i] =
            (tact_image){.size = sizeof images[i], .camera = c.name, .rgb = rgb, c.height, c.width};
    }
    return policy;
}

static int ascending(const void *a, const void *b) {
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double part_of(double *sorted, int n, double part) {
    const int at = (int)(part * n);
    return sorted[at < n ? at : n - 1];
}

static int steps(const char *path, const char *dtype, int n, double period) {
    enum { WARM_UP = 5 };
    tact_observation seen;
    tact_policy *policy = open_policy(path, dtype, &seen);
    double *took = malloc((size_t)n * sizeof *took);
    if (!policy || !took) return 1;
    for (int i = -WARM_UP; i < n; i++) {
        const double start = milliseconds();
        if (tact_step(policy, &seen, action) != TACT_OK) return failed(policy);
        const double spent = milliseconds() - start, left = period > spent ? period - spent : 0;
        if (i >= 0) took[i] = spent;
        const struct timespec rest = {.tv_sec = (time_t)(left / 1e3),
                                      .tv_nsec = (long)(left * 1e6) % 1000000000};
        nanosleep(&rest, NULL);
    }
    qsort(took, (size_t)n, sizeof *took, ascending);
    printf("%d steps: p50 %.2f  p95 %.2f  p99 %.2f  longest %.2f ms; p99 / p50 %.2f\n", n,
           part_of(took, n, 0.5), part_of(took, n, 0.95), part_of(took, n, 0.99), took[n - 1],
           part_of(took, n, 0.99) / part_of(took, n, 0.5));
    tact_close(&policy);
    return 0;
}

// One start: tells the program that waits for it when the first action is there.
static int first_action(const char *path, const char *dtype) {
    tact_observation seen;
    tact_policy *policy = open_policy(path, dtype, &seen);
    if (!policy) return 1;
    if (tact_step(policy, &seen, action) != TACT_OK) return failed(policy);
    return write(STDOUT_FILENO, "a", 1) != 1;
}

static int starts(const char *self, const char *path, const char *dtype, int n) {
    double *took = malloc((size_t)n * sizeof *took);
    for (int i = 0; took && i < n; i++) {
        int pipes[2], status;
        char answer;
        if (pipe(pipes)) return perror("pipe"), 1;
        const double start = milliseconds();
        const pid_t child = fork();
        if (child == 0) {
            dup2(pipes[1], STDOUT_FILENO);
            execl(self, self, "first", path, dtype, (char *)NULL);
            _exit(127);
        }
        close(pipes[1]);
        const int there = child > 0 && read(pipes[0], &answer, 1) == 1;
        took[i] = milliseconds() - start;
        close(pipes[0]);
        if (child < 0 || waitpid(child, &status, 0) != child || status || !there)
            return fprintf(stderr, "a start failed\n"), 1;
    }
    if (!took) return 1;
    qsort(took, (size_t)n, sizeof *took, ascending);
    printf("%d starts: least %.0f  median %.0f  longest %.0f ms from exec to the first action\n", n,
           took[0], part_of(took, n, 0.5), took[n - 1]);
    return 0;
}

int main(int argc, char **argv) {
    const int n = argc > 4 ? atoi(argv[4]) : 0;
    if (argc > 3 && strcmp(argv[1], "first") == 0) return first_action(argv[2], argv[3]);
    if (n > 0 && strcmp(argv[1], "start") == 0) return starts(argv[0], argv[2], argv[3], n);
    if (n > 0 && strcmp(argv[1], "steps") == 0)
        return steps(argv[2], argv[3], n, argc > 5 ? atof(argv[5]) : 0);
    return fprintf(stderr,
                   "usage: host start|steps POLICY float32|bfloat16 TIMES [MILLISECONDS]\n"),
           2;
}
