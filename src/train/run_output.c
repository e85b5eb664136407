// SPDX-License-Identifier: Apache-2.0
#include "train/run_output.h"

#include "base/file.h"
#include "base/log.h"
#include "train/checkpoint.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE = 4096 };

// As LeRobot: a new run never writes into an old one.
CHECKED static bool make_output(RunOutput *out, const char *dir, Error *err) {
    char parent[PATH_SIZE];
    path_parent(parent, sizeof parent, dir);
    if (!make_dirs(parent, err)) return false;
    if (mkdir(dir, 0777) != 0) {
        if (errno != EEXIST) return fail_errno(err, "--output_dir=%s: cannot make it", dir);
        return fail(err, "--output_dir=%s: exists already; choose another one or remove it", dir);
    }
    out->made = true;
    return true;
}

// Locks that end with the process, however it ends. That of the directory is known to this host
// alone, also where the directory is on a network; that of a file in it is known to all hosts of an
// NFS or a cluster's file system, which take it back from a host that is gone. On a file system
// without locks there is none.
CHECKED static bool lock_output(RunOutput *out, const char *dir, Error *err) {
    out->lock = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->lock < 0) return fail_errno(err, "--output_dir=%s: cannot open it", dir);
    if (flock(out->lock, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return fail(err, "--output_dir=%s: another process trains in it", dir);
    out->lock_file = openat(out->lock, ".lock", O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (out->lock_file >= 0 && flock(out->lock_file, LOCK_EX | LOCK_NB) != 0 &&
        errno == EWOULDBLOCK)
        return fail(err, "--output_dir=%s: another process, on another host, trains in it", dir);
    return true;
}

static void unlock_output(RunOutput *out) {
    if (out->lock_file >= 0) close(out->lock_file);
    if (out->lock >= 0) close(out->lock);
    out->lock = out->lock_file = -1;
}

CHECKED static bool fail_lost(RunOutput *out, const char *dir, Error *err) {
    out->lost = true;
    return fail(err,
                "--output_dir=%s: is not the directory that this run began in, which was removed "
                "or moved; another run may be in it, and it is left alone",
                dir);
}

bool run_output_owned(RunOutput *out, const char *dir, Error *err) {
    struct stat owned, there;
    if (out->lost) return fail_lost(out, dir, err);
    if (out->lock < 0) return true; // another process of the run writes
    if (fstat(out->lock, &owned) != 0) return fail_errno(err, "--output_dir=%s: is lost", dir);
    if (stat(dir, &there) == 0)
        return (there.st_dev == owned.st_dev && there.st_ino == owned.st_ino) ||
               fail_lost(out, dir, err);
    if (errno != ENOENT) return fail_errno(err, "--output_dir=%s: cannot look at it", dir);
    unlock_output(out);
    out->lost = !make_dirs(dir, err) || !lock_output(out, dir, err);
    if (out->lost) return false;
    log_warn("--output_dir=%s: was removed or moved while this run was in it, and is made anew; "
             "what was logged before is not in it",
             dir);
    return true;
}

// What a process that was killed left beside the checkpoints.
CHECKED static bool clean_output(const char *dir, Error *err) {
    char videos[PATH_SIZE + 16];
    DIR *d;
    bool ok = true;
    snprintf(videos, sizeof videos, "%s/eval", dir);
    remove_half_written(videos);
    if (!dir_open(dir, &d, err)) return false;
    for (struct dirent *e; ok && d && (e = readdir(d));) {
        char path[PATH_SIZE + 512];
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        if (strncmp(e->d_name, "metrics.jsonl.tmp.", 18) == 0 ||
            strncmp(e->d_name, "metrics.csv.tmp.", 16) == 0 ||
            strncmp(e->d_name, "track.json.tmp.", 15) == 0 ||
            strcmp(e->d_name, RUN_ROLLOUT_POLICY) == 0)
            ok = remove_tree(path, err);
    }
    if (d) closedir(d);
    return ok;
}

bool run_output_open(RunOutput *out, const TrainConfig *c, int64_t resumed_step, bool eval_due,
                     Error *err) {
    const char *dir = c->output_dir;
    char checkpoints[PATH_SIZE + 64], metrics[PATH_SIZE + 64];
    bool resume = resumed_step > 0;
    if (!resume && !make_output(out, dir, err)) return false;
    if (!lock_output(out, dir, err)) return false;
    snprintf(checkpoints, sizeof checkpoints, "%s/checkpoints", dir);
    snprintf(metrics, sizeof metrics, "%s/metrics.jsonl", dir);
    if (resume && (!clean_output(dir, err) || !checkpoints_clean(checkpoints, err) ||
                   !metrics_cut(metrics, resumed_step, eval_due, err)))
        return false;
    out->metrics.curves = &out->curves;
    return metrics_open(&out->metrics, metrics, err) &&
           run_curves_open(&out->curves, c, resumed_step, eval_due, err);
}

void run_output_close(RunOutput *out) {
    metrics_close(&out->metrics);
    run_curves_close(&out->curves);
    unlock_output(out);
}
