// SPDX-License-Identifier: Apache-2.0
// Any bytes as a file: it comes as it is, in one of three ways, or it is a pointer of Git LFS,
// which all three refuse.
#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "driver.h"
#include <stdlib.h>
#include <string.h>

static bool read_whole(const char *path, const uint8_t *data, size_t size) {
    char *text;
    size_t n;
    Error err = {""};
    if (!fuzz_ok(file_read(path, &text, &n, &err), &err)) return false;
    if (n != size || memcmp(text, data, n) != 0 || text[n] != 0) abort();
    mem_free(text);
    return true;
}

static bool map_whole(const char *path, const uint8_t *data, size_t size) {
    const uint8_t *mapped;
    size_t n;
    Error err = {""};
    if (!fuzz_ok(file_map(path, &mapped, &n, &err), &err)) return false;
    if (n != size || (n && memcmp(mapped, data, n) != 0)) abort();
    file_unmap(mapped, n);
    return true;
}

static bool read_piece(const char *path, const uint8_t *data, size_t size) {
    InputFile f;
    uint8_t piece[16];
    const size_t half = size / 2, n = size - half < sizeof piece ? size - half : sizeof piece;
    Error err = {""};
    if (!fuzz_ok(input_open(&f, path, &err), &err)) return false;
    if (!input_read(&f, half, piece, n, &err) || memcmp(piece, data + half, n) != 0) abort();
    if (input_read(&f, size, piece, 1, &err)) abort(); // there is nothing behind the end
    (void)fuzz_ok(false, &err);
    input_close(&f);
    return true;
}

void fuzz_input(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    Error err = {""};
    const bool whole = read_whole(path, data, size);
    if (map_whole(path, data, size) != whole || read_piece(path, data, size) != whole ||
        fuzz_ok(file_check(path, &err), &err) != whole)
        abort();
}
