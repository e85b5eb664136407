// SPDX-License-Identifier: Apache-2.0
// Every target over files, without libFuzzer: `replay_seeds TARGET FILE_OR_FOLDER ...`. Any
// compiler builds it, so the seeds are tried where there is no clang.
#include "driver.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// The build writes a line TARGET(NAME) for each, and compiles its fuzz_input as fuzz_input_NAME.
#define TARGET(name) void fuzz_input_##name(const uint8_t *data, size_t size);
#include "fuzz_targets.h"
#undef TARGET

static const struct {
    const char *name;
    void (*input)(const uint8_t *data, size_t size);
} targets[] = {
#define TARGET(name) {#name, fuzz_input_##name},
#include "fuzz_targets.h"
};
enum { TARGETS = sizeof targets / sizeof targets[0] };

static void (*target)(const uint8_t *data, size_t size);

static int files;

void fuzz_input(const uint8_t *data, size_t size) {
    target(data, size);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void replay_file(const char *path) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) != 0) {
        perror(path);
        exit(1);
    }
    uint8_t *data = malloc((size_t)st.st_size + 1);
    if (fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size) exit(1);
    fclose(f);

    printf("%s\n", path); // so that the last line names the one that ended the process
    fflush(stdout);
    LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
    free(data);
    files++;
}

static void replay(const char *path) {
    char name[4096];
    DIR *d = opendir(path);
    if (!d) {
        replay_file(path);
        return;
    }
    for (const struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.') continue;
        snprintf(name, sizeof name, "%s/%s", path, e->d_name);
        replay(name);
    }
    closedir(d);
}

int main(int argc, char **argv) {
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < TARGETS; i++)
        if (strcmp(targets[i].name, name) == 0) target = targets[i].input;
    if (!target || argc < 3) {
        fprintf(stderr, "usage: replay_seeds TARGET FILE_OR_FOLDER ...\n");
        return 2;
    }
    LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 2; i < argc; i++) replay(argv[i]);
    printf("%d files\n", files);
    return files ? 0 : 1; // seeds that are not there are no test
}
