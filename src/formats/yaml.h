// SPDX-License-Identifier: Apache-2.0
// YAML through libyaml, as values of JSON.
#ifndef TACT_FORMATS_YAML_H
#define TACT_FORMATS_YAML_H

#include "base/error.h"
#include <jansson.h>

// Reads one YAML document (or JSON, which is YAML). Scalars without quotes become what YAML 1.1,
// and so PyYAML, takes them for: null, booleans, whole numbers, numbers with a point (1e-4 is text
// there), or else text. Keys become text. `!include FILE` stands for that file's document, relative
// to the working directory as in LeRobot, and `<<` merges mappings into the one it stands in. The
// caller owns *out. All files together may have a MiB, 100,000
// values and 16 MiB of text, however often one is meant by an alias or a file is included. Errors
// name the file and the line.
CHECKED bool yaml_read(const char *path, json_t **out, Error *err);

#endif
