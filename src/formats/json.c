// SPDX-License-Identifier: Apache-2.0
#include "formats/json.h"
#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// ---- values that cannot be made -----------------------------------------------------------------

// The reference count is that of jansson's own constants: nothing counts it, nothing frees it.
json_t json_lost = {JSON_NULL, (size_t)-1};

#undef json_object_set_new
int json_object_set_or_lose(json_t *object, const char *key, json_t *value) {
    const int done = json_object_set_new(object, key, value);
    if (done != 0 && key) return json_object_set_new_nocheck(object, key, &json_lost);
    return done;
}

// The key above the first lost value of a tree, "" for one that is in no object, or NULL: all of it
// is there.
static const char *lost_below(const json_t *value, const char *above) {
    const char *key, *lost = value && value != &json_lost ? NULL : above;
    json_t *member;
    if (json_is_object(value))
        json_object_foreach((json_t *)value, key, member) if (!lost) lost = lost_below(member, key);
    for (size_t i = 0; !lost && i < json_array_size(value); i++)
        lost = lost_below(json_array_get(value, i), above);
    return lost;
}

bool json_whole(const json_t *value, const char *path, Error *err) {
    const char *lost = lost_below(value, "");
    return !lost || fail(err,
                         "%s: cannot be written: \"%s\" is not UTF-8, or has a number that is not "
                         "finite",
                         path, lost);
}

// ---- files --------------------------------------------------------------------------------------

bool json_read(const char *path, json_t **out, Error *err) {
    char *data;
    size_t size;
    if (!file_read(path, &data, &size, err)) return false;
    json_error_t problem;
    *out = json_parse(data, size, JSON_REJECT_DUPLICATES, &problem);
    mem_free(data);
    if (*out) return true;
    if (json_lacked_memory(&problem)) return fail_memory(err, "%s: JSON of %zu bytes", path, size);
    return fail(err, "%s: not valid JSON: line %d: %s; repair the file or copy it again", path,
                problem.line, problem.text);
}

json_t *json_read_optional(const char *dir, const char *name) {
    char path[4096 + 128];
    Error err;
    json_t *value = NULL;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (file_exists(path) && !json_read(path, &value, &err))
        log_warn("%s (going on without it)", err.text);
    return value;
}

// A growing string.
typedef struct Text {
    char *data;
    size_t length; // without the zero at its end
    int64_t capacity;
    bool failed; // there was too little memory: the text is not whole
} Text;

static void text_put(Text *t, const char *s, size_t n) {
    if (!ARRAY_TRY_ROOM(t->data, (int64_t)t->length, t->capacity, (int64_t)n + 1)) t->failed = true;
    if (t->failed) return;
    memcpy(t->data + t->length, s, n);
    t->length += n;
    t->data[t->length] = '\0';
}

static void text_put_string(Text *t, const char *s) {
    text_put(t, s, strlen(s));
}

// Python's repr of a float: the fewest digits that read back the same, without an exponent for
// 1e-4 <= |x| < 1e16.
static void text_put_real(Text *t, double x) {
    char digits[40], out[48];
    for (int precision = 0; precision <= 16; precision++) {
        snprintf(digits, sizeof digits, "%.*e", precision, x);
        if (strtod(digits, NULL) == x) break;
    }
    char *e = strchr(digits, 'e');
    int exponent = e ? atoi(e + 1) : 0;
    if (!e || exponent < -4 || exponent >= 16) {
        text_put_string(t, digits);
        return;
    }
    char *point = strchr(digits, '.');
    int significant = point ? (int)(e - point) : 1;
    int decimals = significant - 1 - exponent;
    snprintf(out, sizeof out, "%.*f", decimals > 0 ? decimals : 1, x);
    text_put_string(t, out);
}

// A new line and the indentation of a level, or nothing.
static void text_put_break(Text *t, int indent, int level) {
    if (indent > 0) {
        text_put(t, "\n", 1);
        for (int i = 0; i < indent * level; i++) text_put(t, " ", 1);
    }
}

// A string of any bytes, as json.h says.
static void text_put_quoted(Text *t, const char *s, size_t n) {
    static const char named[] = "\bb\ff\nn\rr\tt\"\"\\\\";
    text_put(t, "\"", 1);
    for (size_t i = 0, length; i < n; i += length) {
        char escape[8];
        const char *name = s[i] ? strchr(named, s[i]) : NULL;
        length = utf8_length(s + i, n - i);
        if (length == 0) {
            length = 1;
            snprintf(escape, sizeof escape, "\\udc%02x", (unsigned)(unsigned char)s[i]);
        } else if (name && (name - named) % 2 == 0) {
            snprintf(escape, sizeof escape, "\\%c", name[1]);
        } else if ((unsigned char)s[i] < 0x20) {
            snprintf(escape, sizeof escape, "\\u%04X", (unsigned)(unsigned char)s[i]);
        } else {
            text_put(t, s + i, length);
            continue;
        }
        text_put_string(t, escape);
    }
    text_put(t, "\"", 1);
}

static void text_put_leaf(Text *t, const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    if (text)
        text_put_string(t, text);
    else
        t->failed = true;
    free(text);
}

static void text_put_value(Text *t, const json_t *value, int indent, int level);

static void text_put_object(Text *t, const json_t *value, int indent, int level) {
    const char *key, *separator = "";
    json_t *member;
    text_put(t, "{", 1);
    json_object_foreach((json_t *)value, key, member) {
        text_put_string(t, separator);
        text_put_break(t, indent, level + 1);
        text_put_quoted(t, key, strlen(key));
        text_put(t, ": ", 2);
        text_put_value(t, member, indent, level + 1);
        separator = indent > 0 ? "," : ", ";
    }
    if (json_object_size(value) > 0) text_put_break(t, indent, level);
    text_put(t, "}", 1);
}

static void text_put_array(Text *t, const json_t *value, int indent, int level) {
    text_put(t, "[", 1);
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (i > 0) text_put_string(t, indent > 0 ? "," : ", ");
        text_put_break(t, indent, level + 1);
        text_put_value(t, json_array_get(value, i), indent, level + 1);
    }
    if (json_array_size(value) > 0) text_put_break(t, indent, level);
    text_put(t, "]", 1);
}

static void text_put_value(Text *t, const json_t *value, int indent, int level) {
    if (json_is_object(value))
        text_put_object(t, value, indent, level);
    else if (json_is_array(value))
        text_put_array(t, value, indent, level);
    else if (json_is_real(value))
        text_put_real(t, json_real_value(value));
    else if (json_is_string(value))
        text_put_quoted(t, json_string_value(value), json_string_length(value));
    else
        text_put_leaf(t, value);
}

char *json_text(const json_t *value, int indent) {
    Text t = {0};
    text_put_value(&t, value, indent, 0);
    if (!t.failed) return t.data;
    mem_free(t.data);
    return NULL;
}

// Whether a text reads back as the value it was made of.
CHECKED static bool reads_back(const char *text, const json_t *value, const char *path,
                               Error *err) {
    json_t *read = json_parse(text, strlen(text), JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, NULL);
    bool same = read && json_equal(read, value);
    json_decref(read);
    return same || fail(err, "%s: not written: its text does not read back as it was meant", path);
}

bool json_write(const char *path, const json_t *value, int indent, Error *err) {
    if (!json_whole(value, path, err)) return false;
    char *text = json_text(value, indent);
    bool ok = text ? reads_back(text, value, path, err) && file_write(path, text, strlen(text), err)
                   : fail_memory(err, "%s: its text", path);
    mem_free(text);
    return ok;
}

bool json_write_new(const char *dir, const char *name, json_t *value, Error *err) {
    char path[4096 + 128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    bool ok = json_write(path, value, 4, err);
    json_decref(value);
    return ok;
}
