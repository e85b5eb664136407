// SPDX-License-Identifier: Apache-2.0
// Help on the terminal.
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 100 };

const char *const help_examples[] = {
    "tact sample --root=demo",
    "tact info demo",
    "tact info demo --frame=5 --policy.obs_state_horizon=2 --images=frames",
    "tact train --dataset.root=demo --policy.pretrained_backbone_weights=null \\\n"
    "    --policy.obs_state_horizon=2 --steps=200 --output_dir=outputs/train/demo",
    NULL,
};

void help_overview(bool asked) {
    FILE *out = asked ? stdout : stderr;
    fprintf(out,
            "tact %s: trains temporal ACT robot policies on LeRobot datasets\n\n"
            "usage: tact COMMAND [--flag=value ...]\n\n",
            TACT_VERSION);
    for (int i = 0; i < command_count; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("  help     this page; `tact help COMMAND` lists every flag of a command;\n"
          "           --man[=COMMAND] is a man page, --completion=bash|zsh|fish a script for that "
          "shell\n\n"
          "examples\n",
          out);
    for (int i = 0; help_examples[i]; i++) {
        fputs("  ", out);
        for (const char *c = help_examples[i]; *c; c++) {
            fputc(*c, out);
            if (*c == '\n') fputs("  ", out);
        }
        fputc('\n', out);
    }
}

// Prints text to stdout, wrapped at 100 columns, every line indented.
static void print_wrapped(int indent, const char *text) {
    int column = 0;
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column > 0 && column + 1 + (int)n > COLUMNS) {
            putchar('\n');
            column = 0;
        }
        column += column > 0 ? printf(" %.*s", (int)n, text)
                             : printf("%*s%.*s", indent, "", (int)n, text);
        text += n;
        text += strspn(text, " ");
    }
    putchar('\n');
}

// What was printed last: an empty line stands between things of two kinds, and around paragraphs.
typedef enum Printed { NOTHING, USAGE, TEXT, HEADING, ENTRY } Printed;

static void start(void *user, Printed what) {
    Printed *last = user;
    bool together = *last == NOTHING || *last == HEADING || (*last == what && what != TEXT);
    if (!together) putchar('\n');
    *last = what;
}

static void print_usage(void *user, const char *line) {
    bool more = *(Printed *)user == USAGE;
    start(user, USAGE);
    printf("%s tact %s\n", more ? "      " : "usage:", line);
}

static void print_text(void *user, const char *text) {
    start(user, TEXT);
    print_wrapped(0, text);
}

static void print_heading(void *user, const char *title) {
    start(user, HEADING);
    puts(title);
}

static void print_item(void *user, const char *term, const char *text) {
    start(user, ENTRY);
    printf("  %s\n", term);
    if (text) print_wrapped(6, text);
}

static void print_flag(void *user, const Flag *f) {
    start(user, ENTRY);
    printf("  --%s%s%s", f->name, f->value ? "=" : "", f->value ? f->value : "");
    if (f->fallback) printf("  (default %s)", f->fallback);
    putchar('\n');
    print_wrapped(6, f->help);
}

void help_page(const Command *command) {
    Printed last = NOTHING;
    const PageWriter w = {.user = &last,
                          .usage = print_usage,
                          .text = print_text,
                          .heading = print_heading,
                          .item = print_item,
                          .flag = print_flag};
    command->describe(&w);
}
