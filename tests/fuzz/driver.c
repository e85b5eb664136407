// SPDX-License-Identifier: Apache-2.0
// libFuzzer's side of a target.
#include "driver.h"

#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
// What a sanitizer asks the program for, which it has to see from a library of its own.
#define ASKED_FOR __attribute__((visibility("default")))
ASKED_FOR const char *__asan_default_options(void);
ASKED_FOR const char *__lsan_default_suppressions(void);

// Freed memory is kept back for a while, so that its use is seen; the usual 256 MB of it would be
// all of a target's memory. An allocation that cannot be had is NULL, as without a sanitizer.
const char *__asan_default_options(void) {
    return "quarantine_size_mb=8:thread_local_quarantine_size_kb=64:allocator_may_return_null=1:"
           "detect_leaks=1";
}

// libhdf5 forgets memory where a file is damaged.
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

static volatile double used;

void fuzz_use(double value) {
    used = value;
}

void fuzz_use_bytes(const void *data, size_t size) {
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) sum += ((const uint8_t *)data)[i];
    used = sum;
}

static void check_line(const char *text, size_t room) {
    size_t n = strnlen(text, room);
    bool whole = n > 0 && n < room;
    for (size_t i = 0; whole && i < n; i++)
        whole = (unsigned char)text[i] >= ' ' && (unsigned char)text[i] != 127;
    if (whole) return;
    fprintf(stderr, "no line: \"%.*s\"\n", (int)n, text);
    abort();
}

bool fuzz_ok(bool ok, const Error *err) {
    if (!ok) check_line(err->text, sizeof err->text);
    return ok;
}

static void look_at_line(void *user, LogLevel level, const char *line) {
    (void)user, (void)level;
    check_line(line, 4096);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc, (void)argv;
    log_to((LogSink){look_at_line, NULL});
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    // Of exactly that size, so that a read beyond it is seen, and no NULL.
    uint8_t *copy = malloc(size ? size : 1);
    if (size) memcpy(copy, data, size);
    fuzz_input(copy, size);
    free(copy);
    return 0;
}
