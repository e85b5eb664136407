// SPDX-License-Identifier: Apache-2.0
// Any bytes as a replay buffer: it is refused, or every number and frame of it is refused or can be
// read. Bytes that begin as a zip file are one; parts become one whose checksums are right, so that
// they keep the fuzzer out of nothing.
#include "base/memory.h"
#include "driver.h"
#include "formats/ffmpeg/image_file.h"
#include "import/umi.h"
#include <stdlib.h>
#include <string.h>

enum { LARGE = 1 << 20 }; // what takes more bytes only takes time

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
    Error err = {""};
    for (int v = 0; v < s->n_vectors; v++)
        for (int64_t e = 0; e < s->n_episodes && e < 8; e++) {
            int64_t n = s->episodes[e].length * s->vectors[v].dim;
            if (n > LARGE || u->vectors[v].chunk_bytes > LARGE) continue;
            double *out = malloc((size_t)n * sizeof *out);
            if (fuzz_ok(umi_form.vector(s, e, v, out, &err), &err))
                for (int64_t i = 0; i < n; i++)
                    if (!(out[i] - out[i] == 0)) abort(); // none is NaN or infinite
            free(out);
        }
}

static void read_frames(ImportSource *s) {
    void *cursor = NULL;
    for (int c = 0; c < s->n_cameras; c++)
        for (int64_t e = 0; e < s->n_episodes && e < 4; e++)
            for (int64_t row = 0; row < s->episodes[e].length && row < 4; row++) {
                const ZarrArray *a = &((const Umi *)s->data)->cameras[c];
                Image image;
                uint8_t *bytes;
                size_t size;
                Error err = {""};
                if (a->row > LARGE || a->chunk_bytes > LARGE) continue;
                if (fuzz_ok(umi_form.frame(s, &cursor, e, c, row, &image, &err), &err)) {
                    if (image.height != s->cameras[c].height) abort();
                    fuzz_use_bytes(image.rgb, (size_t)a->row);
                    image_free(&image);
                }
                // Blocks of an old cursor may be larger than what was read into them.
                if (row % 2 == 0) umi_form.cursor_free(cursor), cursor = NULL;
                if (fuzz_ok(umi_form.stored(s, &cursor, e, c, row, &bytes, &size, &err), &err))
                    mem_free(bytes);
            }
    umi_form.cursor_free(cursor);
}

static void read_file(const char *path) {
    ImportSource s = {.path = path, .reader = &umi_form, .decode = look_at_image};
    Error err = {""};
    if (!umi_form.recognise(path) || !fuzz_ok(umi_form.open(&s, &err), &err)) return;
    read_vectors(&s);
    read_frames(&s);
    umi_form.close(&s);
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    if (size >= 4 && memcmp(data, "PK\3\4", 4) == 0) {
        read_file(fuzz_file(data, size));
        return;
    }
    size_t made;
    uint8_t *bytes = fuzz_zip(parts, fuzz_split(data, size, parts), &made);
    read_file(fuzz_file(bytes, made));
    free(bytes);
}
