// SPDX-License-Identifier: Apache-2.0
// Zip files byte by byte: zip64, comments, names that come twice, members that are not read, and
// damage at every byte.
#include "umi_fixture.h"
#include <zlib.h>

static const char text[] = "what is stored in a member";

typedef struct Zip {
    uint8_t bytes[2048];
    size_t n;
    int members;
    struct {
        const char *name;
        size_t at, n;
        uint32_t crc;
        int method, flags;
        size_t size;
    } of[8];
} Zip;

static void put(Zip *z, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) z->bytes[z->n++] = (uint8_t)(value >> (8 * i));
}

static void put_bytes(Zip *z, const void *p, size_t n) {
    memcpy(z->bytes + z->n, p, n);
    z->n += n;
}

// A local header and the packed bytes of a member whose contents are `size` bytes of `plain`.
static void add(Zip *z, const char *name, int method, int flags, const void *packed, size_t n,
                const void *plain, size_t size) {
    int i = z->members++;
    z->of[i].name = name;
    z->of[i].at = z->n;
    z->of[i].n = n;
    z->of[i].size = size;
    z->of[i].method = method;
    z->of[i].flags = flags;
    z->of[i].crc = (uint32_t)crc32(0, plain, (uInt)size);
    put(z, 0x04034b50, 4);
    put(z, 20, 2);
    put(z, (uint64_t)flags, 2);
    put(z, (uint64_t)method, 2);
    put(z, 0, 4);
    put(z, z->of[i].crc, 4);
    put(z, n, 4);
    put(z, size, 4);
    put(z, strlen(name), 2);
    put(z, 3, 2); // extra bytes here alone: the directory's length does not say where data begin
    put_bytes(z, name, strlen(name));
    put_bytes(z, "...", 3);
    put_bytes(z, packed, n);
}

static void add_stored(Zip *z, const char *name, const char *contents) {
    add(z, name, 0, 0, contents, strlen(contents), contents, strlen(contents));
}

// The directory and what follows it. zip64: all numbers stand where there is room for large ones.
static void finish(Zip *z, bool zip64, const char *comment) {
    size_t directory = z->n;
    for (int i = 0; i < z->members; i++) {
        put(z, 0x02014b50, 4);
        put(z, 45, 2);
        put(z, 45, 2);
        put(z, (uint64_t)z->of[i].flags, 2);
        put(z, (uint64_t)z->of[i].method, 2);
        put(z, 0, 4);
        put(z, z->of[i].crc, 4);
        put(z, zip64 ? UINT32_MAX : z->of[i].n, 4);
        put(z, zip64 ? UINT32_MAX : z->of[i].size, 4);
        put(z, strlen(z->of[i].name), 2);
        put(z, zip64 ? 5 + 28 : 0, 2);
        put(z, 0, 8);
        put(z, 0, 2);
        put(z, zip64 ? UINT32_MAX : z->of[i].at, 4);
        put_bytes(z, z->of[i].name, strlen(z->of[i].name));
        if (!zip64) continue;
        put(z, 0x9999, 2); // another field first
        put(z, 1, 2);
        put(z, 0, 1);
        put(z, 1, 2);
        put(z, 24, 2);
        put(z, z->of[i].size, 8);
        put(z, z->of[i].n, 8);
        put(z, z->of[i].at, 8);
    }
    size_t end = z->n, bytes = end - directory;
    if (zip64) {
        put(z, 0x06064b50, 4);
        put(z, 44, 8);
        put(z, 45, 4);
        put(z, 0, 8);
        put(z, (uint64_t)z->members, 8);
        put(z, (uint64_t)z->members, 8);
        put(z, bytes, 8);
        put(z, directory, 8);
        put(z, 0x07064b50, 4);
        put(z, 0, 4);
        put(z, end, 8);
        put(z, 1, 4);
    }
    put(z, 0x06054b50, 4);
    put(z, 0, 4);
    put(z, zip64 ? UINT16_MAX : (uint64_t)z->members, 2);
    put(z, zip64 ? UINT16_MAX : (uint64_t)z->members, 2);
    put(z, zip64 ? UINT32_MAX : bytes, 4);
    put(z, zip64 ? UINT32_MAX : directory, 4);
    put(z, strlen(comment), 2);
    put_bytes(z, comment, strlen(comment));
}

static const char *write_zip(Fixture *f, const Zip *z) {
    write_at(f, f->dir, "made.zip", z->bytes, z->n);
    return arena_printf(&f->arena, "%s/made.zip", f->dir);
}

static void assert_member(const Archive *a, const char *name, const char *contents) {
    Error err;
    uint8_t *bytes = NULL;
    size_t room = 0;
    const ArchiveMember *m = archive_find(a, name);
    assert_non_null(m);
    assert_int_equal(m->size, strlen(contents));
    OK(archive_read(a, m, &bytes, &room, &err));
    assert_memory_equal(bytes, contents, strlen(contents));
    mem_free(bytes);
}

static void members_are_found_by_name(void **state) {
    Fixture *f = *state;
    for (int zip64 = 0; zip64 < 2; zip64++) {
        Zip z = {.n = 0};
        Archive a;
        Error err;
        add_stored(&z, "b", "twice, the first");
        add_stored(&z, "a/c", text);
        add_stored(&z, "a", "");
        add_stored(&z, "b", "twice, the last");
        finish(&z, zip64, "a comment PK\5\6 with the end's own letters in it");
        OK(archive_open(&a, write_zip(f, &z), &err));
        assert_int_equal(a.n_members, 4);
        assert_member(&a, "a", "");
        assert_member(&a, "a/c", text);
        assert_member(&a, "b", "twice, the last");
        assert_null(archive_find(&a, "c"));
        assert_null(archive_find(&a, "a/"));
        assert_int_equal(archive_from(&a, "a/"), 1);
        assert_int_equal(archive_from(&a, "b/"), 4);
        archive_close(&a);
    }
}

static void refused_member(Fixture *f, int method, int flags, size_t size, const char *why) {
    Zip z = {.n = 0};
    Archive a;
    Error err;
    uint8_t *bytes = NULL;
    size_t room = 0;
    add(&z, "member", method, flags, text, sizeof text, text, sizeof text);
    z.of[0].size = size;
    finish(&z, false, "");
    OK(archive_open(&a, write_zip(f, &z), &err));
    assert_false(archive_read(&a, &a.members[0], &bytes, &room, &err));
    assert_says(&err, "made.zip: member", why);
    // So much does not come out of so few bytes: no memory is asked for.
    if (size > 1 << 20) assert_null(bytes);
    mem_free(bytes);
    archive_close(&a);
}

static void members_that_are_not_read_are_refused(void **state) {
    Fixture *f = *state;
    refused_member(f, 0, 1, sizeof text, "is encrypted");
    refused_member(f, 93, 0, sizeof text, "only stored and deflated are");
    refused_member(f, 0, 0, sizeof text + 1, "cut short or damaged");
    refused_member(f, 8, 0, sizeof text, "cut short or damaged");
    refused_member(f, 8, 0, 0xf0000000, "cut short or damaged");
}

// Whatever byte is another: the archive or the member is refused, or is as it was.
static void damage_is_seen_at_every_byte(void **state) {
    Fixture *f = *state;
    Zip whole = {.n = 0};
    uint8_t packed[200];
    uLongf n = sizeof packed;
    assert_int_equal(compress(packed, &n, (const Bytef *)text, sizeof text - 1), Z_OK);
    add_stored(&whole, "stored", text);
    // zlib's form without its header of two bytes and its sum of four.
    add(&whole, "deflated", 8, 0, packed + 2, n - 6, text, sizeof text - 1);
    finish(&whole, true, "");
    int intact[2] = {0};
    for (size_t i = 0; i < whole.n; i++) {
        Zip z = whole;
        Archive a;
        Error err;
        z.bytes[i] ^= (uint8_t)(1 << i % 8);
        bool open = archive_open(&a, write_zip(f, &z), &err);
        for (int64_t k = 0; open && k < a.n_members; k++) {
            uint8_t *bytes = NULL;
            size_t room = 0;
            const ArchiveMember *m = &a.members[k];
            if (archive_read(&a, m, &bytes, &room, &err) && m->size) {
                assert_memory_equal(bytes, text, m->size);
                intact[m->method != 0]++;
            }
            mem_free(bytes);
        }
        archive_close(&a);
    }
    // Names, times and the bytes of the other member may change.
    assert_true(intact[0] > 50 && intact[1] > 50);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_are_found_by_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(members_that_are_not_read_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(damage_is_seen_at_every_byte, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
