// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/memory.h"
#include "formats/json.h"
#include "formats/safetensors_internal.h"
#include <stdlib.h>
#include <string.h>

static int by_type_and_name(const void *a, const void *b) {
    const SafetensorsEntry *x = *(const SafetensorsEntry *const *)a;
    const SafetensorsEntry *y = *(const SafetensorsEntry *const *)b;
    int order = safetensors_types[y->type].order - safetensors_types[x->type].order;
    return order ? order : strcmp(x->name, y->name);
}

static CHECKED bool check_entry(const char *path, const SafetensorsEntry *e, Error *err) {
    int64_t count = 1, bytes = 0;
    bool fits = e->rank >= 0 && e->rank <= SAFETENSORS_MAX_RANK;
    for (int i = 0; fits && i < e->rank; i++)
        fits = e->shape[i] >= 0 && safetensors_multiply(count, e->shape[i], &count);
    fits = fits && safetensors_multiply(count, (int64_t)safetensors_type_size(e->type), &bytes);
    if (!fits || count != e->count || (size_t)bytes != e->bytes) {
        return fail(err, "%s: cannot write tensor \"%s\": its shape, count and bytes disagree",
                    path, e->name);
    }
    return true;
}

// The JSON header, padded with spaces to a multiple of 8 bytes. Freed by the caller with free().
static char *make_header(const char *path, const SafetensorsEntry *const *sorted, int count,
                         bool format_pt, Error *err) {
    json_t *header = json_object();
    if (format_pt) json_object_set_new(header, "__metadata__", json_pack("{s:s}", "format", "pt"));
    int64_t begin = 0;
    for (int i = 0; i < count; i++) {
        const SafetensorsEntry *e = sorted[i];
        int64_t end = begin + (int64_t)e->bytes;
        json_t *shape = json_array();
        for (int k = 0; k < e->rank; k++) json_array_append_new(shape, json_integer(e->shape[k]));
        json_object_set_new(header, e->name,
                            json_pack("{s:s, s:o, s:[I,I]}", "dtype",
                                      safetensors_types[e->type].name, "shape", shape,
                                      "data_offsets", (json_int_t)begin, (json_int_t)end));
        begin = end;
    }
    bool whole = json_whole(header, path, err);
    char *text = whole ? json_dumps(header, JSON_COMPACT) : NULL;
    json_decref(header);
    size_t length = text ? strlen(text) : 0, padded = (length + 7) / 8 * 8;
    char *grown = text ? realloc(text, padded + 1) : NULL;
    if (!grown) {
        if (whole) (void)fail_memory(err, "%s: its header", path);
        free(text);
        return NULL;
    }
    memset(grown + length, ' ', padded - length);
    grown[padded] = '\0';
    return grown;
}

static void length_bytes(const char *header, uint8_t out[8]) {
    for (int i = 0; i < 8; i++) out[i] = (uint8_t)((uint64_t)strlen(header) >> (8 * i));
}

CHECKED static bool write_parts(AtomicFile *file, const char *header,
                                const SafetensorsEntry *const *sorted, int count, Error *err) {
    uint8_t prefix[8];
    length_bytes(header, prefix);
    bool written = fwrite(prefix, 1, 8, file->stream) == 8 &&
                   fwrite(header, 1, strlen(header), file->stream) == strlen(header);
    for (int i = 0; written && i < count; i++) {
        written = sorted[i]->bytes == 0 ||
                  fwrite(sorted[i]->data, 1, sorted[i]->bytes, file->stream) == sorted[i]->bytes;
    }
    return written || fail_errno(err, "%s: cannot write", file->path);
}

// Whether the reader finds every tensor in the header that was written.
CHECKED static bool compare_header(const AtomicFile *file, const SafetensorsEntry *const *sorted,
                                   int count, Error *err) {
    Safetensors *s = NULL;
    if (!safetensors_look(file->temporary, &s, err)) return false;
    bool same = safetensors_count(s) == count;
    for (int i = 0; same && i < count; i++) {
        const SafetensorsEntry *meant = sorted[i], *e = safetensors_find(s, meant->name);
        same = e && e->type == meant->type && e->rank == meant->rank && e->bytes == meant->bytes &&
               memcmp(e->shape, meant->shape, sizeof *e->shape * (size_t)e->rank) == 0;
    }
    safetensors_close(s);
    return same || fail(err, "%s: not written: its header lacks a tensor", file->path);
}

CHECKED static bool compare_parts(AtomicFile *file, const char *header,
                                  const SafetensorsEntry *const *sorted, int count, Error *err) {
    uint8_t prefix[8];
    InputFile written;
    size_t at = 8;
    length_bytes(header, prefix);
    bool ok = atomic_look(file, &written, err) && input_holds(&written, 0, prefix, 8, err) &&
              input_holds(&written, at, header, strlen(header), err);
    at += strlen(header);
    for (int i = 0; ok && i < count; at += sorted[i++]->bytes)
        ok = input_holds(&written, at, sorted[i]->data, sorted[i]->bytes, err);
    input_close(&written);
    return ok && compare_header(file, sorted, count, err);
}

bool safetensors_write(const char *path, const SafetensorsEntry *entries, int count, bool format_pt,
                       Error *err) {
    AtomicFile file = {0};
    char *header = NULL;
    bool ok = false;
    const SafetensorsEntry **sorted = NEW(const SafetensorsEntry *, count + 1);
    for (int i = 0; i < count; i++) {
        sorted[i] = &entries[i];
        if (!check_entry(path, &entries[i], err)) goto done;
    }
    qsort(sorted, (size_t)count, sizeof(sorted[0]), by_type_and_name);
    for (int i = 1; i < count; i++) {
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            fail(err, "%s: cannot write two tensors of the name \"%s\"", path, sorted[i]->name);
            goto done;
        }
    }
    header = make_header(path, sorted, count, format_pt, err);
    ok = header && atomic_open(&file, path, err) &&
         write_parts(&file, header, sorted, count, err) &&
         compare_parts(&file, header, sorted, count, err) && atomic_commit(&file, err);
done:
    atomic_abort(&file);
    free(header);
    mem_free(sorted);
    return ok;
}
