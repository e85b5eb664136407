// SPDX-License-Identifier: Apache-2.0
// Event files for TensorBoard: checksums against published values, and every record taken apart by
// a reader that knows nothing of the writer.
#include "base/file.h"
#include "base/memory.h"
#include "curves/event_file.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../ok.h"

// The examples of RFC 3720, appendix B.4, and the "check" value of the CRC catalogues.
static void checksums_are_the_published_ones(void **state) {
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(bytes, 32), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c("123456789", 9), 0xe3069283);
    assert_int_equal(crc32c("", 0), 0);
    // Turned right by 15 and shifted by a constant: 0 becomes that constant.
    assert_int_equal(crc32c_masked("", 0), 0xa282ead8);
    // The first 12 bytes of every event file whose first message has 24 bytes.
    assert_int_equal(crc32c_masked("\x18\0\0\0\0\0\0", 8), 0x224b7fa3);
}

// ---- a reader -----------------------------------------------------------------------------------

typedef struct Span {
    const uint8_t *at, *end;
} Span;

static uint64_t number(Span *s, int bytes) {
    uint64_t value = 0;
    assert_true(s->end - s->at >= bytes);
    for (int i = 0; i < bytes; i++) value |= (uint64_t)*s->at++ << 8 * i;
    return value;
}

static uint64_t varint(Span *s) {
    uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
        uint8_t byte = (uint8_t)number(s, 1);
        value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return value;
    }
}

static Span bytes_of(Span *s, uint64_t size) {
    assert_true((uint64_t)(s->end - s->at) >= size);
    Span out = {s->at, s->at + size};
    s->at += size;
    return out;
}

// The message of the next record.
static Span record(Span *s) {
    const uint8_t *header = s->at;
    uint64_t size = number(s, 8);
    assert_int_equal(number(s, 4), crc32c_masked(header, 8));
    Span message = bytes_of(s, size);
    assert_int_equal(number(s, 4), crc32c_masked(message.at, size));
    return message;
}

// One field of a message: a number, or bytes.
typedef struct Part {
    int field, wire;
    uint64_t value;
    Span bytes;
} Part;

static Part next_part(Span *s) {
    uint64_t key = varint(s);
    Part p = {.field = (int)(key >> 3), .wire = (int)(key & 7)};
    if (p.wire == 0)
        p.value = varint(s);
    else if (p.wire == 1)
        p.value = number(s, 8);
    else if (p.wire == 5)
        p.value = number(s, 4);
    else
        p.bytes = bytes_of(s, varint(s));
    return p;
}

// The nth part with this number of a message, which has to be there.
static Part part(Span message, int field, int nth) {
    while (message.at < message.end) {
        Part p = next_part(&message);
        if (p.field == field && nth-- == 0) return p;
    }
    fail_msg("no field %d", field);
    return (Part){0};
}

static void assert_text(Part p, const char *want) {
    assert_int_equal(p.wire, 2);
    assert_int_equal(p.bytes.end - p.bytes.at, strlen(want));
    assert_memory_equal(p.bytes.at, want, strlen(want));
}

static double as_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static double as_float(uint64_t bits) {
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof value);
    return (double)value;
}

static int event_names(const char *dir, char names[4][256]) {
    struct dirent **list;
    int n = scandir(dir, &list, NULL, alphasort), found = 0;
    for (int i = 0; i < n; i++) {
        if (list[i]->d_name[0] != '.' && found < 4)
            snprintf(names[found++], 256, "%s", list[i]->d_name);
        free(list[i]);
    }
    free(list);
    return found;
}

static char *read_all(const char *dir, const char *name, Span *s) {
    char path[1024], *data;
    size_t size;
    Error err;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    OK(file_read(path, &data, &size, &err));
    *s = (Span){(uint8_t *)data, (uint8_t *)data + size};
    return data;
}

static void assert_step(Span event, uint64_t step) {
    assert_int_equal(part(event, 2, 0).value, step);
    double wall = as_double(part(event, 1, 0).value);
    assert_true(wall > 1.7e9 && wall < 1e10);
}

// ---- what is written ----------------------------------------------------------------------------

static void records_hold_what_was_given(void **state) {
    (void)state;
    char dir[1024], names[4][256];
    Error err;
    EventFile f;
    Span s;
    static const uint8_t png[300] = {0x89, 'P', 'N', 'G'};
    const CurvePoint points[] = {{"loss", 6.5}, {"lr", 1e-5}, {"very_small", -0.25}};
    OK(make_temporary_dir(dir, sizeof dir, NULL, &err));
    OK(event_file_open(&f, dir, 0, &err));
    OK(event_scalars(&f, 200, "train", points, 3, &err));
    OK(event_text(&f, 0, "settings", "| a | b |", &err));
    OK(event_image(&f, INT64_C(1) << 40, "eval/episode", 144, 768, png, sizeof png, &err));
    OK(event_file_sync(&f, &err));
    event_file_close(&f);
    assert_int_equal(event_names(dir, names), 1);
    char *data = read_all(dir, names[0], &s);

    assert_text(part(record(&s), 3, 0), "brain.Event:2");
    Span event = record(&s);
    assert_step(event, 0);
    assert_int_equal(part(part(event, 7, 0).bytes, 1, 0).value, 1);
    event = record(&s);
    assert_step(event, 200);
    for (int i = 0; i < 3; i++) {
        Span value = part(part(event, 5, 0).bytes, 1, i).bytes;
        char tag[64];
        snprintf(tag, sizeof tag, "train/%s", points[i].name);
        assert_text(part(value, 1, 0), tag);
        assert_true(as_float(part(value, 2, 0).value) == (double)(float)points[i].value);
    }
    event = record(&s);
    assert_step(event, 0);
    Span value = part(part(event, 5, 0).bytes, 1, 0).bytes;
    assert_text(part(value, 1, 0), "settings");
    assert_text(part(part(part(value, 9, 0).bytes, 1, 0).bytes, 1, 0), "text");
    Span tensor = part(value, 8, 0).bytes;
    assert_int_equal(part(tensor, 1, 0).value, 7);
    assert_int_equal(part(part(part(tensor, 2, 0).bytes, 2, 0).bytes, 1, 0).value, 1);
    assert_text(part(tensor, 8, 0), "| a | b |");
    event = record(&s);
    assert_step(event, UINT64_C(1) << 40);
    value = part(part(event, 5, 0).bytes, 1, 0).bytes;
    assert_text(part(value, 1, 0), "eval/episode");
    Span image = part(value, 4, 0).bytes;
    assert_int_equal(part(image, 1, 0).value, 144);
    assert_int_equal(part(image, 2, 0).value, 768);
    assert_int_equal(part(image, 3, 0).value, 3);
    assert_int_equal(part(image, 4, 0).bytes.end - part(image, 4, 0).bytes.at, sizeof png);
    assert_memory_equal(part(image, 4, 0).bytes.at, png, sizeof png);
    assert_ptr_equal(s.at, s.end);
    mem_free(data);
    OK(remove_tree(dir, &err));
}

// A run that goes on has a file of its own, which is read last and says where it begins.
static void a_later_file_says_where_it_begins(void **state) {
    (void)state;
    char dir[1024], path[1100], names[4][256];
    Error err;
    EventFile f;
    Span s;
    OK(make_temporary_dir(dir, sizeof dir, NULL, &err));
    snprintf(path, sizeof path, "%s/events.out.tfevents.4000000000.host.1", dir);
    OK(file_write(path, "", 0, &err)); // made when the clock was wrong
    for (int i = 0; i < 2; i++) {
        OK(event_file_open(&f, dir, 21 + i, &err));
        event_file_close(&f);
    }
    assert_int_equal(event_names(dir, names), 3);
    for (int i = 0; i < 2; i++) {
        char *data = read_all(dir, names[i + 1], &s);
        assert_text(part(record(&s), 3, 0), "brain.Event:2");
        Span event = record(&s);
        assert_step(event, (uint64_t)(21 + i));
        assert_int_equal(part(part(event, 7, 0).bytes, 1, 0).value, 1);
        assert_ptr_equal(s.at, s.end);
        mem_free(data);
    }
    OK(remove_tree(dir, &err));
}

static void a_full_disk_is_reported(void **state) {
    (void)state;
    Error err = {""};
    EventFile f = {.file = {.fd = -1}};
    const CurvePoint point = {"loss", 1};
    OK(append_open(&f.file, "/dev/full", &err));
    assert_false(event_scalars(&f, 1, "train", &point, 1, &err));
    assert_non_null(strstr(err.text, "/dev/full: cannot write"));
    event_file_close(&f);
    event_file_close(&f);
    OK(event_scalars(&f, 1, "train", &point, 1, &err)); // of no file: nothing
    event_file_close(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checksums_are_the_published_ones),
        cmocka_unit_test(records_hold_what_was_given),
        cmocka_unit_test(a_later_file_says_where_it_begins),
        cmocka_unit_test(a_full_disk_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
