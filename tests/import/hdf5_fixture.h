// SPDX-License-Identifier: Apache-2.0
// The HDF5 files of data/hdf5.zip, unpacked once for all tests of a program.
#ifndef TACT_TESTS_HDF5_FIXTURE_H
#define TACT_TESTS_HDF5_FIXTURE_H

#include "formats/safetensors.h"
#include "umi_fixture.h"

static int set_up_unpacked(void **state) {
    if (set_up(state) != 0) return -1;
    Fixture *f = *state;
    unpack(f, "tests/import/data/hdf5.zip", "", f->dir);
    return 0;
}

static inline const char *at(Fixture *f, const char *name) {
    return arena_printf(&f->arena, "%s/%s", f->dir, name);
}

// Image files are FFmpeg's to read, in the module tact_video.
#ifdef TACT_VIDEO
enum { HAS_VIDEO = 1 };
#else
enum { HAS_VIDEO = 0 };
#endif

static inline void need_video(void) {
    if (HAS_VIDEO) return;
    print_message("skipped: tact_video, for want of FFmpeg, was not built\n");
    skip();
}

#endif
