// SPDX-License-Identifier: Apache-2.0
// A file in memory for the tests of PyTorch's files, opening it, and what is expected of its
// tensors.
#ifndef TACT_TESTS_FORMATS_TORCH_FIXTURE_H
#define TACT_TESTS_FORMATS_TORCH_FIXTURE_H

#include "base/file.h"
#include "base/memory.h"
#include "formats/torch.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#define DATA "tests/formats/data/torch/"
static char path[64]; // a file in memory: thousands of damaged ones are written
static int memory;

static inline int make_path(void **state) {
    (void)state;
    memory = memfd_create("torch", 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    return memory < 0 ? -1 : 0;
}

static inline int remove_path(void **state) {
    (void)state;
    return close(memory);
}

static inline void write_file(const void *data, size_t size) {
    assert_int_equal(ftruncate(memory, 0), 0);
    assert_int_equal(pwrite(memory, data, size, 0), size);
}

static inline Torch *opened(const char *file) {
    Torch *t = NULL;
    Error err = {"nothing"};
    if (!torch_open(file, &t, &err)) fail_msg("%s", err.text);
    return t;
}

typedef struct Expected {
    const char *name;
    SafetensorsType type;
    int rank;
    int64_t shape[3];
    double values[24];
} Expected;

static inline void assert_tensors(const Torch *t, const Expected *expected, int count) {
    assert_int_equal(torch_count(t), count);
    for (int i = 0; i < count; i++) {
        const Expected *x = &expected[i];
        const SafetensorsEntry *e = torch_entry(t, i);
        int64_t n = 1;
        assert_string_equal(e->name, x->name);
        assert_ptr_equal(torch_find(t, x->name), e);
        assert_int_equal(e->type, x->type);
        assert_int_equal(e->rank, x->rank);
        for (int d = 0; d < x->rank; d++) {
            assert_int_equal(e->shape[d], x->shape[d]);
            n *= x->shape[d];
        }
        assert_int_equal(e->count, n);
        assert_int_equal(e->bytes, (size_t)n * safetensors_type_size(e->type));
        for (int64_t k = 0; k < n; k++)
            if (!(safetensors_value(e, k) == x->values[k]))
                fail_msg("%s[%d] is %g, not %g", x->name, (int)k, safetensors_value(e, k),
                         x->values[k]);
    }
}

#endif
