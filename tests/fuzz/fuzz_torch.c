// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of torch.save: it is refused, or every tensor can be read. Checksums would
// keep the fuzzer out of most of an archive, so parts become one whose checksums are right.
#include "driver.h"
#include "formats/torch.h"
#include <stdlib.h>

static void read_file(const char *path) {
    Torch *t = NULL;
    Error err = {""};
    double sum = 0;
    if (!fuzz_ok(torch_open(path, &t, &err), &err)) return;
    for (int i = 0; i < torch_count(t); i++) {
        const SafetensorsEntry *e = torch_entry(t, i);
        if (torch_find(t, e->name) != e) abort();
        for (int64_t k = 0; k < e->count; k++) sum += safetensors_value(e, k);
    }
    fuzz_use(sum);
    torch_close(t);
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    const int n = fuzz_split(data, size, parts);
    if (!n) {
        read_file(fuzz_file(data, size));
        return;
    }
    size_t made;
    uint8_t *bytes = fuzz_zip(parts, n, &made);
    read_file(fuzz_file(bytes, made));
    free(bytes);
}
