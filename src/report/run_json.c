// SPDX-License-Identifier: Apache-2.0
#include "report/run_json.h"

#include "base/text.h"
#include "report/curve.h"
#include "report/describe.h"
#include "report/run_files.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static double last_value(const RunLog *log, const char *name) {
    const LogSeries *s = run_log_find(log, name);
    return s && s->count > 0 ? s->points[s->count - 1].value : (double)NAN;
}

// What every other axis than that of the steps is made of: how many samples, epochs and seconds the
// training had behind it at a step.
static json_t *axes_json(const RunLog *log, const double *seconds) {
    static const char *const names[] = {"samples", "epochs"};
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const LogSeries *s = run_log_find(log, names[i]);
        if (!s) continue;
        double *values = NEW(double, s->count);
        for (int64_t k = 0; k < s->count; k++) values[k] = s->points[k].value;
        json_object_set_new(out, names[i], curve_ends_json(s, values, CURVE_COLUMNS / 4));
        mem_free(values);
    }
    if (seconds)
        json_object_set_new(
            out, "seconds",
            curve_ends_json(run_log_find(log, "update_s"), seconds, CURVE_COLUMNS / 4));
    return out;
}

static json_t *curves_json(const RunLog *log) {
    static const char *const axes[] = {"samples", "episodes", "epochs"};
    json_t *out = json_object();
    for (int i = 0; i < log->count; i++) {
        bool axis = false;
        for (size_t k = 0; k < sizeof axes / sizeof axes[0]; k++)
            axis = axis || strcmp(log->series[i].name, axes[k]) == 0;
        if (axis) continue;
        json_object_set_new(out, log->series[i].name, curve_json(&log->series[i], CURVE_COLUMNS));
    }
    return out;
}

// Sums over the whole log, however the curves are thinned.
static json_t *totals_json(const RunLog *log, const double *seconds) {
    const LogSeries *update = run_log_find(log, "update_s");
    const LogSeries *data = run_log_find(log, "dataloading_s");
    double waited = 0, worked = 0;
    for (int64_t i = 0; data && i < data->count; i++)
        if (isfinite(data->points[i].value)) waited += data->points[i].value;
    for (int64_t i = 0; update && i < update->count; i++)
        if (isfinite(update->points[i].value)) worked += update->points[i].value;
    const double all = waited + worked;
    return json_pack("{s:I, s:I, s:o, s:o}", "first_step", (json_int_t)log->first_step, "last_step",
                     (json_int_t)log->last_step, "seconds",
                     describe_number(seconds ? seconds[update->count - 1] : (double)NAN), "waiting",
                     describe_number(all > 0 ? waited / all : (double)NAN));
}

// The part of the dataset that is trained on, which the log's figures tell, and what the dataset
// itself says of all of it, where it is still in its place.
static json_t *dataset_json(const RunLog *log, const json_t *tact, const json_t *train_config) {
    static const char *const known[] = {"robot_type", "total_episodes", "total_frames",
                                        "total_tasks"};
    const double epochs = last_value(log, "epochs");
    const json_t *dataset = json_object_get(train_config, "dataset");
    const char *found =
        json_string_value(json_object_get(json_object_get(tact, "train"), "dataset_root"));
    const char *root = found ? found : json_string_value(json_object_get(dataset, "root"));
    json_t *info = root ? json_read_optional(root, "meta/info.json") : NULL, *out = json_object();
    if (epochs > 0) {
        json_object_set_new(out, "frames",
                            describe_number(round(last_value(log, "samples") / epochs)));
        json_object_set_new(out, "episodes",
                            describe_number(round(last_value(log, "episodes") / epochs)));
    }
    json_object_set(out, "name", json_object_get(dataset, "repo_id"));
    if (root) json_object_set_new(out, "root", describe_path(root));
    json_object_set(out, "fps", json_object_get(tact, "fps"));
    json_object_set(out, "cameras", json_object_get(tact, "cameras"));
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        json_t *value = json_object_get(info, known[i]);
        if (value) json_object_set(out, known[i], value);
    }
    json_decref(info);
    return out;
}

// What the newest checkpoint tells about the run.
static void add_checkpoint(json_t *out, const RunCheckpoint *newest, const RunLog *log) {
    static const char *const kept[] = {"threads", "seed"};
    static const char *const parallel[] = {"dp_world_size", "grad_accum_steps"};
    char dir[POLICY_PATH + 32], state[POLICY_PATH + 32];
    json_t *machine = json_object();
    snprintf(dir, sizeof dir, "%s/pretrained_model", newest ? newest->dir : "");
    snprintf(state, sizeof state, "%s/training_state", newest ? newest->dir : "");
    json_t *tact = newest ? json_read_optional(dir, "tact.json") : NULL;
    json_t *config = newest ? json_read_optional(dir, "train_config.json") : NULL;
    json_t *ours = newest ? json_read_optional(state, "tact_state.json") : NULL;
    json_t *theirs = newest ? json_read_optional(state, "training_step.json") : NULL;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (json_object_get(ours, kept[i]))
            json_object_set(machine, kept[i], json_object_get(ours, kept[i]));
    for (size_t i = 0; i < sizeof parallel / sizeof parallel[0]; i++)
        if (json_object_get(theirs, parallel[i]))
            json_object_set(machine, parallel[i], json_object_get(theirs, parallel[i]));
    json_object_set_new(out, "machine", machine);
    json_object_set_new(out, "dataset", dataset_json(log, tact, config));
    json_object_set_new(out, "settings", newest ? run_settings_json(newest) : json_null());
    json_decref(tact);
    json_decref(config);
    json_decref(ours);
    json_decref(theirs);
}

json_t *run_json(const char *run, const RunLog *log) {
    char path[POLICY_PATH + 32];
    struct stat written;
    RunCheckpoint *checkpoints;
    double *seconds = run_log_seconds(log);
    const int64_t count = run_checkpoints(run, &checkpoints);
    snprintf(path, sizeof path, "%s/metrics.jsonl", run);
    const bool there = stat(path, &written) == 0;
    json_t *out = json_pack(
        "{s:o, s:o, s:o, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:o}", "name",
        describe_path(after_last(run, '/')), "path", describe_path(run), "logged",
        there ? describe_time(written.st_mtime) : json_null(), "lines", (json_int_t)log->lines,
        "bad_lines", (json_int_t)log->bad, "first_bad_line", (json_int_t)log->first_bad, "totals",
        totals_json(log, seconds), "axes", axes_json(log, seconds), "curves", curves_json(log),
        "checkpoints", run_checkpoints_json(checkpoints, count), "videos", run_videos_json(run),
        "changes", run_changes_json(checkpoints, count));
    add_checkpoint(out, count > 0 ? &checkpoints[count - 1] : NULL, log);
    mem_free(seconds);
    mem_free(checkpoints);
    return out;
}
