// SPDX-License-Identifier: Apache-2.0
// From the two tables of flags, the settings of a training and a command's own options, to a page.
#include "cli/page.h"

#include "cli/cli.h"
#include "config/backbone_weights.h"
#include "config/fields.h"
#include "env/env.h"
#include <stdio.h>
#include <string.h>

// Adds "word" to a list "a|b".
static void add_word(char *words, size_t size, const char *word) {
    size_t used = strlen(words);
    snprintf(words + used, size - used, "%s%s", used ? "|" : "", word);
}

// Values that other tables list.
static void add_listed(const char *flag, char *words, size_t size) {
    int types;
    const EnvSpec *spec = env_types(&types);
    for (int i = 0; i < types && strcmp(flag, "env.type") == 0; i++)
        add_word(words, size, spec[i].type);
    bool backbone = strcmp(flag, "policy.pretrained_backbone_weights") == 0;
    for (int i = 0; i < backbone_weights_count && backbone; i++)
        add_word(words, size, backbone_weights[i].name);
}

static void add_choices(const char *choices, char *words, size_t size) {
    static const char others[] = "|...";
    add_word(words, size, choices);
    char *end = strstr(words, others);
    if (end) *end = '\0';
}

static const char *type_name(const Field *f) {
    switch (f->type) {
    case FIELD_BOOL:
        return "BOOL";
    case FIELD_INT:
    case FIELD_INT64:
    case FIELD_EVERY:
        return "INT";
    case FIELD_NUMBER:
        return "NUMBER";
    case FIELD_NUMBER_PAIR:
        return "[NUMBER,NUMBER]";
    case FIELD_INT_LIST:
        return "[INT,...]";
    case FIELD_SIZES:
        return "[H,W],...";
    case FIELD_NORM_MAP:
        return "{NAME: MODE,...}";
    case FIELD_NAMES:
        return "{OLD: NEW,...}";
    case FIELD_STRING:
        return f->choices ? f->choices : "TEXT";
    case FIELD_FOLDER:
        return "DIR";
    case FIELD_FILE:
        return "FILE";
    }
    return "";
}

// What a shell offers for the values of a setting.
static void complete_field(const Field *f, Flag *out) {
    size_t size = sizeof out->words;
    if (f->type == FIELD_BOOL) add_word(out->words, size, "true|false");
    if (f->type == FIELD_FOLDER) out->path = PATH_FOLDER;
    if (f->type == FIELD_FILE) out->path = PATH_FILE;
    if (f->choices) add_choices(f->choices, out->words, size);
    add_listed(f->flag, out->words, size);
    if (f->nullable && out->words[0]) add_word(out->words, size, "null");
}

static void flag_of_field(const Field *f, Flag *out) {
    const double huge = 1e6;
    char range[128] = "";
    if (f->low != 0 || f->high != 0) {
        if (f->high < huge)
            snprintf(range, sizeof range, " (%.15g to %.15g)", f->low, f->high);
        else if (f->low > 0)
            snprintf(range, sizeof range, " (at least %.15g)", f->low);
    }
    *out = (Flag){.name = f->flag, .value = type_name(f), .fallback = f->fallback};
    snprintf(out->buffer, sizeof out->buffer, "%s%s", f->help, range);
    out->help = out->buffer;
    complete_field(f, out);
}

// An option with the name of a setting is completed as that one is.
static void complete_option(const Option *o, Flag *out) {
    const Field *same = field_find(o->name);
    if (o->type == OPTION_FOLDER) out->path = PATH_FOLDER;
    if (o->type == OPTION_FILE) out->path = PATH_FILE;
    if (o->choices) add_choices(o->choices, out->words, sizeof out->words);
    if (!same || o->type != OPTION_TEXT || o->choices) return;
    complete_field(same, out);
    if (out->path != PATH_NONE || same->choices) out->value = type_name(same);
}

static void flag_of_option(const Option *o, Flag *out) {
    bool integer = o->type == OPTION_INT;
    *out = (Flag){.name = o->name, .help = o->help};
    if (o->type == OPTION_BOOL) return;
    out->value = integer                    ? "INT"
                 : o->type == OPTION_FOLDER ? "DIR"
                 : o->type == OPTION_FILE   ? "FILE"
                                            : "TEXT";
    if (o->choices) out->value = o->choices;
    if (!integer) {
        out->fallback = *(const char **)o->value;
    } else if (*(int64_t *)o->value >= o->low) { // else it stands for none
        snprintf(out->buffer, sizeof out->buffer, "%lld", (long long)*(int64_t *)o->value);
        out->fallback = out->buffer;
    }
    complete_option(o, out);
}

void page_usage(const PageWriter *w, const char *line) {
    if (w->usage) w->usage(w->user, line);
}

void page_text(const PageWriter *w, const char *text) {
    if (w->text) w->text(w->user, text);
}

void page_heading(const PageWriter *w, const char *title) {
    if (w->heading) w->heading(w->user, title);
}

void page_item(const PageWriter *w, const char *term, const char *text) {
    if (w->item) w->item(w->user, term, text);
}

void page_argument(const PageWriter *w, const char *words) {
    if (w->argument) w->argument(w->user, words);
}

void page_options(const PageWriter *w, const Option *options, int count) {
    Flag flag;
    for (int i = 0; i < count && w->flag; i++) {
        flag_of_option(&options[i], &flag);
        w->flag(w->user, &flag);
    }
}

void page_field(const PageWriter *w, const Field *field) {
    Flag flag;
    flag_of_field(field, &flag);
    if (w->flag) w->flag(w->user, &flag);
}

// Whether a flag is, or begins with, one of names.
static bool is_among(const char *flag, const char *names) {
    for (const char *at = names; *at;) {
        size_t n = strcspn(at, "|");
        bool group = n > 0 && at[n - 1] == '.';
        if (strncmp(flag, at, n) == 0 && (group || !flag[n])) return true;
        at += n + (at[n] == '|');
    }
    return false;
}

void page_borrowed(const PageWriter *w, const char *names) {
    Flag flag;
    for (int i = 0; i < train_field_count && w->borrowed; i++) {
        if (!is_among(train_fields[i].flag, names)) continue;
        flag_of_field(&train_fields[i], &flag);
        w->borrowed(w->user, &flag);
    }
}
