// SPDX-License-Identifier: Apache-2.0
// The datasets that tests of windows look at: three short episodes, and poses.
#ifndef TACT_TESTS_DATASET_WINDOW_FIXTURE_H
#define TACT_TESTS_DATASET_WINDOW_FIXTURE_H

#include "fixture.h"

typedef struct Fixture {
    Arena arena;
    char *dir;
    Dataset *tiny, *poses; // three short episodes; a sample of 7-value poses
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    Error err;
    f->dir = new_folder(&f->arena);
    char *tiny = at(&f->arena, f->dir, "tiny"), *poses = at(&f->arena, f->dir, "poses");
    const SampleOptions o = {.root = poses,
                             .episodes = 3,
                             .frames = 12,
                             .height = 64,
                             .width = 64,
                             .cameras = 1,
                             .fps = 10,
                             .seed = 3,
                             .images_in_parquet = true};
    tiny_write(tiny, TINY_GOOD, false);
    OK(sample_dataset_write(&o, &err));
    f->tiny = open_all(tiny);
    f->poses = open_all(poses);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    dataset_close(f->tiny);
    dataset_close(f->poses);
    return remove_fixture(f, &f->arena, f->dir);
}

#endif
