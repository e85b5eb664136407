// SPDX-License-Identifier: Apache-2.0
// Zip as its specification (APPNOTE.TXT of PKWARE) has it: the end record names the directory, each
// entry of which names a local header, behind which lie the member's bytes.
#include "import/archive.h"

#include "base/memory.h"
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    END = 22,        // bytes of the end record, before its comment
    END64 = 56,      // of that of zip64
    LOCATOR64 = 20,  // of what says where that is; it lies before the end record
    ENTRY = 46,      // of the directory's entries, before name, extra fields and comment
    LOCAL = 30,      // of a local header, before name and extra fields
    COMMENT = 65535, // the longest
    STORED = 0,
    DEFLATED = 8,
    ENCRYPTED = 1,       // a flag
    DEFLATE_MOST = 1032, // times as much may come out of deflate as went in
};

static uint16_t u16(const void *p) {
    const uint8_t *b = p;
    return (uint16_t)(b[0] | b[1] << 8);
}

static uint32_t u32(const void *p) {
    return u16(p) | (uint32_t)u16((const uint8_t *)p + 2) << 16;
}

static uint64_t u64(const void *p) {
    return u32(p) | (uint64_t)u32((const uint8_t *)p + 4) << 32;
}

CHECKED static bool damaged(const Archive *a, Error *err) {
    return fail(err,
                "%s: a zip file that is cut short or damaged: copy it again from where it is whole",
                a->file.path);
}

// Whether `bytes` bytes at `at` lie in the file.
static bool lies(const Archive *a, uint64_t at, uint64_t bytes) {
    return at <= a->file.size && bytes <= a->file.size - at;
}

// ---- the directory ------------------------------------------------------------------------------

typedef struct Where {
    uint64_t at, bytes, n;
} Where;

// Looks for the end record from the file's end; a comment may lie behind it. *at is its place.
CHECKED static bool find_end(const Archive *a, uint8_t *end, uint64_t *at, Error *err) {
    size_t n = a->file.size < END + COMMENT ? a->file.size : END + COMMENT;
    uint8_t *tail = mem_alloc(n + 1);
    bool ok = input_read(&a->file, a->file.size - n, tail, n, err), found = false;
    for (size_t i = n; ok && !found && i >= END; i--) {
        const uint8_t *p = tail + i - END;
        found = u32(p) == 0x06054b50 && u16(p + 20) == n - i;
        if (!found) continue;
        memcpy(end, p, END);
        *at = a->file.size - n + i - END;
    }
    mem_free(tail);
    return ok && (found || damaged(a, err));
}

// Where the directory is. Fields of the end record that are too small for their numbers are full,
// and zip64's record has them.
CHECKED static bool find_directory(const Archive *a, Where *w, Error *err) {
    uint8_t end[END] = {0}, locator[LOCATOR64], end64[END64];
    uint64_t at = 0;
    if (!find_end(a, end, &at, err)) return false;
    *w = (Where){.n = u16(end + 10), .bytes = u32(end + 12), .at = u32(end + 16)};
    if (w->n == UINT16_MAX || w->bytes == UINT32_MAX || w->at == UINT32_MAX) {
        if (at < LOCATOR64) return damaged(a, err);
        if (!input_read(&a->file, at - LOCATOR64, locator, LOCATOR64, err)) return false;
        if (u32(locator) == 0x07064b50) {
            uint64_t place = u64(locator + 8);
            if (!lies(a, place, END64)) return damaged(a, err);
            if (!input_read(&a->file, place, end64, END64, err)) return false;
            if (u32(end64) != 0x06064b50) return damaged(a, err);
            *w = (Where){.n = u64(end64 + 32), .bytes = u64(end64 + 40), .at = u64(end64 + 48)};
        }
    }
    return (lies(a, w->at, w->bytes) && w->n <= w->bytes / ENTRY) || damaged(a, err);
}

// Numbers of zip64 stand in an extra field, those alone whose own field is full, in this order.
static bool read_zip64(ArchiveMember *m, const uint8_t *extra, size_t n) {
    while (n >= 4) {
        size_t bytes = u16(extra + 2);
        if (bytes > n - 4) return false;
        const uint8_t *p = extra + 4;
        if (u16(extra) == 1) {
            uint64_t *fields[] = {&m->size, &m->packed, &m->header};
            for (int i = 0; i < 3; i++) {
                if (*fields[i] != UINT32_MAX) continue;
                if (bytes < 8) return false;
                *fields[i] = u64(p);
                p += 8;
                bytes -= 8;
            }
            return true;
        }
        extra += 4 + bytes;
        n -= 4 + bytes;
    }
    return m->size != UINT32_MAX && m->packed != UINT32_MAX && m->header != UINT32_MAX;
}

static bool read_entries(Archive *a, const Where *w) {
    const uint8_t *p = (const uint8_t *)a->directory;
    uint64_t left = w->bytes;
    for (uint64_t i = 0; i < w->n; i++) {
        if (left < ENTRY || u32(p) != 0x02014b50) return false;
        size_t name = u16(p + 28), extra = u16(p + 30), all = ENTRY + name + extra + u16(p + 32);
        if (left < all) return false;
        ArchiveMember *m = &a->members[a->n_members++];
        *m = (ArchiveMember){
            .name = (const char *)p + ENTRY,
            .n_name = (uint16_t)name,
            .flags = u16(p + 8),
            .method = u16(p + 10),
            .crc = u32(p + 16),
            .packed = u32(p + 20),
            .size = u32(p + 24),
            .header = u32(p + 42),
        };
        bool full = m->size == UINT32_MAX || m->packed == UINT32_MAX || m->header == UINT32_MAX;
        if (full && !read_zip64(m, p + ENTRY + name, extra)) return false;
        p += all;
        left -= all;
    }
    return true;
}

static int compare_names(const char *a, size_t n_a, const char *b, size_t n_b) {
    int c = memcmp(a, b, n_a < n_b ? n_a : n_b);
    return c ? c : (n_a > n_b) - (n_a < n_b);
}

static int by_name(const void *a, const void *b) {
    const ArchiveMember *x = a, *y = b;
    int c = compare_names(x->name, x->n_name, y->name, y->n_name);
    return c ? c : (x->name > y->name) - (x->name < y->name); // as they lie in the directory
}

bool archive_open(Archive *a, const char *path, Error *err) {
    Where w = {0};
    *a = (Archive){.file.fd = -1};
    if (!input_open(&a->file, path, err) || !find_directory(a, &w, err)) return false;
    a->directory = mem_try_raw(w.bytes + 1);
    a->members = mem_try_raw(w.n * sizeof *a->members + 1);
    if (!a->directory || !a->members)
        return fail_memory(err, "%s: its directory of %llu files", path, (unsigned long long)w.n);
    if (!input_read(&a->file, w.at, a->directory, w.bytes, err)) return false;
    if (!read_entries(a, &w)) return damaged(a, err);
    qsort(a->members, (size_t)a->n_members, sizeof *a->members, by_name);
    return true;
}

void archive_close(Archive *a) {
    input_close(&a->file);
    mem_free(a->directory);
    mem_free(a->members);
    *a = (Archive){.file.fd = -1};
}

int64_t archive_from(const Archive *a, const char *name) {
    int64_t low = 0, high = a->n_members;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        const ArchiveMember *m = &a->members[middle];
        if (compare_names(m->name, m->n_name, name, strlen(name)) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const ArchiveMember *archive_find(const Archive *a, const char *name) {
    const ArchiveMember *found = NULL;
    for (int64_t i = archive_from(a, name); i < a->n_members; i++) {
        const ArchiveMember *m = &a->members[i];
        if (compare_names(m->name, m->n_name, name, strlen(name)) != 0) break;
        found = m;
    }
    return found;
}

bool archive_ends(const ArchiveMember *m, const char *end) {
    size_t n = strlen(end);
    return m->n_name >= n && memcmp(m->name + m->n_name - n, end, n) == 0;
}

// ---- a member -----------------------------------------------------------------------------------

CHECKED static bool refuse_member(const Archive *a, const ArchiveMember *m, const char *why,
                                  Error *err) {
    return fail(err, "%s: %.*s %s", a->file.path, m->n_name > 400 ? 400 : (int)m->n_name, m->name,
                why);
}

// What is wrong with a member whose bytes are not what the directory says.
CHECKED static bool refuse_bytes(const Archive *a, const ArchiveMember *m, Error *err) {
    return refuse_member(
        a, m, "is cut short or damaged: copy the zip file again from where it is whole", err);
}

// Where the member's bytes are, and that they lie in the file.
CHECKED static bool find_bytes(const Archive *a, const ArchiveMember *m, uint64_t *at, Error *err) {
    uint8_t local[LOCAL];
    if (m->flags & ENCRYPTED)
        return refuse_member(a, m, "is encrypted: unpack the zip file first", err);
    if (m->method != STORED && m->method != DEFLATED)
        return refuse_member(a, m,
                             "is packed in a way that is not read (only stored and deflated "
                             "are): unpack the zip file and import the folder",
                             err);
    if (!lies(a, m->header, LOCAL)) return refuse_bytes(a, m, err);
    if (!input_read(&a->file, m->header, local, LOCAL, err)) return false;
    *at = m->header + LOCAL + u16(local + 26) + u16(local + 28);
    bool fits = m->method == STORED ? m->size == m->packed : m->size / DEFLATE_MOST <= m->packed;
    if (fits && m->size > ARCHIVE_FREE + ARCHIVE_PER_BYTE * m->packed)
        return refuse_member(a, m,
                             "unpacks to far more than the file holds, which is refused: unpack "
                             "the zip file first",
                             err);
    return (u32(local) == 0x04034b50 && lies(a, *at, m->packed) && fits) || refuse_bytes(a, m, err);
}

static bool inflate_all(const uint8_t *in, size_t n_in, uint8_t *out, size_t n_out) {
    z_stream z = {.next_in = (Bytef *)in, .next_out = out};
    if (n_in > UINT32_MAX || n_out > UINT32_MAX || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return false;
    z.avail_in = (uInt)n_in;
    z.avail_out = (uInt)n_out;
    bool ok = inflate(&z, Z_FINISH) == Z_STREAM_END && z.total_out == n_out;
    inflateEnd(&z);
    return ok;
}

CHECKED static bool read_deflated(const Archive *a, const ArchiveMember *m, uint64_t at,
                                  uint8_t *out, Error *err) {
    uint8_t *packed = mem_try_raw(m->packed + 1);
    if (!packed)
        return fail_memory(err, "%s: %llu bytes", a->file.path, (unsigned long long)m->packed);
    bool ok = input_read(&a->file, at, packed, m->packed, err) &&
              (inflate_all(packed, m->packed, out, m->size) || refuse_bytes(a, m, err));
    mem_free(packed);
    return ok;
}

bool archive_read(const Archive *a, const ArchiveMember *m, uint8_t **bytes, size_t *room,
                  Error *err) {
    uint64_t at = 0;
    if (!find_bytes(a, m, &at, err)) return false;
    if (!*bytes || *room < m->size) {
        mem_free(*bytes);
        *bytes = mem_try_raw(m->size + 1);
        *room = *bytes ? m->size : 0;
    }
    if (!*bytes)
        return fail_memory(err, "%s: %llu bytes", a->file.path, (unsigned long long)m->size);
    bool ok = m->method == STORED ? input_read(&a->file, at, *bytes, m->size, err)
                                  : read_deflated(a, m, at, *bytes, err);
    return ok && (crc32_z(0, *bytes, m->size) == m->crc || refuse_bytes(a, m, err));
}
