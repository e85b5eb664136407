// SPDX-License-Identifier: Apache-2.0
// A folder for the files of a test's program: folder_make and folder_remove are the set-up and the
// tear-down of its group of tests.
#ifndef TACT_TESTS_SCRATCH_H
#define TACT_TESTS_SCRATCH_H

#include "base/file.h"

static char folder[256];

static int folder_make(void **state) {
    (void)state;
    Error err;
    return make_temporary_dir(folder, sizeof folder, NULL, &err) ? 0 : 1;
}

static int folder_remove(void **state) {
    (void)state;
    Error err;
    return remove_tree(folder, &err) ? 0 : 1;
}

#endif
