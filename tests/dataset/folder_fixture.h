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
    Error err;
    if (!remove_tree(f->dir, &err)) return -1;
    arena_free(&f->arena);
    mem_free(f);
    return 0;
}

#endif
