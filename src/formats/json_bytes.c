// SPDX-License-Identifier: Apache-2.0
// Bytes that are no UTF-8 on their way through jansson, which reads only what is. Where a document
// has some, it is read with characters in their places that it does not have itself, and these
// become the bytes again in the tree.
#include "base/memory.h"
#include "formats/json.h"
#include <stdio.h>
#include <string.h>

size_t utf8_length(const char *text, size_t size) {
    const unsigned char *s = (const unsigned char *)text;
    if (size == 0) return 0;
    size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if (n == 0 || s[0] > 0xf4 || n > size) return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    // Spelled too long, surrogates, and beyond the last character.
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f)) return 0;
    return (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f) ? 0 : n;
}

bool utf8_is_whole(const char *text) {
    for (size_t size = strlen(text), n; size > 0; text += n, size -= n)
        if ((n = utf8_length(text, size)) == 0) return false;
    return true;
}

json_t *json_bytes(const char *text) {
    return text ? json_string_nocheck(text) : json_null();
}

// ---- the document -------------------------------------------------------------------------------

// The last plane of Unicode is for private use. Its 512 blocks of 128 characters: in one that the
// document does not use, character k stands for the byte 0x80 + k.
enum { BLOCKS = 512, BLOCK = 128, PLANE = 0x100000 };

typedef struct Marks {
    bool used[BLOCKS];
    size_t bytes; // that are no UTF-8
    bool raw;     // some may stand there as they are
    bool twice;   // an object has a key twice, once the bytes are in it
    int block;
} Marks;

// The code unit of "\uXXXX" at s (n bytes), or -1 where there is none.
static int escaped_unit(const char *s, size_t n) {
    int unit = 0;
    if (n < 6 || s[0] != '\\' || s[1] != 'u') return -1;
    for (int i = 2; i < 6; i++) {
        static const char digits[] = "0123456789abcdef0123456789ABCDEF";
        const char *digit = s[i] ? strchr(digits, s[i]) : NULL;
        if (!digit) return -1;
        unit = unit * 16 + (int)(digit - digits) % 16;
    }
    return unit;
}

// One piece of a document: a character, an escape, a pair of them, or a byte that is no UTF-8.
typedef struct Piece {
    size_t size;
    int byte;      // 0x80 to 0xff, or -1
    int character; // beyond the first 65536, or -1
} Piece;

static Piece next_piece(const char *s, size_t n, bool raw) {
    int unit = escaped_unit(s, n);
    if (unit >= 0xdc80 && unit <= 0xdcff) return (Piece){6, unit - 0xdc00, -1};
    if (unit >= 0xd800 && unit <= 0xdbff) {
        int low = escaped_unit(s + 6, n - 6);
        if (low >= 0xdc00 && low <= 0xdfff)
            return (Piece){12, -1, 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)};
    }
    if (*s == '\\' && n > 1) return (Piece){2, -1, -1};
    size_t length = utf8_length(s, n);
    const unsigned char *u = (const unsigned char *)s;
    if (length == 4)
        return (Piece){4, -1,
                       (u[0] & 7) << 18 | (u[1] & 63) << 12 | (u[2] & 63) << 6 | (u[3] & 63)};
    return (Piece){length ? length : 1, length || !raw ? -1 : u[0], -1};
}

// Whether the document has no bytes that need a mark. Quick, since hardly any has.
static bool is_plain(const char *text, size_t size, bool raw) {
    const char *end = text + size;
    for (const char *s = text; (s = memchr(s, '\\', (size_t)(end - s))); s++)
        if (end - s >= 6 && (s[1] | 32) == 'u' && (s[2] | 32) == 'd' && (s[3] | 32) == 'c')
            return false;
    for (size_t i = 0, length; raw && i < size; i += length)
        if ((length = utf8_length(text + i, size - i)) == 0) return false;
    return true;
}

static void count_marks(Marks *m, const char *text, size_t size) {
    for (size_t i = 0; i < size;) {
        Piece p = next_piece(text + i, size - i, m->raw);
        m->bytes += p.byte >= 0;
        if (p.character >= PLANE) m->used[(p.character - PLANE) / BLOCK] = true;
        i += p.size;
    }
    while (m->block < BLOCKS && m->used[m->block]) m->block++;
}

// The document with characters for the bytes. Free with mem_free; NULL without memory.
static char *put_marks(const Marks *m, const char *text, size_t size, size_t *marked) {
    char *out = mem_try_raw(size + 4 * m->bytes + 1), *to = out;
    for (size_t i = 0; out && i < size;) {
        Piece p = next_piece(text + i, size - i, m->raw);
        if (p.byte >= 0) {
            int character = PLANE + m->block * BLOCK + p.byte - 0x80;
            *to++ = (char)(0xf0 | character >> 18);
            for (int shift = 12; shift >= 0; shift -= 6)
                *to++ = (char)(0x80 | (character >> shift & 63));
        } else {
            memcpy(to, text + i, p.size);
            to += p.size;
        }
        i += p.size;
    }
    *marked = out ? (size_t)(to - out) : 0;
    return out;
}

// ---- the tree -----------------------------------------------------------------------------------

// A text with the bytes in the place of their characters. Free with mem_free; NULL without memory.
static char *take_marks(const Marks *m, const char *text, size_t *size) {
    char *out = mem_try_raw(*size + 1), *to = out;
    for (size_t i = 0; out && i < *size;) {
        Piece p = {.size = utf8_length(text + i, *size - i)};
        if (p.size == 4) p = next_piece(text + i, *size - i, false);
        if (p.size == 4 && p.character >= PLANE && (p.character - PLANE) / BLOCK == m->block) {
            *to++ = (char)(0x80 + (p.character - PLANE) % BLOCK);
        } else {
            memcpy(to, text + i, p.size);
            to += p.size;
        }
        i += p.size;
    }
    if (out) {
        *to = 0;
        *size = (size_t)(to - out);
    }
    return out;
}

static json_t *string_of_marked(const Marks *m, const json_t *value) {
    size_t size = json_string_length(value);
    char *text = take_marks(m, json_string_value(value), &size);
    json_t *out = text ? json_stringn_nocheck(text, size) : NULL;
    mem_free(text);
    return out;
}

static json_t *tree_of_marked(Marks *m, json_t *value);

static json_t *object_of_marked(Marks *m, json_t *value) {
    json_t *out = json_object(), *member;
    const char *key;
    bool ok = out != NULL;
    json_object_foreach(value, key, member) {
        size_t size = strlen(key);
        char *name = ok ? take_marks(m, key, &size) : NULL;
        ok = name && json_object_set_new_nocheck(out, name, tree_of_marked(m, member)) == 0;
        mem_free(name);
    }
    if (ok) {
        m->twice = m->twice || json_object_size(out) != json_object_size(value);
        return out;
    }
    json_decref(out);
    return NULL;
}

// A copy of the tree with the bytes in it. NULL without memory.
static json_t *tree_of_marked(Marks *m, json_t *value) {
    if (json_is_string(value)) return string_of_marked(m, value);
    if (json_is_object(value)) return object_of_marked(m, value);
    if (!json_is_array(value)) return json_incref(value);
    json_t *out = json_array();
    for (size_t i = 0; out && i < json_array_size(value); i++) {
        if (json_array_append_new(out, tree_of_marked(m, json_array_get(value, i))) == 0) continue;
        json_decref(out);
        out = NULL;
    }
    return out;
}

// ---- both ---------------------------------------------------------------------------------------

static json_t *refuse(json_error_t *problem, const char *text, enum json_error_code code) {
    *problem = (json_error_t){.line = -1, .column = -1};
    snprintf(problem->text, sizeof problem->text - 1, "%s", text);
    problem->text[sizeof problem->text - 1] = (char)code; // where json_error_code looks
    return NULL;
}

static json_t *parse(const char *text, size_t size, bool raw, size_t flags, json_error_t *problem) {
    static const char no_memory[] = "out of memory";
    Marks m = {.raw = raw};
    json_error_t unwanted;
    if (!problem) problem = &unwanted;
    if (is_plain(text, size, raw)) return json_loadb(text, size, flags, problem);
    count_marks(&m, text, size);
    if (m.block == BLOCKS)
        return refuse(problem, "bytes that are no UTF-8 beside all characters for private use",
                      json_error_invalid_utf8);
    size_t marked;
    char *copy = put_marks(&m, text, size, &marked);
    if (!copy) return refuse(problem, no_memory, json_error_out_of_memory);
    json_t *tree = json_loadb(copy, marked, flags, problem);
    mem_free(copy);
    if (!tree) return NULL;
    json_t *out = tree_of_marked(&m, tree);
    if (!out) {
        refuse(problem, no_memory, json_error_out_of_memory);
    } else if (m.twice && flags & JSON_REJECT_DUPLICATES) {
        json_decref(out);
        out = refuse(problem, "duplicate object key", json_error_duplicate_key);
    }
    json_decref(tree);
    return out;
}

json_t *json_parse(const char *text, size_t size, size_t flags, json_error_t *problem) {
    return parse(text, size, false, flags, problem);
}

json_t *json_parse_argument(const char *text, size_t flags, json_error_t *problem) {
    return parse(text, strlen(text), true, flags, problem);
}
