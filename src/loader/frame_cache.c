// SPDX-License-Identifier: Apache-2.0
#include "loader/frame_cache.h"

#include "base/available.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "formats/video.h"
#include "image/image.h"
#include "loader/frame_file.h"
#include "loader/frame_key.h"
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// The state of a frame. BUSY: one thread is writing it, and the others treat it as absent.
enum { ABSENT, BUSY, PRESENT };

// One camera's frames.
typedef struct Store {
    FrameFile file;         // fd -1: in memory
    size_t frame;           // bytes of one
    uint8_t *memory;        // (rows, frame), touched as it is filled; NULL: in the file
    _Atomic uint8_t *state; // (rows)
    _Atomic uint64_t *sums; // (rows) checksums of the frames PRESENT in the file; NULL: in memory
} Store;

struct FrameCache {
    const Dataset *dataset;
    int64_t rows; // how many are kept, from the first on
    int n_stores;
    Store *stores;
    int64_t sharers, share;     // of the options, at least 1
    _Atomic int64_t handed_out; // by frame_cache_next_episode
    atomic_bool warned, full;
};

// ---- limits -----------------------------------------------------------------------------------

static int64_t limit_bytes(double gb, int64_t otherwise) {
    return gb < 0 ? otherwise : gb * 1e9 < 9e18 ? (int64_t)(gb * 1e9) : INT64_MAX;
}

// ---- opening ----------------------------------------------------------------------------------

static FrameCache *cache_new(const FrameCacheOptions *o, int64_t rows) {
    FrameCache *c = NEW(FrameCache, 1);
    c->dataset = o->dataset;
    c->rows = rows;
    c->n_stores = o->n_cameras;
    c->sharers = o->sharers > 1 ? o->sharers : 1;
    c->share = o->share;
    c->stores = NEW(Store, o->n_cameras);
    for (int i = 0; i < o->n_cameras; i++) {
        c->stores[i].file.fd = -1;
        c->stores[i].frame = image_rgb_bytes(o->sizes[i].height, o->sizes[i].width);
        c->stores[i].state = NEW(_Atomic uint8_t, rows);
    }
    return c;
}

void frame_cache_close(FrameCache *c) {
    if (!c) return;
    for (int i = 0; i < c->n_stores; i++) {
        Store *s = &c->stores[i];
        frame_file_close(&s->file);
        if (s->memory) munmap(s->memory, (size_t)c->rows * s->frame);
        mem_free((void *)s->state);
        mem_free((void *)s->sums);
    }
    mem_free(c->stores);
    mem_free(c);
}

CHECKED static bool open_store(Store *s, const char *dir, Error *err) {
    int64_t rows = s->file.rows;
    uint64_t *sums = NEW(uint64_t, rows);
    bool ok = frame_file_open(&s->file, dir, err) && frame_file_table(&s->file, sums, err);
    s->sums = NEW(_Atomic uint64_t, rows);
    for (int64_t i = 0; ok && i < rows; i++) {
        atomic_init(&s->sums[i], sums[i]);
        atomic_init(&s->state[i], sums[i] ? PRESENT : ABSENT);
    }
    mem_free(sums);
    return ok;
}

// Keys of all cameras, and the bytes of those whose file is yet to be made.
CHECKED static bool describe_files(FrameCache *c, const FrameCacheOptions *o, int64_t *bytes,
                                   Error *err) {
    *bytes = 0;
    for (int i = 0; i < o->n_cameras; i++) {
        FrameFile *f = &c->stores[i].file;
        const int height = o->sizes[i].height, width = o->sizes[i].width;
        *f = (FrameFile){.fd = -1, .height = height, .width = width, .rows = c->rows};
        if (!frame_key(o->dataset, o->cameras[i], o->sizes[i], f->key, err)) return false;
        if (!video_decoder_name(f->decoder, sizeof f->decoder)) {
            frame_file_find_decoder(f, o->dir);
            if (!f->decoder[0]) return fail(err, "%s: no file there has these frames", o->dir);
        }
        if (!frame_file_exists(f, o->dir)) *bytes += frame_file_bytes(height, width, c->rows);
    }
    return true;
}

CHECKED static bool open_in_files(const FrameCacheOptions *o, FrameCache **out, Error *err) {
    int64_t bytes, used, left;
    *out = NULL;
    if (!o->dir) return fail(err, "no directory for it");
    if (!make_dirs(o->dir, err)) return false;
    FrameCache *c = cache_new(o, o->dataset->rows);
    bool ok = describe_files(c, o, &bytes, err);
    // Files that are there come first: they are in use from here on, and so are not evicted.
    for (int pass = 0; ok && pass < 2; pass++) {
        frame_files_space(o->dir, &used, &left);
        int64_t limit = limit_bytes(o->limit_gb, (used + left) / 2);
        if (pass == 1 && bytes > 0 && !frame_files_evict(o->dir, bytes, limit))
            ok = fail(err,
                      "%s: %.1f GB of frames do not fit the %.1f GB allowed there "
                      "(--dataset.frame_cache_gb)",
                      o->dir, (double)bytes / 1e9, (double)limit / 1e9);
        for (int i = 0; ok && i < o->n_cameras; i++) {
            Store *s = &c->stores[i];
            if (s->file.fd >= 0 || (pass == 0 && !frame_file_exists(&s->file, o->dir))) continue;
            ok = open_store(s, o->dir, err);
        }
    }
    if (!ok) {
        frame_cache_close(c);
        return false;
    }
    *out = c;
    return true;
}

// As many rows as fit. Memory is reserved here and taken when frames are put in.
static FrameCache *open_in_memory(const FrameCacheOptions *o) {
    int64_t row = 0;
    for (int i = 0; i < o->n_cameras; i++)
        row += (int64_t)image_rgb_bytes(o->sizes[i].height, o->sizes[i].width);
    int64_t limit =
        limit_bytes(o->limit_gb, memory_available() / 4 / (o->sharers > 1 ? o->sharers : 1));
    int64_t rows = limit / row < o->dataset->rows ? limit / row : o->dataset->rows;
    if (rows < 1) return NULL;
    FrameCache *c = cache_new(o, rows);
    for (int i = 0; i < o->n_cameras; i++) {
        void *p = mmap(NULL, (size_t)rows * c->stores[i].frame, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) {
            frame_cache_close(c);
            return NULL;
        }
        c->stores[i].memory = p;
    }
    return c;
}

static void log_choice(FrameCache *c, const FrameCacheOptions *o) {
    int64_t there = 0, all = (int64_t)o->n_cameras * o->dataset->rows;
    double bytes = 0;
    for (int i = 0; c && i < c->n_stores; i++) {
        there += frame_cache_count(c, i);
        bytes += (double)c->rows * (double)c->stores[i].frame;
    }
    if (!c)
        log_info("frame cache: none; frames are decoded whenever they are needed");
    else if (c->stores[0].memory)
        log_info("frame cache: in memory, %lld of %lld frames, up to %.2f GB",
                 (long long)(c->n_stores * c->rows), (long long)all, bytes / 1e9);
    else
        log_info("frame cache: %s, %.2f GB, %lld of %lld frames are there", o->dir, bytes / 1e9,
                 (long long)there, (long long)all);
}

void frame_cache_open(const FrameCacheOptions *o, FrameCache **out) {
    Error err;
    *out = NULL;
    if (strcmp(o->mode, "none") == 0 || o->n_cameras == 0) return;
    bool file = strcmp(o->mode, "memory") != 0;
    if (file && !open_in_files(o, out, &err))
        log_warn("frame cache: %.900s; frames are kept in memory instead", err.text);
    if (!*out) *out = open_in_memory(o);
    log_choice(*out, o);
}

// ---- frames -----------------------------------------------------------------------------------

bool frame_cache_holds(const FrameCache *c, int64_t row) {
    return row >= 0 && row < c->rows;
}

// Takes over what another process has put into the file.
static void adopt_entry_of_file(Store *s, int64_t row) {
    uint8_t absent = ABSENT;
    uint64_t sum = frame_file_entry(&s->file, row);
    if (!sum || !atomic_compare_exchange_strong(&s->state[row], &absent, BUSY)) return;
    atomic_store(&s->sums[row], sum);
    atomic_store(&s->state[row], PRESENT);
}

bool frame_cache_has(FrameCache *c, int camera, int64_t row) {
    Store *s = &c->stores[camera];
    if (!frame_cache_holds(c, row)) return false;
    if (!s->memory && atomic_load(&s->state[row]) == ABSENT) adopt_entry_of_file(s, row);
    return atomic_load(&s->state[row]) == PRESENT;
}

static void cache_warn_once(FrameCache *c, const char *text) {
    if (!atomic_exchange(&c->warned, true)) log_warn("frame cache: %.900s", text);
}

// A frame that does not match its checksum is dropped, and decoded again by the caller.
static void drop_damaged(FrameCache *c, Store *s, int64_t row) {
    char text[4400];
    uint8_t present = PRESENT;
    snprintf(text, sizeof text, "%s: a frame in it is damaged; such frames are decoded again",
             s->file.path);
    cache_warn_once(c, text);
    if (!atomic_compare_exchange_strong(&s->state[row], &present, BUSY)) return;
    frame_file_clear(&s->file, row);
    atomic_store(&s->state[row], ABSENT);
}

bool frame_cache_get(FrameCache *c, int camera, int64_t row, uint8_t *rgb) {
    Store *s = &c->stores[camera];
    if (!frame_cache_has(c, camera, row)) return false;
    if (s->memory) {
        memcpy(rgb, s->memory + (size_t)row * s->frame, s->frame);
        return true;
    }
    if (frame_file_read(&s->file, row, atomic_load(&s->sums[row]), rgb)) return true;
    drop_damaged(c, s, row);
    return false;
}

void frame_cache_put(FrameCache *c, int camera, int64_t row, const uint8_t *rgb) {
    Store *s = &c->stores[camera];
    uint8_t absent = ABSENT;
    uint64_t sum = 0;
    Error err;
    if (!frame_cache_holds(c, row) || atomic_load(&c->full) ||
        !atomic_compare_exchange_strong(&s->state[row], &absent, BUSY))
        return;
    bool kept = true;
    if (s->memory)
        memcpy(s->memory + (size_t)row * s->frame, rgb, s->frame);
    else
        kept = frame_file_write(&s->file, row, rgb, &sum, &err);
    if (!kept && !atomic_exchange(&c->full, true))
        log_warn("frame cache: %.900s; no more frames are kept", err.text);
    if (kept && s->sums) atomic_store(&s->sums[row], sum);
    atomic_store(&s->state[row], kept ? PRESENT : ABSENT);
}

int64_t frame_cache_count(FrameCache *c, int camera) {
    int64_t n = 0;
    for (int64_t i = 0; i < c->rows; i++) n += atomic_load(&c->stores[camera].state[i]) == PRESENT;
    return n;
}

const char *frame_cache_kind(const FrameCache *c) {
    return !c ? "none" : c->stores[0].memory ? "memory" : "file";
}

bool frame_cache_next_episode(FrameCache *c, int *camera, int64_t *episode) {
    const int64_t all = c->n_stores * c->dataset->n_episodes;
    int64_t n = atomic_fetch_add(&c->handed_out, 1);
    // Each sharer begins elsewhere on the ring of all episodes, and finds what the others have done
    // when it comes there.
    int64_t at = (n + all * c->share / c->sharers) % all;
    *camera = (int)(at / c->dataset->n_episodes);
    *episode = at % c->dataset->n_episodes;
    return n < all;
}
