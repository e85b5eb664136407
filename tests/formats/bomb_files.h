// SPDX-License-Identifier: Apache-2.0
// Files of other kinds that announce, or unpack to, far more than they hold.
#ifndef TACT_TESTS_FORMATS_BOMB_FILES_H
#define TACT_TESTS_FORMATS_BOMB_FILES_H

#include "base/file.h"
#include "base/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static inline FILE *bomb_open(const char *path) {
    FILE *f = fopen(path, "wb");
    if (!f) abort();
    return f;
}

static inline void bomb_close(FILE *f) {
    if (ferror(f) || fclose(f) != 0) abort();
}

static inline void bomb_repeat(FILE *f, const char *text, int64_t times) {
    size_t n = strlen(text);
    while (times-- > 0) fwrite(text, 1, n, f);
}

// ---- text ---------------------------------------------------------------------------------------

static inline void bomb_brackets(const char *path) {
    FILE *f = bomb_open(path);
    fputs("{\"a\": [{}", f);
    bomb_repeat(f, ",{}", 7 << 20);
    fputs("]}", f);
    bomb_close(f);
}

// The header of a safetensors file.
static inline void bomb_header(const char *path) {
    enum { TIMES = 7 << 20 };
    static const char begin[] = "{\"__metadata__\": [[]", end[] = "]}";
    uint64_t length = sizeof begin - 1 + 3 * (uint64_t)TIMES + sizeof end - 1;
    FILE *f = bomb_open(path);
    fwrite(&length, 8, 1, f);
    fputs(begin, f);
    bomb_repeat(f, ",{}", TIMES);
    fputs(end, f);
    bomb_close(f);
}

// A training's log of one line.
static inline void bomb_log_line(const char *path) {
    FILE *f = bomb_open(path);
    fputs("{\"step\": 1, \"loss\": [[]", f);
    bomb_repeat(f, ",{}", 7 << 20);
    fputs("]}\n", f);
    bomb_close(f);
}

static inline void bomb_log_newlines(const char *path) {
    FILE *f = bomb_open(path);
    bomb_repeat(f, "\n", 20 << 20);
    bomb_close(f);
}

// A text of half a MB, meant two thousand times.
static inline void bomb_aliases(const char *path) {
    FILE *f = bomb_open(path);
    fputs("a: &a ", f);
    bomb_repeat(f, "x", 500000);
    fputs("\nb: [*a", f);
    bomb_repeat(f, ", *a", 2000);
    fputs("]\n", f);
    bomb_close(f);
}

// Files that each include the next one twelve times: 36 million values of 42.
static inline void bomb_includes(const char *path) {
    enum { DEEP = 7 };
    char name[4096], next[4096];
    snprintf(name, sizeof name, "%s", path);
    for (int depth = 1; depth <= DEEP; depth++) {
        snprintf(next, sizeof next, "%s.%d", path, depth);
        FILE *f = bomb_open(name);
        for (int i = 0; i < 12; i++) fprintf(f, "a%d: !include %s\n", i, next);
        bomb_close(f);
        snprintf(name, sizeof name, "%s", next);
    }
    FILE *f = bomb_open(name);
    fputs("42\n", f);
    bomb_close(f);
}

// A dataset of version 2.1 whose list of episodes is lines of no episodes.
static inline void bomb_dataset(const char *path, const char *line, int64_t times) {
    char name[4096];
    Error err;
    snprintf(name, sizeof name, "%s/meta", path);
    if (!make_dirs(name, &err)) abort();
    snprintf(name, sizeof name, "%s/meta/info.json", path);
    FILE *f = bomb_open(name);
    fputs(
        "{\"codebase_version\": \"v2.1\", \"fps\": 30, \"total_episodes\": 1, \"total_frames\": 1, "
        "\"chunks_size\": 1000, \"data_path\": \"data/{episode_index}.parquet\", \"features\": {"
        "\"action\": {\"dtype\": \"float32\", \"shape\": [2]}}}",
        f);
    bomb_close(f);
    snprintf(name, sizeof name, "%s/meta/episodes.jsonl", path);
    f = bomb_open(name);
    bomb_repeat(f, line, times);
    bomb_close(f);
}

static inline void bomb_newlines(const char *path) {
    bomb_dataset(path, "\n", 20 << 20);
}

static inline void bomb_lines(const char *path) {
    bomb_dataset(path, "0\n", 10 << 20);
}

// ---- pictures and videos ------------------------------------------------------------------------

static inline void put_big32(FILE *f, uint32_t v) {
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    fwrite(bytes, 1, 4, f);
}

static inline void put_chunk(FILE *f, const char *type, const void *data, size_t size) {
    put_big32(f, (uint32_t)size);
    fwrite(type, 1, 4, f);
    fwrite(data, 1, size, f);
    uint32_t crc = (uint32_t)crc32(crc32(0, (const Bytef *)type, 4), data, (uInt)size);
    put_big32(f, size ? crc : (uint32_t)crc32(0, (const Bytef *)type, 4));
}

// A black PNG of 12000 lines of 12000 grey pixels.
static inline void bomb_png(const char *path) {
    enum { SIDE = 12000 };
    static const uint8_t header[13] = {0, 0, SIDE >> 8, SIDE & 255, 0, 0, SIDE >> 8, SIDE & 255, 8};
    uLong size = (uLong)SIDE * (SIDE + 1), packed = compressBound(size);
    uint8_t *lines = calloc(1, size), *data = malloc(packed);
    if (!lines || !data || compress2(data, &packed, lines, size, 1) != Z_OK) abort();
    FILE *f = bomb_open(path);
    fwrite("\x89PNG\r\n\x1a\n", 1, 8, f);
    put_chunk(f, "IHDR", header, sizeof header);
    put_chunk(f, "IDAT", data, packed);
    put_chunk(f, "IEND", "", 0);
    bomb_close(f);
    free(lines);
    free(data);
}

// Boxes within each other: their sizes are filled in when they end.
typedef struct Boxes {
    uint8_t data[4096];
    size_t size, open[8];
    int depth;
} Boxes;

static inline void box_put(Boxes *b, const void *bytes, size_t n) {
    if (b->size + n > sizeof b->data) abort();
    if (bytes) memcpy(b->data + b->size, bytes, n);
    b->size += n;
}

static inline void box_zeros(Boxes *b, size_t n) {
    box_put(b, NULL, n);
}

static inline void box_number(Boxes *b, uint32_t v) {
    const uint8_t bytes[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8),
                              (uint8_t)v};
    box_put(b, bytes, 4);
}

static inline void box_begin(Boxes *b, const char *type) {
    b->open[b->depth++] = b->size;
    box_zeros(b, 4);
    box_put(b, type, 4);
}

static inline void box_end(Boxes *b) {
    size_t start = b->open[--b->depth], end = b->size;
    b->size = start;
    box_number(b, (uint32_t)(end - start));
    b->size = end;
}

// A track of AV1, up to its table of samples, which stays open.
static inline void box_track(Boxes *b) {
    box_begin(b, "ftyp");
    box_put(b, "isom\0\0\0\0isom", 12);
    box_end(b);
    box_begin(b, "moov");
    box_begin(b, "mvhd");
    box_zeros(b, 12);
    box_number(b, 1000); // units a second
    box_zeros(b, 84);
    box_end(b);
    box_begin(b, "trak");
    box_begin(b, "tkhd");
    box_number(b, 7);
    box_zeros(b, 8);
    box_number(b, 1); // its number
    box_zeros(b, 68);
    box_end(b);
    box_begin(b, "mdia");
    box_begin(b, "mdhd");
    box_zeros(b, 12);
    box_number(b, 1000);
    box_zeros(b, 8);
    box_end(b);
    box_begin(b, "hdlr");
    box_zeros(b, 8);
    box_put(b, "vide", 4);
    box_zeros(b, 13);
    box_end(b);
    box_begin(b, "minf");
    box_begin(b, "stbl");
    box_begin(b, "stsd");
    box_zeros(b, 4);
    box_number(b, 1);
    box_begin(b, "av01");
    box_zeros(b, 6);
    box_put(b, "\0\1", 2);
    box_zeros(b, 16);
    box_put(b, "\0\x40\0\x40", 4); // 64 x 64
    box_zeros(b, 50);
    box_end(b);
    box_end(b);
}

static inline void box_write(Boxes *b, const char *path) {
    while (b->depth) box_end(b);
    FILE *f = bomb_open(path);
    fwrite(b->data, 1, b->size, f);
    bomb_close(f);
}

// An MP4 whose samples all have one size, and which has 2^24 of them in one chunk.
static inline void bomb_samples(const char *path) {
    enum { SAMPLES = 1 << 24 };
    Boxes b = {0};
    box_track(&b);
    box_begin(&b, "stts");
    box_zeros(&b, 4);
    box_number(&b, 1);
    box_number(&b, SAMPLES);
    box_number(&b, 33);
    box_end(&b);
    box_begin(&b, "stsc");
    box_zeros(&b, 4);
    box_number(&b, 1);
    box_number(&b, 1);
    box_number(&b, SAMPLES);
    box_number(&b, 1);
    box_end(&b);
    box_begin(&b, "stsz");
    box_zeros(&b, 4);
    box_number(&b, 1); // bytes of each
    box_number(&b, SAMPLES);
    box_end(&b);
    box_begin(&b, "stco");
    box_zeros(&b, 4);
    box_number(&b, 1);
    box_number(&b, 0);
    box_end(&b);
    box_write(&b, path);
}

// Fragments: a run of 2^24 samples of which nothing is said.
static inline void bomb_fragment(const char *path) {
    static const char *const empty[] = {"stts", "stsc", "stco"};
    Boxes b = {0};
    box_track(&b);
    for (int i = 0; i < 3; i++) {
        box_begin(&b, empty[i]);
        box_zeros(&b, 8);
        box_end(&b);
    }
    box_begin(&b, "stsz");
    box_zeros(&b, 12);
    box_end(&b);
    while (b.depth > 1) box_end(&b);
    box_begin(&b, "mvex");
    box_begin(&b, "trex");
    box_zeros(&b, 4);
    box_number(&b, 1);  // track
    box_number(&b, 1);  // description
    box_number(&b, 33); // duration of a sample
    box_number(&b, 1);  // its size
    box_zeros(&b, 4);
    while (b.depth) box_end(&b);
    box_begin(&b, "moof");
    box_begin(&b, "mfhd");
    box_zeros(&b, 8);
    box_end(&b);
    box_begin(&b, "traf");
    box_begin(&b, "tfhd");
    box_zeros(&b, 4);
    box_number(&b, 1);
    box_end(&b);
    box_begin(&b, "trun");
    box_zeros(&b, 4);
    box_number(&b, 1 << 24);
    box_write(&b, path);
}

// ---- pickles and archives -----------------------------------------------------------------------

// A file of torch.save before 1.6: a pickle of None, as often as it has bytes.
static inline void bomb_pickle(const char *path) {
    FILE *f = bomb_open(path);
    fputs("\x80\x02", f);
    bomb_repeat(f, "N", 1 << 20);
    bomb_close(f);
}

static inline void put_little(FILE *f, uint64_t v, int bytes) {
    for (int i = 0; i < bytes; i++) fputc((int)(v >> 8 * i & 255), f);
}

// What a local header and the directory's entry have in common.
static inline void put_member(FILE *f, uLong crc, size_t packed, size_t size, const char *name) {
    put_little(f, 20, 2);
    put_little(f, 0, 2);
    put_little(f, 8, 2); // deflated
    put_little(f, 0, 4);
    put_little(f, crc, 4);
    put_little(f, packed, 4);
    put_little(f, size, 4);
    put_little(f, strlen(name), 2);
    put_little(f, 0, 2);
}

typedef struct ZipMember {
    const char *name;
    const char *text;
    size_t blanks; // behind it
    long at;
    uLong crc;
    size_t size, packed;
} ZipMember;

static inline void put_zip_member(FILE *f, ZipMember *m) {
    enum { ROOM = 4 << 20 };
    size_t text = strlen(m->text);
    m->size = text + m->blanks;
    char *all = malloc(m->size);
    uint8_t *packed = malloc(ROOM);
    z_stream z = {0};
    if (!all || !packed ||
        deflateInit2(&z, 1, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    memset(all, ' ', m->size);
    memcpy(all, m->text, text);
    z.next_in = (Bytef *)all, z.avail_in = (uInt)m->size;
    z.next_out = packed, z.avail_out = ROOM;
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) abort();
    m->crc = crc32(0, (const Bytef *)all, (uInt)m->size);
    m->packed = z.total_out;
    m->at = ftell(f);
    put_little(f, 0x04034b50, 4);
    put_member(f, m->crc, m->packed, m->size, m->name);
    fputs(m->name, f);
    fwrite(packed, 1, m->packed, f);
    deflateEnd(&z);
    free(all);
    free(packed);
}

static inline void put_zip_end(FILE *f, const ZipMember *members, int n) {
    long directory = ftell(f);
    for (int i = 0; i < n; i++) {
        const ZipMember *m = &members[i];
        put_little(f, 0x02014b50, 4);
        put_little(f, 20, 2);
        put_member(f, m->crc, m->packed, m->size, m->name);
        put_little(f, 0, 10); // comment, disk, attributes
        put_little(f, (uint64_t)m->at, 4);
        fputs(m->name, f);
    }
    long end = ftell(f);
    put_little(f, 0x06054b50, 4);
    put_little(f, 0, 4);
    put_little(f, (uint64_t)n, 2);
    put_little(f, (uint64_t)n, 2);
    put_little(f, (uint64_t)(end - directory), 4);
    put_little(f, (uint64_t)directory, 4);
    put_little(f, 0, 2);
}

// A replay buffer in a zip file; behind the description of its group 400 MB of blanks.
static inline void bomb_zarr(const char *path) {
    ZipMember members[] = {{.name = ".zgroup", .text = "{\"zarr_format\": 2}", .blanks = 400 << 20},
                           {.name = "meta/episode_ends/.zarray", .text = "{\"zarr_format\": 2}"}};
    FILE *f = bomb_open(path);
    for (int i = 0; i < 2; i++) put_zip_member(f, &members[i]);
    put_zip_end(f, members, 2);
    bomb_close(f);
}

#endif
