// SPDX-License-Identifier: Apache-2.0
// The tables of many video files, shared between threads: a hash table by path that only grows.
#include "formats/video_tables.h"

#include "base/memory.h"
#include <pthread.h>
#include <string.h>

typedef struct Entry {
    char *path; // NULL: empty
    VideoTable *table;
} Entry;

struct VideoTables {
    pthread_mutex_t lock;
    Entry *entries; // (room), a power of two; open addressing
    size_t count, room;
};

static size_t path_hash(const char *s) {
    uint64_t h = 0xcbf29ce484222325u; // FNV-1a
    for (; *s; s++) h = (h ^ (uint8_t)*s) * 0x100000001b3u;
    return (size_t)h;
}

static Entry *entry_of(Entry *entries, size_t room, const char *path) {
    size_t at = path_hash(path) & (room - 1);
    while (entries[at].path && strcmp(entries[at].path, path) != 0) at = (at + 1) & (room - 1);
    return &entries[at];
}

VideoTables *video_tables_new(void) {
    VideoTables *t = NEW(VideoTables, 1);
    t->room = 64;
    t->entries = NEW(Entry, t->room);
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

void video_tables_free(VideoTables *t) {
    if (!t) return;
    for (size_t i = 0; i < t->room; i++) {
        if (t->entries[i].table) video_table_free(t->entries[i].table);
        mem_free(t->entries[i].table);
        mem_free(t->entries[i].path);
    }
    pthread_mutex_destroy(&t->lock);
    mem_free(t->entries);
    mem_free(t);
}

const VideoTable *video_tables_find(VideoTables *t, const char *path) {
    pthread_mutex_lock(&t->lock);
    const VideoTable *found = entry_of(t->entries, t->room, path)->table;
    pthread_mutex_unlock(&t->lock);
    return found;
}

static void tables_grow(VideoTables *t) {
    size_t room = 2 * t->room;
    Entry *entries = NEW(Entry, room);
    for (size_t i = 0; i < t->room; i++)
        if (t->entries[i].path) *entry_of(entries, room, t->entries[i].path) = t->entries[i];
    mem_free(t->entries);
    t->entries = entries;
    t->room = room;
}

const VideoTable *video_tables_add(VideoTables *t, const char *path, VideoTable *table) {
    pthread_mutex_lock(&t->lock);
    if (2 * (t->count + 1) > t->room) tables_grow(t);
    Entry *e = entry_of(t->entries, t->room, path);
    if (e->path) {
        video_table_free(table); // another thread was first
    } else {
        e->path = mem_strdup(path);
        e->table = NEW(VideoTable, 1);
        *e->table = *table;
        *table = (VideoTable){0};
        t->count++;
    }
    const VideoTable *kept = e->table;
    pthread_mutex_unlock(&t->lock);
    return kept;
}
