// SPDX-License-Identifier: Apache-2.0
// The program's alone: libtact leaves jansson's memory to its host.
#include "base/memory.h"
#include "formats/json.h"
#include <stdio.h>
#include <stdlib.h>

// mem_alloc ends the process, or has found a block after all.
static void *take_block(size_t bytes) {
    void *block = malloc(bytes);
    return block ? block : mem_alloc(bytes);
}

void json_take_memory(void) {
    json_set_alloc_funcs(take_block, free);
}

char *json_text_had(const json_t *value, int indent) {
    char *text = json_text(value, indent);
    if (text) return text;
    fputs("tact: out of memory: a text of JSON\n", stderr);
    abort();
}
