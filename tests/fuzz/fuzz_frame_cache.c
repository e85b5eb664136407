// SPDX-License-Identifier: Apache-2.0
// Any bytes over a whole file of the frame cache, and any other files beside it: no frame comes out
// that was not put in. "@@ over" is pieces: place (4 bytes), length (1), bytes; the header's
// checksum is made right again where the part's first byte is odd. "@@ cut" is the file's length.
#include "base/checksum.h"
#include "base/memory.h"
#include "driver.h"
#include "loader/frame_file.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEIGHT = 2, WIDTH = 3, ROWS = 5, FRAME = HEIGHT * WIDTH * 3, HEADER = 4096 };

static FrameFile frame_file(void) {
    FrameFile f = {.fd = -1, .height = HEIGHT, .width = WIDTH, .rows = ROWS, .decoder = "a 1.0"};
    memset(f.key, 'a', FRAME_KEY - 1);
    return f;
}

static void frame_of(int64_t row, uint8_t *rgb) {
    for (int i = 0; i < FRAME; i++) rgb[i] = (uint8_t)(row * 50 + i);
}

static bool open_file(FrameFile *f, const char *dir) {
    Error err = {""};
    return fuzz_ok(frame_file_open(f, dir, &err), &err);
}

// All frames but the last.
static void fill(FrameFile *f) {
    uint8_t rgb[FRAME];
    uint64_t sum;
    Error err = {""};
    for (int64_t row = 0; row + 1 < ROWS; row++) {
        frame_of(row, rgb);
        if (!frame_file_write(f, row, rgb, &sum, &err)) abort();
    }
}

static void damage(const char *path, const FuzzPart *over, const FuzzPart *cut) {
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) != 0) abort();
    for (size_t at = 1; over && at + 5 < over->size;) {
        const uint8_t *p = over->data + at;
        const uint32_t place = p[0] | p[1] << 8 | p[2] << 16;
        size_t n = p[4] < over->size - at - 5 ? p[4] : over->size - at - 5;
        if (pwrite(fd, p + 5, n, place % st.st_size) != (ssize_t)n) abort();
        at += 5 + n;
    }
    if (over && over->size && over->data[0] & 1) {
        uint8_t header[HEADER];
        if (pread(fd, header, HEADER, 0) != HEADER) abort();
        const uint64_t sum = checksum(header, HEADER - 8, 0);
        if (pwrite(fd, &sum, 8, HEADER - 8) != 8) abort();
    }
    char *text = fuzz_text(cut);
    if (cut && ftruncate(fd, strtol(text, NULL, 10) & 0xffff) != 0) abort();
    free(text);
    close(fd);
}

static void read_all(const FrameFile *f) {
    uint64_t sums[ROWS];
    uint8_t rgb[FRAME], wanted[FRAME];
    Error err = {""};
    if (!fuzz_ok(frame_file_table(f, sums, &err), &err)) return;
    for (int64_t row = 0; row < ROWS; row++) {
        if (!sums[row] || !frame_file_read(f, row, sums[row], rgb)) continue;
        frame_of(row, wanted);
        // A checksum of 64 bits does not pass by chance, and fuzz_input makes none.
        if (row + 1 == ROWS || memcmp(rgb, wanted, FRAME) != 0) abort();
        frame_file_clear(f, row);
        if (frame_file_entry(f, row) != 0) abort();
    }
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    const int n = fuzz_split(data, size, parts);
    const char *dir = fuzz_folder(parts, n, "");
    FrameFile f = frame_file(), look = frame_file();
    int64_t used, left;
    if (!open_file(&f, dir)) return; // something of its name is in the way
    fill(&f);
    frame_file_close(&f);
    damage(f.path, fuzz_part(parts, n, "over"), fuzz_part(parts, n, "cut"));
    look.decoder[0] = 0;
    frame_file_find_decoder(&look, dir);
    if (look.decoder[0] && !frame_file_exists(&look, dir) && strcmp(look.decoder, f.decoder) == 0)
        abort();
    fuzz_use(frame_file_exists(&f, dir));
    f = frame_file();
    if (!open_file(&f, dir)) return;
    read_all(&f);
    frame_files_space(dir, &used, &left);
    if (frame_files_evict(dir, 0, 0)) abort(); // one is in use
    frame_file_close(&f);
    (void)frame_files_evict(dir, 0, 0);
}
