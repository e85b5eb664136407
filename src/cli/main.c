// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"
#include "cli/cli.h"
#include "formats/json.h"
#include "ops/ops.h"
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const Command commands[] = {
    {"train", cmd_train, describe_train, "train a policy on a LeRobot dataset", true},
    {"eval", cmd_eval, describe_eval,
     "hold a policy's predictions against recorded episodes; writes a report", true},
    {"info", cmd_info, describe_info,
     "show a dataset, what a policy sees at a frame, statistics, a checkpoint, or a source to "
     "import",
     false},
    {"check", cmd_check, describe_check,
     "find what of a dataset would spoil a training, before it does", false},
    {"edit", cmd_edit, describe_edit,
     "make a new dataset of episodes of others: some, parts, several together", false},
    {"report", cmd_report, describe_report,
     "write a page about a training, or about several side by side", false},
    {"import", cmd_import, describe_import,
     "make a LeRobot dataset of demonstrations of UMI, ACT or robomimic", false},
    {"convert", cmd_convert, describe_convert,
     "write a checkpoint as plain ACT for LeRobot, or as tact", false},
    {"sample", cmd_sample, describe_sample, "write a small synthetic dataset to try things with",
     false},
    {"sim", cmd_sim, describe_sim,
     "record a scripted expert in a simulated task, or count its successes", false},
    {"serve", cmd_serve, describe_serve,
     "let programs ask a policy for actions over a network, in openpi's protocol", true},
    {"calibrate", cmd_calibrate, describe_calibrate,
     "measure what a policy needs to run at --policy.dtype=int8", true},
    {"bench", cmd_bench, describe_bench, "measure the speed of training on this machine", true},
};
const int command_count = sizeof(commands) / sizeof(commands[0]);

int cli_error(const Error *err, int code) {
    fprintf(stderr, "tact: %s\n", err->text);
    return code;
}

static bool wants_help(int argc, char **argv) {
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) return true;
    return false;
}

static const Command *find_command(const char *name) {
    for (int i = 0; i < command_count; i++)
        if (strcmp(name, commands[i].name) == 0) return &commands[i];
    return NULL;
}

static int unknown_command(const char *name) {
    const char *nearest = "help";
    int least = edit_distance(name, nearest);
    for (int i = 0; i < command_count; i++) {
        int distance = edit_distance(name, commands[i].name);
        if (distance < least) {
            least = distance;
            nearest = commands[i].name;
        }
    }
    Error err;
    bool near = is_near(least, name);
    (void)fail(&err, "%s: no such command%s%s%s (`tact help` lists them)", name,
               near ? "; did you mean `tact " : "", near ? nearest : "", near ? "`?" : "");
    return cli_error(&err, EXIT_USAGE);
}

// `tact help`, its argument or NULL: the overview, a command's page, or what is made of all of
// them.
static int run_help(const char *what) {
    static const char completion[] = "--completion", man[] = "--man";
    const char *value = what ? strchr(what, '=') : NULL;
    size_t n = what ? strcspn(what, "=") : 0;
    Error err;
    if (!what || strcmp(what, "help") == 0) {
        help_overview(true);
        return EXIT_OK;
    }
    if (n == strlen(completion) && strncmp(what, completion, n) == 0)
        return completion_script(value ? value + 1 : "", &err) ? EXIT_OK
                                                               : cli_error(&err, EXIT_USAGE);
    bool page = n == strlen(man) && strncmp(what, man, n) == 0;
    const char *name = page && value ? value + 1 : page ? "tact" : what;
    const Command *command = find_command(name);
    if (!command && !(page && strcmp(name, "tact") == 0)) return unknown_command(name);
    if (page)
        man_page(command);
    else
        help_page(command);
    return EXIT_OK;
}

// The first line is for programs; the second says what computes on this machine.
static void print_version(void) {
    char engine[96];
    cpu_backend.describe(engine, sizeof engine);
    printf("tact %s\n%s\n", TACT_VERSION, engine);
}

// OpenMP's threads wait for each other by spinning, for milliseconds, and where other processes
// compute too that takes the very time that is waited for. How long is read from the environment
// before main begins; so the program sets it, where the user did not, and begins once more. What
// cannot begin again goes on as it is.
static void begin_again_with_short_waits(char **argv) {
    static const char *const set[] = {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"};
    char self[4096];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    for (size_t i = 0; i < sizeof set / sizeof set[0]; i++)
        if (getenv(set[i])) return;
    if (n < 1) return;
    self[n] = 0;
    // Under another name that is a loader's or an emulator's, which would take argv for its own.
    if (strcmp(after_last(self, '/'), "tact") != 0) return;
    setenv("GOMP_SPINCOUNT", "1000", 0);
    execv(self, argv);
}

static int run_command(int argc, char **argv) {
    if (argc < 2) {
        help_overview(false);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    bool help = strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        print_version();
        return EXIT_OK;
    }
    if (help) return run_help(argv[2]);
    const Command *command = find_command(name);
    if (!command) return unknown_command(name);
    if (wants_help(argc - 2, argv + 2)) return run_help(name);
    if (command->computes) begin_again_with_short_waits(argv);
    return command->run(argc - 2, argv + 2);
}

// Sets what libraries read from the environment, while there is only one thread. Without
// LP_NUM_THREADS Mesa's llvmpipe starts threads that would fight with those that simulate; without
// SVT_LOG SVT-AV1 writes to stderr.
static void set_library_defaults(void) {
    setenv("LP_NUM_THREADS", "0", 0);
    setenv("SVT_LOG", "0", 0);
}

// Whether stdout is a pipe that nobody reads any more, as after `| head`. That is no error to
// report.
static bool reader_left(void) {
    struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
    return poll(&out, 1, 0) == 1 && (out.revents & POLLERR);
}

int main(int argc, char **argv) {
    set_library_defaults();
    json_take_memory();
    // A training goes on where the reader of its output has gone away.
    signal(SIGPIPE, SIG_IGN);
    int code = run_command(argc, argv);
    bool lost = fflush(stdout) != 0 || ferror(stdout);
    if (lost && reader_left()) return 128 + SIGPIPE;
    if (lost && code == EXIT_OK) {
        Error err;
        (void)fail_errno(&err, "standard output: cannot write");
        return cli_error(&err, EXIT_ERROR);
    }
    return code;
}
