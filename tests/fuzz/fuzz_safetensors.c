// SPDX-License-Identifier: Apache-2.0
// Any bytes as a safetensors file: it is refused, or every tensor can be read.
#include "base/file.h"
#include "formats/safetensors.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    Safetensors *s = NULL;
    Error err;
    if (safetensors_open(path, &s, &err)) {
        volatile double sum = 0;
        for (int i = 0; i < safetensors_count(s); i++) {
            const SafetensorsEntry *e = safetensors_entry(s, i);
            if (safetensors_find(s, e->name) == NULL) abort();
            for (int64_t k = 0; k < e->count; k++) sum += safetensors_value(e, k);
        }
        (void)sum;
        safetensors_close(s);
    }
    close(fd);
    return 0;
}
