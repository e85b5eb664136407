// SPDX-License-Identifier: Apache-2.0
// A record is: the length of its message (8 bytes, the lowest first), the masked checksum of these
// bytes (4), the message, its masked checksum (4). Of protobuf only fields with a number, a float,
// a double or bytes are needed. In them a length stands before what it is the length of; a record
// is put together backwards, so every length is known when its turn comes.
#include "curves/event_file.h"

#include "base/file.h"
#include "base/memory.h"
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

// Numbers of fields in TensorFlow's event.proto, summary.proto and tensor.proto.
enum {
    EVENT_WALL_TIME = 1,
    EVENT_STEP = 2,
    EVENT_FILE_VERSION = 3,
    EVENT_SUMMARY = 5,
    EVENT_SESSION_LOG = 7,
    SESSION_STATUS = 1,
    SUMMARY_VALUE = 1,
    VALUE_TAG = 1,
    VALUE_SIMPLE = 2,
    VALUE_IMAGE = 4,
    VALUE_TENSOR = 8,
    VALUE_METADATA = 9,
    METADATA_PLUGIN = 1,
    PLUGIN_NAME = 1,
    IMAGE_HEIGHT = 1,
    IMAGE_WIDTH = 2,
    IMAGE_COLOURS = 3,
    IMAGE_BYTES = 4,
    TENSOR_TYPE = 1,
    TENSOR_SHAPE = 2,
    TENSOR_STRING = 8,
    SHAPE_SIZE = 2,
    SIZE_SIZE = 1,
};
enum { SESSION_START = 1, COLOURS_RGB = 3, TYPE_STRING = 7 };
enum { WIRE_VARINT = 0, WIRE_8_BYTES = 1, WIRE_BYTES = 2, WIRE_4_BYTES = 5 };
// More than all that stands in a record around its texts, scalars and pictures, and around one
// scalar.
enum { AROUND = 256, AROUND_SCALAR = 64 };

uint32_t crc32c(const void *bytes, size_t size) {
    uint32_t crc = 0xffffffffu;
    for (const uint8_t *p = bytes, *end = p + size; p < end; p++) {
        crc ^= *p;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

uint32_t crc32c_masked(const void *bytes, size_t size) {
    uint32_t crc = crc32c(bytes, size);
    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

// ---- a message, from its end to its beginning ---------------------------------------------------

static void begin_record(EventFile *f, size_t payload) {
    size_t need = payload + AROUND;
    if (f->size < need) {
        mem_free(f->room);
        f->room = mem_alloc(need);
        f->size = need;
    }
    f->at = f->size;
}

static void put_bytes(EventFile *f, const void *bytes, size_t size) {
    if (size > f->at) abort(); // begin_record was told too little
    f->at -= size;
    if (size) memcpy(f->room + f->at, bytes, size);
}

// The lowest byte first, whatever the processor's order.
static void put_number(EventFile *f, uint64_t value, size_t size) {
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++) bytes[i] = (uint8_t)(value >> 8 * i);
    put_bytes(f, bytes, size);
}

static void put_varint(EventFile *f, uint64_t value) {
    uint8_t bytes[10];
    size_t n = 0;
    for (; value >= 128; value >>= 7) bytes[n++] = (uint8_t)(value | 128);
    bytes[n++] = (uint8_t)value;
    put_bytes(f, bytes, n);
}

static void put_key(EventFile *f, int field, int wire) {
    put_varint(f, (uint64_t)field << 3 | (uint64_t)wire);
}

static void put_whole(EventFile *f, int field, int64_t value) {
    put_varint(f, (uint64_t)value);
    put_key(f, field, WIRE_VARINT);
}

static void put_float(EventFile *f, int field, float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_number(f, bits, sizeof bits);
    put_key(f, field, WIRE_4_BYTES);
}

static void put_double(EventFile *f, int field, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_number(f, bits, sizeof bits);
    put_key(f, field, WIRE_8_BYTES);
}

// Makes a field of what was put since the message ended at `end`.
static void put_message(EventFile *f, int field, size_t end) {
    put_varint(f, end - f->at);
    put_key(f, field, WIRE_BYTES);
}

static void put_field(EventFile *f, int field, const void *bytes, size_t size) {
    size_t end = f->at;
    put_bytes(f, bytes, size);
    put_message(f, field, end);
}

static void put_text(EventFile *f, int field, const char *text) {
    put_field(f, field, text, strlen(text));
}

// ---- records ------------------------------------------------------------------------------------

static double wall_time(void) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Leaves room for the checksum behind the message, whose end is given back.
static size_t begin_event(EventFile *f, size_t payload) {
    begin_record(f, payload);
    f->at -= 4;
    return f->at;
}

// The rest of the event whose contents were put, its frame, and out with it.
CHECKED static bool end_event(EventFile *f, int64_t step, size_t end, Error *err) {
    put_whole(f, EVENT_STEP, step);
    put_double(f, EVENT_WALL_TIME, wall_time());
    uint32_t crc = crc32c_masked(f->room + f->at, end - f->at);
    for (int i = 0; i < 4; i++) f->room[end + (size_t)i] = (uint8_t)(crc >> 8 * i);
    uint8_t header[8];
    for (int i = 0; i < 8; i++) header[i] = (uint8_t)((uint64_t)(end - f->at) >> 8 * i);
    put_number(f, crc32c_masked(header, sizeof header), 4);
    put_bytes(f, header, sizeof header);
    return append_write(&f->file, f->room + f->at, f->size - f->at, err);
}

bool event_scalars(EventFile *f, int64_t step, const char *group, const CurvePoint *points, int n,
                   Error *err) {
    size_t payload = 0;
    for (int i = 0; i < n; i++) payload += strlen(points[i].name) + strlen(group) + AROUND_SCALAR;
    size_t end = begin_event(f, payload);
    for (int i = n - 1; i >= 0; i--) {
        size_t value = f->at;
        put_float(f, VALUE_SIMPLE, (float)points[i].value);
        size_t tag = f->at;
        put_bytes(f, points[i].name, strlen(points[i].name));
        put_bytes(f, "/", 1);
        put_bytes(f, group, strlen(group));
        put_message(f, VALUE_TAG, tag);
        put_message(f, SUMMARY_VALUE, value);
    }
    put_message(f, EVENT_SUMMARY, end);
    return end_event(f, step, end, err);
}

// Closes the one value of a summary that ends at `end`.
CHECKED static bool end_value(EventFile *f, int64_t step, const char *tag, size_t end, Error *err) {
    put_text(f, VALUE_TAG, tag);
    put_message(f, SUMMARY_VALUE, end);
    put_message(f, EVENT_SUMMARY, end);
    return end_event(f, step, end, err);
}

// A tensor of one string, which metadata give to TensorBoard's plugin of texts.
bool event_text(EventFile *f, int64_t step, const char *tag, const char *text, Error *err) {
    size_t end = begin_event(f, strlen(text) + strlen(tag));
    put_text(f, PLUGIN_NAME, "text");
    put_message(f, METADATA_PLUGIN, end);
    put_message(f, VALUE_METADATA, end);
    size_t tensor = f->at;
    put_text(f, TENSOR_STRING, text);
    size_t shape = f->at;
    put_whole(f, SIZE_SIZE, 1);
    put_message(f, SHAPE_SIZE, shape);
    put_message(f, TENSOR_SHAPE, shape);
    put_whole(f, TENSOR_TYPE, TYPE_STRING);
    put_message(f, VALUE_TENSOR, tensor);
    return end_value(f, step, tag, end, err);
}

bool event_image(EventFile *f, int64_t step, const char *tag, int height, int width,
                 const uint8_t *png, size_t bytes, Error *err) {
    size_t end = begin_event(f, bytes + strlen(tag));
    put_field(f, IMAGE_BYTES, png, bytes);
    put_whole(f, IMAGE_COLOURS, COLOURS_RGB);
    put_whole(f, IMAGE_WIDTH, width);
    put_whole(f, IMAGE_HEIGHT, height);
    put_message(f, VALUE_IMAGE, end);
    return end_value(f, step, tag, end, err);
}

// ---- the file -----------------------------------------------------------------------------------

// Files are read in the order of their names, which begin with a time: the present one, or, where
// the clock was set back or a run is that fast, the one behind the last file's.
CHECKED static bool time_of_name(const char *dir, long long *out, Error *err) {
    static const char prefix[] = "events.out.tfevents.";
    long long at = (long long)time(NULL);
    DIR *d;
    if (!dir_open(dir, &d, err)) return false;
    for (struct dirent *e; d && (e = readdir(d));) {
        if (strncmp(e->d_name, prefix, sizeof prefix - 1) != 0) continue;
        long long there = atoll(e->d_name + sizeof prefix - 1);
        if (there >= at && there < 9999999999) at = there + 1;
    }
    if (d) closedir(d);
    *out = at;
    return true;
}

// In files of version 2 steps only grow, until a session starts anew: then TensorBoard drops what
// it has of that event's step and later ones. The first session has to be started too, for the
// program TensorBoard drops nothing at the first start that it sees; its Python library does.
CHECKED static bool write_start(EventFile *f, int64_t first_step, Error *err) {
    size_t end = begin_event(f, 0);
    put_text(f, EVENT_FILE_VERSION, "brain.Event:2");
    if (!end_event(f, 0, end, err)) return false;
    end = begin_event(f, 0);
    put_whole(f, SESSION_STATUS, SESSION_START);
    put_message(f, EVENT_SESSION_LOG, end);
    return end_event(f, first_step, end, err);
}

bool event_file_open(EventFile *f, const char *dir, int64_t first_step, Error *err) {
    char path[4096], host[256] = "host";
    *f = (EventFile){.file = {.fd = -1}};
    long long at;
    if (!make_dirs(dir, err) || !time_of_name(dir, &at, err)) return false;
    if (gethostname(host, sizeof host) != 0) snprintf(host, sizeof host, "host");
    host[sizeof host - 1] = 0;
    snprintf(path, sizeof path, "%s/events.out.tfevents.%010lld.%.64s.%d", dir, at, host,
             (int)getpid());
    if (!append_open(&f->file, path, err)) return false;
    if (write_start(f, first_step, err)) return true;
    event_file_close(f);
    return false;
}

bool event_file_sync(EventFile *f, Error *err) {
    return append_sync(&f->file, err);
}

void event_file_close(EventFile *f) {
    append_close(&f->file);
    mem_free(f->room);
    f->room = NULL;
    f->size = f->at = 0;
}
