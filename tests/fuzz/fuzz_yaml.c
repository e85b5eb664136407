// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file of settings: it is refused, or becomes one whole value that can be written as
// JSON. `!include` is left out (also with % in it), for it would read files of this machine that
// the fuzzer's bytes name.
#include "base/memory.h"
#include "driver.h"
#include "formats/json.h"
#include "formats/yaml.h"
#include <stdlib.h>
#include <string.h>

void fuzz_input(const uint8_t *data, size_t size) {
    if (memmem(data, size, "include", 7) || memchr(data, '%', size)) return;
    json_t *value = NULL;
    Error err = {""};
    if (!fuzz_ok(yaml_read(fuzz_file(data, size), &value, &err), &err)) return;
    char *text = value ? json_text(value, 0) : NULL;
    if (!text) abort();
    mem_free(text);
    json_decref(value);
}
