// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "cli/cli.h"
#include "config/fields.h"
#include "config/foreign.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The option that an argument names, or NULL; *value is what follows its '=', or NULL.
static const Option *find_option(const Option *options, int count, const char *argument,
                                 const char **value) {
    if (strncmp(argument, "--", 2) != 0) return NULL;
    const char *name = argument + 2;
    size_t n = strcspn(name, "=");
    *value = name[n] == '=' ? name + n + 1 : NULL;
    for (int i = 0; i < count; i++)
        if (strlen(options[i].name) == n && strncmp(options[i].name, name, n) == 0)
            return &options[i];
    return NULL;
}

static CHECKED bool set_int(const Option *o, const char *text, Error *err) {
    int64_t value;
    if (!text_whole(text, &value))
        return fail(err, "--%s=%s: expected a whole number", o->name, text);
    if (value < o->low || value > o->high) {
        return fail(err, "--%s=%s: must be between %lld and %lld", o->name, text, (long long)o->low,
                    (long long)o->high);
    }
    *(int64_t *)o->value = value;
    return true;
}

static CHECKED bool set_option(const Option *o, const char *text, Error *err) {
    if (*text == '\0') return fail(err, "--%s: no value given; write --%s=VALUE", o->name, o->name);
    if (o->type != OPTION_BOOL && o->type != OPTION_INT) {
        if (!text_is_choice(o->choices, text))
            return fail(err, "--%s=%s: must be one of %s", o->name, text, o->choices);
        *(const char **)o->value = text;
        return true;
    }
    if (o->type == OPTION_INT) return set_int(o, text, err);
    return text_bool(text, o->value) || fail(err, "--%s=%s: expected true or false", o->name, text);
}

bool options_take(const Option *options, int count, int *argc, char **argv, Error *err) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        const char *value = NULL;
        const Option *o = find_option(options, count, argv[i], &value);
        if (!o) {
            argv[kept++] = argv[i];
            continue;
        }
        const char *next = i + 1 < *argc ? argv[i + 1] : "";
        if (!value && o->type == OPTION_BOOL) {
            bool ignored, said = text_bool(next, &ignored);
            value = said ? argv[++i] : "true";
        } else if (!value && i + 1 < *argc && strncmp(argv[i + 1], "--", 2) != 0) {
            value = argv[++i];
        }
        if (!set_option(o, value ? value : "", err)) return false;
    }
    *argc = kept;
    return true;
}

// The option whose name is most like `name`, or NULL where none is near.
static const char *nearest_option(const Option *options, int count, const char *name) {
    const char *nearest = options[0].name;
    for (int i = 1; i < count; i++)
        if (edit_distance(name, options[i].name) < edit_distance(name, nearest))
            nearest = options[i].name;
    return is_near(edit_distance(name, nearest), name) ? nearest : NULL;
}

static CHECKED bool fail_no_such_flag(const char *name, const char *near, Error *err) {
    return fail(err, "--%s: no such flag%s%s%s", name, near ? "; did you mean --" : "",
                near ? near : "", near ? "?" : "");
}

// The name of a flag, "--name" or "--name=value".
static void copy_flag_name(const char *argument, char out[128]) {
    snprintf(out, 128, "%s", argument + 2);
    out[strcspn(out, "=")] = '\0';
}

bool options_rest_known(const Option *options, int count, int argc, char **argv, Error *err) {
    for (int i = 0; i < argc; i++) {
        char name[128];
        if (strncmp(argv[i], "--", 2) != 0) continue;
        copy_flag_name(argv[i], name);
        if (field_find(name) || foreign_find(name)) continue;
        const char *own = nearest_option(options, count, name), *train = field_nearest(name);
        bool mine = own && (!train || edit_distance(name, own) <= edit_distance(name, train));
        return fail_no_such_flag(name, mine ? own : train, err);
    }
    return true;
}

bool options_none_left(const Option *options, int count, int argc, char **argv, Error *err) {
    if (argc == 0) return true;
    if (strncmp(argv[0], "--", 2) != 0)
        return fail(err, "%s: not a flag; flags are written --name=value", argv[0]);
    char name[128];
    copy_flag_name(argv[0], name);
    return fail_no_such_flag(name, nearest_option(options, count, name), err);
}

const char *options_take_name(int *argc, char **argv) {
    bool value = false; // whether argv[at] belongs to the flag before it
    for (int at = 0; at < *argc; at++) {
        bool flag = strncmp(argv[at], "--", 2) == 0;
        if (!flag && !value) {
            const char *name = argv[at];
            (*argc)--;
            memmove(argv + at, argv + at + 1, (size_t)(*argc - at) * sizeof(char *));
            return name;
        }
        value = flag && !strchr(argv[at], '=');
    }
    return NULL;
}

bool options_take_foreign(int *argc, char **argv, char *notes, size_t size, Error *err) {
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        char name[128] = "";
        if (strncmp(argv[i], "--", 2) == 0) copy_flag_name(argv[i], name);
        if (!name[0] || field_find(name) || !foreign_find(name)) {
            argv[kept++] = argv[i];
            continue;
        }
        const char *value = strchr(argv[i], '=');
        if (value)
            value++;
        else if (i + 1 < *argc && strncmp(argv[i + 1], "--", 2) != 0)
            value = argv[++i];
        if (!foreign_take(name, value, notes, size, err)) return false;
    }
    *argc = kept;
    return true;
}
