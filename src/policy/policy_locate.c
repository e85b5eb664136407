// SPDX-License-Identifier: Apache-2.0
// Which directory a user means by the name of a run, a checkpoint or a file in one. Runs are copied
// by tools that know no links: then `last` is a folder, a small file with the name in it, a link
// into nowhere, or gone, and the newest checkpoint is the one with the highest step.
#include "policy/policy_locate.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/text.h"
#include "formats/hub_cache.h"
#include "formats/json.h"
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { NAME_ROOM = 128 }; // for the names below a run

static bool dir_holds(const char *dir, const char *name) {
    char path[2 * POLICY_PATH];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return file_exists(path);
}

static bool is_checkpoint(const char *checkpoints, const char *name) {
    char path[2 * POLICY_PATH];
    snprintf(path, sizeof path, "%s/%s/pretrained_model", checkpoints, name);
    return dir_holds(path, "config.json");
}

int64_t checkpoint_step(const char *name) {
    size_t n = strlen(name);
    if (n == 0 || n > 18) return -1;
    for (size_t i = 0; i < n; i++)
        if (!isdigit((unsigned char)name[i])) return -1;
    return strtoll(name, NULL, 10);
}

// -1 where the checkpoint does not say it. Fails for want of memory alone.
CHECKED static bool read_step_inside(const char *dir, int64_t *out, Error *err) {
    char path[2 * POLICY_PATH];
    json_t *root = NULL;
    snprintf(path, sizeof path, "%s/training_state/training_step.json", dir);
    if (file_exists(path) && !json_read(path, &root, err) && error_is_memory(err)) return false;
    const json_t *step = json_object_get(root, "step");
    *out = json_is_integer(step) ? json_integer_value(step) : -1;
    json_decref(root);
    return true;
}

int64_t checkpoint_step_inside(const char *dir) {
    int64_t step;
    Error err;
    err.text[0] = 0;
    if (!read_step_inside(dir, &step, &err)) step = -1;
    if (err.text[0]) log_warn("%s (going on without it)", err.text);
    return step;
}

int64_t policy_step(const char *dir) {
    char checkpoint[POLICY_PATH + 4];
    snprintf(checkpoint, sizeof checkpoint, "%s/..", dir); // dir may be a link
    return checkpoint_step_inside(checkpoint);
}

// The complete checkpoint with the highest step, and that step; "" and -1 where there is none.
CHECKED static bool find_highest_checkpoint(const char *checkpoints, char out[NAME_ROOM],
                                            int64_t *highest, Error *err) {
    DIR *dir;
    *highest = -1;
    out[0] = 0;
    if (!dir_open(checkpoints, &dir, err)) return false;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int64_t step = checkpoint_step(e->d_name);
        if (step <= *highest || !is_checkpoint(checkpoints, e->d_name)) continue;
        *highest = step;
        snprintf(out, NAME_ROOM, "%.*s", NAME_ROOM - 1, e->d_name);
    }
    if (dir) closedir(dir);
    return true;
}

// What a file in the place of the link names: the link's text, as Git and some tools store it. ""
// where that is no checkpoint's name.
CHECKED static bool read_checkpoint_name(const char *path, char out[NAME_ROOM], Error *err) {
    char *text = NULL;
    size_t size;
    out[0] = 0;
    if (!file_read(path, &text, &size, err)) return !error_is_memory(err);
    size_t end = size < NAME_ROOM ? size : 0;
    while (end > 0 && (isspace((unsigned char)text[end - 1]) || text[end - 1] == '/')) end--;
    size_t start = end;
    while (start > 0 && text[start - 1] != '/' && text[start - 1] != '\\') start--;
    snprintf(out, NAME_ROOM, "%.*s", (int)(end - start), text + start);
    mem_free(text);
    if (checkpoint_step(out) < 0) out[0] = 0;
    return true;
}

// The name of the newest checkpoint in a run's `checkpoints`; "" where there is none.
CHECKED static bool find_newest_checkpoint(const char *checkpoints, char out[NAME_ROOM],
                                           Error *err) {
    char last[2 * POLICY_PATH];
    struct stat what;
    int64_t step, inside;
    snprintf(last, sizeof last, "%s/last", checkpoints);
    bool there = lstat(last, &what) == 0;
    if (!there && errno != ENOENT && errno != ENOTDIR)
        return fail_errno(err, "%s: cannot look at it", last);
    snprintf(out, NAME_ROOM, "last");
    if (there && S_ISLNK(what.st_mode) && is_checkpoint(checkpoints, "last")) return true;
    if (there && S_ISREG(what.st_mode)) {
        if (!read_checkpoint_name(last, out, err)) return false;
        if (out[0] && is_checkpoint(checkpoints, out)) return true;
    }
    if (!find_highest_checkpoint(checkpoints, out, &step, err)) return false;
    // A folder is a copy of some checkpoint, maybe of the only one that was copied.
    if (!there || !is_checkpoint(checkpoints, "last")) return true;
    if (step >= 0 && !read_step_inside(last, &inside, err)) return false;
    if (step < 0 || inside > step) snprintf(out, NAME_ROOM, "last");
    return true;
}

// Without the end of a path that names a file, which may not be there, and the slashes after it.
static void strip_file_name(char dir[POLICY_PATH]) {
    for (size_t n = strlen(dir); n > 1 && dir[n - 1] == '/';) dir[--n] = 0;
    const char *name = after_last(dir, '/');
    bool file = file_exists(dir) && strcmp(name, "last") != 0;
    bool settings = strcmp(name, "config.json") == 0 || strcmp(name, "train_config.json") == 0;
    if (!file && !settings) return;
    char parent[POLICY_PATH];
    path_parent(parent, sizeof parent, dir);
    snprintf(dir, POLICY_PATH, "%s", parent);
}

// RUN/checkpoints, when dir is that, RUN/checkpoints/last or its pretrained_model, or RUN.
static bool find_checkpoints_dir(const char *dir, char out[POLICY_PATH]) {
    char parent[POLICY_PATH];
    snprintf(out, POLICY_PATH, "%s", dir);
    if (strcmp(after_last(out, '/'), "pretrained_model") == 0) {
        path_parent(parent, sizeof parent, out);
        snprintf(out, POLICY_PATH, "%s", parent);
        if (strcmp(after_last(out, '/'), "last") != 0) return false;
    }
    if (strcmp(after_last(out, '/'), "last") == 0) {
        path_parent(parent, sizeof parent, out);
        snprintf(out, POLICY_PATH, "%s", parent);
        return strcmp(after_last(out, '/'), "checkpoints") == 0;
    }
    if (strcmp(after_last(out, '/'), "checkpoints") != 0)
        snprintf(out, POLICY_PATH, "%.*s/checkpoints", POLICY_PATH - NAME_ROOM, dir);
    return dir_exists(out);
}

bool policy_locate(const char *path, char out[POLICY_PATH], Error *err) {
    static const char *const below[] = {"", "/pretrained_model"};
    char dir[POLICY_PATH], checkpoints[POLICY_PATH], name[NAME_ROOM];
    if (strlen(path) > POLICY_PATH - 2 * NAME_ROOM)
        return fail(err, "%.80s...: the path is too long", path);
    hub_expand_home(path, dir, sizeof dir);
    strip_file_name(dir);
    if (!dir_exists(dir) && !find_checkpoints_dir(dir, checkpoints) &&
        hub_is_name(HUB_MODEL, path) && !hub_find(HUB_MODEL, path, NULL, dir, sizeof dir, err))
        return false;
    bool last = strstr(dir, "checkpoints/last") != NULL;
    for (size_t i = 0; !last && i < sizeof below / sizeof below[0]; i++) {
        snprintf(out, POLICY_PATH, "%.*s%s", POLICY_PATH - NAME_ROOM, dir, below[i]);
        if (dir_holds(out, "config.json")) return true;
    }
    bool run = find_checkpoints_dir(dir, checkpoints);
    if (run && !find_newest_checkpoint(checkpoints, name, err)) return false;
    if (run && name[0]) {
        snprintf(out, POLICY_PATH, "%.*s/%s/pretrained_model", POLICY_PATH - 2 * NAME_ROOM,
                 checkpoints, name);
        return true;
    }
    // Something else that goes by that name.
    for (size_t i = 0; last && i < sizeof below / sizeof below[0]; i++) {
        snprintf(out, POLICY_PATH, "%.*s%s", POLICY_PATH - NAME_ROOM, dir, below[i]);
        if (dir_holds(out, "config.json")) return true;
    }
    return fail(err,
                "%s: no checkpoint here; give a run's directory, a checkpoint's or its "
                "pretrained_model (the one with config.json)",
                path);
}

bool policy_resolve(const char *path, char out[POLICY_PATH], Error *err) {
    _Static_assert(POLICY_PATH >= PATH_MAX, "room for realpath");
    char found[POLICY_PATH];
    return policy_locate(path, found, err) &&
           (realpath(found, out) || fail_errno(err, "%s: not there", found));
}

bool policy_run(const char *dir, char run[POLICY_PATH]) {
    char real[POLICY_PATH], step[POLICY_PATH], checkpoints[POLICY_PATH];
    if (!realpath(dir, real)) snprintf(real, sizeof real, "%s", dir); // it may be removed by now
    path_parent(step, sizeof step, real);
    path_parent(checkpoints, sizeof checkpoints, step);
    path_parent(run, POLICY_PATH, checkpoints);
    return strcmp(after_last(checkpoints, '/'), "checkpoints") == 0;
}

bool policy_is_one(const char *path) {
    char dir[POLICY_PATH];
    Error ignored;
    return policy_locate(path, dir, &ignored);
}
