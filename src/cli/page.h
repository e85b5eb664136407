// SPDX-License-Identifier: Apache-2.0
// What a command says about itself, once for all its readers. A command's describe_NAME goes
// through its usage, text and flags; a PageWriter makes of that a page for the terminal, a man
// page, or the flags that a shell completes.
#ifndef TACT_CLI_PAGE_H
#define TACT_CLI_PAGE_H

#include "base/error.h"

struct Field;
struct Option;
struct Command;

// What a shell offers for a value, beside words.
typedef enum FlagPath { PATH_NONE, PATH_FOLDER, PATH_FILE } FlagPath;

// A flag as people and shells see it, whichever table it is from.
typedef struct Flag {
    const char *name;     // without dashes
    const char *value;    // "INT", "relu|gelu"; NULL: the flag stands alone
    const char *fallback; // the default, NULL: none
    const char *help;
    FlagPath path;
    char words[512];  // that a shell offers for the value: "relu|gelu|null"; "": none
    char buffer[640]; // where value, fallback and help may lie that are put together
} Flag;

typedef struct PageWriter {
    void *user;
    // Any of these may be NULL: its reader has no use for it. Texts are one paragraph, of any
    // length.
    void (*usage)(void *user, const char *line); // without the program's name
    void (*text)(void *user, const char *text);
    void (*heading)(void *user, const char *title);
    void (*item)(void *user, const char *term, const char *text); // text NULL: the term alone
    void (*flag)(void *user, const Flag *flag);
    // What stands behind the command's name: "record|expert", or with NULL a folder.
    void (*argument)(void *user, const char *words);
    // A flag of `tact train` that the command takes as well, and says so in its text.
    void (*borrowed)(void *user, const Flag *flag);
} PageWriter;

void page_usage(const PageWriter *w, const char *line);
void page_text(const PageWriter *w, const char *text);
void page_heading(const PageWriter *w, const char *title);
void page_item(const PageWriter *w, const char *term, const char *text);
void page_argument(const PageWriter *w, const char *words);
void page_options(const PageWriter *w, const struct Option *options, int count);
void page_field(const PageWriter *w, const struct Field *field);
// The settings of a training whose flags are, or begin with, one of names: "policy.|seed".
void page_borrowed(const PageWriter *w, const char *names);

// ---- help.c, man.c, completion.c: to stdout -----------------------------------------------------
void help_page(const struct Command *command);
// tact(1) for NULL, else tact-NAME(1).
void man_page(const struct Command *command);
// A script that completes for "bash", "zsh" or "fish".
CHECKED bool completion_script(const char *shell, Error *err);

#endif
