// SPDX-License-Identifier: Apache-2.0
// Files, groups, attributes. hdf5_array.c has the arrays.
#include "base/array.h"
#include "base/file.h"
#include "import/hdf5_internal.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static pthread_mutex_t libhdf5_lock = PTHREAD_MUTEX_INITIALIZER;

void hdf5_enter(void) {
    pthread_mutex_lock(&libhdf5_lock);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5Eclear2(H5E_DEFAULT);
}

void hdf5_leave(void) {
    pthread_mutex_unlock(&libhdf5_lock);
}

// ---- errors -------------------------------------------------------------------------------------

// Keeps the description of the innermost error.
static herr_t keep_first(unsigned n, const H5E_error2_t *error, void *user) {
    char *reason = user;
    (void)n;
    if (reason[0] == '\0' && error->desc) snprintf(reason, 256, "%s", error->desc);
    return 0;
}

bool hdf5_fail(Error *err, const char *path, const char *array, const char *what) {
    char reason[256] = "";
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, reason);
    for (char *p = reason; *p; p++)
        if ((unsigned char)*p < ' ') *p = ' ';
    return fail(err, "%s: %s%s%s; libhdf5 says: %s", path, array, array[0] ? ": " : "", what,
                reason[0] ? reason : "nothing");
}

// ---- files --------------------------------------------------------------------------------------

bool hdf5_has_signature(const char *path) {
    hdf5_enter();
    bool is = H5Fis_hdf5(path) > 0;
    hdf5_leave();
    return is;
}

bool hdf5_open(const char *path, Hdf5 **out, Error *err) {
    struct stat st;
    *out = NULL;
    if (!file_check(path, err)) return false;
    if (stat(path, &st) != 0) return fail_errno(err, "%s: cannot open", path);
    hdf5_enter();
    hdf5_add_filters();
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    // Some file systems have no locks.
    H5Pset_file_locking(access, true, true);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    bool ok = file >= 0 ||
              hdf5_fail(err, path, "", "cannot be opened as HDF5; copy it again, or leave it out");
    if (access >= 0) H5Pclose(access);
    hdf5_leave();
    if (!ok) return false;
    *out = NEW(Hdf5, 1);
    **out = (Hdf5){file, (uint64_t)st.st_size, mem_strdup(path)};
    return true;
}

void hdf5_close(Hdf5 *f) {
    if (!f) return;
    hdf5_enter();
    H5Fclose(f->file);
    hdf5_leave();
    mem_free(f->path);
    mem_free(f);
}

const char *hdf5_path(const Hdf5 *f) {
    return f->path;
}

// ---- groups -------------------------------------------------------------------------------------

hid_t hdf5_open_object(hid_t file, const char *name) {
    return H5Oopen(file, name[0] ? name : "/", H5P_DEFAULT);
}

Hdf5Kind hdf5_kind(const Hdf5 *f, const char *name) {
    hdf5_enter();
    hid_t object = hdf5_open_object(f->file, name);
    H5I_type_t type = object < 0 ? H5I_BADID : H5Iget_type(object);
    if (object >= 0) H5Oclose(object);
    hdf5_leave();
    return type == H5I_BADID     ? HDF5_MISSING
           : type == H5I_GROUP   ? HDF5_GROUP
           : type == H5I_DATASET ? HDF5_ARRAY
                                 : HDF5_OTHER;
}

typedef struct Names {
    Arena *arena;
    const char **names;
    int64_t n, room;
    bool bad;
} Names;

bool hdf5_is_clean(const char *text) {
    const unsigned char *p = (const unsigned char *)text;
    while (*p) {
        int more = *p < 0x80 ? 0 : *p >= 0xC2 && *p < 0xE0 ? 1 : *p >= 0xE0 && *p < 0xF0 ? 2 : -1;
        if (*p >= 0xF0 && *p < 0xF5) more = 3;
        if (more < 0 || *p < ' ' || *p == 0x7F) return false;
        // Neither longer than needed, nor halves of UTF-16, nor beyond Unicode.
        if ((*p == 0xE0 && p[1] < 0xA0) || (*p == 0xED && p[1] > 0x9F) ||
            (*p == 0xF0 && p[1] < 0x90) || (*p == 0xF4 && p[1] > 0x8F))
            return false;
        for (p++; more > 0; more--, p++)
            if ((*p & 0xC0) != 0x80) return false;
    }
    return text[0] != '\0';
}

static herr_t add_name(hid_t group, const char *name, const H5L_info_t *info, void *user) {
    Names *names = user;
    (void)group, (void)info;
    names->bad = names->bad || !hdf5_is_clean(name);
    *ARENA_ARRAY_ADD(names->arena, names->names, names->n, names->room) =
        arena_strdup(names->arena, name);
    return 0;
}

static int by_number(const void *a, const void *b) {
    return strverscmp(*(const char *const *)a, *(const char *const *)b);
}

bool hdf5_children(const Hdf5 *f, const char *group, Arena *arena, const char ***names, int64_t *n,
                   Error *err) {
    Names list = {.arena = arena};
    hdf5_enter();
    hid_t object = hdf5_open_object(f->file, group);
    bool ok = object >= 0 &&
              H5Literate(object, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, add_name, &list) >= 0;
    if (!ok) hdf5_fail(err, f->path, group, "its contents cannot be read; copy the file again");
    if (object >= 0) H5Oclose(object);
    hdf5_leave();
    if (!ok) return false;
    if (list.bad)
        return fail(err, "%s: %s: a name in it is no UTF-8 or has control characters; rename it",
                    f->path, group);
    if (list.n > 0) qsort(list.names, (size_t)list.n, sizeof *list.names, by_number);
    *names = list.names;
    *n = list.n;
    return true;
}

// ---- attributes ---------------------------------------------------------------------------------

// Whether it is one value and no more.
static bool is_single(hid_t attribute) {
    hid_t space = H5Aget_space(attribute);
    bool single = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    if (space >= 0) H5Sclose(space);
    return single;
}

static bool read_number(hid_t attribute, double *out) {
    hid_t type = H5Aget_type(attribute);
    H5T_class_t class = type < 0 ? H5T_NO_CLASS : H5Tget_class(type);
    bool ok = (class == H5T_INTEGER || class == H5T_FLOAT || class == H5T_ENUM) &&
              is_single(attribute) && H5Aread(attribute, H5T_NATIVE_DOUBLE, out) >= 0;
    if (type >= 0) H5Tclose(type);
    return ok;
}

static const char *read_text(const Hdf5 *f, hid_t attribute, Arena *arena) {
    hid_t type = H5Aget_type(attribute);
    const char *text = NULL;
    if (type < 0) return NULL;
    size_t size = H5Tget_class(type) == H5T_STRING && is_single(attribute) ? H5Tget_size(type) : 0;
    if (size > 0 && H5Tis_variable_str(type) > 0) {
        char *read = NULL;
        if (H5Aread(attribute, type, &read) >= 0 && read) text = arena_strdup(arena, read);
        if (read) H5free_memory(read);
    } else if (size > 0 && size <= f->bytes) {
        char *read = arena_alloc(arena, size + 1);
        if (H5Aread(attribute, type, read) >= 0) text = read;
    }
    H5Tclose(type);
    return text;
}

static hid_t open_attribute(const Hdf5 *f, const char *object, const char *name) {
    return H5Aopen_by_name(f->file, object[0] ? object : "/", name, H5P_DEFAULT, H5P_DEFAULT);
}

bool hdf5_attribute_number(const Hdf5 *f, const char *object, const char *name, double *out) {
    hdf5_enter();
    hid_t attribute = open_attribute(f, object, name);
    bool ok = attribute >= 0 && read_number(attribute, out);
    if (attribute >= 0) H5Aclose(attribute);
    hdf5_leave();
    return ok;
}

const char *hdf5_attribute_text(const Hdf5 *f, const char *object, const char *name, Arena *arena) {
    hdf5_enter();
    hid_t attribute = open_attribute(f, object, name);
    const char *text = attribute < 0 ? NULL : read_text(f, attribute, arena);
    if (attribute >= 0) H5Aclose(attribute);
    hdf5_leave();
    return text;
}
