// SPDX-License-Identifier: Apache-2.0
// The run's directory: who owns it, what is saved in it, and how a run goes on in it.
#include "train/run.h"

#include "base/file.h"
#include "base/log.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

// As LeRobot: a new run never writes into an old one.
CHECKED static bool make_output(Run *r, Error *err) {
    const char *dir = r->config->output_dir;
    char parent[PATH_SIZE];
    path_parent(parent, sizeof parent, dir);
    if (!make_dirs(parent, err)) return false;
    if (mkdir(dir, 0777) != 0) {
        if (errno != EEXIST) return fail_errno(err, "--output_dir=%s: cannot make it", dir);
        return fail(err, "--output_dir=%s: exists already; choose another one or remove it", dir);
    }
    r->made_output = true;
    return true;
}

// A lock that ends with the process, however it ends. A file system without locks is taken as it
// is.
CHECKED static bool lock_output(Run *r, Error *err) {
    const char *dir = r->config->output_dir;
    r->output_lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->output_lock < 0) return fail_errno(err, "--output_dir=%s: cannot open it", dir);
    if (flock(r->output_lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return fail(err, "--output_dir=%s: another process trains in it", dir);
    return true;
}

// What a process that was killed left beside the checkpoints.
CHECKED static bool clean_output(const char *dir, Error *err) {
    DIR *d = opendir(dir);
    bool ok = true;
    for (struct dirent *e; ok && d && (e = readdir(d));) {
        char path[PATH_SIZE + 512];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (strncmp(e->d_name, "metrics.jsonl.tmp.", 18) == 0 ||
            strcmp(e->d_name, RUN_ROLLOUT_POLICY) == 0)
            ok = remove_tree(path, err);
    }
    if (d) closedir(d);
    return ok;
}

bool run_open_output(Run *r, Error *err) {
    char checkpoints[PATH_SIZE + 64];
    const char *dir = r->config->output_dir;
    bool resume = r->resumed.step > 0;
    if (!resume && !make_output(r, err)) return false;
    if (!lock_output(r, err)) return false;
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", dir);
    snprintf(r->metrics_path, sizeof r->metrics_path, "%s/metrics.jsonl", dir);
    if (resume && (!clean_output(dir, err) || !checkpoints_clean(checkpoints, err) ||
                   !metrics_cut(r->metrics_path, r->resumed.step, r->eval_due, err)))
        return false;
    r->metrics.batch_size = r->config->batch_size;
    r->metrics.frames = r->n_train;
    r->metrics.episodes = r->train_episodes;
    r->metrics.sums = r->resumed.sums;
    return metrics_open(&r->metrics, r->metrics_path, err);
}

void run_close_output(Run *r) {
    metrics_close(&r->metrics);
    if (r->output_lock >= 0) close(r->output_lock);
    r->output_lock = -1;
}

static TrainingState state_after(const Run *r, int64_t step) {
    const TrainConfig *c = r->config;
    int64_t first = r->first_step - 1;                  // steps that were taken before this process
    int64_t untaken = r->step.started - (step - first); // begun, and halted by what was not finite
    return (TrainingState){.step = step,
                           .next_batch = r->resumed.next_batch + step - first,
                           .batch_size = c->batch_size,
                           .frames = r->n_train,
                           .seed = c->seed,
                           .threads = r->device->threads,
                           .ema_updates = r->ema.params ? r->ema.updates - untaken : -1,
                           .eval_due = r->eval_due,
                           .sums = r->metrics.sums};
}

bool run_save(Run *r, int64_t step, Error *err) {
    TrainingState state = state_after(r, step);
    Params average = r->ema.params ? ema_params(&r->ema) : (Params){0};
    const CheckpointParts parts = {.config = r->config,
                                   .params = &r->params,
                                   .average = r->ema.params ? &average : NULL,
                                   .stats = &r->stats,
                                   .optimizer = &r->optimizer,
                                   .state = &state};
    char checkpoints[PATH_SIZE + 64];
    Error why;
    if (!metrics_sync(&r->metrics, &why)) log_warn("%s", why.text);
    if (!checkpoint_write(&parts, r->checkpoint, sizeof r->checkpoint, err)) return false;
    log_info("Checkpoint policy after step %lld: %s", (long long)step, r->checkpoint);
    r->saved_step = step;
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", r->config->output_dir);
    if (!checkpoints_prune(checkpoints, step, r->config->keep_last, &why)) log_warn("%s", why.text);
    return true;
}

// The average that was saved, or, for a run that gets one now, the weights as they are.
CHECKED static bool restore_average(Run *r, const char *checkpoint, Error *err) {
    char dir[PATH_SIZE + 64];
    if (!r->ema.params) return true;
    if (r->resumed.ema_updates < 0) {
        log_info("The moving average starts here: the checkpoint has none");
        r->device->copy(r->device, r->ema.average, r->params.values);
        return true;
    }
    snprintf(dir, sizeof dir, "%s/pretrained_model_ema", checkpoint);
    Params average = ema_params(&r->ema);
    r->ema.updates = r->resumed.ema_updates;
    return policy_read_weights(dir, &average, (WeightsOptions){.new_times = r->config->new_times},
                               err);
}

static void warn_of_changes(const Run *r) {
    const TrainingState *s = &r->resumed;
    const TrainConfig *c = r->config;
    if (!s->ours) {
        log_warn("The checkpoint is not tact's: the order of the data is tact's own from here on");
        return;
    }
    if (s->threads != r->device->threads)
        log_warn("The run had %lld threads and has %d now: sums may differ in their last digits",
                 (long long)s->threads, r->device->threads);
    if (s->frames != r->n_train || s->seed != c->seed || s->batch_size != c->batch_size)
        log_warn(
            "Frames, seed or batch size are not those of the checkpoint: the order of the data "
            "changes");
}

bool run_restore(Run *r, Error *err) {
    char checkpoint[PATH_SIZE], state[PATH_SIZE + 64];
    const TrainConfig *c = r->config;
    TrainingState *s = &r->resumed;
    path_parent(checkpoint, sizeof checkpoint, c->resume_from);
    snprintf(state, sizeof state, "%s/training_state", checkpoint);
    if (!training_state_read(state, s, err)) return false;
    r->eval_due = s->eval_due && (r->n_eval || c->env_type);
    if (s->step >= c->steps && !r->eval_due)
        return fail(err, "%s: all %lld steps are taken already; pass a larger --steps to go on",
                    checkpoint, (long long)s->step);
    if (!optimizer_state_read(state, s->step, c->new_times, &r->optimizer, err) ||
        !restore_average(r, checkpoint, err))
        return false;
    warn_of_changes(r);
    // Another batch size: as many samples are behind as before.
    if (s->ours) s->next_batch = s->next_batch * s->batch_size / c->batch_size;
    r->first_step = s->step + 1;
    r->taken = r->saved_step = s->step;
    snprintf(r->checkpoint, sizeof r->checkpoint, "%s/checkpoints/%s", c->output_dir,
             strrchr(checkpoint, '/') + 1);
    return true;
}
