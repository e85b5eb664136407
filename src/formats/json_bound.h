// SPDX-License-Identifier: Apache-2.0
// Private to formats/: how much memory a text of JSON would take.
#ifndef TACT_FORMATS_JSON_BOUND_H
#define TACT_FORMATS_JSON_BOUND_H

#include "formats/json.h"
#include <stdbool.h>

// Whether that is within the bound of json.h; else *problem says so.
bool json_within_bound(const char *text, size_t size, json_error_t *problem);

#endif
