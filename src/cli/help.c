// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
#include "config/fields.h"
#include "config/foreign.h"
#include <stdio.h>
#include <string.h>

enum { COLUMNS = 100 };

void help_overview(bool asked) {
    FILE *out = asked ? stdout : stderr;
    fprintf(out,
            "tact %s: trains temporal ACT robot policies on LeRobot datasets\n\n"
            "usage: tact COMMAND [--flag=value ...]\n\n",
            TACT_VERSION);
    for (int i = 0; i < command_count; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].help);
    fputs("  help     this page; `tact help COMMAND` lists every flag of a command\n\n"
          "examples\n"
          "  tact sample --root=demo\n"
          "  tact info demo\n"
          "  tact info demo --frame=5 --policy.obs_state_horizon=2 --images=frames\n"
          "  tact train --dataset.root=demo --policy.pretrained_backbone_weights=null \\\n"
          "      --policy.obs_state_horizon=2 --steps=200 --output_dir=outputs/train/demo\n",
          out);
}

void help_wrapped(int indent, const char *text) {
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

static const char *type_name(const Field *f) {
    switch (f->type) {
    case FIELD_BOOL:
        return "BOOL";
    case FIELD_INT:
    case FIELD_INT64:
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
    }
    return "";
}

static void print_field(const Field *f) {
    char range[128] = "", text[512];
    double huge = 1e6;
    if (f->low != 0 || f->high != 0) {
        if (f->high < huge)
            snprintf(range, sizeof range, " (%.15g to %.15g)", f->low, f->high);
        else if (f->low > 0)
            snprintf(range, sizeof range, " (at least %.15g)", f->low);
    }
    printf("  --%s=%s  (default %s)\n", f->flag, type_name(f), f->fallback);
    snprintf(text, sizeof text, "%s%s", f->help, range);
    help_wrapped(6, text);
}

typedef struct Group {
    const char *title;
    const char *prefix; // of the flag, "" for those without a dot
    bool ours;          // the policy's settings that LeRobot does not have
} Group;

static bool belongs(const Field *f, const Group *g) {
    size_t n = strlen(g->prefix);
    if (n == 0) return strchr(f->flag, '.') == NULL;
    return strncmp(f->flag, g->prefix, n) == 0 && (f->home == HOME_TACT) == g->ours;
}

void help_train(void) {
    static const Group groups[] = {
        {"Dataset", "dataset.", false},
        {"Time and poses (what tact adds to ACT)", "policy.", true},
        {"Policy (as LeRobot's ACT)", "policy.", false},
        {"Run", "", false},
        {"Optimizer", "optimizer.", false},
        {"Learning-rate schedule", "scheduler.", false},
        {"Moving average of the weights", "ema.", false},
        {"Evaluation in a simulation", "env.", false},
        {"Its episodes", "eval.", false},
        {"Weights & Biases", "wandb.", false},
    };
    fputs("usage: tact train --dataset.root=DIR [--flag=value ...]\n\n", stdout);
    help_wrapped(
        0, "--policy.type=act with LeRobot's flags alone is LeRobot's policy: plain ACT, one "
           "observation, values as recorded. --policy.type=tact, also where no type is given, "
           "is temporal ACT: --policy.obs_state_horizon observations, poses relative to the "
           "current one. --policy.obs_state_horizon or --policy.pose_repr make act temporal too.");
    putchar('\n');
    help_wrapped(
        0,
        "Flags are spelled as in lerobot-train: --flag=value or --flag value. Booleans are "
        "true or false, a bare --flag means true; null (or None) stands for no value; "
        "lists are written [1,2]. Ctrl-C finishes the step, saves a checkpoint and stops; "
        "a second Ctrl-C stops at once. The last checkpoint's directory is printed at the "
        "end. --config_path=RUN/checkpoints/last/pretrained_model/train_config.json --resume=true "
        "goes on with a run that was stopped or killed; --policy.path=CHECKPOINT starts a new one "
        "from another's weights, with the statistics of the new dataset.");
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        printf("\n%s\n", groups[g].title);
        for (int i = 0; i < train_field_count; i++)
            if (belongs(&train_fields[i], &groups[g])) print_field(&train_fields[i]);
    }
    puts("\nFlags of LeRobot without effect here, named in one warning (also with .anything behind "
         "them)");
    for (int i = 0; i < foreign_flag_count; i++)
        if (!foreign_flags[i].advice) printf("  --%s\n", foreign_flags[i].flag);
    puts("\nFlags of LeRobot that are refused with other values");
    for (int i = 0; i < foreign_flag_count; i++) {
        const ForeignFlag *f = &foreign_flags[i];
        if (!f->advice) continue;
        printf("  --%s=%s\n", f->flag, f->accepted);
        help_wrapped(6, f->advice);
    }
}
