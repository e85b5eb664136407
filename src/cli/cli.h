// SPDX-License-Identifier: Apache-2.0
// What the commands share. Results go to stdout, everything else to stderr; an error is one line
// `tact: MESSAGE`.
#ifndef TACT_CLI_CLI_H
#define TACT_CLI_CLI_H

#include "base/error.h"
#include "base/memory.h"
#include "cli/page.h"
#include "config/config.h"

struct json_t;

// Exit codes of the program and of every command.
enum { EXIT_OK = 0, EXIT_ERROR = 1, EXIT_USAGE = 2 };

// A command: argv without the program and the command's name.
int cmd_train(int argc, char **argv);
int cmd_eval(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_check(int argc, char **argv);
int cmd_edit(int argc, char **argv);
int cmd_convert(int argc, char **argv);
int cmd_import(int argc, char **argv);
int cmd_sample(int argc, char **argv);
int cmd_sim(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_bench(int argc, char **argv);

// Each says what the command is for, and its flags (page.h).
void describe_train(const PageWriter *w);
void describe_eval(const PageWriter *w);
void describe_report(const PageWriter *w);
void describe_info(const PageWriter *w);
void describe_check(const PageWriter *w);
void describe_edit(const PageWriter *w);
void describe_convert(const PageWriter *w);
void describe_import(const PageWriter *w);
void describe_sample(const PageWriter *w);
void describe_sim(const PageWriter *w);
void describe_serve(const PageWriter *w);
void describe_calibrate(const PageWriter *w);
void describe_bench(const PageWriter *w);

// Prints an error's line to stderr, and returns `code`.
int cli_error(const Error *err, int code);
// Prints a value and a line end to stdout, `indent` spaces a level (0: on one line).
void cli_print_json(const struct json_t *value, int indent);
// Takes a name on the command line for --dataset.root where it is a directory, else for
// --dataset.repo_id.
CHECKED bool cli_name_dataset(TrainConfig *c, const char *name, Error *err);
// Numbers of episodes in [0, n), as "[0,1,5]", "0,1,5", "0:50" (0 to 49) or ranges in a list, which
// must increase. --flag is for the message; the list lies in the arena.
CHECKED bool cli_episode_list(const char *flag, const char *text, int64_t n, Arena *arena,
                              int64_t **out, int64_t *count, Error *err);
// An array of n numbers; a new reference.
struct json_t *cli_numbers_json(const double *values, int n);

// ---- options.c: flags of a command that are not settings of a training ------------------------
// OPTION_FOLDER and OPTION_FILE are an OPTION_TEXT that names a folder, or a file. One with the
// name of a setting of a training is of that one's kind anyway (dataset.root).
typedef enum OptionType {
    OPTION_BOOL,
    OPTION_INT,
    OPTION_TEXT,
    OPTION_FOLDER,
    OPTION_FILE,
} OptionType;

typedef struct Option {
    const char *name; // without dashes
    OptionType type;
    void *value;         // bool, int64_t or const char * (borrowed from argv); holds the default
    int64_t low, high;   // of OPTION_INT, inclusive
    const char *choices; // of OPTION_TEXT, as a Field's
    const char *help;
} Option;

// Sets the options found in argv and takes them out of it (*argc shrinks); all other arguments stay
// in their order. --a=b, --a b, and a bare --a for a boolean.
CHECKED bool options_take(const Option *options, int count, int *argc, char **argv, Error *err);
// Fails on the first argument that options_take left, naming the nearest option.
CHECKED bool options_none_left(const Option *options, int count, int argc, char **argv, Error *err);
// For commands that take the flags of a training as well: fails on the first flag that is neither
// one of those nor an option, naming the nearest one.
CHECKED bool options_rest_known(const Option *options, int count, int argc, char **argv,
                                Error *err);
// Takes the first argument that is neither a flag nor, after `--flag`, its value out of argv: what
// the command is about. NULL if there is none.
const char *options_take_name(int *argc, char **argv);
// Takes the flags of LeRobot that tact has no use for out of argv; notes as of foreign_take.
CHECKED bool options_take_foreign(int *argc, char **argv, char *notes, size_t size, Error *err);

// ---- help.c -------------------------------------------------------------------------------------
typedef struct Command {
    const char *name;
    int (*run)(int argc, char **argv);
    void (*describe)(const PageWriter *w);
    const char *help; // one line
    bool computes;    // with OpenMP's threads, for long
} Command;

extern const Command commands[];
extern const int command_count;

// The overview; stdout when it was asked for, stderr when it is a hint.
void help_overview(bool asked);
extern const char *const help_examples[]; // command lines, NULL behind the last

// ---- progress.c ---------------------------------------------------------------------------------
// A progress bar on stderr; does nothing where that is no terminal.
struct TrainProgress;
typedef struct Progress {
    bool enabled, drawn;
    double last;  // clock_seconds of the last drawing
    double start; // and of progress_new
} Progress;

Progress progress_new(void);
// Whether it is time to draw again; cheap.
bool progress_due(const Progress *bar, int64_t done, int64_t total);
// Draws `done` of `total` with a text behind it.
void progress_draw(Progress *bar, int64_t done, int64_t total, const char *text);
// Draws the bar of a run that only counts, with the time that is left. user is the Progress.
void progress_count(void *user, int64_t done, int64_t total);
// TrainHooks.progress and TrainHooks.clear; user is the Progress.
void progress_show(void *user, const struct TrainProgress *p);
void progress_clear(void *user);
// Writes "1:02:03" for seconds into out.
void progress_duration(char *out, size_t size, double seconds);

#endif
