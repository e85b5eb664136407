// SPDX-License-Identifier: Apache-2.0
// Public structs of programs that were compiled with another version of the header. A struct begins
// with its size, and grows at its end.
#include "runtime/versions.h"

#include <string.h>

static size_t given_size(const void *given) {
    size_t size;
    memcpy(&size, given, sizeof size);
    return size;
}

bool struct_from_caller(void *known, size_t known_size, size_t least, const void *given,
                        const char *name, Error *err) {
    size_t size = given_size(given);
    enum { MOST = 4096 }; // beyond that it is no size
    if (size < least || size > MOST)
        return fail(err, "%s: size %zu; set it to sizeof(%s)", name, size, name);
    for (size_t i = known_size; i < size; i++)
        if (((const char *)given)[i])
            return fail(err,
                        "%s: size %zu, with a setting that tact %s does not have; it knows %zu "
                        "bytes of it",
                        name, size, TACT_VERSION, known_size);
    memcpy(known, given, size < known_size ? size : known_size);
    memcpy(known, &known_size, sizeof known_size);
    return true;
}

void struct_to_caller(void *given, const void *known, size_t known_size) {
    size_t size = given_size(given), both = size < known_size ? size : known_size;
    if (size <= sizeof size) return;
    memcpy((char *)given + sizeof size, (const char *)known + sizeof size, both - sizeof size);
    memset((char *)given + both, 0, size - both);
}
