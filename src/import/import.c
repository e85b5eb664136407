// SPDX-License-Identifier: Apache-2.0
// What lies at a path, as far as it shows without the libraries of the forms; and the forms
// themselves, which are in a module: this file finds and calls it.
#include "base/file.h"
#include "base/memory.h"
#include "base/module.h"
#include "formats/image_codec.h"
#include "import/archive.h"
#include "import/kinds.h"
#include "import/source.h"
#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

// Of a folder at most so many files are looked into before it is taken for something else.
enum { MOST_LOOKED_AT = 1000 };

static Module module = {
    .name = "tact_import",
    .what = "importing demonstrations",
    .built = "what reads zarr and HDF5 (libhdf5-dev, libblosc-dev, libjxl-dev)",
    .needs = {{"libhdf5", "libhdf5-103-1, or libhdf5-310 from Debian 13 on"},
              {"libblosc", "libblosc1"},
              {"libjxl", "libjxl0.7, or libjxl0.11 from Debian 13 on"},
              {"libz", "libzip4 libzstd1 zlib1g"}},
};

static const char v3[] = "a zarr group of version 3";
static const char damaged[] = "a zip file that is cut short or damaged";

// ---- what it looks like -------------------------------------------------------------------------

static bool join(char *out, size_t size, const char *folder, const char *name) {
    return (size_t)snprintf(out, size, "%s/%s", folder, name) < size;
}

static bool has(const char *folder, const char *name) {
    char path[4096];
    return join(path, sizeof path, folder, name) && file_exists(path);
}

// Whether a file begins with these bytes at a place.
static bool begins_at(FILE *f, long at, const char *bytes, size_t n) {
    char start[8];
    return fseek(f, at, SEEK_SET) == 0 && fread(start, 1, n, f) == n &&
           memcmp(start, bytes, n) == 0;
}

// A block of the user's own, of a power of two from 512 on, may lie before HDF5's signature.
static bool is_hdf5(FILE *f) {
    static const char signature[] = "\x89HDF\r\n\x1a\n";
    static const long places[] = {0, 512, 1024, 2048, 4096};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (begins_at(f, places[i], signature, 8)) return true;
    return false;
}

// Whether the last part of a member's name is this.
static bool is_named(const ArchiveMember *m, const char *name) {
    size_t n = strlen(name);
    return archive_ends(m, name) && (m->n_name == n || m->name[m->n_name - n - 1] == '/');
}

static const char *look_into_zip(const char *path) {
    Archive zip;
    Error err; // said where the path is refused
    const char *what = NULL;
    bool ok = archive_open(&zip, path, &err);
    for (int64_t i = 0; ok && i < zip.n_members && !what; i++) {
        const ArchiveMember *m = &zip.members[i];
        if (is_named(m, ".zgroup")) what = "a zarr group in a zip file";
        if (is_named(m, "zarr.json")) what = v3;
    }
    archive_close(&zip);
    return ok ? what : damaged;
}

static const char *look_at_file(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    bool zip = begins_at(f, 0, "PK\3\4", 4), hdf5 = is_hdf5(f);
    fclose(f);
    return hdf5 ? "an HDF5 file" : zip ? look_into_zip(path) : NULL;
}

static const char *look_into_folder(const char *path) {
    if (has(path, ".zgroup")) return "a zarr group";
    if (has(path, "zarr.json")) return v3;
    DIR *dir = opendir(path);
    const char *what = NULL;
    const struct dirent *entry;
    for (int i = 0; dir && !what && i < MOST_LOOKED_AT && (entry = readdir(dir)); i++) {
        char file[4096];
        if (!join(file, sizeof file, path, entry->d_name) || !file_exists(file)) continue;
        FILE *f = fopen(file, "rb");
        if (f && is_hdf5(f)) what = "a folder with HDF5 files";
        if (f) fclose(f);
    }
    if (dir) closedir(dir);
    return what;
}

static const char *look(const char *path) {
    return dir_exists(path) ? look_into_folder(path) : look_at_file(path);
}

const char *import_look(const char *path) {
    const char *what = look(path);
    return what == v3 || what == damaged ? NULL : what;
}

// ---- what cannot be imported --------------------------------------------------------------------

static const char known[] =
    "what can be imported is UMI's replay_buffer.zarr (a folder, or a zip file), and ACT's "
    "and robomimic's HDF5 files";

// The first entry of a folder that can be imported itself, into out.
static bool find_inside(const char *path, char *out, size_t size) {
    DIR *dir = opendir(path);
    const struct dirent *entry;
    bool found = false;
    for (int i = 0; dir && !found && i < MOST_LOOKED_AT && (entry = readdir(dir)); i++)
        found = entry->d_name[0] != '.' && join(out, size, path, entry->d_name) && import_look(out);
    if (dir) closedir(dir);
    return found;
}

CHECKED static bool refuse(const char *path, const char *what, Error *err) {
    struct stat st;
    char inside[4096];
    if (stat(path, &st) != 0) return fail_errno(err, "%s: cannot open", path);
    if (what == v3)
        return fail(err,
                    "%s: %s, of which only version 2 is read: copy its arrays into a group that "
                    "zarr.open_group(NEW, mode=\"w\", zarr_format=2) makes in Python, and import "
                    "that",
                    path, what);
    if (what == damaged)
        return fail(err, "%s: %s: copy it again from where it is whole", path, what);
    if (!S_ISDIR(st.st_mode))
        return file_check(path, err) && fail(err, "%s: a file of another kind: %s", path, known);
    if (has(path, "meta/info.json"))
        return fail(err,
                    "%s: a LeRobot dataset already, which needs no import: give it as "
                    "--dataset.root",
                    path);
    if (has(path, ".zarray"))
        return fail(err, "%s: a single zarr array: give the folder of the group that it is in",
                    path);
    if (find_inside(path, inside, sizeof inside))
        return fail(err, "%s: nothing to import itself, but it holds %s: give that", path, inside);
    return kind_refuse(path, err) &&
           fail(err, "%s: a folder with nothing that can be imported: %s", path, known);
}

// ---- the forms ----------------------------------------------------------------------------------

static const ImportForm *find_form(const ImportModule *m, const char *path) {
    for (const ImportForm *const *form = m->forms; *form; form++)
        if ((*form)->recognise(path)) return *form;
    return NULL;
}

// The first entry of a folder that is one of the forms, into out; NULL: none.
static const ImportForm *find_form_inside(const ImportModule *m, const char *path, char *out,
                                          size_t size) {
    DIR *dir = opendir(path);
    const struct dirent *entry;
    const ImportForm *form = NULL;
    for (int i = 0; dir && !form && i < MOST_LOOKED_AT && (entry = readdir(dir)); i++)
        if (entry->d_name[0] != '.' && join(out, size, path, entry->d_name) && file_exists(out))
            form = find_form(m, out);
    if (dir) closedir(dir);
    return form;
}

CHECKED static bool refuse_form(const ImportModule *m, const char *path, const char *what,
                                Error *err) {
    char forms[768] = "", inside[4096];
    const ImportForm *form_inside = find_form_inside(m, path, inside, sizeof inside);
    if (form_inside)
        return fail(err, "%s: %s, each of which is imported by itself: give %s (%s)", path, what,
                    inside, form_inside->name);
    for (const ImportForm *const *form = m->forms; *form; form++) {
        size_t used = strlen(forms);
        snprintf(forms + used, sizeof forms - used, "%s%s (%s)", used ? ", " : "", (*form)->name,
                 (*form)->what);
    }
    return fail(err, "%s: %s, but none of the forms that can be imported: %s", path, what, forms);
}

bool import_open(const char *path, ImportSource **out, Error *err) {
    const char *what = look(path);
    Error why;
    *out = NULL;
    if (!what || what == v3 || what == damaged) return refuse(path, what, err);
    if (!module_load(&module, &why))
        return fail_because(err, &why, "%s: %s: %.900s", path, what, why.text);
    const ImportModule *m = module_table(&module);
    const ImportForm *form = find_form(m, path);
    if (!form) return refuse_form(m, path, what, err);
    ImportSource *source = NEW(ImportSource, 1);
    *source = (ImportSource){.path = mem_strdup(path), .reader = form, .decode = image_decode};
    if (form->open(source, err)) {
        *out = source;
        return true;
    }
    mem_free((char *)source->path);
    mem_free(source);
    return false;
}

const char *import_recognise(const char *path) {
    Error missing; // import_open says it
    if (!import_look(path) || !module_load(&module, &missing)) return NULL;
    const ImportForm *form = find_form(module_table(&module), path);
    return form ? form->name : NULL;
}

void import_close(ImportSource *source) {
    if (!source) return;
    source->reader->close(source);
    mem_free((char *)source->path);
    mem_free(source);
}
