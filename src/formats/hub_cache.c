// SPDX-License-Identifier: Apache-2.0
#include "formats/hub_cache.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PLACE = 1024 };

bool hub_is_name(HubKind kind, const char *text) {
    int slashes = 0;
    for (const char *c = text; *c; c++) {
        bool first = c == text || c[-1] == '/';
        slashes += *c == '/';
        if (first && (*c == '.' || *c == '/' || *c == '-')) return false;
        if (!isalnum((unsigned char)*c) && !strchr("/-_.", *c)) return false;
    }
    return *text && slashes <= 1 && text[strlen(text) - 1] != '/' &&
           (slashes == 1 || kind == HUB_DATASET);
}

void hub_expand_home(const char *path, char *out, size_t size) {
    const char *home = getenv("HOME");
    bool mine = path[0] == '~' && (path[1] == '/' || !path[1]);
    if (mine && home && *home && !file_exists(path) && !dir_exists(path))
        snprintf(out, size, "%s%s", home, path + 1);
    else
        snprintf(out, size, "%s", path);
}

// The folder that a variable names, or what follows from another one.
static void hub_folder_of(const char *variable, const char *else_in, const char *below,
                          char out[PLACE]) {
    const char *value = getenv(variable);
    if (value && *value)
        hub_expand_home(value, out, PLACE);
    else
        snprintf(out, PLACE, "%s%s", else_in, below);
}

typedef struct Places {
    char lerobot[PLACE], cache[PLACE];
} Places;

static void find_places(Places *p) {
    char home[PLACE], xdg[PLACE], hf[PLACE], hub[PLACE];
    hub_expand_home("~/.cache", home, sizeof home);
    hub_folder_of("XDG_CACHE_HOME", home, "", xdg);
    hub_folder_of("HF_HOME", xdg, "/huggingface", hf);
    hub_folder_of("HF_LEROBOT_HOME", hf, "/lerobot", p->lerobot);
    hub_folder_of("HUGGINGFACE_HUB_CACHE", hf, "/hub", hub);
    hub_folder_of("HF_HUB_CACHE", hub, "", p->cache);
}

// "FOLDER/datasets--A--B".
static void repository_folder(const char *folder, HubKind kind, const char *name, char *out,
                              size_t size) {
    int n = snprintf(out, size, "%s/%s--", folder, kind == HUB_DATASET ? "datasets" : "models");
    for (; *name && (size_t)n + 3 < size; name++)
        n += snprintf(out + n, size - (size_t)n, *name == '/' ? "--" : "%c", *name);
}

// A search for a revision in one repository: where it was found, and whether memory was lacking.
typedef struct Search {
    const char *repository;
    char *out;
    size_t size;
    bool failed;
    Error *err;
} Search;

static DIR *list_folder(Search *s, const char *folder) {
    DIR *d = NULL;
    if (!s->failed) s->failed = !dir_open(folder, &d, s->err);
    return d;
}

// The snapshot whose name begins with `commit`; none where two names do.
static bool find_snapshot(Search *s, const char *commit) {
    char folder[PLACE + 512];
    int found = 0;
    snprintf(folder, sizeof folder, "%s/snapshots", s->repository);
    DIR *d = list_folder(s, folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        if (e->d_name[0] == '.' || strncmp(e->d_name, commit, strlen(commit)) != 0) continue;
        char one[PLACE + 800];
        snprintf(one, sizeof one, "%s/%s", folder, e->d_name);
        if (!dir_exists(one)) continue;
        snprintf(s->out, s->size, "%s", one);
        found++;
    }
    if (d) closedir(d);
    return found == 1;
}

// The snapshot that refs/REVISION stands for.
static bool find_ref(Search *s, const char *revision) {
    char path[PLACE + 512], *text;
    size_t length;
    Error why;
    snprintf(path, sizeof path, "%s/refs/%s", s->repository, revision);
    if (s->failed || strstr(revision, "..") || !file_exists(path)) return false;
    if (!file_read(path, &text, &length, &why)) {
        s->failed = error_is_memory(&why);
        if (s->failed) *s->err = why;
        return false;
    }
    text[strcspn(text, " \r\n")] = 0;
    bool found = *text && !strchr(text, '/') && find_snapshot(s, text);
    mem_free(text);
    return found;
}

// LeRobot asks for the tag of the format; `hf download` for main.
static bool find_revision(Search *s, const char *revision, bool of_lerobot) {
    static const char *const usual[2][3] = {{"main", "v3.0", "v2.1"}, {"v3.0", "v2.1", "main"}};
    if (revision)
        return find_ref(s, revision) || (strlen(revision) >= 7 && find_snapshot(s, revision));
    for (int i = 0; i < 3; i++)
        if (find_ref(s, usual[of_lerobot][i])) return true;
    return find_snapshot(s, "");
}

// The revisions of it that are here, for the error.
static void list_revisions(Search *s, char *out, size_t size) {
    static const char *const folders[] = {"refs", "snapshots"};
    size_t used = strlen(out);
    for (int i = 0; i < 2; i++) {
        char folder[PLACE + 512];
        snprintf(folder, sizeof folder, "%s/%s", s->repository, folders[i]);
        DIR *d = list_folder(s, folder);
        for (struct dirent *e; d && used + 80 < size && (e = readdir(d));)
            if (e->d_name[0] != '.')
                used += (size_t)snprintf(out + used, size - used, "%s%.64s", used ? ", " : "",
                                         e->d_name);
        if (d) closedir(d);
    }
}

// Programs that only look at a dataset's description leave snapshots with nothing but its meta/.
static bool has_data(const char *snapshot) {
    char path[PLACE + 800];
    snprintf(path, sizeof path, "%s/data", snapshot);
    return dir_exists(path);
}

bool hub_find(HubKind kind, const char *name, const char *revision, char *out, size_t size,
              Error *err) {
    Places p;
    bool dataset = kind == HUB_DATASET;
    char plain[PLACE + 512], own[PLACE], caches[2][PLACE + 512], marker[PLACE + 600],
        there[256] = "";
    find_places(&p);
    snprintf(plain, sizeof plain, "%s/%s", p.lerobot, name);
    snprintf(marker, sizeof marker, "%s/meta/info.json", plain);
    snprintf(own, sizeof own, "%.*s/hub", PLACE - 8, p.lerobot);
    repository_folder(own, kind, name, caches[0], sizeof caches[0]);
    repository_folder(p.cache, kind, name, caches[1], sizeof caches[1]);
    bool local = dataset && file_exists(marker), found = false;
    if (local && !revision) {
        snprintf(out, size, "%s", plain);
        return true;
    }
    for (int i = dataset ? 0 : 1; i < 2; i++) {
        char one[PLACE + 800];
        Search search = {caches[i], one, sizeof one, false, err};
        if (find_revision(&search, revision, i == 0) && (!found || has_data(one))) {
            snprintf(out, size, "%s", one);
            found = true;
            if (!dataset || has_data(one)) return true;
        }
        list_revisions(&search, there, sizeof there);
        if (search.failed) return false;
    }
    if (found) return true; // what is missing in it is said when it is opened
    if (local) {
        log_warn("%s: taken as it is; whether it is revision %s is not known", plain, revision);
        snprintf(out, size, "%s", plain);
        return true;
    }
    const char *what = dataset ? "dataset" : "model", *type = dataset ? "--repo-type dataset " : "";
    if (there[0])
        return fail(err,
                    "%s: %s%s of this %s is not on this machine, only %s; `hf download %s%s%s%s` "
                    "brings it",
                    name, revision ? "revision " : "a usual revision (main)",
                    revision ? revision : "", what, there, type, name,
                    revision ? " --revision " : "", revision ? revision : "");
    return fail(err,
                "%s: no %s of this name on this machine (looked for %s%s%s%s%s); bring it with "
                "`hf download %s%s`, or name its folder",
                name, what, dataset ? plain : "", dataset ? ", " : "", dataset ? caches[0] : "",
                dataset ? ", " : "", caches[1], type, name);
}
