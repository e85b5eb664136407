// SPDX-License-Identifier: Apache-2.0
#include "formats/yaml.h"

#include "base/file.h"
#include "base/memory.h"
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

// Aliases may point at each other, and files may include each other: what counts is what comes of
// them. libyaml's own tree of a file takes some 100 times its bytes.
enum { MAX_DEPTH = 32, MAX_INCLUDES = 8, MAX_VALUES = 100000, MAX_TEXT = 16 << 20 };
enum { MAX_FILES = 1 << 20 }; // bytes

// Of a document and all that it includes.
typedef struct Taken {
    int64_t values;
    size_t text, files; // bytes
} Taken;

typedef struct Reader {
    const char *path;
    yaml_document_t *document;
    int includes;
    Taken *taken;
    Error *err;
} Reader;

static json_t *read_file(const char *path, int includes, Taken *taken, Error *err);
static json_t *node_value(Reader *r, yaml_node_t *node, int depth);

// "[-+]?[0-9][0-9_]*": PyYAML's whole number, in base 10, 16, 8 or 2.
static bool parse_whole(const char *text, json_int_t *out) {
    char digits[64], *end;
    size_t n = 0;
    const char *c = text;
    bool negative = *c == '-';
    if (*c == '-' || *c == '+') c++;
    if (!isdigit((unsigned char)*c)) return false;
    for (; *c; c++) {
        if (n + 1 == sizeof digits) return false;
        if (*c != '_') digits[n++] = *c;
    }
    digits[n] = 0;
    int base = digits[0] != '0' || n == 1 ? 10 : digits[1] == 'x' ? 16 : digits[1] == 'b' ? 2 : 8;
    const char *first = digits + (base == 16 || base == 2 ? 2 : 0);
    errno = 0;
    *out = strtoll(first, &end, base);
    if (negative) *out = -*out;
    return *end == 0 && isxdigit((unsigned char)*first) && errno == 0;
}

// A number has a point in YAML 1.1, and its exponent a sign.
static bool parse_real(const char *text, double *out) {
    const char *e = strpbrk(text, "eE");
    char *end;
    if (!strchr(text, '.') || strspn(text, "0123456789.eE+-") != strlen(text)) return false;
    if (e && e[1] != '+' && e[1] != '-') return false;
    *out = strtod(text, &end);
    return *end == 0 && end > text;
}

static json_t *scalar_value(const yaml_node_t *node) {
    static const char *const words[] = {"null", "~", "", "true", "yes", "on", "no", "false", "off"};
    const char *text = (const char *)node->data.scalar.value;
    json_int_t n;
    double x;
    if (node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return json_string(text);
    for (int i = 0; i < 9; i++)
        if (strcasecmp(text, words[i]) == 0) return i < 3 ? json_null() : json_boolean(i < 6);
    if (parse_whole(text, &n)) return json_integer(n);
    return parse_real(text, &x) ? json_real(x) : json_string(text);
}

static json_t *refuse_node(const Reader *r, const yaml_node_t *node, const char *what) {
    (void)!fail(r->err, "%s: line %d: %s", r->path, (int)node->start_mark.line + 1, what);
    return NULL;
}

// libyaml has looked at the text: what jansson does not take of it, it had no memory for.
static json_t *lacks_memory(const Reader *r) {
    (void)!fail_memory(r->err, "%s: its values", r->path);
    return NULL;
}

// "<<": the mapping's own keys win over those that are merged into it.
static bool merge_mapping(Reader *r, json_t *into, const yaml_node_t *node, json_t *from) {
    size_t i;
    json_t *one;
    bool fits = json_is_object(from) || json_is_array(from), ok = fits;
    if (json_is_object(from)) ok = json_object_update_missing(into, from) == 0;
    json_array_foreach(from, i, one) {
        fits = fits && json_is_object(one);
        ok = ok && fits && json_object_update_missing(into, one) == 0;
    }
    json_decref(from);
    if (!fits) return refuse_node(r, node, "<< takes mappings") != NULL;
    return ok || lacks_memory(r) != NULL;
}

static json_t *mapping_value(Reader *r, const yaml_node_t *node, int depth) {
    json_t *object = json_object();
    if (!object) return lacks_memory(r);
    // In two passes, so that the keys that "<<" brings stand behind the mapping's own.
    for (int merges = 0; merges < 2; merges++) {
        yaml_node_pair_t *pair = node->data.mapping.pairs.start;
        for (; pair < node->data.mapping.pairs.top; pair++) {
            yaml_node_t *key = yaml_document_get_node(r->document, pair->key);
            bool plain = key && key->type == YAML_SCALAR_NODE;
            const char *name = plain ? (const char *)key->data.scalar.value : "";
            if ((strcmp(name, "<<") == 0) != (merges == 1)) continue;
            json_t *value =
                plain ? node_value(r, yaml_document_get_node(r->document, pair->value), depth)
                      : refuse_node(r, node, "a key that is no text");
            bool ok = value && (merges ? merge_mapping(r, object, node, value)
                                       : json_object_set_new(object, name, value) == 0);
            if (!ok) {
                if (value && !merges) (void)lacks_memory(r);
                json_decref(object);
                return NULL;
            }
        }
    }
    return object;
}

static json_t *sequence_value(Reader *r, const yaml_node_t *node, int depth) {
    json_t *array = json_array();
    if (!array) return lacks_memory(r);
    yaml_node_item_t *item = node->data.sequence.items.start;
    for (; item < node->data.sequence.items.top; item++) {
        json_t *value = node_value(r, yaml_document_get_node(r->document, *item), depth);
        if (!value || json_array_append_new(array, value) != 0) {
            if (value) (void)lacks_memory(r);
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *node_value(Reader *r, yaml_node_t *node, int depth) {
    if (!node) return json_null();
    if (node->type == YAML_SCALAR_NODE) r->taken->text += node->data.scalar.length;
    if (depth == MAX_DEPTH || ++r->taken->values > MAX_VALUES || r->taken->text > MAX_TEXT)
        return refuse_node(r, node, "too deep, or too many values");
    bool include = node->tag && strcmp((const char *)node->tag, "!include") == 0;
    if (include && node->type == YAML_SCALAR_NODE && r->includes == MAX_INCLUDES)
        return refuse_node(r, node, "too many files that include each other");
    if (include && node->type == YAML_SCALAR_NODE)
        return read_file((const char *)node->data.scalar.value, r->includes + 1, r->taken, r->err);
    if (node->type == YAML_MAPPING_NODE) return mapping_value(r, node, depth + 1);
    if (node->type == YAML_SEQUENCE_NODE) return sequence_value(r, node, depth + 1);
    json_t *value = scalar_value(node);
    return value ? value : lacks_memory(r);
}

static json_t *read_file(const char *path, int includes, Taken *taken, Error *err) {
    char *data = NULL;
    size_t size = 0;
    yaml_parser_t parser;
    yaml_document_t document;
    json_t *value = NULL;
    if (!file_read(path, &data, &size, err)) return NULL;
    taken->files += size;
    if (taken->files > MAX_FILES) {
        mem_free(data);
        (void)!fail(err, "%s: more than %d bytes of YAML; settings have some hundreds", path,
                    MAX_FILES);
        return NULL;
    }
    if (!yaml_parser_initialize(&parser)) {
        mem_free(data);
        (void)!fail_memory(err, "%s: YAML", path);
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)data, size);
    if (yaml_parser_load(&parser, &document)) {
        Reader r = {
            .path = path, .document = &document, .includes = includes, .taken = taken, .err = err};
        value = node_value(&r, yaml_document_get_root_node(&document), 0);
        yaml_document_delete(&document);
    } else if (parser.error == YAML_MEMORY_ERROR || !parser.problem) { // which others have
        (void)!fail_memory(err, "%s: YAML of %zu bytes", path, size);
    } else {
        (void)!fail(err, "%s: not valid YAML: line %d: %s; repair the file", path,
                    (int)parser.problem_mark.line + 1,
                    parser.problem ? parser.problem : "cannot be read");
    }
    yaml_parser_delete(&parser);
    mem_free(data);
    return value;
}

bool yaml_read(const char *path, json_t **out, Error *err) {
    Taken taken = {0};
    *out = read_file(path, 0, &taken, err);
    return *out != NULL;
}
