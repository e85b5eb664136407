// SPDX-License-Identifier: Apache-2.0
// What `tact edit --trim=idle` cuts off: what the rules find, but for the half second next to the
// movement.
#include "../scratch.h"
#include "check/check.h"
#include "dataset/writer.h"

#include <math.h>
#include <stdio.h>

#include "../ok.h"

enum { FPS = 10, MOVES = 60 };

// An episode that stands, moves for 60 rows, and stands.
static void add_episode(DatasetWriter *w, int head, int moves, int tail) {
    Error err;
    for (int k = 0; k < head + moves + tail; k++) {
        int at = k < head ? 0 : k < head + moves ? k - head + 1 : moves;
        float state[] = {(float)sin(at / 9.0), (float)at / 50.0F};
        OK(dataset_writer_frame(w, state, NULL, state, NULL, &err));
    }
    OK(dataset_writer_episode(w, "stand", &err));
}

static void test_trimmed(void **state) {
    (void)state;
    // Head, moves, tail, and what is to be cut off them. The limits are 2 s and 3 s; of 25 rows
    // that stand alike 24 do not differ from the one before.
    static const int episodes[][5] = {{0, MOVES, 0, 0, 0},     {19, MOVES, 29, 0, 0},
                                      {25, MOVES, 0, 19, 0},   {0, MOVES, 34, 0, 29},
                                      {40, MOVES, 50, 34, 45}, {60, 0, 0, 0, 0}};
    enum { N = sizeof episodes / sizeof episodes[0] };
    Error err;
    DatasetWriter *w;
    Dataset *ds;
    char root[300];
    snprintf(root, sizeof root, "%s/set", folder);
    const WriterOptions o = {.root = root, .fps = FPS, .state_dim = 2, .action_dim = 2};
    OK(dataset_writer_open(&o, &w, &err));
    for (int e = 0; e < N; e++) add_episode(w, episodes[e][0], episodes[e][1], episodes[e][2]);
    OK(dataset_writer_close(w, &err));
    OK(dataset_open(&(DatasetOptions){.root = root}, &ds, &err));
    CheckIdle idle[N];
    check_idle(ds, idle);
    for (int e = 0; e < N; e++) {
        assert_int_equal(idle[e].head, episodes[e][3]);
        assert_int_equal(idle[e].tail, episodes[e][4]);
    }
    dataset_close(ds);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_trimmed)};
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
