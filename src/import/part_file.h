// SPDX-License-Identifier: Apache-2.0
// Making one part: decoding its frames, encoding them, counting pixels. And the files of image
// files: for n frames n sizes (int64), then the bytes one behind the other.
#ifndef TACT_IMPORT_PART_FILE_H
#define TACT_IMPORT_PART_FILE_H

#include "import/parts.h"

// What one thread keeps from part to part.
typedef struct PartMaker PartMaker;
PartMaker *part_maker_new(const Plan *plan, ImportSource *source, _Atomic int64_t *frames,
                          const _Atomic bool *drop);
void part_maker_free(PartMaker *m);
// Makes a part's file, whole or not at all, and fills its bytes and pixels.
CHECKED bool part_make(PartMaker *m, Part *part, const char *path, Error *err);

// The size of a part's file and the sum of its bytes: nothing waited for the disk when it was made,
// so after a power cut it may hold anything.
CHECKED bool part_look(const char *path, int64_t *bytes, uint32_t *sum, Error *err);

// Fills a part's bytes, sum and pixels; false where there is no note that is whole and of its
// frames.
bool part_note_read(const char *path, Part *part);
CHECKED bool part_note_write(const char *path, const Part *part, Error *err);

// Reads a file of image files: images (n) point into *data, which is freed with mem_free.
CHECKED bool part_images_read(const char *path, int64_t n, char **data, ParquetBytes *images,
                              Error *err);

#endif
