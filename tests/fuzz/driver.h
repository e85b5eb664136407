// SPDX-License-Identifier: Apache-2.0
// What all fuzz targets share. A target is a file fuzz_NAME.c with the function fuzz_input; it
// becomes a program of libFuzzer's, and a part of replay_seeds, which any compiler builds.
//
// A target ends the process (abort) where a reader breaks its promise. What a reader refuses it has
// to refuse in one line: fuzz_ok looks at that.
#ifndef TACT_TESTS_FUZZ_DRIVER_H
#define TACT_TESTS_FUZZ_DRIVER_H

#include "base/error.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The target: one input, read to its end. It leaves nothing open and nothing allocated.
void fuzz_input(const uint8_t *data, size_t size);

// Gives `ok` back. Where it is false, the error must have a text of one line.
bool fuzz_ok(bool ok, const Error *err);

// Makes the compiler and the sanitizers believe that a number is needed.
void fuzz_use(double value);
// Reads every byte.
void fuzz_use_bytes(const void *data, size_t size);

// ---- files (files.c) ----------------------------------------------------------------------------
// A file in memory that holds these bytes; its path, until the next call.
const char *fuzz_file(const uint8_t *data, size_t size);

// An input that is a folder is text, so that a mutation stays within one file:
//
//   @@ meta/info.json
//   {"fps": 10}
//   @@ checkpoints/last -> 000002
//   @@ data/a.parquet
//   index i 0 1 2
//
// Each file's bytes go on to the line end before the next "@@ "; "->" makes a link. A .parquet file
// whose bytes are none is a table as fuzz_table reads it, and so with .safetensors and
// fuzz_safetensors.
typedef struct FuzzPart {
    char name[192];
    const uint8_t *data;
    size_t size;
} FuzzPart;
enum { FUZZ_MOST_PARTS = 64 };
// Splits an input. Names that lead out of a folder, and what stands before the first name, are left
// out. Returns how many parts there are.
int fuzz_split(const uint8_t *data, size_t size, FuzzPart parts[FUZZ_MOST_PARTS]);
// The part of a name, or NULL.
const FuzzPart *fuzz_part(const FuzzPart *parts, int n, const char *name);
// The bytes of a part as a text, "" where there is no such part. free() it.
char *fuzz_text(const FuzzPart *part);

// A folder with these parts in it, below `inside` of it ("" or "a/b"), but for those whose names
// have no dot and no slash, which are for the target. Its path, until the next call.
const char *fuzz_folder(const FuzzPart *parts, int n, const char *inside);

// ---- made files (made.c) ------------------------------------------------------------------------
// A table as text becomes a Parquet file. A line is a column, "NAME TYPE VALUE VALUE ..."; types
// are i (int64), f (float), d (double), b (boolean), s (text, '~' for a blank, or bytes in
// hexadecimal behind 0x), and with an l before it a list, whose values have commas between.
// "NAME/MEMBER" of type s is a struct's where NAME has a dot. All columns are as long as the first.
// Nothing is written of what is no table.
void fuzz_table(const char *path, const uint8_t *data, size_t size);

// A safetensors file out of its header (the first line) and its data, which zeros make as long as
// the header says, up to a megabyte. free() the result.
uint8_t *fuzz_safetensors(const uint8_t *data, size_t size, size_t *out);

// A zip file with right checksums of these parts, stored. free() the result.
uint8_t *fuzz_zip(const FuzzPart *parts, int n, size_t *size);

#endif
