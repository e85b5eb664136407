// SPDX-License-Identifier: Apache-2.0
// Public structs of programs that were compiled with another version of include/tact.h. A struct
// begins with its size, and grows at its end.
#ifndef TACT_RUNTIME_VERSIONS_H
#define TACT_RUNTIME_VERSIONS_H

#include "base/error.h"
#include "tact.h"

// The size that a struct had when it was first in the header: the least that is accepted.
enum {
    OPTIONS_LEAST = sizeof(size_t),
    OBSERVATION_LEAST = offsetof(tact_observation, n_images) + sizeof(size_t),
    IMAGE_LEAST = sizeof(tact_image),
};
// Copies a caller's struct, `given`, whose first member is its size, into `known` (known_size
// bytes). Members that `given` is too short for keep what `known` held. A size below `least` and a
// setting that this version does not have are errors. name: the type's, for messages.
CHECKED bool struct_from_caller(void *known, size_t known_size, size_t least, const void *given,
                                const char *name, Error *err);
// Copies `known` into a caller's struct, `given`, as much as that has room for. Its size stays.
void struct_to_caller(void *given, const void *known, size_t known_size);

#endif
