// SPDX-License-Identifier: Apache-2.0
// Any files as what an import that was stopped has left (ROOT.partial): refused, or gone on with;
// and any bytes as the note of a part, and as the part itself.
#include "base/memory.h"
#include "driver.h"
#include "import/begun.h"
#include "import/part_file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { NOTE_SUM = 32 }; // place of a note's own checksum

static void go_on(const char *root) {
    PlanEpisode episodes[] = {{.source = 0, .length = 3}, {.source = 2, .length = 4}};
    const ImportSource source = {.path = "recordings.hdf5", .form = "test"};
    const Plan plan = {.source = &source,
                       .o = {.root = root, .fps = 30},
                       .fps = 30,
                       .n_episodes = 2,
                       .rows = 7,
                       .episodes = episodes};
    Begun b = {.lock = -1};
    Digest digest;
    Error err = {""};
    if (fuzz_ok(begun_open(&b, &plan, &err), &err)) {
        if (!digest_source(&digest, &source, &err)) abort();
        (void)fuzz_ok(begun_check(&b, &plan, &digest, &err), &err);
    }
    begun_close(&b);
}

// A note whose checksum is right where its first byte says so.
static void read_note(const FuzzPart *note) {
    PixelCounts *pixels = NEW(PixelCounts, 1);
    Part part = {.n = 3, .pixels = pixels};
    uint8_t *bytes = malloc(note->size + 1);
    memcpy(bytes, note->data, note->size);
    if (note->size > NOTE_SUM && bytes[0] == 'T') {
        uint64_t sum = 0;
        bytes[0] = 't';
        memcpy(bytes + NOTE_SUM - 8, &sum, 8);
        sum = crc32_z(0, bytes, note->size);
        memcpy(bytes + NOTE_SUM - 8, &sum, 8);
    }
    if (part_note_read(fuzz_file(bytes, note->size), &part)) fuzz_use((double)part.bytes);
    free(bytes);
    mem_free(pixels);
}

static void read_part(const FuzzPart *part) {
    enum { IMAGES = 3 };
    ParquetBytes images[IMAGES];
    const char *path = fuzz_file(part->data, part->size);
    char *data;
    int64_t bytes;
    uint32_t sum;
    Error err = {""};
    if (!fuzz_ok(part_look(path, &bytes, &sum, &err), &err)) return; // one that names a file in LFS
    if ((size_t)bytes != part->size) abort();
    if (!fuzz_ok(part_images_read(path, IMAGES, &data, images, &err), &err)) return;
    for (int i = 0; i < IMAGES; i++) fuzz_use_bytes(images[i].data, images[i].size);
    mem_free(data);
}

void fuzz_input(const uint8_t *data, size_t size) {
    FuzzPart parts[FUZZ_MOST_PARTS];
    char root[512];
    const int n = fuzz_split(data, size, parts);
    const FuzzPart *note = fuzz_part(parts, n, "note"), *part = fuzz_part(parts, n, "part");
    snprintf(root, sizeof root, "%s/root", fuzz_folder(parts, n, "root.partial"));
    go_on(root);
    if (note) read_note(note);
    if (part) read_part(part);
}
