// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of settings: it is refused, or becomes one whole value that can be written as
// JSON. `!include` is left out (also with % in it), for it would read files of this machine that
// the fuzzer's bytes name.
#include "formats/yaml.h"
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (memmem(data, size, "include", 7) || memchr(data, '%', size)) return 0;
    char path[64];
    int fd = memfd_create("fuzz", 0);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    json_t *value = NULL;
    Error err;
    if (yaml_read(path, &value, &err)) {
        if (!value) abort();
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        if (!text) abort();
        free(text);
        json_decref(value);
    }
    close(fd);
    return 0;
}
