// SPDX-License-Identifier: Apache-2.0
// Names in OUTPUT_DIR/checkpoints. Whatever moment a process is killed at, every name made of
// digits is a whole checkpoint; what begins with a dot or ends in .old is rubbish for the next run.
#include "train/checkpoint.h"

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "policy/policy_locate.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

// For file systems that cannot swap two names: the old one steps aside first. A process killed in
// between leaves it as PATH.old, which checkpoints_clean puts back.
CHECKED static bool replace_without_swap(const char *temporary, const char *path, Error *err) {
    char aside[PATH_SIZE + 128];
    snprintf(aside, sizeof aside, "%s.old", path);
    if (!remove_tree(aside, err)) return false;
    if (rename(path, aside) != 0) return fail_errno(err, "%s: cannot move aside", path);
    if (rename(temporary, path) != 0) {
        fail_errno(err, "%s: cannot move into place", path);
        if (rename(aside, path) != 0) return fail_errno(err, "%s: cannot move back", path);
        return false;
    }
    return remove_tree(aside, err);
}

bool checkpoint_publish(const char *temporary, const char *path, Error *err) {
    if (!dir_exists(path)) {
        if (rename(temporary, path) == 0) return true;
        return fail_errno(err, "%s: cannot move into place", path);
    }
    if (renameat2(AT_FDCWD, temporary, AT_FDCWD, path, RENAME_EXCHANGE) != 0)
        return replace_without_swap(temporary, path, err);
    return remove_tree(temporary, err); // the old one now
}

// A run that was copied without links has a folder in the link's place. It may be all there is of
// its checkpoint, so it is kept: under the name of its step, or, where that is there, as
// last_copied.
CHECKED static bool keep_copied_last(const char *checkpoints, const char *link, Error *err) {
    char kept[PATH_SIZE + 64];
    struct stat what;
    if (lstat(link, &what) != 0 || !S_ISDIR(what.st_mode)) return true;
    int64_t step = checkpoint_step_inside(link);
    snprintf(kept, sizeof kept, "%s/%06lld", checkpoints, (long long)step);
    for (int i = 1; step < 0 || lstat(kept, &what) == 0; i++) {
        step = 0;
        snprintf(kept, sizeof kept, i == 1 ? "%s/last_copied" : "%s/last_copied_%d", checkpoints,
                 i);
    }
    if (rename(link, kept) != 0) return fail_errno(err, "%s: cannot move aside", link);
    log_info("%s was a folder, not a link: it is %s now", link, kept);
    return true;
}

bool checkpoint_point_last(const char *checkpoints, const char *name, Error *err) {
    char link[PATH_SIZE + 64], fresh[PATH_SIZE + 64];
    snprintf(link, sizeof link, "%s/last", checkpoints);
    snprintf(fresh, sizeof fresh, "%s/.last.tmp", checkpoints);
    if (!keep_copied_last(checkpoints, link, err)) return false;
    unlink(fresh);
    if (symlink(name, fresh) != 0 || rename(fresh, link) != 0) {
        fail_errno(err, "%s: cannot make the link", link);
        unlink(fresh);
        return false;
    }
    return sync_dir(checkpoints, err);
}

// Whether a name is that of a checkpoint that was moved aside ("000050.old") and nothing came in
// its place, so that it is the checkpoint itself. path gets where it belongs.
CHECKED static bool find_displaced(const char *checkpoints, const char *name, char *path,
                                   size_t size, bool *displaced, Error *err) {
    size_t n = strlen(name);
    PathKind there;
    *displaced = false;
    if (n < 5 || !isdigit((unsigned char)name[0]) || strcmp(name + n - 4, ".old") != 0) return true;
    snprintf(path, size, "%s/%.*s", checkpoints, (int)(n - 4), name);
    if (!path_look(path, &there, err)) return false;
    *displaced = there != AT_DIR;
    return true;
}

static bool is_rubbish(const char *name) {
    size_t n = strlen(name);
    bool temporary = n > 4 && strcmp(name + n - 4, ".tmp") == 0 && name[0] == '.';
    return temporary ||
           (n > 4 && isdigit((unsigned char)name[0]) && strcmp(name + n - 4, ".old") == 0);
}

bool checkpoints_clean(const char *checkpoints, Error *err) {
    DIR *dir;
    bool ok = true;
    if (!dir_open(checkpoints, &dir, err)) return false;
    if (!dir) return true; // killed before its first checkpoint
    for (struct dirent *e; ok && (e = readdir(dir));) {
        char path[PATH_SIZE + 512], whole[PATH_SIZE + 512];
        bool displaced;
        snprintf(path, sizeof path, "%s/%s", checkpoints, e->d_name);
        ok = find_displaced(checkpoints, e->d_name, whole, sizeof whole, &displaced, err);
        if (!ok) break;
        if (displaced)
            ok = rename(path, whole) == 0 || fail_errno(err, "%s: cannot move back", path);
        else if (is_rubbish(e->d_name))
            ok = remove_tree(path, err);
    }
    closedir(dir);
    return ok;
}

typedef struct NamedStep {
    int64_t step;
    char name[32];
} NamedStep;

static int newest_first(const void *a, const void *b) {
    const NamedStep *x = a, *y = b;
    return (x->step < y->step) - (x->step > y->step);
}

// The checkpoints up to a step, newest first. The caller frees.
CHECKED static bool list_until(const char *checkpoints, int64_t step, NamedStep **out, int64_t *n,
                               Error *err) {
    int64_t capacity = 0;
    NamedStep *found = NULL;
    DIR *dir;
    *n = 0;
    if (!dir_open(checkpoints, &dir, err)) return false;
    for (struct dirent *e; dir && (e = readdir(dir));) {
        int64_t at = checkpoint_step(e->d_name);
        if (at < 0 || at > step) continue;
        NamedStep *one = ARRAY_ADD(found, *n, capacity);
        one->step = at;
        snprintf(one->name, sizeof one->name, "%.31s", e->d_name);
    }
    if (dir) closedir(dir);
    if (*n) qsort(found, (size_t)*n, sizeof *found, newest_first);
    *out = found;
    return true;
}

// The checkpoint is renamed first, so that a half-removed one never has a checkpoint's name.
CHECKED static bool remove_checkpoint(const char *checkpoints, const char *name, Error *err) {
    char path[PATH_SIZE + 64], doomed[PATH_SIZE + 64];
    snprintf(path, sizeof path, "%s/%s", checkpoints, name);
    snprintf(doomed, sizeof doomed, "%s/.%s.tmp", checkpoints, name);
    if (!remove_tree(doomed, err)) return false;
    if (rename(path, doomed) != 0) return fail_errno(err, "%s: cannot remove", path);
    return remove_tree(doomed, err);
}

bool checkpoints_prune(const char *checkpoints, int64_t step, int64_t keep, Error *err) {
    char link[PATH_SIZE + 64], last[256] = "";
    int64_t n;
    if (keep <= 0) return true;
    snprintf(link, sizeof link, "%s/last", checkpoints);
    ssize_t length = readlink(link, last, sizeof last - 1);
    if (length < 0) last[0] = 0;
    NamedStep *found = NULL;
    bool ok = list_until(checkpoints, step, &found, &n, err);
    for (int64_t i = keep; ok && i < n; i++)
        if (strcmp(found[i].name, last) != 0)
            ok = remove_checkpoint(checkpoints, found[i].name, err);
    mem_free(found);
    return ok;
}
