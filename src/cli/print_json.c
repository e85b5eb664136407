// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"
#include "cli/cli.h"
#include "formats/json.h"
#include <stdio.h>

void cli_print_json(const json_t *value, int indent) {
    char *text = json_text_had(value, indent);
    puts(text);
    mem_free(text);
}

json_t *cli_numbers_json(const double *values, int n) {
    json_t *array = json_array();
    for (int i = 0; i < n; i++) json_array_append_new(array, json_real(values[i]));
    return array;
}
