// SPDX-License-Identifier: Apache-2.0
// Shared by the files of src/config.
#ifndef TACT_CONFIG_INTERNAL_H
#define TACT_CONFIG_INTERNAL_H

#include "config/config.h"

// The JSON value of a setting; `slot` is where its value is stored. New reference.
json_t *field_json(const Field *f, const void *slot);

// Whether a value of a flag that tact has no use for asks for nothing that tact does not do.
CHECKED bool foreign_check(const ForeignFlag *f, const char *value, Error *err);

#endif
