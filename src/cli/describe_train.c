// SPDX-License-Identifier: Apache-2.0
// The page of `tact train`: every setting, by theme.
#include "cli/cli.h"
#include "config/fields.h"
#include "config/foreign.h"
#include <stdio.h>
#include <string.h>

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

static void describe_settings(const PageWriter *w) {
    static const Group groups[] = {
        {"Dataset", "dataset.", false},
        {"Time and poses (what tact adds to ACT)", "policy.", true},
        {"Policy (as LeRobot's ACT)", "policy.", false},
        {"Run", "", false},
        {"Several processes (mpirun, srun, torchrun)", "dist.", false},
        {"Optimizer", "optimizer.", false},
        {"Learning-rate schedule", "scheduler.", false},
        {"Moving average of the weights", "ema.", false},
        {"Evaluation in a simulation", "env.", false},
        {"Its episodes", "eval.", false},
        {"Weights & Biases", "wandb.", false},
    };
    for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
        page_heading(w, groups[g].title);
        for (int i = 0; i < train_field_count; i++)
            if (belongs(&train_fields[i], &groups[g])) page_field(w, &train_fields[i]);
    }
}

static void describe_foreign(const PageWriter *w) {
    char term[128];
    page_heading(w, "Flags of LeRobot without effect here, named in one warning (also with "
                    ".anything behind them)");
    for (int i = 0; i < foreign_flag_count; i++) {
        snprintf(term, sizeof term, "--%s", foreign_flags[i].flag);
        if (!foreign_flags[i].advice) page_item(w, term, NULL);
    }
    page_heading(w, "Flags of LeRobot that are refused with other values");
    for (int i = 0; i < foreign_flag_count; i++) {
        const ForeignFlag *f = &foreign_flags[i];
        snprintf(term, sizeof term, "--%s=%s", f->flag, f->accepted);
        if (f->advice) page_item(w, term, f->advice);
    }
}

void describe_train(const PageWriter *w) {
    page_usage(w, "train --dataset.root=DIR [--flag=value ...]");
    page_text(w, "--policy.type=act with LeRobot's flags alone is LeRobot's policy: plain ACT, one "
                 "observation, values as recorded. --policy.type=tact, also where no type is "
                 "given, is temporal ACT: --policy.obs_state_horizon observations, poses relative "
                 "to the current one. --policy.obs_state_horizon or --policy.pose_repr make act "
                 "temporal too.");
    page_text(w, "Flags are spelled as in lerobot-train: --flag=value or --flag value. Booleans "
                 "are true or false, a bare --flag means true; null (or None) stands for no value; "
                 "lists are written [1,2]. Ctrl-C finishes the step, saves a checkpoint and stops; "
                 "a second Ctrl-C stops at once. The last checkpoint's directory is printed at the "
                 "end. "
                 "--config_path=RUN/checkpoints/last/pretrained_model/train_config.json "
                 "--resume=true goes on with a run that was stopped or killed; "
                 "--policy.path=CHECKPOINT starts a new one from another's weights, with the "
                 "statistics of the new dataset.");
    describe_settings(w);
    describe_foreign(w);
}
