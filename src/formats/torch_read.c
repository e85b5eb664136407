// SPDX-License-Identifier: Apache-2.0
// The two kinds of file that torch.save writes. In both, one pickle describes the tensors and names
// the storages they look into; the storages' bytes lie outside of it.
#include "base/file.h"
#include "formats/torch_internal.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zip.h>

struct Torch {
    char *path;
    const uint8_t *bytes; // the file's bytes; the older form's storages lie in here
    size_t size;
    Unpickler u; // only while opening
    const Value *root;
    void **blobs; // a zip's storages
    int n_blobs;
    TensorList tensors;
};

static int by_key(const void *a, const void *b) {
    const TorchStorage *x = *(TorchStorage *const *)a, *y = *(TorchStorage *const *)b;
    return strcmp(x->key, y->key);
}

// Brings mentions of one storage together; they must say the same of it.
static CHECKED bool sort_storages(Torch *t, Error *err) {
    TorchStorage **s = t->u.storages;
    if (t->u.n_storages) qsort(s, (size_t)t->u.n_storages, sizeof *s, by_key);
    for (int i = 1; i < t->u.n_storages; i++)
        if (strcmp(s[i]->key, s[i - 1]->key) == 0 &&
            (s[i]->type != s[i - 1]->type || s[i]->count != s[i - 1]->count))
            return fail(err,
                        "%s: storage %s is said to be two different things; the file is damaged",
                        t->path, s[i]->key);
    return true;
}

// Gives all mentions of the storage at *first their data, and moves *first behind them. `bytes` is
// what the file has of it.
static CHECKED bool settle_storage(Torch *t, int *first, const uint8_t *data, uint64_t bytes,
                                   Error *err) {
    const TorchStorage *s = t->u.storages[*first];
    int64_t wanted;
    if (__builtin_mul_overflow(s->count, (int64_t)safetensors_type_size(s->type), &wanted) ||
        (uint64_t)wanted != bytes)
        return fail(err,
                    "%s: storage %s has %llu bytes, but its pickle says %lld elements of %zu; "
                    "the file is cut short or damaged",
                    t->path, s->key, (unsigned long long)bytes, (long long)s->count,
                    safetensors_type_size(s->type));
    const char *key = s->key;
    while (*first < t->u.n_storages && strcmp(t->u.storages[*first]->key, key) == 0)
        t->u.storages[(*first)++]->data = data;
    return true;
}

// ---- zip --------------------------------------------------------------------------------------
typedef struct Archive {
    zip_t *zip;
    const char *path;
    char prefix[512]; // of every member's name, with the slash
    uint64_t budget;  // bytes members may still have: what is not compressed fits into the file
} Archive;

// Of what libzip has just failed at.
static bool lacked_memory(zip_error_t *problem) {
    return zip_error_code_zip(problem) == ZIP_ER_MEMORY || zip_error_code_system(problem) == ENOMEM;
}

static CHECKED bool archive_open(Archive *a, Error *err) {
    int code;
    a->zip = zip_open(a->path, ZIP_RDONLY, &code);
    if (a->zip) return true;
    zip_error_t problem;
    zip_error_init_with_code(&problem, code);
    if (lacked_memory(&problem))
        fail_memory(err, "%s: its list of members", a->path);
    else
        fail(err, "%s: not a readable zip archive (%s); it is cut short or damaged", a->path,
             zip_error_strerror(&problem));
    zip_error_fini(&problem);
    return false;
}

// The place of a member, -1 where there is none.
CHECKED static bool find_member(Archive *a, const char *name, zip_int64_t *out, Error *err) {
    *out = zip_name_locate(a->zip, name, ZIP_FL_ENC_RAW);
    return *out >= 0 || !lacked_memory(zip_get_error(a->zip)) ||
           fail_memory(err, "%s: its list of members", a->path);
}

// Members are PREFIX/data.pkl, PREFIX/data/KEY, ...; the prefix is whatever the file was once
// called.
static CHECKED bool find_prefix(Archive *a, zip_uint64_t *pickle, Error *err) {
    int found = 0;
    for (zip_int64_t i = 0; i < zip_get_num_entries(a->zip, 0); i++) {
        const char *name = zip_get_name(a->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
        const char *slash = name ? strchr(name, '/') : NULL;
        if (!slash || strcmp(slash, "/data.pkl") != 0) continue;
        size_t length = (size_t)(slash - name) + 1;
        if (length >= sizeof a->prefix)
            return fail(err, "%s: a member's name is too long; the file is damaged", a->path);
        memcpy(a->prefix, name, length);
        *pickle = (zip_uint64_t)i;
        found++;
    }
    return found == 1 || fail(err, "%s: a zip archive with %s data.pkl; torch.save writes one",
                              a->path, found ? "more than one" : "no");
}

static CHECKED bool read_stream(zip_file_t *file, uint8_t *data, uint64_t size) {
    uint64_t done = 0;
    while (done < size) {
        zip_int64_t n = zip_fread(file, data + done, size - done);
        if (n <= 0) return false;
        done += (uint64_t)n;
    }
    // libzip checks the checksum when the end is reached.
    return zip_fread(file, data + size, 1) == 0;
}

// *data has *size bytes and some zeros behind them; mem_free.
static CHECKED bool read_member(Archive *a, zip_uint64_t index, uint8_t **data, uint64_t *size,
                                Error *err) {
    zip_stat_t st;
    const zip_uint64_t needed = ZIP_STAT_SIZE | ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD;
    if (zip_stat_index(a->zip, index, 0, &st) != 0 || (st.valid & needed) != needed)
        return fail(err, "%s: a member of the archive has no size; the file is damaged", a->path);
    if (st.comp_method != ZIP_CM_STORE ||
        ((st.valid & ZIP_STAT_ENCRYPTION_METHOD) && st.encryption_method != ZIP_EM_NONE))
        return fail(err,
                    "%s: %s is compressed or encrypted, which torch.save never does; save it "
                    "again with PyTorch",
                    a->path, st.name);
    if (st.size > a->budget)
        return fail(err, "%s: its members claim more bytes than the file has; it is damaged",
                    a->path);
    a->budget -= st.size;
    *size = st.size;
    *data = mem_try(st.size + 1);
    if (!*data) return fail_memory(err, "%s: %llu bytes", a->path, (unsigned long long)st.size);
    zip_file_t *file = zip_fopen_index(a->zip, index, 0);
    bool ok = file && read_stream(file, *data, *size);
    if (!ok && lacked_memory(file ? zip_file_get_error(file) : zip_get_error(a->zip)))
        fail_memory(err, "%s: reading %s", a->path, st.name);
    else if (!ok)
        fail(err, "%s: %s cannot be read (%s); the file is damaged, copy it again", a->path,
             st.name, file ? zip_file_strerror(file) : zip_strerror(a->zip));
    if (file) zip_fclose(file);
    return ok;
}

static CHECKED bool check_byte_order(Archive *a, Error *err) {
    char name[600];
    snprintf(name, sizeof name, "%sbyteorder", a->prefix);
    zip_int64_t index;
    uint8_t *text = NULL;
    uint64_t size = 0;
    if (!find_member(a, name, &index, err)) return false;
    if (index < 0) return true; // before PyTorch 2.1: always little-endian
    bool ok =
        read_member(a, (zip_uint64_t)index, &text, &size, err) &&
        ((size == 6 && memcmp(text, "little", 6) == 0) ||
         fail(err, "%s: written on a big-endian machine; save it again on a little-endian one",
              a->path));
    mem_free(text);
    return ok;
}

static CHECKED bool read_zip_storages(Torch *t, Archive *a, Error *err) {
    if (!sort_storages(t, err)) return false;
    t->blobs = TRY_NEW(void *, t->u.n_storages + 1);
    if (!t->blobs) return fail_memory(err, "%s: a list of %d storages", t->path, t->u.n_storages);
    for (int i = 0; i < t->u.n_storages;) {
        char name[1024];
        int n = snprintf(name, sizeof name, "%sdata/%s", a->prefix, t->u.storages[i]->key);
        zip_int64_t index = -1;
        if (n < (int)sizeof name && !find_member(a, name, &index, err)) return false;
        if (index < 0)
            return fail(err,
                        "%s: the archive has no member data/%.100s, which its pickle names; the "
                        "file is damaged",
                        t->path, t->u.storages[i]->key);
        uint8_t *data = NULL;
        uint64_t size = 0;
        bool ok = read_member(a, (zip_uint64_t)index, &data, &size, err);
        t->blobs[t->n_blobs++] = data;
        if (!ok || !settle_storage(t, &i, data, size, err)) return false;
    }
    return true;
}

static CHECKED bool read_zip_once(Torch *t, Error *err) {
    Archive a = {.path = t->path, .budget = t->size};
    zip_uint64_t index = 0;
    uint8_t *pickle = NULL;
    uint64_t size = 0;
    size_t at = 0;
    bool ok = archive_open(&a, err) && find_prefix(&a, &index, err) && check_byte_order(&a, err) &&
              read_member(&a, index, &pickle, &size, err) &&
              unpickle(&t->u, pickle, size, &at, &t->root, err) && read_zip_storages(t, &a, err);
    if (a.zip) zip_discard(a.zip);
    mem_free(pickle);
    return ok;
}

static void free_blobs(Torch *t) {
    for (int i = 0; i < t->n_blobs; i++) mem_free(t->blobs[i]);
    mem_free(t->blobs);
    t->blobs = NULL;
    t->n_blobs = 0;
}

// Where libzip lacks memory it may say that this is no zip archive. So it is only called where
// there is enough for its list of members, and what it says is believed the second time.
static CHECKED bool read_zip(Torch *t, Error *err) {
    enum { LEAST = 1 << 20 };
    if (!mem_could(LEAST + t->size / 2))
        return fail_memory(err, "%s: its list of members", t->path);
    if (read_zip_once(t, err)) return true;
    if (error_is_memory(err)) return false;
    free_blobs(t);
    unpickler_free(&t->u);
    t->u.path = t->path;
    return read_zip_once(t, err);
}

// ---- the older form ---------------------------------------------------------------------------
static CHECKED bool read_preamble(Torch *t, size_t *at, Error *err) {
    static const uint8_t magic[10] = {0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19};
    const Value *number = NULL, *protocol = NULL, *system = NULL;
    if (!unpickle(&t->u, t->bytes, t->size, at, &number, err)) return false;
    if (number->kind != VALUE_BYTES || number->string.size != sizeof magic ||
        memcmp(number->string.text, magic, sizeof magic) != 0)
        return fail(err, "%s: a pickle, but not one that torch.save wrote", t->path);
    if (!unpickle(&t->u, t->bytes, t->size, at, &protocol, err) ||
        !unpickle(&t->u, t->bytes, t->size, at, &system, err))
        return false;
    if (protocol->kind != VALUE_INT || protocol->integer != 1001)
        return fail(err, "%s: written by an unknown version of torch.save", t->path);
    const Value *little = value_get(system, "little_endian");
    if (!little || little->kind != VALUE_BOOL || !little->integer)
        return fail(err,
                    "%s: written on a big-endian machine; save it again on a little-endian one",
                    t->path);
    return true;
}

static CHECKED bool read_raw_storage(Torch *t, const char *key, size_t *at, Error *err) {
    TorchStorage wanted = {.key = key}, *pointer = &wanted;
    TorchStorage **s = t->u.n_storages ? bsearch(&pointer, t->u.storages, (size_t)t->u.n_storages,
                                                 sizeof *s, by_key)
                                       : NULL;
    if (!s)
        return fail(err, "%s: storage %.100s belongs to no tensor; the file is damaged", t->path,
                    key);
    if ((*s)->data)
        return fail(err, "%s: storage %.100s comes twice; the file is damaged", t->path, key);
    int first = (int)(s - t->u.storages);
    while (first > 0 && strcmp(t->u.storages[first - 1]->key, key) == 0) first--;
    size_t size = safetensors_type_size((*s)->type), left = t->size - *at;
    uint64_t count = 0;
    if (left >= 8) memcpy(&count, t->bytes + *at, 8);
    if (left < 8 || count > (left - 8) / size)
        return fail(err, "%s: storage %.100s is cut short; copy the file again", t->path, key);
    if (!settle_storage(t, &first, t->bytes + *at + 8, count * size, err)) return false;
    *at += 8 + count * size;
    return true;
}

static CHECKED bool read_old(Torch *t, Error *err) {
    const Value *keys = NULL;
    size_t at = 0;
    if (!read_preamble(t, &at, err) || !unpickle(&t->u, t->bytes, t->size, &at, &t->root, err) ||
        !unpickle(&t->u, t->bytes, t->size, &at, &keys, err) || !sort_storages(t, err))
        return false;
    if (keys->kind != VALUE_LIST)
        return fail(err, "%s: has no list of storages; it is damaged", t->path);
    for (int i = 0; i < keys->list.count; i++) {
        const Value *key = keys->list.items[i];
        if (key->kind != VALUE_STRING)
            return fail(err, "%s: a storage has no name; the file is damaged", t->path);
        if (!read_raw_storage(t, key->string.text, &at, err)) return false;
    }
    for (int i = 0; i < t->u.n_storages; i++)
        if (!t->u.storages[i]->data)
            return fail(err, "%s: storage %.100s is not in the file; it is damaged", t->path,
                        t->u.storages[i]->key);
    if (at != t->size)
        return fail(err, "%s: %zu bytes behind the last storage; the file is damaged", t->path,
                    t->size - at);
    return true;
}

// -----------------------------------------------------------------------------------------------
bool torch_open(const char *path, Torch **out, Error *err) {
    Torch *t = TRY_NEW(Torch, 1);
    if (t) t->path = mem_try_strdup(path);
    if (!t || !t->path) {
        mem_free(t);
        return fail_memory(err, "%s: its description", path);
    }
    t->u.path = t->tensors.path = t->path;
    char *bytes = NULL;
    bool ok = file_read(path, &bytes, &t->size, err);
    t->bytes = (const uint8_t *)bytes;
    if (ok && t->size >= 4 && memcmp(t->bytes, "PK\3\4", 4) == 0)
        ok = read_zip(t, err);
    else if (ok && t->size >= 2 && t->bytes[0] == 0x80)
        ok = read_old(t, err);
    else if (ok)
        ok = fail(err, "%s: not a file of torch.save: neither a zip archive nor a pickle", path);
    ok = ok && tensors_collect(&t->tensors, t->root, t->size, err);
    unpickler_free(&t->u);
    if (ok)
        *out = t;
    else
        torch_close(t);
    return ok;
}

void torch_close(Torch *t) {
    if (!t) return;
    tensors_free(&t->tensors);
    free_blobs(t);
    mem_free((void *)(uintptr_t)t->bytes);
    mem_free(t->path);
    mem_free(t);
}

int torch_count(const Torch *t) {
    return t->tensors.count;
}

const SafetensorsEntry *torch_entry(const Torch *t, int i) {
    return &t->tensors.entries[i];
}

const SafetensorsEntry *torch_find(const Torch *t, const char *name) {
    int low = 0, high = t->tensors.count;
    while (low < high) {
        int middle = (low + high) / 2;
        const SafetensorsEntry *e = &t->tensors.entries[t->tensors.by_name[middle]];
        int order = strcmp(name, e->name);
        if (order == 0) return e;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}
