// SPDX-License-Identifier: Apache-2.0
// Changes an MP4 of VideoWriter (ISO/IEC 14496-12), whose index is its last box and has one track:
// uneven times, frames hidden by an edit list, something put before the keyframes.
#ifndef TACT_TESTS_FORMATS_MP4_REWRITE_H
#define TACT_TESTS_FORMATS_MP4_REWRITE_H

#include "video_fixture.h"

// Puts numbers in the place of what follows version and flags of a box, which may grow: then those
// that it lies in, from the outermost on, grow as well, and what is behind it moves.
static inline void rewrite_box(const char *path, const char *const *parents, int n_parents,
                               const char *name, const uint32_t *numbers, size_t n) {
    Error err;
    char *file;
    size_t size;
    assert_true(file_read(path, &file, &size, &err));
    char *boxes[8], *at = file;
    for (int i = 0; i <= n_parents; i++) {
        const char *wanted = i < n_parents ? parents[i] : name;
        at = memmem(at, size - (size_t)(at - file), wanted, 4);
        assert_non_null(at);
        boxes[i] = at - 4;
    }
    char *box = boxes[n_parents];
    size_t before = big32(box), after = 12 + 4 * n, start = (size_t)(box - file);
    for (int i = 0; i <= n_parents; i++)
        set_big32(boxes[i], big32(boxes[i]) + (uint32_t)after - (uint32_t)before);
    char *whole = mem_alloc(size - before + after);
    memcpy(whole, file, start + 12);
    for (size_t i = 0; i < n; i++) set_big32(whole + start + 12 + 4 * i, numbers[i]);
    memcpy(whole + start + after, file + start + before, size - start - before);
    assert_true(file_write(path, whole, size - before + after, &err));
    mem_free(whole);
    mem_free(file);
}

static const char *const sample_tables[] = {"moov", "trak", "mdia", "minf", "stbl"};
static const char *const edits[] = {"moov", "trak", "edts"};

// What is behind version and flags of the first box of a name, or NULL. *file is to be freed.
static inline const char *find_box(const char *path, const char *name, char **file) {
    Error err;
    size_t size;
    assert_true(file_read(path, file, &size, &err));
    char *index = memmem(*file, size, "moov", 4);
    assert_non_null(index);
    char *at = memmem(index, size - (size_t)(index - *file), name, 4);
    return at ? at + 8 : NULL;
}

// An edit list in which the frames from the media's first[i] to before end[i] (ticks) are shown.
static inline void set_edits(const char *path, const uint32_t *first, const uint32_t *end, int n) {
    char *file;
    const char *header = find_box(path, "mvhd", &file);
    uint32_t clock = big32(header + 8), numbers[1 + 3 * 8] = {(uint32_t)n};
    mem_free(file);
    header = find_box(path, "mdhd", &file);
    uint32_t ticks = big32(header + 8);
    mem_free(file);
    assert_true(n <= 8);
    for (int i = 0; i < n; i++) {
        uint64_t span = (uint64_t)(end[i] - first[i]) * clock + ticks - 1;
        numbers[1 + 3 * i] = (uint32_t)(span / ticks);
        numbers[2 + 3 * i] = first[i];
        numbers[3 + 3 * i] = 0x10000; // speed
    }
    rewrite_box(path, edits, 3, "elst", numbers, 1 + 3 * (size_t)n);
}

// Ticks of the media's clock in a frame, of a file at an even rate.
static inline uint32_t frame_ticks(const char *path) {
    char *file;
    const char *table = find_box(path, "stts", &file);
    assert_int_equal(big32(table), 1);
    uint32_t ticks = big32(table + 8);
    mem_free(file);
    return ticks;
}

// Gives a file of n frames at an even rate uneven times: what was at a multiple k of the distance
// of two frames is at times[k] (n + 8 of them).
static inline void set_times(const char *path, const uint32_t *times, int n) {
    char *file;
    uint32_t ticks = frame_ticks(path), *numbers = NEW(uint32_t, 1 + 2 * (size_t)n);
    const char *table = find_box(path, "ctts", &file); // from decoding to display
    uint32_t first = 0;
    if (table) {
        int k = 0;
        numbers[0] = (uint32_t)n;
        for (uint32_t i = 0; i < big32(table); i++) {
            for (uint32_t of = big32(table + 4 + 8 * i); of; of--, k++) {
                uint32_t later = big32(table + 8 + 8 * i) / ticks;
                numbers[1 + 2 * k] = 1;
                numbers[2 + 2 * k] = times[(uint32_t)k + later] - times[k];
                if (!k) first = later;
            }
        }
        assert_int_equal(k, n);
        rewrite_box(path, sample_tables, 5, "ctts", numbers, 1 + 2 * (size_t)n);
    }
    mem_free(file);
    numbers[0] = (uint32_t)n;
    for (int k = 0; k < n; k++) {
        numbers[1 + 2 * k] = 1;
        numbers[2 + 2 * k] = times[k + 1] - times[k];
    }
    rewrite_box(path, sample_tables, 5, "stts", numbers, 1 + 2 * (size_t)n);
    mem_free(numbers);
    set_edits(path, &times[first], &times[first + (uint32_t)n], 1);
}

typedef struct Samples {
    char *file; // to be freed, as are the others
    size_t size, *at, *bytes;
    bool *key;
    uint32_t n;
} Samples;

// Where the packets lie: one behind the other, as the writer leaves them.
static inline Samples find_samples(const char *path) {
    Error err;
    Samples s = {0};
    assert_true(file_read(path, &s.file, &s.size, &err));
    char *index = memmem(s.file, s.size, "moov", 4);
    const size_t rest = s.size - (size_t)(index - s.file);
    const char *sizes = memmem(index, rest, "stsz", 4), *chunks = memmem(index, rest, "stco", 4);
    const char *keys = memmem(index, rest, "stss", 4);
    assert_true(sizes && chunks && keys && big32(sizes + 8) == 0);
    assert_int_equal(big32(chunks + 8), 1);
    s.n = big32(sizes + 12);
    s.at = NEW(size_t, s.n);
    s.bytes = NEW(size_t, s.n);
    s.key = NEW(bool, s.n);
    size_t at = big32(chunks + 12);
    for (uint32_t i = 0; i < s.n; at += s.bytes[i++]) {
        s.at[i] = at;
        s.bytes[i] = big32(sizes + 16 + 4 * i);
    }
    for (uint32_t i = 0; i < big32(keys + 8); i++) s.key[big32(keys + 12 + 4 * i) - 1] = true;
    return s;
}

static inline void free_samples(Samples *s) {
    mem_free(s->file);
    mem_free(s->at);
    mem_free(s->bytes);
    mem_free(s->key);
}

// Puts bytes before each keyframe's.
static inline void prefix_keyframes(const char *path, const char *prefix, uint32_t bytes) {
    Error err;
    Samples s = find_samples(path);
    uint32_t *numbers = NEW(uint32_t, 2 + s.n), more = 0;
    char *whole = mem_alloc(s.size + (size_t)s.n * bytes);
    size_t from = 0, to = 0;
    numbers[1] = s.n;
    for (uint32_t i = 0; i < s.n; i++) {
        numbers[2 + i] = (uint32_t)s.bytes[i] + (s.key[i] ? bytes : 0);
        if (!s.key[i]) continue;
        memcpy(whole + to, s.file + from, s.at[i] - from);
        to += s.at[i] - from;
        from = s.at[i];
        memcpy(whole + to, prefix, bytes);
        to += bytes;
        more += bytes;
    }
    memcpy(whole + to, s.file + from, s.size - from);
    char *media = memmem(whole, s.size, "mdat", 4) - 4;
    set_big32(media, big32(media) + more);
    assert_true(file_write(path, whole, s.size + more, &err));
    rewrite_box(path, sample_tables, 5, "stsz", numbers, 2 + s.n);
    mem_free(whole);
    mem_free(numbers);
    free_samples(&s);
}

#endif
