// SPDX-License-Identifier: Apache-2.0
// Flags of LeRobot, and of the launchers it is started with, that tact has no setting for. A
// flag that cannot change the policy that is trained is passed over, which is said once; a flag
// that would is refused, and the message names what does the same in tact.
#include "config/foreign.h"

#include "base/text.h"
#include <stdio.h>
#include <string.h>

#define LAUNCHER                                                                                   \
    "`mpirun -np N tact train ...` starts several processes, srun and `torchrun --no-python` too"
#define PRECISION "--policy.dtype=bfloat16 trains in mixed precision"

const ForeignFlag foreign_flags[] = {
    // The policy and the data.
    {"policy.use_peft", "false", "merge the adapter into the weights first"},
    {"policy.disable_temporal_wrapper", "false", "--policy.type=act alone is plain ACT"},
    {"policy.pretrained_path", "null", "--policy.path=CHECKPOINT starts from its weights"},
    {"policy.pretrained_revision", "null",
     "`hf download NAME --revision REVISION --local-dir DIR`, then --policy.path=DIR"},
    {"policy.private", "*", NULL},
    {"policy.tags", "*", NULL},
    {"policy.output_features", "*", NULL}, // always the dataset's, as in LeRobot
    {"dataset.repo_type", "dataset", "copy the bucket to a folder and pass --dataset.root=DIR"},
    {"dataset.exclude_episodes", "null|[]", "--dataset.episodes=[0,1,...] lists those to use"},
    {"dataset.return_uint8", "*", NULL},
    {"dataset.depth_output_unit", "*", NULL},
    {"dataset.local_files_only", "*", NULL},
    {"local_files_only", "*", NULL},
    {"sample_weighting", "null", "every frame counts alike; leave it out"},
    {"use_rabc", "false", "every frame counts alike; leave it out"},
    {"rabc_progress_path", "*", NULL},
    {"rabc_kappa", "*", NULL},
    {"rabc_epsilon", "*", NULL},
    {"rabc_head_mode", "*", NULL},
    {"reward_model", "null", "tact trains policies only"},
    // The run.
    {"optimizer.type", "adamw", "AdamW is what ACT is trained with"},
    {"scheduler", "null", "--scheduler.type names a schedule"},
    {"accelerator.mixed_precision", "no", PRECISION},
    {"mixed_precision", "no", PRECISION},
    {"num_processes", "1", LAUNCHER},
    {"nproc_per_node", "1", LAUNCHER},
    {"nproc-per-node", "1", LAUNCHER},
    {"num_machines", "1", LAUNCHER},
    {"nnodes", "1", LAUNCHER},
    {"multi_gpu", "*", NULL},
    {"accelerator", "*", NULL},
    {"parallelism", "*", NULL},
    {"persistent_workers", "*", NULL},
    {"dataloader_multiprocessing_context", "*", NULL},
    {"cudnn_deterministic", "*", NULL},
    {"checkpoint_format", "*", NULL},
    {"save_checkpoint_to_hub", "*", NULL},
    {"checkpoint_path", "*", NULL},
    {"peft", "*", NULL},
    {"job", "*", NULL},
    {"wandb", "*", NULL},
    // An evaluation.
    {"env", "*", NULL},
    {"eval.batch_size", "*", NULL},
    {"eval.use_async_envs", "*", NULL},
    {"eval.recording", "*", NULL},
    {"eval.recording_repo_id", "*", NULL},
    {"eval.recording_private", "*", NULL},
    {"trust_remote_code", "*", NULL},
    {"push_to_hub", "*", NULL},
    {"robot", "null",
     "it moves no robot; a program does with libtact (docs/runtime.md), and LeRobot with a "
     "checkpoint of type act"},
    {"teleop", "null", "it moves no robot; `tact train` takes what was recorded"},
};
const int foreign_flag_count = sizeof(foreign_flags) / sizeof(foreign_flags[0]);

const ForeignFlag *foreign_find(const char *flag) {
    static const ForeignFlag plugins = {"discover_packages_path", "*", NULL};
    const ForeignFlag *found = NULL;
    if (strcmp(after_last(flag, '.'), plugins.flag) == 0) return &plugins;
    // LeRobot has many settings for a simulation, but names so close to env.type are
    // misspelled.
    if (strncmp(flag, "env.", 4) == 0 && edit_distance(flag, "env.type") <= 2) return NULL;
    size_t longest = 0;
    for (int i = 0; i < foreign_flag_count; i++) { // the longest, for a group may have exceptions
        size_t n = strlen(foreign_flags[i].flag);
        bool same = strncmp(flag, foreign_flags[i].flag, n) == 0 && (!flag[n] || flag[n] == '.');
        if (same && n > longest) {
            longest = n;
            found = &foreign_flags[i];
        }
    }
    return found;
}

static bool is_listed(const char *accepted, const char *value) {
    size_t n = strlen(value);
    for (const char *a = accepted; a; a = strchr(a, '|') ? strchr(a, '|') + 1 : NULL)
        if (n > 0 && strncasecmp(a, value, n) == 0 && (a[n] == '|' || !a[n])) return true;
    return false;
}

bool foreign_asks_nothing(const char *value) {
    return is_listed("null|none|~|false|[]|{}|no", value);
}

bool foreign_check(const ForeignFlag *f, const char *value, Error *err) {
    bool null = foreign_asks_nothing(value) &&
                (is_listed(f->accepted, "null") || is_listed(f->accepted, "false"));
    if (!f->advice || null || is_listed(f->accepted, value)) return true;
    return fail(err, "--%s=%s: tact does not do this part of LeRobot; %s", f->flag, value,
                f->advice);
}

bool foreign_simulation(const char *env_type) {
    return is_listed(
        "aloha|pusht|xarm|gym_manipulator|hil|libero|libero_plus|metaworld|robocasa|vlabench|"
        "isaaclab_arena|robotwin|robomme",
        env_type);
}

void foreign_note(char *notes, size_t size, const char *flag, const char *how) {
    size_t used = strlen(notes);
    if (used + strlen(flag) + (how ? strlen(how) : 0) + 16 > size) return;
    snprintf(notes + used, size - used, "%s--%s%s%s%s", used ? ", " : "", flag, how ? " (" : "",
             how ? how : "", how ? ")" : "");
}

bool foreign_take(const char *flag, const char *value, char *notes, size_t size, Error *err) {
    const ForeignFlag *f = foreign_find(flag);
    if (!value) value = "true"; // a bare flag
    // Messages name the flag itself, even where the row is a group's.
    const ForeignFlag named = {flag, f->accepted, f->advice};
    if (!foreign_check(&named, value, err)) return false;
    if (f->advice || foreign_asks_nothing(value)) return true;
    foreign_note(notes, size, flag,
                 strcmp(f->flag, "peft") == 0 ? "all weights are trained" : NULL);
    return true;
}
