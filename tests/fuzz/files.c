// SPDX-License-Identifier: Apache-2.0
// Files and folders of a target's input, in memory.
#include "driver.h"

#include "base/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const char *fuzz_file(const uint8_t *data, size_t size) {
    static char path[64];
    static int fd = -1;
    if (fd < 0) fd = memfd_create("fuzz", MFD_CLOEXEC);
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite(fd, data, size, 0) != (ssize_t)size) abort();
    return path;
}

// ---- parts --------------------------------------------------------------------------------------

static const char mark[] = "@@ ";
enum { MARK = sizeof mark - 1 };

// Where the next line that begins with the mark begins, or the end.
static size_t next_mark(const uint8_t *data, size_t size, size_t at) {
    for (; at + MARK <= size; at++) {
        const uint8_t *found = memmem(data + at, size - at, mark, MARK);
        if (!found) break;
        at = (size_t)(found - data);
        if (at == 0 || data[at - 1] == '\n') return at;
    }
    return size;
}

// A name that stays within its folder.
static bool is_inside(const char *name) {
    return name[0] && name[0] != '/' && !strstr(name, "..");
}

int fuzz_split(const uint8_t *data, size_t size, FuzzPart parts[FUZZ_MOST_PARTS]) {
    int n = 0;
    for (size_t at = next_mark(data, size, 0); at < size && n < FUZZ_MOST_PARTS;) {
        const size_t next = next_mark(data, size, at + MARK);
        const uint8_t *name = data + at + MARK, *end = memchr(name, '\n', next - at - MARK);
        const size_t length = end ? (size_t)(end - name) : next - at - MARK;
        FuzzPart *p = &parts[n];
        at = next;
        if (length >= sizeof p->name || memchr(name, 0, length)) continue;
        memcpy(p->name, name, length);
        p->name[length] = 0;
        if (!is_inside(p->name)) continue;
        p->data = name + length + (end != NULL);
        p->size = (size_t)(data + next - p->data);
        // The line end before the next name is not the file's.
        if (next < size && p->size) p->size--;
        n++;
    }
    return n;
}

const FuzzPart *fuzz_part(const FuzzPart *parts, int n, const char *name) {
    for (int i = 0; i < n; i++)
        if (strcmp(parts[i].name, name) == 0) return &parts[i];
    return NULL;
}

char *fuzz_text(const FuzzPart *part) {
    const size_t n = part ? part->size : 0;
    char *text = malloc(n + 1);
    if (n) memcpy(text, part->data, n);
    text[n] = 0;
    return text;
}

// ---- folders ------------------------------------------------------------------------------------

static char scratch[256], folder[300];

static void remove_scratch(void) {
    Error err;
    if (!remove_tree(scratch, &err)) fprintf(stderr, "%s\n", err.text);
}

static void make_scratch(void) {
    Error err;
    const char *memory = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : NULL;
    if (scratch[0]) return;
    if (!make_temporary_dir(scratch, sizeof scratch, memory, &err)) abort();
    snprintf(folder, sizeof folder, "%s/in", scratch);
    atexit(remove_scratch);
}

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

static void write_bytes(const char *path, const uint8_t *data, size_t size) {
    FILE *f = fopen(path, "wb"); // a folder or a long name of the input's choice cannot be written
    if (!f) return;
    if (fwrite(data, 1, size, f) != size) abort();
    fclose(f);
}

static void write_part(const char *path, const FuzzPart *p) {
    const bool made = p->size < 4 || memcmp(p->data, "PAR1", 4) != 0;
    if (ends_with(path, ".parquet") && made) {
        fuzz_table(path, p->data, p->size);
    } else if (ends_with(path, ".safetensors") && p->size && p->data[0] == '{') {
        size_t size;
        uint8_t *bytes = fuzz_safetensors(p->data, p->size, &size);
        write_bytes(path, bytes, size);
        free(bytes);
    } else {
        write_bytes(path, p->data, p->size);
    }
}

static void make_part(const char *base, const FuzzPart *p) {
    static const char arrow[] = " -> ";
    char path[1024], parent[1024], name[sizeof p->name];
    Error err;
    snprintf(name, sizeof name, "%s", p->name);
    char *to = strstr(name, arrow);
    if (to) *to = 0;
    snprintf(path, sizeof path, "%s/%s", base, name);
    path_parent(parent, sizeof parent, path);
    if (!make_dirs(parent, &err)) return; // a file is in the way
    if (ends_with(path, "/"))
        (void)mkdir(path, 0777);
    else if (to)
        (void)!symlink(to + sizeof arrow - 1, path);
    else
        write_part(path, p);
}

const char *fuzz_folder(const FuzzPart *parts, int n, const char *inside) {
    char base[512];
    Error err;
    make_scratch();
    snprintf(base, sizeof base, "%s%s%s", folder, inside[0] ? "/" : "", inside);
    if (!remove_tree(folder, &err) || !make_dirs(base, &err)) abort();
    for (int i = 0; i < n; i++)
        if (strpbrk(parts[i].name, "./")) make_part(base, &parts[i]);
    return folder;
}
