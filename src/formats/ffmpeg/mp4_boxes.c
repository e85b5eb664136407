// SPDX-License-Identifier: Apache-2.0
// The tables of an MP4 (ISO/IEC 14496-12) before FFmpeg reads them: where all samples have one
// size, twelve bytes say how many there are, and its index is made of that many entries.
#include "formats/ffmpeg/mp4_boxes.h"

#include "base/file.h"
#include <string.h>

enum { MOST_DEPTH = 8, HEAD = 20 }; // HEAD: what is read behind a box's size and type

typedef struct Walk {
    InputFile file;
    uint64_t samples; // of fragments, so far
} Walk;

static uint32_t big32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is(const uint8_t *type, const char *name) {
    return memcmp(type, name, 4) == 0;
}

// Boxes that are made of boxes, on the way to the tables.
static bool holds_boxes(const uint8_t *type) {
    static const char *const names[] = {"moov", "trak", "mdia", "minf", "stbl", "moof", "traf"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (is(type, names[i])) return true;
    return false;
}

static bool too_many(const Walk *w, uint64_t samples, Error *err) {
    return fail(err,
                "%s: its header lists %llu frames, more than its %zu bytes can hold; the file is "
                "damaged; copy or record it again",
                w->file.path, (unsigned long long)samples, w->file.size);
}

// head: what follows the type, zeros where the box ends before.
static bool check_table(Walk *w, const uint8_t *type, const uint8_t *head, Error *err) {
    bool sizes = is(type, "stsz"), runs = is(type, "trun");
    if (!sizes && !runs && !is(type, "stz2")) return true;
    // A version and flags; then, of a table of sizes, one size for all or 0, and the number; of a
    // run of a fragment, the number.
    uint64_t each = sizes ? big32(head + 4) : 0, count = big32(head + (runs ? 4 : 8));
    if (runs) count = w->samples += count;
    uint64_t bytes = each > 1 ? each * count : count; // no product of two 32-bit numbers overflows
    return bytes <= w->file.size || too_many(w, count, err);
}

// Walks the boxes in [at, end). What does not hold together is for FFmpeg to refuse.
static bool walk_boxes(Walk *w, uint64_t at, uint64_t end, int depth, Error *err) {
    while (end - at >= 8) {
        uint8_t bytes[8 + HEAD] = {0};
        size_t n = end - at < sizeof bytes ? (size_t)(end - at) : sizeof bytes;
        if (!input_read(&w->file, at, bytes, n, err)) return false;
        uint64_t size = big32(bytes), header = 8;
        if (size == 1) {
            size = (uint64_t)big32(bytes + 8) << 32 | big32(bytes + 12);
            header = 16;
        }
        if (size == 0) size = end - at; // to the end
        if (size < header || size > end - at) return true;
        if (holds_boxes(bytes + 4) && depth < MOST_DEPTH) {
            if (!walk_boxes(w, at + header, at + size, depth + 1, err)) return false;
        } else {
            uint8_t head[HEAD] = {0};
            size_t there = n > header ? n - header : 0;
            if (there > size - header) there = size - header;
            if (there > sizeof head) there = sizeof head;
            memcpy(head, bytes + header, there);
            if (!check_table(w, bytes + 4, head, err)) return false;
        }
        at += size;
    }
    return true;
}

bool mp4_boxes_check(const char *path, Error *err) {
    Walk w;
    uint8_t start[8];
    if (!input_open(&w.file, path, err)) return false;
    w.samples = 0;
    bool ok = w.file.size < sizeof start || input_read(&w.file, 0, start, sizeof start, err);
    // Matroska and WebM begin with EBML's four bytes.
    if (ok && w.file.size >= sizeof start && big32(start) != 0x1a45dfa3)
        ok = walk_boxes(&w, 0, w.file.size, 0, err);
    input_close(&w.file);
    return ok;
}
