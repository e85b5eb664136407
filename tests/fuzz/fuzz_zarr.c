// SPDX-License-Identifier: Apache-2.0
// Any bytes as a replay buffer: it is refused, or every number and frame of it is refused or can be
// read. Bytes that begin as a zip file are one; of others (name, line end, length in two bytes, the
// bytes; and so on) a zip file is made whose checksums are right, so that they keep the fuzzer out
// of nothing.
#include "formats/ffmpeg/image_file.h"
#include "import/umi.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILES_MOST = 64, LARGE = 1 << 20 }; // what takes more bytes only takes time

// ---- a zip file of files ------------------------------------------------------------------------

typedef struct Out {
    uint8_t *bytes;
    size_t n;
} Out;

static void put(Out *o, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) o->bytes[o->n++] = (uint8_t)(value >> (8 * i));
}

static void put_bytes(Out *o, const uint8_t *p, size_t n) {
    if (n) memcpy(o->bytes + o->n, p, n);
    o->n += n;
}

typedef struct File {
    const uint8_t *name, *bytes;
    size_t n_name, n;
    uint64_t at;
} File;

// What a local header and an entry of the directory have in common.
static void put_header(Out *o, const File *f) {
    put(o, 20, 2); // version
    put(o, 0, 8);  // flags, stored, time
    put(o, crc32_z(0, f->bytes, f->n), 4);
    put(o, f->n, 4);
    put(o, f->n, 4);
    put(o, f->n_name, 2);
    put(o, 0, 2);
}

static int split(const uint8_t *data, size_t size, File *files) {
    int n = 0;
    while (n < FILES_MOST) {
        const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
        if (!end || end - data > 200 || size - (size_t)(end - data) < 3) break;
        File f = {.name = data, .n_name = (size_t)(end - data), .bytes = end + 3};
        size_t left = size - f.n_name - 3, wanted = end[1] | (size_t)end[2] << 8;
        f.n = wanted < left ? wanted : left;
        files[n++] = f;
        data = f.bytes + f.n;
        size = left - f.n;
    }
    return n;
}

static Out zip_of(const uint8_t *data, size_t size) {
    File files[FILES_MOST];
    int n = split(data, size, files);
    Out o = {.bytes = malloc(2 * size + (size_t)n * 100 + 100)};
    for (int i = 0; i < n; i++) {
        files[i].at = o.n;
        put(&o, 0x04034b50, 4);
        put_header(&o, &files[i]);
        put_bytes(&o, files[i].name, files[i].n_name);
        put_bytes(&o, files[i].bytes, files[i].n);
    }
    size_t directory = o.n;
    for (int i = 0; i < n; i++) {
        put(&o, 0x02014b50, 4);
        put(&o, 20, 2);
        put_header(&o, &files[i]);
        put(&o, 0, 2); // comment
        put(&o, 0, 8); // disk, attributes
        put(&o, files[i].at, 4);
        put_bytes(&o, files[i].name, files[i].n_name);
    }
    size_t bytes = o.n - directory;
    put(&o, 0x06054b50, 4);
    put(&o, 0, 4);
    put(&o, (uint64_t)n, 2);
    put(&o, (uint64_t)n, 2);
    put(&o, bytes, 4);
    put(&o, directory, 4);
    put(&o, 0, 2);
    return o;
}

// ---- reading all of it --------------------------------------------------------------------------

// Image files are looked at as they are before FFmpeg decodes them, which is not called: in its
// place comes an image of the size that the seeds have.
static bool look_at_image(const void *bytes, size_t size, const char *name, Image *out,
                          Error *err) {
    enum { SIDE = 5 };
    ImageFile file;
    if (!image_file_look(bytes, size, name, &file, err)) return false;
    *out = (Image){SIDE, SIDE, mem_alloc(image_rgb_bytes(SIDE, SIDE))};
    return true;
}

static void read_vectors(ImportSource *s) {
    const Umi *u = s->data;
    Error err;
    for (int v = 0; v < s->n_vectors; v++)
        for (int64_t e = 0; e < s->n_episodes && e < 8; e++) {
            int64_t n = s->episodes[e].length * s->vectors[v].dim;
            if (n > LARGE || u->vectors[v].chunk_bytes > LARGE) continue;
            double *out = malloc((size_t)n * sizeof *out);
            if (umi_form.vector(s, e, v, out, &err))
                for (int64_t i = 0; i < n; i++)
                    if (!(out[i] - out[i] == 0)) abort(); // none is NaN or infinite
            free(out);
        }
}

static void read_frames(ImportSource *s) {
    void *cursor = NULL;
    volatile int sum = 0;
    for (int c = 0; c < s->n_cameras; c++)
        for (int64_t e = 0; e < s->n_episodes && e < 4; e++)
            for (int64_t row = 0; row < s->episodes[e].length && row < 4; row++) {
                const ZarrArray *a = &((const Umi *)s->data)->cameras[c];
                Image image;
                uint8_t *bytes;
                size_t size;
                Error err;
                if (a->row > LARGE || a->chunk_bytes > LARGE) continue;
                if (umi_form.frame(s, &cursor, e, c, row, &image, &err)) {
                    if (image.height != s->cameras[c].height) abort();
                    for (int64_t i = 0; i < a->row; i++) sum += image.rgb[i];
                    image_free(&image);
                }
                // Blocks of an old cursor may be larger than what was read into them.
                if (row % 2 == 0) umi_form.cursor_free(cursor), cursor = NULL;
                if (umi_form.stored(s, &cursor, e, c, row, &bytes, &size, &err)) mem_free(bytes);
            }
    (void)sum;
    umi_form.cursor_free(cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char path[64];
    bool zip = size >= 4 && memcmp(data, "PK\3\4", 4) == 0;
    Out made = zip ? (Out){.bytes = NULL} : zip_of(data, size);
    int fd = memfd_create("fuzz", 0);
    size_t n = zip ? size : made.n;
    if (fd < 0 || write(fd, zip ? data : made.bytes, n) != (ssize_t)n) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    free(made.bytes);
    ImportSource s = {.path = path, .reader = &umi_form, .decode = look_at_image};
    Error err;
    if (umi_form.recognise(path) && umi_form.open(&s, &err)) {
        read_vectors(&s);
        read_frames(&s);
        umi_form.close(&s);
    }
    close(fd);
    return 0;
}
