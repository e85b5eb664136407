// SPDX-License-Identifier: Apache-2.0
// Modules: shared objects that are loaded when what they hold is asked for. They hold what needs
// libraries that not every machine has (FFmpeg, MuJoCo, CUDA, libcurl), so that everything else
// runs without these.
//
// A module's file is NAME.so. It exports one function, tact_module, and brings its own copy of the
// few functions of base/ that it calls; what it gives is a table of functions, whose type its user
// knows (VideoModule, EnvModule, DownloadModule, ImportModule, ServeModule, MpiModule, Backend).
// Files and tables belong together by TACT_MODULE_VERSION, the release and a digest of the headers
// that say how those tables look; others are refused.
#ifndef TACT_BASE_MODULE_H
#define TACT_BASE_MODULE_H

#include "base/error.h"

enum { MODULE_NEEDS = 4 };

typedef struct ModuleEntry {
    const char *version; // TACT_MODULE_VERSION of its build
    const void *table;   // static
} ModuleEntry;

// What each module defines, visibly; the one name it exports. version and table as above.
#define MODULE_ENTRY(of_table)                                                                     \
    __attribute__((visibility("default"))) const ModuleEntry *tact_module(void);                   \
    const ModuleEntry *tact_module(void) {                                                         \
        static const ModuleEntry entry = {TACT_MODULE_VERSION, of_table};                          \
        return &entry;                                                                             \
    }

// What a module is called and what its users must have installed, for messages; and its table,
// once it is loaded. The file that calls the module has it as a static; all strings are static.
typedef struct Module {
    const char *name;  // "tact_video"
    const char *what;  // what it is for, the subject of a sentence: "reading and writing video"
    const char *built; // Debian's packages with which it is built
    // Libraries that may be missing when it is loaded: how their names begin ("libEGL.so"),
    // and the packages that have them. Unused places are NULL.
    const char *needs[MODULE_NEEDS][2];
    _Atomic(const void *) table; // module_table's
} Module;

// Loads the module, unless it is loaded already: it stays to the end of the process. Any thread.
// The file is looked for in the folders of $TACT_MODULE_PATH (separated by colons); then, seen from
// the program or the libtact.so that asks, in tact/, lib/tact/, ../lib/tact/ and ../LIBDIR/tact/;
// then where tact is installed. Errors are one sentence that begins with m->what and says what to
// install or set.
CHECKED bool module_load(Module *m, Error *err);
// The table of a module that was loaded; NULL before.
const void *module_table(const Module *m);

#endif
