// SPDX-License-Identifier: Apache-2.0
#include "base/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <limits.h>
#include <link.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIED = 640 };

// Held while a module is loaded, so that two threads that ask at once get the same table.
static pthread_mutex_t module_load_lock = PTHREAD_MUTEX_INITIALIZER;

typedef struct Search {
    const Module *module;
    char file[PATH_MAX]; // the one that was found
    char tried[TRIED];   // the folders without it, for the message
    void *handle;
} Search;

// ---- where --------------------------------------------------------------------------------------

// The folder of the object that this code is in: of the program, or of libtact.so. "" if unknown.
static void own_folder(char *out, size_t size) {
    Dl_info info;
    struct link_map *map = NULL;
    char path[PATH_MAX] = "";
    *out = '\0';
    if (!dladdr1((const void *)own_folder, &info, (void **)&map, RTLD_DL_LINKMAP) || !map) return;
    if (map->l_name[0] == '\0') { // the program: how it was called need not be where it is
        ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
        path[n > 0 ? n : 0] = '\0';
    } else if (!realpath(map->l_name, path)) {
        return;
    }
    char *slash = strrchr(path, '/');
    if (!slash) return;
    *slash = '\0';
    snprintf(out, size, "%s", slash == path ? "/" : path);
}

// Whether folder/SUB/NAME.so is there; if so s->file is it.
static bool find_in(Search *s, const char *folder, const char *sub) {
    char place[PATH_MAX], whole[PATH_MAX];
    int n = snprintf(place, sizeof place, "%s%s%s", folder, *sub ? "/" : "", sub);
    if (*folder == '\0' || n >= (int)sizeof place) return false;
    n = snprintf(s->file, sizeof s->file, "%s/%s.so", place, s->module->name);
    // One that cannot be looked at is taken too: what loads it says why not.
    if (n < (int)sizeof s->file &&
        (access(s->file, F_OK) == 0 || (errno != ENOENT && errno != ENOTDIR)))
        return true;
    struct stat st;
    // A folder that does not exist is not worth naming in the message.
    if (!realpath(place, whole) || stat(whole, &st) != 0 || !S_ISDIR(st.st_mode)) return false;
    size_t used = strlen(s->tried);
    if (strstr(s->tried, whole)) return false;
    snprintf(s->tried + used, sizeof s->tried - used, "%s%s", used ? ", " : "", whole);
    return false;
}

static bool find_file(Search *s) {
    const char *folders = getenv("TACT_MODULE_PATH");
    char own[PATH_MAX], one[PATH_MAX];
    for (const char *at = folders; at && *at;) {
        size_t n = strcspn(at, ":");
        snprintf(one, sizeof one, "%.*s", (int)n, at);
        if (find_in(s, one, "")) return true;
        at += n + (at[n] == ':');
    }
    own_folder(own, sizeof own);
    bool elsewhere = strcmp(TACT_LIBDIR, "lib") != 0; // lib64, lib/x86_64-linux-gnu
    return find_in(s, own, "tact") || find_in(s, own, "lib/tact") ||
           find_in(s, own, "../lib/tact") ||
           (elsewhere && find_in(s, own, "../" TACT_LIBDIR "/tact")) ||
           find_in(s, TACT_INSTALLED_LIBDIR, "tact");
}

// ---- messages -----------------------------------------------------------------------------------

CHECKED static bool not_found(const Search *s, Error *err) {
    const Module *m = s->module;
    return fail(err,
                "%s needs %s.so, which is not here%s%s%s; building tact makes it where %s "
                "is installed; $TACT_MODULE_PATH may name the folder it is in",
                m->what, m->name, s->tried[0] ? " (looked in " : "", s->tried,
                s->tried[0] ? ")" : "", m->built);
}

// The linker's words begin with the library that is missing: "libEGL.so.1: cannot open ...".
CHECKED static bool not_loaded(const Search *s, const char *why, Error *err) {
    const Module *m = s->module;
    int n = (int)strcspn(why, ":");
    for (int i = 0; i < MODULE_NEEDS && m->needs[i][0] && strstr(why, "cannot open"); i++)
        if (strncmp(why, m->needs[i][0], strlen(m->needs[i][0])) == 0)
            return fail(err,
                        "%s needs %.*s, which is not installed; install it (Debian, Ubuntu: "
                        "apt-get install %s)",
                        m->what, n, why, m->needs[i][1]);
    return fail(err, "%s: %s cannot be loaded: %.400s", m->what, s->file, why);
}

CHECKED static bool wrong_version(const Search *s, const char *version, Error *err) {
    return fail(err, "%s: %s belongs to tact %s, but this is tact %s; take both from one build",
                s->module->what, s->file, version, TACT_MODULE_VERSION);
}

// ---- loading ------------------------------------------------------------------------------------

CHECKED static bool open_module(Search *s, const void **table, Error *err) {
    if (!find_file(s)) return not_found(s, err);
    // All symbols are bound now, so that a missing one is reported here and not in the
    // middle of a run.
    s->handle = dlopen(s->file, RTLD_NOW | RTLD_LOCAL);
    if (!s->handle) {
        const char *why = dlerror();
        return not_loaded(s, why ? why : "for an unknown reason", err);
    }
    const ModuleEntry *(*entry)(void) = NULL;
    *(void **)&entry = dlsym(s->handle, "tact_module");
    if (!entry) return fail(err, "%s: %s is no module of tact", s->module->what, s->file);
    const ModuleEntry *e = entry();
    if (strcmp(e->version, TACT_MODULE_VERSION) != 0) return wrong_version(s, e->version, err);
    *table = e->table;
    return true;
}

bool module_load(Module *m, Error *err) {
    if (module_table(m)) return true;
    pthread_mutex_lock(&module_load_lock);
    bool ok = module_table(m) != NULL;
    if (!ok) {
        Search s = {.module = m};
        const void *table = NULL;
        ok = open_module(&s, &table, err);
        if (ok) atomic_store(&m->table, table);
        if (!ok && s.handle) dlclose(s.handle);
    }
    pthread_mutex_unlock(&module_load_lock);
    return ok;
}

const void *module_table(const Module *m) {
    return atomic_load(&m->table);
}
