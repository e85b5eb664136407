// SPDX-License-Identifier: Apache-2.0
// Completion scripts for shells: data made from the commands' descriptions, and a few lines around
// them. tact itself is not run when a shell completes.
#include "cli/cli.h"
#include <stdio.h>
#include <string.h>

enum { MOST_FLAGS = 256 };

// The flags of one command as a shell takes them. A flag that the description names twice (with
// another meaning in another mode) is one flag here.
typedef struct Collector {
    void (*write)(const char *command, const Flag *flag);
    const char *command;
    const char *argument; // "record|expert", or "" for a folder; NULL: none
    int count;
    const char *seen[MOST_FLAGS];
} Collector;

static void collect_flag(void *user, const Flag *flag) {
    Collector *c = user;
    for (int i = 0; i < c->count; i++)
        if (strcmp(c->seen[i], flag->name) == 0) return;
    if (c->count < MOST_FLAGS) c->seen[c->count++] = flag->name;
    if (c->write) c->write(c->command, flag);
}

static void collect_argument(void *user, const char *words) {
    ((Collector *)user)->argument = words ? words : "";
}

// Hands every flag of a command to write (which may be NULL). Returns what stands behind the
// command's name, as Collector.argument.
static const char *collect(const Command *command, void (*write)(const char *, const Flag *)) {
    Collector c = {.write = write, .command = command->name};
    const PageWriter w = {
        .user = &c, .flag = collect_flag, .borrowed = collect_flag, .argument = collect_argument};
    command->describe(&w);
    return c.argument;
}

static bool takes_value(const Flag *flag) {
    return flag->value != NULL;
}

// Prints "a|b" with blanks.
static void print_words(const char *words) {
    for (; *words; words++) putchar(*words == '|' ? ' ' : *words);
}

static void print_commands(void) {
    for (int i = 0; i < command_count; i++) printf("%s ", commands[i].name);
}

// Prints text for between single quotes, with a backslash before each of `special`.
static void print_quoted(const char *text, const char *special, const char *quote) {
    for (; *text; text++) {
        if (*text == '\'') {
            fputs(quote, stdout);
            continue;
        }
        if (strchr(special, *text)) putchar('\\');
        putchar(*text);
    }
}

// ---- bash ---------------------------------------------------------------------------------------

static void bash_flag(const char *command, const Flag *flag) {
    (void)command;
    printf(" --%s%s", flag->name, takes_value(flag) ? "=" : "");
}

static void bash_values(const char *command, const Flag *flag) {
    (void)command;
    if (!flag->words[0] && flag->path == PATH_NONE) return;
    printf("                --%s)", flag->name);
    if (flag->words[0]) {
        fputs(" words='", stdout);
        print_words(flag->words);
        putchar('\'');
    }
    if (flag->path != PATH_NONE) printf(" path=%s", flag->path == PATH_FILE ? "file" : "folder");
    puts(" ;;");
}

static void bash_command(const Command *command) {
    printf("        %s)\n            flags='", command->name);
    const char *argument = collect(command, bash_flag);
    puts("'");
    if (argument) {
        fputs("            argument='", stdout);
        print_words(*argument ? argument : "folder");
        puts("'");
    }
    puts("            case $flag in");
    collect(command, bash_values);
    puts("            esac ;;");
}

static void bash_script(void) {
    fputs("# bash completion for tact. Made by `tact help --completion=bash`.\n"
          "_tact() {\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
          "    local flag='' head='' flags='' words='' path='' argument=''\n"
          "    COMPREPLY=()\n"
          "    if ((COMP_CWORD == 1)); then\n"
          "        COMPREPLY=($(compgen -W '",
          stdout);
    print_commands();
    fputs("help --version' -- \"$cur\"))\n"
          "        return\n"
          "    fi\n"
          "    # A value follows '=' or a blank; '=' is a word of its own where it is among\n"
          "    # $COMP_WORDBREAKS.\n"
          "    if [[ $cur == = ]]; then flag=$prev cur=''\n"
          "    elif [[ $prev == = ]]; then flag=${COMP_WORDS[COMP_CWORD - 2]}\n"
          "    elif [[ $cur == --*=* ]]; then flag=${cur%%=*} head=${cur%%=*}= cur=${cur#*=}\n"
          "    elif [[ $prev == --* && $cur != -* ]]; then flag=$prev\n"
          "    fi\n"
          "    case ${COMP_WORDS[1]} in\n",
          stdout);
    for (int i = 0; i < command_count; i++) bash_command(&commands[i]);
    fputs("        help)\n            flags='--man= --completion=' argument='", stdout);
    print_commands();
    fputs("'\n            case $flag in\n                --man) words='tact ", stdout);
    print_commands();
    fputs("' ;;\n                --completion) words='bash zsh fish' ;;\n            esac ;;\n"
          "    esac\n"
          "    if [[ $flag && \" $flags \" == *\" $flag= \"* ]]; then\n"
          "        COMPREPLY=($(compgen -P \"$head\" -W \"$words\" -- \"$cur\"))\n"
          "    elif [[ $cur != -* && $argument == folder ]]; then\n"
          "        path=folder\n"
          "    elif [[ $cur != -* && $argument ]] && ((COMP_CWORD == 2)); then\n"
          "        COMPREPLY=($(compgen -W \"$argument\" -- \"$cur\"))\n"
          "    else\n"
          "        COMPREPLY=($(compgen -W \"$flags\" -- \"$cur\"))\n"
          "        [[ ${COMPREPLY[0]-} != *= ]] || compopt -o nospace\n"
          "    fi\n"
          "    # Names of files are readline's own business where nothing stands before them in\n"
          "    # the word.\n"
          "    [[ $path && ${#COMPREPLY[@]} -eq 0 ]] || return 0\n"
          "    if [[ $head ]]; then\n"
          "        local kind=-f\n"
          "        [[ $path == file ]] || kind=-d\n"
          "        mapfile -t COMPREPLY < <(compgen -P \"$head\" \"$kind\" -- \"$cur\")\n"
          "        compopt -o nospace\n"
          "    elif [[ $path == file ]]; then compopt -o default\n"
          "    else compopt -o dirnames -o nospace\n"
          "    fi\n"
          "}\n"
          "complete -F _tact tact\n",
          stdout);
}

// ---- zsh ----------------------------------------------------------------------------------------

static void zsh_action(const Flag *flag) {
    const char *files = flag->path == PATH_FILE ? "_files" : "_files -/";
    if (flag->words[0] && flag->path != PATH_NONE) {
        fputs("{compadd -- ", stdout);
        print_words(flag->words);
        printf("; %s}", files);
    } else if (flag->words[0]) {
        putchar('(');
        print_words(flag->words);
        putchar(')');
    } else {
        fputs(flag->path == PATH_NONE ? " " : files, stdout);
    }
}

static void zsh_flag(const char *command, const Flag *flag) {
    (void)command;
    printf("                '--%s%s[", flag->name, takes_value(flag) ? "=" : "");
    print_quoted(flag->help, "[]:\\", "'\\''");
    putchar(']');
    if (takes_value(flag)) {
        fputs(":value:", stdout);
        zsh_action(flag);
    }
    puts("' \\");
}

// Folders may be several, as bash and fish have it too.
static void zsh_argument(const char *argument) {
    if (!argument) return;
    if (*argument) {
        fputs("                '1:what to do:(", stdout);
        print_words(argument);
        puts(")' \\");
    } else {
        puts("                '*:folder:_files -/' \\");
    }
}

static void zsh_script(void) {
    fputs("#compdef tact\n"
          "# zsh completion for tact. Made by `tact help --completion=zsh`.\n"
          "_tact() {\n"
          "    local command=$words[2]\n"
          "    if ((CURRENT == 2)); then\n"
          "        local -a commands=(\n",
          stdout);
    for (int i = 0; i < command_count; i++) {
        printf("            '%s:", commands[i].name);
        print_quoted(commands[i].help, "\\", "'\\''");
        puts("'");
    }
    fputs("            'help:what the commands are, and their flags'\n"
          "        )\n"
          "        _describe command commands\n"
          "        return\n"
          "    fi\n"
          "    shift words\n"
          "    ((CURRENT--))\n"
          "    case $command in\n",
          stdout);
    for (int i = 0; i < command_count; i++) {
        printf("        %s)\n            _arguments \\\n", commands[i].name);
        zsh_argument(collect(&commands[i], NULL));
        collect(&commands[i], zsh_flag);
        puts("                ;;");
    }
    fputs("        help)\n            _arguments '1:command:(", stdout);
    print_commands();
    fputs(")' '--man=[a man page]:command:(tact ", stdout);
    print_commands();
    fputs(")' '--completion=[a script for a shell]:shell:(bash zsh fish)'\n"
          "            ;;\n"
          "    esac\n"
          "}\n"
          "if [[ $funcstack[1] == _tact ]]; then _tact \"$@\"; else compdef _tact tact; fi\n",
          stdout);
}

// ---- fish ---------------------------------------------------------------------------------------

static void fish_flag(const char *command, const Flag *flag) {
    bool files = flag->path == PATH_FILE;
    printf("complete -c tact -n '__tact_command %s' -l %s", command, flag->name);
    if (takes_value(flag)) fputs(files ? " -r -F" : " -x", stdout);
    if (flag->words[0] || flag->path == PATH_FOLDER) {
        fputs(" -a '", stdout);
        print_words(flag->words);
        if (flag->path == PATH_FOLDER) fputs(" (__fish_complete_directories)", stdout);
        putchar('\'');
    }
    fputs(" -d '", stdout);
    print_quoted(flag->help, "\\", "\\'");
    puts("'");
}

static void fish_argument(const char *command, const char *argument) {
    if (!argument) return;
    printf("complete -c tact -n '__tact_command %s' -a '", command);
    if (*argument)
        print_words(argument);
    else
        fputs("(__fish_complete_directories)", stdout);
    puts("'");
}

static void fish_script(void) {
    fputs("# fish completion for tact. Made by `tact help --completion=fish`.\n"
          "function __tact_command\n"
          "    set -l typed (commandline -opc)\n"
          "    test (count $typed) -ge 2; and test \"$typed[2]\" = $argv[1]\n"
          "end\n"
          "function __tact_no_command\n"
          "    test (count (commandline -opc)) -eq 1\n"
          "end\n"
          "complete -c tact -f\n",
          stdout);
    for (int i = 0; i < command_count; i++) {
        printf("complete -c tact -n __tact_no_command -a %s -d '", commands[i].name);
        print_quoted(commands[i].help, "\\", "\\'");
        puts("'");
    }
    puts("complete -c tact -n __tact_no_command -a help -d 'what the commands are, and their "
         "flags'");
    for (int i = 0; i < command_count; i++) {
        const char *argument = collect(&commands[i], fish_flag);
        fish_argument(commands[i].name, argument);
    }
    fputs("complete -c tact -n '__tact_command help' -a '", stdout);
    print_commands();
    fputs("'\ncomplete -c tact -n '__tact_command help' -l man -x -a 'tact ", stdout);
    print_commands();
    puts("'\ncomplete -c tact -n '__tact_command help' -l completion -x -a 'bash zsh fish'");
}

bool completion_script(const char *shell, Error *err) {
    static const struct {
        const char *name;
        void (*write)(void);
    } shells[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++)
        if (strcmp(shell, shells[i].name) == 0) {
            shells[i].write();
            return true;
        }
    return fail(err, "--completion=%s: expected bash, zsh or fish", shell);
}
