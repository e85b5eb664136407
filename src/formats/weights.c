// SPDX-License-Identifier: Apache-2.0
#include "formats/weights.h"

#include "base/file.h"
#include "base/memory.h"
#include "formats/torch.h"
#include <string.h>

struct Weights {
    Safetensors *safetensors; // or
    Torch *torch;
};

bool weights_open(const char *path, Weights **out, Error *err) {
    uint8_t start[9] = {0};
    const uint8_t *file;
    size_t size;
    if (!file_map(path, &file, &size, err)) return false;
    size_t n = size < sizeof start ? size : sizeof start;
    if (n) memcpy(start, file, n);
    file_unmap(file, size);
    Weights w = {0}, *made = TRY_NEW(Weights, 1);
    if (!made) return fail_memory(err, "%s: its description", path);
    bool ok;
    // A safetensors header stands at byte 8; its length before it may begin like a pickle.
    if (n == sizeof start && start[8] == '{') {
        ok = safetensors_open(path, &w.safetensors, err);
    } else if (n >= 4 && (memcmp(start, "PK\3\4", 4) == 0 || start[0] == 0x80)) {
        ok = torch_open(path, &w.torch, err);
    } else {
        ok = fail(err,
                  "%s: neither a safetensors file nor one of torch.save; download or copy it "
                  "again",
                  path);
    }
    if (ok) {
        *made = w;
        *out = made;
    } else {
        mem_free(made);
    }
    return ok;
}

void weights_close(Weights *w) {
    if (!w) return;
    safetensors_close(w->safetensors);
    torch_close(w->torch);
    mem_free(w);
}

int weights_count(const Weights *w) {
    return w->torch ? torch_count(w->torch) : safetensors_count(w->safetensors);
}

const SafetensorsEntry *weights_entry(const Weights *w, int i) {
    return w->torch ? torch_entry(w->torch, i) : safetensors_entry(w->safetensors, i);
}

const SafetensorsEntry *weights_find(const Weights *w, const char *name) {
    return w->torch ? torch_find(w->torch, name) : safetensors_find(w->safetensors, name);
}
