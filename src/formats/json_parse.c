// SPDX-License-Identifier: Apache-2.0
// From text to jansson's values. jansson has a parser of its own, which this one agrees with on
// what is JSON; but where memory is missing that one leaves out characters without a word
// ("imges"), or says that the text is wrong. Here each thing that can fail is looked at.
#include "base/array.h"
#include "formats/json_bound.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 2048 };

typedef struct Parser {
    const char *text, *at, *end;
    size_t flags;
    bool raw; // bytes that are no UTF-8 may stand in strings
    int depth;
    char *scratch; // the string or the number that is read, ended by a zero
    size_t length; // of it, without the zero
    int64_t room;
    json_error_t *problem;
} Parser;

static json_t *parse_value(Parser *p);

// ---- errors -------------------------------------------------------------------------------------

static bool note_problem(const Parser *p, enum json_error_code code, const char *what) {
    int line = 1;
    for (const char *c = p->text; c < p->at; c++) line += *c == '\n';
    char near[25] = "";
    for (size_t i = 0; i + 1 < sizeof near && p->at + i < p->end; i++) {
        char c = p->at[i];
        near[i] = c > ' ' && c < 127 ? c : ' ';
    }
    *p->problem = (json_error_t){.line = line, .position = (int)(p->at - p->text)};
    snprintf(p->problem->text, JSON_ERROR_TEXT_LENGTH - 1, "%s at '%s'", what,
             p->at < p->end ? near : "the end");
    p->problem->text[JSON_ERROR_TEXT_LENGTH - 1] = (char)code; // for json_error_code
    return false;
}

static bool wrong(const Parser *p, const char *what) {
    return note_problem(p, json_error_invalid_syntax, what);
}

static bool no_memory(const Parser *p) {
    return note_problem(p, json_error_out_of_memory, "too little memory");
}

static void *wrong_value(const Parser *p, const char *what) {
    (void)!wrong(p, what);
    return NULL;
}

// Of a value that jansson was asked for. Its functions stand in brackets below: those themselves,
// whatever json.h makes of their names.
static json_t *made(const Parser *p, json_t *value) {
    if (!value) (void)!no_memory(p);
    return value;
}

// ---- text ---------------------------------------------------------------------------------------

static void skip_space(Parser *p) {
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r'))
        p->at++;
}

// The next character that is no space; 0 at the end.
static char next_mark(Parser *p) {
    skip_space(p);
    return p->at < p->end ? *p->at : '\0';
}

CHECKED static bool keep(Parser *p, const char *bytes, size_t n) {
    if (!ARRAY_TRY_ROOM(p->scratch, (int64_t)p->length, p->room, (int64_t)n + 1))
        return no_memory(p);
    memcpy(p->scratch + p->length, bytes, n);
    p->length += n;
    p->scratch[p->length] = '\0';
    return true;
}

static size_t utf8_write(uint32_t code, char out[4]) {
    size_t n = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    static const unsigned char first[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = n - 1; i > 0; i--, code >>= 6) out[i] = (char)(0x80 | (code & 0x3f));
    out[0] = (char)(first[n] | code);
    return n;
}

// Four hexadecimal digits, or -1.
static int32_t take_unit(Parser *p) {
    int32_t unit = 0;
    if (p->end - p->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = p->at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0) return -1;
        unit = unit << 4 | digit;
    }
    p->at += 4;
    return unit;
}

// What follows \u: one unit of UTF-16, or a pair.
CHECKED static bool take_code(Parser *p) {
    char bytes[4];
    int32_t unit = take_unit(p), low;
    if (unit < 0) return wrong(p, "invalid escape");
    if (unit == 0) return wrong(p, "\\u0000, which no text has,");
    uint32_t code = (uint32_t)unit;
    if (unit >= 0xdc80 && unit <= 0xdcff) { // a byte that is no UTF-8
        *bytes = (char)(unit - 0xdc00);
        return keep(p, bytes, 1);
    }
    if (unit >= 0xdc00 && unit <= 0xdfff) return wrong(p, "the second half of a pair");
    if (unit >= 0xd800 && unit <= 0xdbff) {
        if (p->end - p->at < 2 || p->at[0] != '\\' || p->at[1] != 'u')
            return wrong(p, "half a pair");
        p->at += 2;
        low = take_unit(p);
        if (low < 0xdc00 || low > 0xdfff) return wrong(p, "half a pair");
        code = 0x10000 + ((uint32_t)(unit - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
    }
    return keep(p, bytes, utf8_write(code, bytes));
}

CHECKED static bool take_escape(Parser *p) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char c = p->at < p->end ? *p->at : '\0';
    const char *found = c ? strchr(names, c) : NULL;
    if (c != 'u' && !found) return wrong(p, "invalid escape");
    p->at++;
    return c == 'u' ? take_code(p) : keep(p, &values[found - names], 1);
}

// From the quotation mark on, into p->scratch.
CHECKED static bool take_string(Parser *p) {
    p->length = 0;
    p->at++;
    if (!keep(p, "", 0)) return false;
    for (;;) {
        const char *start = p->at;
        while (p->at < p->end && *p->at != '"' && *p->at != '\\') {
            size_t n = utf8_length(p->at, (size_t)(p->end - p->at));
            if (n == 0 && p->raw) n = 1;
            if (n == 0) return wrong(p, "bytes that are not UTF-8");
            if ((unsigned char)*p->at < ' ') return wrong(p, "a control character");
            p->at += n;
        }
        if (!keep(p, start, (size_t)(p->at - start))) return false;
        if (p->at == p->end) return wrong(p, "a string without an end");
        if (*p->at++ == '"') return true;
        if (!take_escape(p)) return false;
    }
}

// ---- numbers ------------------------------------------------------------------------------------

static bool is_digit(const Parser *p) {
    return p->at < p->end && *p->at >= '0' && *p->at <= '9';
}

CHECKED static bool take_digits(Parser *p) {
    if (!is_digit(p)) return wrong(p, "invalid number");
    while (is_digit(p)) p->at++;
    return true;
}

static json_t *real_of(Parser *p, const char *start) {
    const char *point = localeconv()->decimal_point; // which strtod asks for
    size_t whole = (size_t)(p->at - start);
    const char *dot = memchr(start, '.', whole);
    size_t n = dot ? (size_t)(dot - start) : whole;
    p->length = 0;
    if (!keep(p, start, n) || (dot && !keep(p, point, strlen(point))) ||
        (dot && !keep(p, dot + 1, whole - n - 1)))
        return NULL;
    double value = strtod(p->scratch, NULL);
    if (isinf(value)) return wrong_value(p, "a number beyond all that are stored");
    return made(p, (json_real)(value));
}

static json_t *integer_of(Parser *p, const char *start) {
    bool negative = *start == '-';
    json_int_t value = 0;
    for (const char *c = start + negative; c < p->at; c++) {
        int digit = negative ? '0' - *c : *c - '0';
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return wrong_value(p, "an integer beyond 64 bits");
    }
    return made(p, (json_integer)(value));
}

static json_t *parse_number(Parser *p) {
    const char *start = p->at;
    bool real = false;
    if (*p->at == '-') p->at++;
    if (p->at < p->end && *p->at == '0')
        p->at++;
    else if (!take_digits(p))
        return NULL;
    if (is_digit(p)) return wrong_value(p, "a number that begins with 0");
    if (p->at < p->end && *p->at == '.') {
        real = true;
        p->at++;
        if (!take_digits(p)) return NULL;
    }
    if (p->at < p->end && (*p->at == 'e' || *p->at == 'E')) {
        real = true;
        p->at++;
        if (p->at < p->end && (*p->at == '+' || *p->at == '-')) p->at++;
        if (!take_digits(p)) return NULL;
    }
    return real ? real_of(p, start) : integer_of(p, start);
}

// ---- values -------------------------------------------------------------------------------------

static json_t *parse_word(Parser *p) {
    size_t n = 0;
    while (p->at + n < p->end && ((p->at[n] | 32) >= 'a' && (p->at[n] | 32) <= 'z')) n++;
    json_t *value = n == 4 && memcmp(p->at, "true", n) == 0    ? json_true()
                    : n == 5 && memcmp(p->at, "false", n) == 0 ? json_false()
                    : n == 4 && memcmp(p->at, "null", n) == 0  ? json_null()
                                                               : NULL;
    if (!value) return wrong_value(p, "what is no value");
    p->at += n;
    return value;
}

// Name, colon and value.
CHECKED static bool take_member(Parser *p, json_t *object) {
    if (next_mark(p) != '"') return wrong(p, "no name in quotation marks");
    if (!take_string(p)) return false;
    if ((p->flags & JSON_REJECT_DUPLICATES) && json_object_get(object, p->scratch))
        return wrong(p, "a duplicate of a name before it");
    char *name = mem_try_strdup(p->scratch);
    if (!name) return no_memory(p);
    bool ok = next_mark(p) == ':' || wrong(p, "no colon");
    if (ok) p->at++;
    json_t *value = ok ? parse_value(p) : NULL;
    ok = value && (json_object_set_new_nocheck(object, name, value) == 0 || no_memory(p));
    mem_free(name);
    return ok;
}

CHECKED static bool take_element(Parser *p, json_t *array) {
    json_t *value = parse_value(p);
    return value && (json_array_append_new(array, value) == 0 || no_memory(p));
}

CHECKED static bool take_members(Parser *p, json_t *container, char end) {
    p->at++;
    if (next_mark(p) == end) {
        p->at++;
        return true;
    }
    for (;;) {
        if (end == '}' ? !take_member(p, container) : !take_element(p, container)) return false;
        char mark = next_mark(p);
        if (mark != ',' && mark != end) return wrong(p, "neither a comma nor an end");
        p->at++;
        if (mark == end) return true;
    }
}

static json_t *parse_container(Parser *p, bool object) {
    if (++p->depth > MAX_DEPTH) return wrong_value(p, "values within each other, too deep,");
    json_t *container = made(p, object ? (json_object)() : (json_array)());
    if (container && !take_members(p, container, object ? '}' : ']')) {
        json_decref(container);
        return NULL;
    }
    p->depth--;
    return container;
}

static json_t *parse_value(Parser *p) {
    char mark = next_mark(p);
    if (mark == '{' || mark == '[') return parse_container(p, mark == '{');
    if (mark == '"')
        return take_string(p) ? made(p, json_stringn_nocheck(p->scratch, p->length)) : NULL;
    if (mark == '-' || (mark >= '0' && mark <= '9')) return parse_number(p);
    return parse_word(p);
}

static json_t *parse_text(Parser *p, const char *text, size_t size, json_error_t *problem) {
    json_error_t ignored;
    p->text = p->at = text;
    p->end = text + size;
    p->problem = problem ? problem : &ignored;
    if (!json_within_bound(text, size, p->problem)) return NULL;
    char mark = next_mark(p);
    if (mark != '{' && mark != '[' && !(p->flags & JSON_DECODE_ANY))
        return wrong_value(p, "neither { nor [");
    json_t *value = parse_value(p);
    skip_space(p);
    bool ok = value && (p->at == p->end || wrong(p, "more after the value"));
    mem_free(p->scratch);
    if (ok) return value;
    json_decref(value);
    return NULL;
}

json_t *json_parse(const char *text, size_t size, size_t flags, json_error_t *problem) {
    Parser p = {.flags = flags};
    return parse_text(&p, text, size, problem);
}

json_t *json_parse_argument(const char *text, size_t flags, json_error_t *problem) {
    Parser p = {.flags = flags, .raw = true};
    return parse_text(&p, text, strlen(text), problem);
}

bool json_lacked_memory(const json_error_t *problem) {
    return json_error_code(problem) == json_error_out_of_memory;
}
