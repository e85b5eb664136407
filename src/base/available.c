// SPDX-License-Identifier: Apache-2.0
#include "base/available.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { PATH_BYTES = 4096 };

// A number from a file that begins with `word` on some line ("" for its first line), or -1.
static int64_t number_in_file(const char *path, const char *word) {
    char line[256];
    int64_t number = -1;
    FILE *f = fopen(path, "re");
    while (f && number < 0 && fgets(line, sizeof line, f)) {
        long long found;
        if (strncmp(line, word, strlen(word)) == 0 &&
            sscanf(line + strlen(word), "%lld", &found) == 1)
            number = found;
    }
    if (f) fclose(f);
    return number;
}

// How the two versions of control groups spell the same.
typedef struct Spelling {
    const char *mount, *limit, *used, *inactive, *active;
} Spelling;
static const Spelling version_1 = {"/sys/fs/cgroup/memory", "memory.limit_in_bytes",
                                   "memory.usage_in_bytes", "total_inactive_file ",
                                   "total_active_file "},
                      version_2 = {"/sys/fs/cgroup", "memory.max", "memory.current",
                                   "inactive_file ", "active_file "};

static int64_t number_of_group(const char *dir, const char *file, const char *word) {
    char path[PATH_BYTES + 64];
    snprintf(path, sizeof path, "%s/%s", dir, file);
    return number_in_file(path, word);
}

// What a group has left below its own limit; -1: it has none.
static int64_t group_left(const Spelling *s, const char *dir) {
    int64_t limit = number_of_group(dir, s->limit, ""), used = number_of_group(dir, s->used, "");
    if (limit < 0 || used < 0) return -1;
    int64_t inactive = number_of_group(dir, "memory.stat", s->inactive);
    int64_t active = number_of_group(dir, "memory.stat", s->active);
    used -= (inactive > 0 ? inactive : 0) + (active > 0 ? active : 0);
    return limit > used ? limit - used : 0;
}

static int64_t less(int64_t a, int64_t b) {
    return a < 0 || (b >= 0 && b < a) ? b : a;
}

// The least that a group and those above it have left. A container may see the name of its group on
// the host and not the group: what it sees is then at the mount.
static int64_t groups_left(const char *root, const Spelling *s, const char *group) {
    char dir[PATH_BYTES];
    int64_t left = -1;
    int mount = snprintf(dir, sizeof dir, "%s%s", root, s->mount);
    if (mount < 0 || mount >= PATH_BYTES) return -1;
    snprintf(dir + mount, sizeof dir - (size_t)mount, "%s", group);
    for (;;) {
        left = less(left, group_left(s, dir));
        char *slash = strrchr(dir + mount, '/');
        if (!slash) return left;
        *slash = '\0';
    }
}

// The words of a list "a,b,c".
static bool has_memory(const char *list) {
    static const char word[] = "memory";
    for (const char *at = list; (at = strstr(at, word)); at++) {
        char after = at[sizeof word - 1];
        if ((at == list || at[-1] == ',') && (after == ',' || after == '\0')) return true;
    }
    return false;
}

int64_t memory_available_at(const char *root) {
    char path[PATH_BYTES], line[PATH_BYTES];
    snprintf(path, sizeof path, "%s/proc/meminfo", root);
    int64_t left = number_in_file(path, "MemAvailable:");
    if (left >= 0) left *= 1024;
    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *f = fopen(path, "re");
    while (f && fgets(line, sizeof line, f)) { // "0::/GROUP" or "4:memory:/GROUP"
        char *controllers = strchr(line, ':'), *group;
        if (!controllers || !(group = strchr(++controllers, ':'))) continue;
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (!*controllers)
            left = less(left, groups_left(root, &version_2, group));
        else if (has_memory(controllers))
            left = less(left, groups_left(root, &version_1, group));
    }
    if (f) fclose(f);
    return left;
}

int64_t memory_available(void) {
    return memory_available_at("");
}
