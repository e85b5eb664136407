// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file, or a header to which the rest is made: it is refused, or every
// tensor can be read.
#include "driver.h"
#include "formats/safetensors.h"
#include "formats/weights.h"
#include <stdlib.h>

static void read_all(const Safetensors *s) {
    double sum = 0;
    for (int i = 0; i < safetensors_count(s); i++) {
        const SafetensorsEntry *e = safetensors_entry(s, i);
        if (safetensors_find(s, e->name) == NULL) abort();
        for (int64_t k = 0; k < e->count; k++) sum += safetensors_value(e, k);
    }
    fuzz_use(sum);
}

static void read_file(const char *path) {
    Safetensors *s = NULL;
    Weights *w = NULL;
    Error err = {""};
    const bool looked = fuzz_ok(safetensors_look(path, &s, &err), &err);
    const int count = looked ? safetensors_count(s) : -1;
    if (looked) safetensors_close(s);
    if (fuzz_ok(safetensors_open(path, &s, &err), &err)) {
        if (!looked || safetensors_count(s) != count) abort();
        read_all(s);
        safetensors_close(s);
    }
    if (fuzz_ok(weights_open(path, &w, &err), &err)) weights_close(w);
}

void fuzz_input(const uint8_t *data, size_t size) {
    if (size && data[0] == '{') {
        size_t made;
        uint8_t *bytes = fuzz_safetensors(data, size, &made);
        read_file(fuzz_file(bytes, made));
        free(bytes);
    } else {
        read_file(fuzz_file(data, size));
    }
}
