// SPDX-License-Identifier: Apache-2.0
// Where a group's files are: in a folder, or in a zip file.
#include "base/array.h"
#include "formats/json.h"
#include "import/zarr.h"
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH = 4096, NAME = 200 }; // bytes of paths; of an array's name

// ---- files --------------------------------------------------------------------------------------

CHECKED static bool folder_path(const ZarrGroup *g, const char *name, char *out, Error *err) {
    return snprintf(out, PATH, "%s/%s", g->path, name) < PATH ||
           fail(err, "%s: its path is too long", g->path);
}

static const ArchiveMember *member(const ZarrGroup *g, const char *name) {
    char whole[1024];
    if (snprintf(whole, sizeof whole, "%s%s", g->prefix, name) >= (int)sizeof whole) return NULL;
    return archive_find(&g->archive, whole);
}

bool zarr_has_file(const ZarrGroup *g, const char *name) {
    char path[PATH];
    Error err;
    if (g->zip) return member(g, name) != NULL;
    return folder_path(g, name, path, &err) && file_exists(path);
}

CHECKED static bool read_file(const char *path, uint8_t **bytes, size_t *room, size_t *n,
                              Error *err) {
    InputFile f;
    if (!input_open(&f, path, err)) return false;
    if (!*bytes || *room < f.size) {
        mem_free(*bytes);
        *bytes = mem_try_raw(f.size + 1);
        *room = *bytes ? f.size : 0;
    }
    *n = f.size;
    bool ok = *bytes ? input_read(&f, 0, *bytes, f.size, err) && input_unchanged(&f, err)
                     : fail_memory(err, "%s: %zu bytes", path, f.size);
    input_close(&f);
    return ok;
}

bool zarr_file(const ZarrGroup *g, const char *name, uint8_t **bytes, size_t *room, size_t *n,
               bool *there, Error *err) {
    char path[PATH];
    *n = 0;
    if (g->zip) {
        const ArchiveMember *m = member(g, name);
        *there = m != NULL;
        if (!m) return true;
        *n = (size_t)m->size;
        return archive_read(&g->archive, m, bytes, room, err);
    }
    if (!folder_path(g, name, path, err)) return false;
    *there = file_exists(path);
    return !*there || read_file(path, bytes, room, n, err);
}

bool zarr_text(const ZarrGroup *g, const char *name, uint8_t **bytes, size_t *room, size_t *n,
               bool *there, Error *err) {
    const ArchiveMember *m = g->zip ? member(g, name) : NULL;
    if (m && m->size > ZARR_TEXT_MOST) // a thousandth of it may be in the file
        return fail(err, "%s: its %s has %llu bytes, where some hundreds should be; it is damaged",
                    g->path, name, (unsigned long long)m->size);
    return zarr_file(g, name, bytes, room, n, there, err);
}

// ---- opening ------------------------------------------------------------------------------------

// The root of the group in the zip file: where .zgroup is, at the top or in the one folder that was
// packed.
static bool find_prefix(ZarrGroup *g) {
    if (archive_find(&g->archive, ".zgroup")) return true;
    for (int64_t i = 0; i < g->archive.n_members; i++) {
        const ArchiveMember *m = &g->archive.members[i];
        size_t n = m->n_name - strlen(".zgroup");
        if (!archive_ends(m, "/.zgroup") || n >= sizeof g->prefix || memchr(m->name, '/', n - 1))
            continue;
        memcpy(g->prefix, m->name, n);
        return true;
    }
    return false;
}

CHECKED static bool find_group(ZarrGroup *g, const char *path, Error *err) {
    *g = (ZarrGroup){.path = path, .zip = !dir_exists(path), .archive.file.fd = -1};
    if (g->zip && !archive_open(&g->archive, path, err)) return false;
    return (g->zip ? find_prefix(g) : zarr_has_file(g, ".zgroup")) ||
           fail(err, "%s: no zarr group: it has no .zgroup", path);
}

bool zarr_has(const char *path, const char *const *arrays) {
    ZarrGroup g;
    Error err; // what is something else is no error
    bool ok = find_group(&g, path, &err);
    for (; ok && *arrays; arrays++) ok = zarr_holds(&g, *arrays);
    zarr_close(&g);
    return ok;
}

bool zarr_open(ZarrGroup *g, const char *path, ImageDecode *decode, Error *err) {
    uint8_t *text = NULL;
    size_t room = 0, n = 0;
    bool there = false;
    if (!find_group(g, path, err)) return false;
    g->decode = decode;
    bool ok = zarr_text(g, ".zgroup", &text, &room, &n, &there, err);
    json_t *said = ok && there ? json_parse((const char *)text, n, 0, NULL) : NULL;
    json_int_t version = json_integer_value(json_object_get(said, "zarr_format"));
    json_decref(said);
    mem_free(text);
    return ok &&
           (version == 2 || fail(err,
                                 "%s: its .zgroup says no zarr_format 2, the one that is read: "
                                 "write the group again with zarr_format=2",
                                 path));
}

void zarr_close(ZarrGroup *g) {
    archive_close(&g->archive);
}

// ---- names --------------------------------------------------------------------------------------

bool zarr_holds(const ZarrGroup *g, const char *name) {
    char file[NAME + 16];
    return snprintf(file, sizeof file, "%s/.zarray", name) < (int)sizeof file &&
           zarr_has_file(g, file);
}

// By letters, but runs of digits by their number.
static int by_people(const void *a, const void *b) {
    const char *x = *(const char *const *)a, *y = *(const char *const *)b;
    while (*x && *y) {
        if (isdigit((unsigned char)*x) && isdigit((unsigned char)*y)) {
            char *end_x, *end_y;
            unsigned long long n = strtoull(x, &end_x, 10), m = strtoull(y, &end_y, 10);
            if (n != m) return n < m ? -1 : 1;
            x = end_x;
            y = end_y;
        } else if (*x != *y) {
            break;
        } else {
            x++;
            y++;
        }
    }
    return (unsigned char)*x - (unsigned char)*y;
}

typedef struct Names {
    Arena *arena;
    const char **items;
    int n;
    int64_t capacity;
} Names;

// Adds a name, unless it has letters that no array's name has.
static void add_name(Names *names, const char *name, size_t n) {
    if (n == 0 || n >= NAME) return;
    for (size_t i = 0; i < n; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '/') return;
    *ARENA_ARRAY_ADD(names->arena, names->items, names->n, names->capacity) =
        arena_printf(names->arena, "%.*s", (int)n, name);
}

static void list_members(const ZarrGroup *g, const char *group, Names *names) {
    char start[1024];
    snprintf(start, sizeof start, "%s%s/", g->prefix, group);
    size_t n = strlen(start);
    static const char end[] = "/.zarray";
    const ArchiveMember *before = NULL;
    for (int64_t i = archive_from(&g->archive, start); i < g->archive.n_members; i++) {
        const ArchiveMember *m = &g->archive.members[i];
        if (m->n_name < n || memcmp(m->name, start, n) != 0) break;
        if (m->n_name < n + sizeof end || !archive_ends(m, end)) continue;
        bool again =
            before && before->n_name == m->n_name && memcmp(before->name, m->name, m->n_name) == 0;
        if (!again) add_name(names, m->name + n, m->n_name - n - (sizeof end - 1));
        before = m;
    }
}

CHECKED static bool list_folder(const ZarrGroup *g, const char *group, Names *names, Error *err) {
    char path[PATH], array[1024];
    if (!folder_path(g, group, path, err)) return false;
    DIR *dir = opendir(path);
    if (!dir) return errno == ENOENT || fail_errno(err, "%s: cannot open", path);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        snprintf(array, sizeof array, "%s/%s", group, entry->d_name);
        if (zarr_holds(g, array)) add_name(names, entry->d_name, strlen(entry->d_name));
    }
    closedir(dir);
    return true;
}

bool zarr_list(const ZarrGroup *g, const char *group, Arena *arena, const char ***names, int *n,
               Error *err) {
    Names all = {.arena = arena};
    if (g->zip)
        list_members(g, group, &all);
    else if (!list_folder(g, group, &all, err))
        return false;
    if (all.n) qsort(all.items, (size_t)all.n, sizeof *all.items, by_people);
    *names = all.items;
    *n = all.n;
    return true;
}
