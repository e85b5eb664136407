// SPDX-License-Identifier: Apache-2.0
// Three files that are no modules of this build: one of another version, one without the function
// tact_module, and one that needs a library which is nowhere. tests/CMakeLists.txt makes all three
// from this file.
#include "base/module.h"

#if defined STRANGE_VERSION
__attribute__((visibility("default"))) const ModuleEntry *tact_module(void);
const ModuleEntry *tact_module(void) {
    static const ModuleEntry entry = {"0.0.9-before", "a table"};
    return &entry;
}
#elif defined STRANGE_NEED
int missing_function(void);
int (*const uses_it)(void) = missing_function;
MODULE_ENTRY("a table")
#elif defined STRANGE_MISSING
__attribute__((visibility("default"))) int missing_function(void);
int missing_function(void) {
    return 1;
}
#else
__attribute__((visibility("default"))) int not_an_entry;
#endif
