// SPDX-License-Identifier: Apache-2.0
// State dicts as torch.save writes them: zip archives (PyTorch 1.6 and later) and the older form of
// pickles with raw storages behind them; which of the two is seen from the file, not from its name.
//
// A pickle is a program. This reader runs none of it: it knows the few operations and the few names
// that tensors in dicts, lists and tuples are made of, and refuses any other name in one line
// ("FILE: its pickle calls os.system; only tensors are read"). Every offset, stride and size is
// checked against the storage it looks into. A file costs twice its bytes (views that are
// not contiguous are copied, up to twice as much again) and, while it is opened, no more than 64 MB
// and 128 times the bytes of its pickle, of which 32 MB and a million values are read. Zip archives
// carry checksums, so a flipped byte in them is seen; the older form has none, and there a flipped
// byte within a number goes unseen.
#ifndef TACT_FORMATS_TORCH_H
#define TACT_FORMATS_TORCH_H

#include "formats/safetensors.h"

typedef struct Torch Torch;

// Opens a file and makes every tensor in it contiguous. The tensors are those of the outermost
// dict, or of its "state_dict", "model_state_dict" or "model" when it has one that is a dict; dicts
// and lists further in are flattened ("encoder.weight", "groups.0.step"). Parameters count as
// tensors; what is no tensor is left out. On an error *out is not touched.
CHECKED bool torch_open(const char *path, Torch **out, Error *err);
void torch_close(Torch *t); // NULL allowed
int torch_count(const Torch *t);
// In the file's order. Names and data are borrowed from *t; data may be unaligned (use memcpy, or
// safetensors_copy_f32), and tensors that share a storage share their bytes.
const SafetensorsEntry *torch_entry(const Torch *t, int i);
// NULL if there is no such tensor.
const SafetensorsEntry *torch_find(const Torch *t, const char *name);

#endif
