// SPDX-License-Identifier: Apache-2.0
// Text of a flag -> value of the configuration.
#include "config/fields.h"
#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// As YAML and Python write it.
static bool is_null(const char *text) {
    static const char *const words[] = {"null", "Null", "NULL", "None", "~"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0) return true;
    return false;
}

bool text_is_choice(const char *choices, const char *text) {
    size_t n = strcspn(text, "|");
    if (!choices || strstr(choices, "|...")) return true;
    if (text[n]) return false;
    for (const char *c = choices; c; c = strchr(c, '|') ? strchr(c, '|') + 1 : NULL)
        if (n > 0 && strncmp(c, text, n) == 0 && (c[n] == '|' || c[n] == '\0')) return true;
    return false;
}

bool text_bool(const char *text, bool *out) {
    static const char *const words[] = {"false", "no", "off", "true", "yes", "on"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *out = i >= 3;
            return true;
        }
    return false;
}

// Copies a number without the underscores between its digits ("100_000"), up to what cannot belong
// to one; *end is that place in the text.
static void copy_number(const char *text, const char **end, char *out, size_t size) {
    size_t n = 0;
    const char *c = text;
    for (; *c && n + 1 < size && (isalnum((unsigned char)*c) || strchr("+-._", *c)); c++) {
        bool between = c > text && isxdigit((unsigned char)c[-1]) && isxdigit((unsigned char)c[1]);
        if (*c == '_' && between) continue;
        out[n++] = *c;
    }
    out[n] = 0;
    *end = c;
}

// An integer that ends at *end, as YAML 1.1 has them: 100_000, 0x10, 0b11, and 010, which is 8.
static bool scan_int(const char *text, const char **end, int64_t *out) {
    char number[64], *stop;
    copy_number(text, end, number, sizeof number);
    char *digits = number + (*number == '-' || *number == '+');
    bool negative = *number == '-', zero = digits[0] == '0';
    int base = 10;
    if (zero && (digits[1] == 'x' || digits[1] == 'b')) {
        base = digits[1] == 'x' ? 16 : 2;
        digits += 2;
    } else if (zero && strspn(digits, "01234567") == strlen(digits)) {
        base = 8;
    }
    if (!isalnum((unsigned char)*digits)) return false;
    errno = 0;
    *out = strtoll(digits, &stop, base);
    if (negative) *out = -*out;
    return errno == 0 && *stop == 0;
}

bool text_whole(const char *text, int64_t *out) {
    const char *end = text;
    return scan_int(text, &end, out) && !*end;
}

// A finite decimal number that ends at *end; strtod alone would also take nan, inf and 0x10.
static bool scan_number(const char *text, const char **end, double *out) {
    char number[64], *stop;
    copy_number(text, end, number, sizeof number);
    const char *start = number + (*number == '-' || *number == '+');
    if (!isdigit((unsigned char)*start) && !(*start == '.' && isdigit((unsigned char)start[1])))
        return false;
    if (start[0] == '0' && (start[1] == 'x' || start[1] == 'X')) return false;
    *out = strtod(number, &stop);
    return isfinite(*out) && *stop == 0;
}

static const char *skip_space(const char *s) {
    while (isspace((unsigned char)*s)) s++;
    return s;
}

// "[1, 2]" into values (room for `room`), or -1.
static int64_t parse_list(const char *text, bool integers, int64_t *ints, double *numbers,
                          int64_t room) {
    const char *s = skip_space(text);
    int64_t count = 0;
    if (*s++ != '[') return -1;
    for (s = skip_space(s); *s != ']'; count++) {
        if (count > 0 && *s++ != ',') return -1;
        s = skip_space(s);
        if (count == room ||
            !(integers ? scan_int(s, &s, &ints[count]) : scan_number(s, &s, &numbers[count])))
            return -1;
        s = skip_space(s);
    }
    return *skip_space(s + 1) == '\0' ? count : -1;
}

// "[240,320]" or "[[240,320],[320,240]]" into pairs one after the other (room for `room` numbers).
// Returns how many numbers, or -1.
static int64_t parse_sizes(const char *text, int64_t *values, int64_t room) {
    const char *s = skip_space(text);
    int64_t count = 0;
    if (*s != '[') return -1;
    if (*skip_space(s + 1) != '[') return parse_list(s, true, values, NULL, room) == 2 ? 2 : -1;
    for (s = skip_space(s + 1); *s == '['; count += 2) {
        size_t n = strcspn(s, "]");
        char pair[64];
        if (count + 2 > room || !s[n] || n + 2 > sizeof pair) return -1;
        snprintf(pair, sizeof pair, "%.*s]", (int)n, s);
        if (parse_list(pair, true, values + count, NULL, 2) != 2) return -1;
        s = skip_space(s + n + 1);
        if (*s == ',') {
            s = skip_space(s + 1);
            if (*s != '[') return -1;
        } else if (*s != ']') {
            return -1;
        }
    }
    return *s == ']' && *skip_space(s + 1) == '\0' ? count : -1;
}

// The next word of a flow mapping, maybe in quotes, into out.
static const char *scan_word(const char *s, char *out, size_t size) {
    size_t n = 0;
    s = skip_space(s);
    char quote = *s == '"' || *s == '\'' ? *s++ : '\0';
    while (*s && (isalnum((unsigned char)*s) || *s == '_') && n + 1 < size) out[n++] = *s++;
    out[n] = '\0';
    if (quote && *s == quote) s++;
    return skip_space(s);
}

// {VISUAL: MEAN_STD, "STATE": "MIN_MAX"}. What it leaves out is not normalised, as in LeRobot; of
// an environment, which LeRobot's own mapping does not have, it says nothing. On false *what says
// what is wrong.
static bool parse_norm_map(const char *text, NormMap *out, const char **what) {
    static const char *const modes[] = {"MEAN_STD", "MIN_MAX", "IDENTITY"};
    const char *s = skip_space(text);
    char word[32];
    NormMap map = {0};
    *what = "expected {VISUAL: MODE, STATE: MODE, ACTION: MODE}";
    if (*s++ != '{') return false;
    for (int i = 0; *skip_space(s) != '}'; i++) {
        s = skip_space(s);
        if (i > 0 && *s++ != ',') return false;
        s = scan_word(s, word, sizeof word);
        const char **slot = strcmp(word, "VISUAL") == 0   ? &map.visual
                            : strcmp(word, "STATE") == 0  ? &map.state
                            : strcmp(word, "ACTION") == 0 ? &map.action
                            : strcmp(word, "ENV") == 0    ? &map.env
                                                          : NULL;
        if (!slot || *s++ != ':') {
            *what = "the keys are VISUAL, STATE, ACTION and ENV";
            return false;
        }
        s = scan_word(s, word, sizeof word);
        for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++)
            if (strcmp(word, modes[m]) == 0) *slot = modes[m];
        if (!*slot || strcmp(*slot, word) != 0) {
            *what = "the modes are MEAN_STD, MIN_MAX and IDENTITY";
            return false;
        }
    }
    if (!map.visual) map.visual = "IDENTITY";
    if (!map.state) map.state = "IDENTITY";
    if (!map.action) map.action = "IDENTITY";
    *out = map;
    return *skip_space(skip_space(s) + 1) == '\0';
}

static bool refuse_value(const Field *f, const char *text, const char *expected, Error *err) {
    return fail(err, "--%s=%s: expected %s; see `tact help train`", f->flag, text, expected);
}

static bool out_of_range(const Field *f, const char *text, Error *err) {
    if (f->high >= INT32_MAX)
        return fail(err, "--%s=%s: must be at least %.15g", f->flag, text, f->low);
    return fail(err, "--%s=%s: must be between %.15g and %.15g", f->flag, text, f->low, f->high);
}

static bool in_range(const Field *f, double value) {
    return (f->low == 0 && f->high == 0) || (value >= f->low && value <= f->high);
}

static void set_null(const Field *f, void *slot) {
    switch (f->type) {
    case FIELD_NUMBER:
        *(double *)slot = CONFIG_NULL_NUMBER;
        break;
    case FIELD_INT_LIST:
    case FIELD_SIZES:
        *(IntList *)slot = (IntList){0};
        break;
    case FIELD_NORM_MAP:
        *(NormMap *)slot = (NormMap){0};
        break;
    default:
        *(const char **)slot = NULL;
        break;
    }
}

static CHECKED bool set_whole(const Field *f, const char *text, void *slot, Error *err) {
    int64_t value;
    if (!text_whole(text, &value))
        return refuse_value(f, text, "a whole number, as 100000 or 100_000", err);
    if (f->type == FIELD_EVERY && value < 0) value = 0;
    if (!in_range(f, (double)value)) return out_of_range(f, text, err);
    if (f->type == FIELD_INT)
        *(int *)slot = (int)value;
    else
        *(int64_t *)slot = value;
    return true;
}

static CHECKED bool set_number(const Field *f, const char *text, double *slot, Error *err) {
    double value;
    const char *end = text;
    if (!scan_number(text, &end, &value) || *end) return refuse_value(f, text, "a number", err);
    if (!in_range(f, value)) return out_of_range(f, text, err);
    *slot = value;
    return true;
}

static CHECKED bool set_pair(const Field *f, const char *text, double *slot, Error *err) {
    double pair[2];
    if (parse_list(text, false, NULL, pair, 2) != 2)
        return refuse_value(f, text, "two numbers, as [0.9, 0.999]", err);
    if (!in_range(f, pair[0]) || !in_range(f, pair[1])) return out_of_range(f, text, err);
    slot[0] = pair[0];
    slot[1] = pair[1];
    return true;
}

static CHECKED bool set_list(TrainConfig *c, const Field *f, const char *text, IntList *slot,
                             Error *err) {
    int64_t room = (int64_t)strlen(text);
    int64_t *values = arena_try(&c->arena, sizeof(int64_t) * (size_t)(room + 1));
    if (!values) return fail_memory(err, "--%s: its list", f->flag);
    bool sizes = f->type == FIELD_SIZES;
    int64_t count =
        sizes ? parse_sizes(text, values, room) : parse_list(text, true, values, NULL, room);
    if (count < 0 && sizes) {
        return refuse_value(
            f, text, "[HEIGHT,WIDTH], or one of these a camera, as [[240,320],[320,240]]", err);
    }
    if (count < 0) return refuse_value(f, text, "a list of whole numbers, as [0,1,5]", err);
    *slot = (IntList){values, count};
    return true;
}

static CHECKED bool set_string(TrainConfig *c, const Field *f, const char *text, const char **slot,
                               Error *err) {
    if (!text_is_choice(f->choices, text))
        return fail(err, "--%s=%s: must be one of %s", f->flag, text, f->choices);
    *slot = arena_try_strdup(&c->arena, text);
    return *slot || fail_memory(err, "--%s: its text", f->flag);
}

// {} is LeRobot's way of saying nothing.
static CHECKED bool set_names(TrainConfig *c, const Field *f, const char *text, const char **slot,
                              Error *err) {
    json_error_t problem;
    json_t *object = json_parse_argument(text, JSON_REJECT_DUPLICATES, &problem), *value;
    if (!object && json_lacked_memory(&problem))
        return fail_memory(err, "--%s: its names", f->flag);
    bool ok = json_is_object(object);
    const char *name;
    json_object_foreach(object, name, value) ok = ok && *name && json_string_length(value) > 0;
    bool some = ok && json_object_size(object);
    *slot = some ? arena_try_strdup(&c->arena, text) : NULL;
    json_decref(object);
    if (some && !*slot) return fail_memory(err, "--%s: its names", f->flag);
    return ok || refuse_value(f, text, "an object of names, as {\"OLD\": \"NEW\"}", err);
}

bool field_set(TrainConfig *c, const Field *f, const char *text, Error *err) {
    void *slot = (char *)c + f->offset;
    const char *what;
    if (*text == '\0') return fail(err, "--%s: no value given; write --%s=VALUE", f->flag, f->flag);
    if (is_null(text)) {
        if (!f->nullable) {
            return fail(err,
                        "--%s=%s: null is not possible here; leave the flag out for the default "
                        "(%s)",
                        f->flag, text, f->fallback);
        }
        set_null(f, slot);
        return true;
    }
    switch (f->type) {
    case FIELD_BOOL:
        return text_bool(text, slot) || refuse_value(f, text, "true or false", err);
    case FIELD_INT:
    case FIELD_INT64:
    case FIELD_EVERY:
        return set_whole(f, text, slot, err);
    case FIELD_NUMBER:
        return set_number(f, text, slot, err);
    case FIELD_NUMBER_PAIR:
        return set_pair(f, text, slot, err);
    case FIELD_INT_LIST:
    case FIELD_SIZES:
        return set_list(c, f, text, slot, err);
    case FIELD_NORM_MAP:
        return parse_norm_map(text, slot, &what) || fail(err, "--%s=%s: %s", f->flag, text, what);
    case FIELD_STRING:
    case FIELD_FOLDER:
    case FIELD_FILE:
        return set_string(c, f, text, slot, err);
    case FIELD_NAMES:
        return set_names(c, f, text, slot, err);
    }
    return fail(err, "--%s: a setting of unknown type", f->flag);
}
