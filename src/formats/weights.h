// SPDX-License-Identifier: Apache-2.0
// A file of named tensors, safetensors or PyTorch's: which one is seen from its content.
#ifndef TACT_FORMATS_WEIGHTS_H
#define TACT_FORMATS_WEIGHTS_H

#include "formats/safetensors.h"

typedef struct Weights Weights;

// A file is copied and checked as safetensors_open and torch_open say.
CHECKED bool weights_open(const char *path, Weights **out, Error *err);
void weights_close(Weights *w); // NULL allowed
int weights_count(const Weights *w);
const SafetensorsEntry *weights_entry(const Weights *w, int i); // borrowed from *w
// NULL if there is no such tensor.
const SafetensorsEntry *weights_find(const Weights *w, const char *name);

#endif
