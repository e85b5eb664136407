// SPDX-License-Identifier: Apache-2.0
// What tests that make a dataset of their own begin with: an empty folder, removed after each test.
#ifndef TACT_TESTS_FOLDER_FIXTURE_H
#define TACT_TESTS_FOLDER_FIXTURE_H

#include "fixture.h"

typedef struct Fixture {
    Arena arena;
    char *dir, *root; // root does not exist yet
} Fixture;

static int set_up(void **state) {
    Fixture *f = NEW(Fixture, 1);
    f->dir = new_folder(&f->arena);
    f->root = at(&f->arena, f->dir, "set");
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    Fixture *f = *state;
    return remove_fixture(f, &f->arena, f->dir);
}

static const SampleOptions small_sample = {
    .episodes = 3, .frames = 5, .height = 64, .width = 96, .cameras = 2, .fps = 10, .seed = 7};

static inline void write_sample(const Fixture *f, SampleOptions o) {
    Error err;
    o.root = f->root;
    OK(sample_dataset_write(&o, &err));
}

#endif
