// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of torch.save: it is refused, or every tensor can be read.
// Checksums keep the fuzzer out of most of an archive; the older form has none.
#include "formats/torch.h"
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
    Torch *t = NULL;
    Error err;
    if (torch_open(path, &t, &err)) {
        volatile double sum = 0;
        for (int i = 0; i < torch_count(t); i++) {
            const SafetensorsEntry *e = torch_entry(t, i);
            if (torch_find(t, e->name) != e) abort();
            for (int64_t k = 0; k < e->count; k++) sum += safetensors_value(e, k);
        }
        (void)sum;
        torch_close(t);
    }
    close(fd);
    return 0;
}
