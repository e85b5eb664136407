// SPDX-License-Identifier: Apache-2.0
#include "report/run_files.h"

#include "base/array.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "report/describe.h"
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool has_name(const char *path, const char *name) {
    return strncmp(after_last(path, '/'), name, strlen(name)) == 0;
}

static bool has_log(const char *dir) {
    char log[POLICY_PATH + 32];
    snprintf(log, sizeof log, "%s/metrics.jsonl", dir);
    return file_exists(log);
}

bool run_find(const char *path, char out[POLICY_PATH], Error *err) {
    _Static_assert(POLICY_PATH >= PATH_MAX, "room for realpath");
    char parent[POLICY_PATH];
    if (!realpath(path, out))
        return fail(err,
                    "%s: no such run; give the --output_dir of a training, or a checkpoint in it",
                    path);
    if (!dir_exists(out)) path_go_up(out, POLICY_PATH);
    if (has_log(out)) return true;
    if (has_name(out, "pretrained_model") || has_name(out, "training_state"))
        path_go_up(out, POLICY_PATH);
    path_parent(parent, sizeof parent, out);
    if (strcmp(after_last(parent, '/'), "checkpoints") == 0) path_go_up(out, POLICY_PATH);
    if (strcmp(after_last(out, '/'), "checkpoints") == 0) path_go_up(out, POLICY_PATH);
    return has_log(out) || fail(err,
                                "%s: not of a training: %s has no metrics.jsonl; give the "
                                "--output_dir of one, or a checkpoint in it",
                                path, out);
}

static int compare_checkpoints(const void *a, const void *b) {
    const RunCheckpoint *p = a, *q = b;
    return (p->step > q->step) - (p->step < q->step);
}

int64_t run_checkpoints(const char *run, RunCheckpoint **out) {
    char path[POLICY_PATH + 32], config[2 * POLICY_PATH];
    int64_t count = 0, capacity = 0;
    *out = NULL;
    snprintf(path, sizeof path, "%s/checkpoints", run);
    DIR *dir;
    Error err;
    if (!dir_open(path, &dir, &err)) log_warn("%s; its checkpoints are left out", err.text);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        const int64_t step = checkpoint_step(e->d_name);
        if (step < 0) continue;
        snprintf(config, sizeof config, "%s/%s/pretrained_model/config.json", path, e->d_name);
        if (!file_exists(config)) continue;
        RunCheckpoint *c = ARRAY_ADD(*out, count, capacity);
        c->step = step;
        snprintf(c->dir, sizeof c->dir, "%s/%s", path, e->d_name);
    }
    if (dir) closedir(dir);
    if (count > 0) qsort(*out, (size_t)count, sizeof **out, compare_checkpoints);
    return count;
}

json_t *run_checkpoints_json(const RunCheckpoint *list, int64_t count) {
    json_t *out = json_array();
    for (int64_t i = 0; i < count; i++) {
        char average[POLICY_PATH + 32];
        struct stat what;
        Error err;
        int64_t bytes;
        PathKind kind;
        const bool there = stat(list[i].dir, &what) == 0;
        snprintf(average, sizeof average, "%s/pretrained_model_ema", list[i].dir);
        const bool seen = (there || fail_errno(&err, "%s: cannot look at it", list[i].dir)) &&
                          tree_bytes(list[i].dir, &bytes, &err) && path_look(average, &kind, &err);
        if (!seen) log_warn("%s; its size is left out", err.text);
        json_array_append_new(
            out, json_pack("{s:I, s:o, s:I, s:b}", "step", (json_int_t)list[i].step, "saved",
                           there ? describe_time(what.st_mtime) : json_null(), "bytes",
                           seen ? (json_int_t)bytes : 0, "average", seen && kind == AT_DIR));
    }
    return out;
}

// The step of a folder "videos_step_000500" or, of the moving average, "videos_step_000500_ema".
static int64_t video_step(const char *name, bool *average) {
    static const char head[] = "videos_step_";
    char digits[64];
    if (strncmp(name, head, strlen(head)) != 0 || strlen(name) >= sizeof digits) return -1;
    snprintf(digits, sizeof digits, "%s", name + strlen(head));
    char *rest = strchr(digits, '_');
    *average = rest != NULL;
    if (rest) *rest = 0;
    return checkpoint_step(digits);
}

static int is_video(const struct dirent *e) {
    size_t n = strlen(e->d_name);
    return n > 4 && strcmp(e->d_name + n - 4, ".mp4") == 0;
}

static void add_videos(json_t *out, const char *eval, const char *folder) {
    char path[POLICY_PATH + 320], file[640];
    struct dirent **found;
    bool average = false;
    const int64_t step = video_step(folder, &average);
    snprintf(path, sizeof path, "%s/%s", eval, folder);
    const int n = step < 0 ? 0 : scandir(path, &found, is_video, alphasort);
    if (n < 0) log_warn("%s: cannot open; its videos are left out", path);
    for (int i = 0; i < n; i++) {
        snprintf(file, sizeof file, "eval/%s/%s", folder, found[i]->d_name);
        json_array_append_new(out, json_pack("{s:I, s:b, s:o}", "step", (json_int_t)step, "average",
                                             average, "file", describe_path(file)));
        free(found[i]);
    }
    if (step >= 0 && n >= 0) free(found);
}

json_t *run_videos_json(const char *run) {
    char eval[POLICY_PATH + 16];
    struct dirent **folders;
    json_t *out = json_array();
    snprintf(eval, sizeof eval, "%s/eval", run);
    const int n = scandir(eval, &folders, NULL, alphasort);
    if (n < 0 && errno != ENOENT) log_warn("%s: cannot open; its videos are left out", eval);
    for (int i = 0; i < n; i++) {
        add_videos(out, eval, folders[i]->d_name);
        free(folders[i]);
    }
    if (n >= 0) free(folders);
    return out;
}
