// SPDX-License-Identifier: Apache-2.0
// Man pages, for man(7) of groff and mandoc.
#include "cli/cli.h"
#include <ctype.h>
#include <stdio.h>
#include <string.h>

// Prints text so that it comes out as it is: none of it is taken for a request, dashes can be
// copied into a shell, and a line may end behind '|' and '/'.
static void print_escaped(const char *text) {
    for (const char *c = text; *c; c++) {
        switch (*c) {
        case '\\':
            fputs("\\e", stdout);
            break;
        case '-':
            fputs("\\-", stdout);
            break;
        case '\'':
            fputs("\\(aq", stdout);
            break;
        case '`':
            fputs("\\(ga", stdout);
            break;
        case '"':
            fputs("\\(dq", stdout);
            break;
        case '^':
            fputs("\\(ha", stdout);
            break;
        case '~':
            fputs("\\(ti", stdout);
            break;
        case '|':
        case '/':
            printf("%c\\:", *c);
            break;
        default:
            if (*c == '.' && c == text) fputs("\\&", stdout);
            putchar(*c);
        }
    }
}

// Where the writer is.
typedef enum Place { DESCRIPTION, SYNOPSIS, OPTIONS, NOTES } Place;
typedef struct ManWriter {
    Place place;
    bool started; // a heading stands before what comes next, so that no break does
} ManWriter;

static void open_section(ManWriter *m, Place place, const char *title) {
    if (m->place == place) return;
    printf(".SH %s\n", title);
    m->place = place;
    m->started = true;
}

static void write_usage(void *user, const char *line) {
    ManWriter *m = user;
    bool first = m->place != SYNOPSIS;
    open_section(m, SYNOPSIS, "SYNOPSIS");
    if (!first) puts(".br");
    size_t n = strcspn(line, " ");
    printf("\\fBtact %.*s\\fR", (int)n, line);
    print_escaped(line + n);
    putchar('\n');
}

static void write_text(void *user, const char *text) {
    ManWriter *m = user;
    if (m->place == SYNOPSIS) open_section(m, DESCRIPTION, "DESCRIPTION");
    if (m->place == OPTIONS && !m->started) open_section(m, NOTES, "NOTES");
    if (!m->started) puts(".PP");
    m->started = false;
    print_escaped(text);
    putchar('\n');
}

static void write_heading(void *user, const char *title) {
    ManWriter *m = user;
    open_section(m, OPTIONS, "OPTIONS");
    fputs(".SS \"", stdout);
    print_escaped(title);
    fputs("\"\n", stdout);
    m->started = true;
}

static void write_entry(ManWriter *m, const char *name, const char *value, const char *text) {
    open_section(m, OPTIONS, "OPTIONS");
    m->started = false;
    fputs(".TP\n\\fB", stdout);
    print_escaped(name);
    fputs("\\fR", stdout);
    if (value) print_escaped(value);
    putchar('\n');
    print_escaped(text);
    putchar('\n');
}

static void write_item(void *user, const char *term, const char *text) {
    if (text) {
        write_entry(user, term, NULL, text);
        return;
    }
    ManWriter *m = user;
    if (!m->started) puts(".br");
    m->started = false;
    print_escaped(term);
    putchar('\n');
}

static void write_flag(void *user, const Flag *f) {
    char name[160], value[400] = "";
    snprintf(name, sizeof name, "--%s", f->name);
    size_t n = 0;
    if (f->value) n = (size_t)snprintf(value, sizeof value, "=%s", f->value);
    if (f->fallback && n < sizeof value)
        snprintf(value + n, sizeof value - n, "  (default %s)", f->fallback);
    write_entry(user, name, value, f->help);
}

static void print_capitals(const char *text) {
    for (; *text; text++)
        if (*text == '-')
            fputs("\\-", stdout);
        else
            putchar(toupper((unsigned char)*text));
}

// The version is all the date there is, so that the same source gives the same page.
static void print_title(const char *name, const char *help) {
    puts(".\\\" Made by `tact help --man`.");
    fputs(".TH ", stdout);
    print_capitals(name);
    printf(" 1 \"\" \"tact %s\" \"User Commands\"\n.SH NAME\n", TACT_VERSION);
    print_escaped(name);
    fputs(" \\- ", stdout);
    print_escaped(help);
    putchar('\n');
}

static void print_see_also(const Command *except) {
    puts(".SH \"SEE ALSO\"");
    if (except) printf("\\fBtact\\fR(1)%s\n", command_count > 1 ? "," : "");
    for (int i = 0, left = command_count - (except != NULL); i < command_count; i++)
        if (&commands[i] != except)
            printf("\\fBtact\\-%s\\fR(1)%s\n", commands[i].name, --left > 0 ? "," : "");
}

static void print_environment(void) {
    static const char *const variables[][2] = {
        {"TACT_MODULE_PATH", "folders, with colons between them, in which the modules "
                             "(tact_video.so and others) are looked for first"},
        {"HF_LEROBOT_HOME, HF_HOME", "where datasets and policies that are given by name lie"},
        {"TORCH_HOME", "where pretrained backbones lie and are downloaded to"},
        {"TACT_CUDA_PATH", "folders in which the libraries of CUDA are looked for first"},
    };
    puts(".SH ENVIRONMENT");
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        printf(".TP\n\\fB%s\\fR\n", variables[i][0]);
        print_escaped(variables[i][1]);
        putchar('\n');
    }
}

static void print_overview(void) {
    print_title("tact", "trains temporal ACT robot policies on LeRobot datasets");
    puts(".SH SYNOPSIS\n\\fBtact\\fR \\fICOMMAND\\fR [\\-\\-flag=value ...]\n.br\n"
         "\\fBtact help\\fR [\\fICOMMAND\\fR]\n.br\n"
         "\\fBtact help\\fR \\-\\-man[=\\fICOMMAND\\fR]\n.br\n"
         "\\fBtact help\\fR \\-\\-completion=bash|zsh|fish\n.br\n"
         "\\fBtact\\fR \\-\\-version\n.SH DESCRIPTION");
    print_escaped("Each command has a man page of its own, which lists every flag. Results go to "
                  "standard output, everything else to standard error; an error is one line that "
                  "begins with 'tact:'.");
    puts("\n.SH COMMANDS");
    for (int i = 0; i < command_count; i++) {
        printf(".TP\n\\fBtact\\-%s\\fR(1)\n", commands[i].name);
        print_escaped(commands[i].help);
        putchar('\n');
    }
    puts(".TP\n\\fBtact help\\fR");
    print_escaped("the list of commands; with --man a man page as roff, with --completion=SHELL a "
                  "script that completes commands, flags and values for bash, zsh or fish");
    puts("\n.SH EXAMPLES\n.EX");
    for (int i = 0; help_examples[i]; i++) {
        print_escaped(help_examples[i]);
        putchar('\n');
    }
    puts(".EE\n.SH \"EXIT STATUS\"");
    print_escaped("0 where all went well, 1 after an error, 2 where the command line is wrong, 128 "
                  "and the signal's number where a signal ended a training.");
    putchar('\n');
    print_environment();
    print_see_also(NULL);
}

void man_page(const Command *command) {
    ManWriter m = {0};
    const PageWriter w = {.user = &m,
                          .usage = write_usage,
                          .text = write_text,
                          .heading = write_heading,
                          .item = write_item,
                          .flag = write_flag};
    char name[64];
    if (!command) {
        print_overview();
        return;
    }
    snprintf(name, sizeof name, "tact-%s", command->name);
    print_title(name, command->help);
    command->describe(&w);
    print_see_also(command);
}
