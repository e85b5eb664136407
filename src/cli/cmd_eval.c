// SPDX-License-Identifier: Apache-2.0
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/source.h"
#include "config/fields.h"
#include "config/foreign.h"
#include "env/env.h"
#include "eval/closed_loop.h"
#include "eval/describe.h"
#include "eval/figures.h"
#include "eval/report.h"
#include "eval/training_log.h"
#include "policy/policy_config.h"
#include "policy/policy_locate.h"
#include <omp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Eval {
    const char *policy, *env, *root, *repo_id, *revision, *episodes, *rename, *tolerance;
    const char *device, *dtype, *output, *coeff;
    int64_t stride, threads, arm;
    int64_t n_episodes, max_videos, seed, n_action_steps, blend_steps, prefix; // of a simulation
    const char *delay_text;
    double delay; // in its seconds; negative: none
    const char *shift_text;
    double shift[3]; // of the gripper's start there
    bool all, json;
    CameraFlags camera_flags;
    CameraModel camera;
    TrainConfig config;           // holds the parsed dataset.* flags
    char policy_dir[POLICY_PATH]; // the checkpoint, found once: `last` may move on meanwhile
    char directory[4096];         // where report.html and eval.json go
    time_t now;                   // when the evaluation began
} Eval;

// "outputs/eval/2026-11-25_10-15-42_hist2_000600".
CHECKED static bool name_output(Eval *e, Error *err) {
    char checkpoint[POLICY_PATH], run[POLICY_PATH];
    char date[32];
    struct tm local;
    if (e->output) {
        int n = snprintf(e->directory, sizeof e->directory, "%s", e->output);
        return n < (int)sizeof e->directory || fail(err, "--output_dir: the path is too long");
    }
    strftime(date, sizeof date, "%Y-%m-%d_%H-%M-%S", localtime_r(&e->now, &local));
    path_parent(checkpoint, sizeof checkpoint, e->policy_dir);
    bool of_run = policy_run(e->policy_dir, run);
    snprintf(e->directory, sizeof e->directory, "outputs/eval/%s_%.100s%s%.100s", date,
             of_run ? after_last(run, '/') : "", of_run ? "_" : "", after_last(checkpoint, '/'));
    return true;
}

// Takes a training's settings out of the arguments. Those that say nothing about an evaluation are
// passed over and noted; the policy's are the checkpoint's, and an error.
CHECKED static bool drop_training_settings(int *argc, char **argv, char *notes, size_t size,
                                           Error *err) {
    static const char *const harmless[] = {"policy.use_amp", "policy.push_to_hub", "policy.repo_id",
                                           "policy.license", "policy.type"};
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        char name[128] = "";
        if (strncmp(argv[i], "--", 2) == 0) snprintf(name, sizeof name, "%s", argv[i] + 2);
        name[strcspn(name, "=")] = 0;
        if (!name[0] || !field_find(name)) {
            argv[kept++] = argv[i];
            continue;
        }
        bool passed = strncmp(name, "policy.", 7) != 0 && strcmp(name, "config_path") != 0;
        for (size_t k = 0; k < sizeof harmless / sizeof harmless[0]; k++)
            passed = passed || strcmp(name, harmless[k]) == 0;
        if (!passed)
            return fail(err,
                        "--%s: not a flag of `tact eval`, which takes the checkpoint as it is; "
                        "`tact help eval` lists what can be changed",
                        name);
        bool next = !strchr(argv[i], '=') && i + 1 < *argc && strncmp(argv[i + 1], "--", 2) != 0;
        const char *value = next                   ? argv[i + 1]
                            : strchr(argv[i], '=') ? strchr(argv[i], '=') + 1
                                                   : "true";
        if (!foreign_asks_nothing(value)) foreign_note(notes, size, name, NULL);
        i += next;
    }
    *argc = kept;
    return true;
}

CHECKED static bool read_delay(Eval *e, Error *err) {
    enum { MOST = 3600 };
    char *end;
    if (!e->delay_text) return true;
    e->delay = strtod(e->delay_text, &end);
    if (end != e->delay_text && !*end && e->delay >= 0 && e->delay <= MOST) return true;
    return fail(err, "--eval.inference_delay_s=%s: expected seconds, from 0 to %d", e->delay_text,
                MOST);
}

CHECKED static bool check_options(Eval *e, int argc, char **argv, const Option *options, int count,
                                  Error *err) {
    char notes[800] = "";
    if (!options_take_foreign(&argc, argv, notes, sizeof notes, err) ||
        !drop_training_settings(&argc, argv, notes, sizeof notes, err))
        return false;
    if (notes[0]) log_warn("without effect in tact eval: %s", notes);
    if (!options_none_left(options, count, argc, argv, err)) return false;
    if (!e->policy)
        return fail(err, "no policy given; name a training run or a checkpoint with --policy.path");
    if (e->env && (e->root || e->repo_id))
        return fail(err, "--env.type and --dataset.root: give one of them");
    const Field *coeff = field_find("policy.temporal_ensemble_coeff");
    if (e->coeff && !field_set(&e->config, coeff, e->coeff, err)) return false;
    if (!read_delay(e, err)) return false;
    if (e->shift_text && !env_read_shift(e->shift_text, e->shift, err)) return false;
    if (e->prefix >= 0 && e->delay < 0)
        return fail(err, "--policy.max_action_prefix: needs --eval.inference_delay_s; where the "
                         "simulation waits for a prediction, none is given any actions");
    if (e->env) return true;
    if (e->shift_text)
        return fail(err, "--env.start_shift: is for --env.type, where the gripper can be put "
                         "somewhere else");
    if (e->blend_steps || e->delay_text)
        return fail(err, "--policy.blend_steps and --eval.inference_delay_s: are for --env.type, "
                         "where actions are executed");
    if (e->coeff)
        return fail(
            err, "--policy.temporal_ensemble_coeff: averages what is executed, in --env.type; on "
                 "recorded episodes predictions are shown as they are");
    if (!e->root && !e->repo_id)
        return fail(
            err,
            "nothing to evaluate on given; name a dataset's folder with --dataset.root=DIR or a "
            "simulated task with --env.type=TASK");
    if (!source_refuse_as_dataset(e->root, err)) return false;
    if (e->episodes && !field_set(&e->config, field_find("dataset.episodes"), e->episodes, err))
        return false;
    if (e->tolerance && !field_set(&e->config, field_find("tolerance_s"), e->tolerance, err))
        return false;
    if (e->config.dataset.episodes.values && e->all)
        return fail(err, "--eval.all and --dataset.episodes: give one of them");
    e->camera_flags.arm = (int)e->arm - 1;
    return true;
}

// A directory that cannot be written to is better found before the run than after it.
CHECKED static bool make_output(Eval *e, Error *err) {
    if (!name_output(e, err) || !make_dirs(e->directory, err)) return false;
    return access(e->directory, W_OK) == 0 ||
           fail_errno(err, "%s: cannot write into it", e->directory);
}

CHECKED static bool check_camera(Eval *e, Error *err) {
    TrainConfig config;
    train_config_default(&config);
    bool ok = policy_read_config(e->policy_dir, false, &config, err) &&
              camera_check(&e->camera, &config.policy, err);
    train_config_free(&config);
    return ok;
}

static const char *path_of(const Eval *e, const char *name, char out[4096 + 32]) {
    snprintf(out, 4096 + 32, "%s/%s", e->directory, name);
    return out;
}

static json_t *text_or_null(const char *text) {
    return text ? describe_path(text) : json_null();
}

static json_t *camera_json(const CameraModel *m) {
    const double *p = m->pose;
    return json_pack("{s:f, s:f, s:f, s:f, s:[f,f,f,f,f,f], s:s}", "fx", m->fx, "fy", m->fy, "cx",
                     m->cx, "cy", m->cy, "pose", p[0], p[1], p[2], p[3], p[4], p[5], "mount",
                     m->on_gripper ? "gripper" : "base");
}

// Adds the time of the run and its settings. threads: those that were used.
static void describe_run(const Eval *e, int threads, json_t *numbers) {
    json_t *settings =
        json_pack("{s:s, s:o, s:I}", "policy.device", e->device ? e->device : "cpu", "policy.dtype",
                  text_or_null(e->dtype), "threads", (json_int_t)threads);
    if (e->camera.known) json_object_set_new(settings, "camera_model", camera_json(&e->camera));
    if (e->env) json_object_set_new(settings, "seed", json_integer(e->seed));
    if (e->shift_text)
        json_object_set_new(settings, "env.start_shift",
                            json_pack("[f,f,f]", e->shift[0], e->shift[1], e->shift[2]));
    json_object_set_new(numbers, "evaluated", describe_time(e->now));
    json_object_set_new(numbers, "settings", settings);
}

// Writes report.html and eval.json, whose text goes to stdout with --json. threads: those that were
// used. page: gets the path of the report.
CHECKED static bool write_results(const Eval *e, int threads, json_t *numbers, json_t *figures,
                                  char page[4096 + 32], Error *err) {
    char path[4096 + 32];
    describe_run(e, threads, numbers);
    if (!report_write(path_of(e, "report.html", page), numbers, figures, err) ||
        !json_write(path_of(e, "eval.json", path), numbers, 1, err))
        return false;
    if (e->json) {
        char *text = json_text_had(numbers, 1);
        puts(text);
        mem_free(text);
    }
    return true;
}

CHECKED static bool run_open_loop(Eval *e, Error *err) {
    Progress bar = progress_new();
    const EvalOptions options = {
        .policy_path = e->policy_dir,
        .dataset = {.repo_id = e->repo_id,
                    .root = e->root,
                    .revision = e->revision,
                    .rename = e->rename,
                    .tolerance_s = train_config_tolerance(&e->config),
                    .episodes = e->config.dataset.episodes.values,
                    .n_episodes = e->config.dataset.episodes.count},
        .all = e->all,
        .stride = e->stride,
        .device = e->device,
        .dtype = e->dtype,
        .threads = (int)e->threads,
        .progress = progress_count,
        .user = &bar,
    };
    EvalResult result = {0};
    char page[4096 + 32];
    json_t *numbers = NULL, *figures = NULL;
    bool ok = policy_resolve(e->policy, e->policy_dir, err) && check_camera(e, err) &&
              make_output(e, err) && eval_open_loop(&options, &result, err);
    progress_clear(&bar);
    ok = ok && figures_open_loop(&result, &e->camera, &figures, err);
    if (ok) numbers = eval_to_json(&result);
    int threads = e->threads > 0 ? (int)e->threads : omp_get_num_procs(); // as device_open
    ok = ok && write_results(e, threads, numbers, figures, page, err);
    if (ok && !e->json) {
        eval_print(&result, stdout);
        printf("\n%s\n", page);
    }
    json_decref(numbers);
    json_decref(figures);
    eval_free(&result);
    return ok;
}

// ---- in a simulation ----------------------------------------------------------------------------

CHECKED static bool run_closed_loop(Eval *e, Error *err) {
    Progress bar = progress_new();
    ClosedLoopResult result = {0};
    char page[4096 + 32];
    double start = clock_seconds();
    const ClosedLoopOptions options = {.policy_path = e->policy_dir,
                                       .env_type = e->env,
                                       .device = e->device,
                                       .dtype = e->dtype,
                                       .threads = (int)e->threads,
                                       .episodes = e->n_episodes,
                                       .seed = (uint64_t)e->seed,
                                       .n_action_steps = (int)e->n_action_steps,
                                       .temporal_ensemble_coeff =
                                           e->config.policy.temporal_ensemble_coeff,
                                       .blend_steps = (int)e->blend_steps,
                                       .max_action_prefix = (int)e->prefix,
                                       .inference_delay = e->delay,
                                       .start_shift = {e->shift[0], e->shift[1], e->shift[2]},
                                       .videos = e->max_videos ? e->directory : NULL,
                                       .max_videos = e->max_videos,
                                       .max_failures = e->max_videos,
                                       .progress = progress_count,
                                       .user = &bar};
    json_t *described = json_object(), *numbers = NULL, *figures = json_object();
    // A training may remove the checkpoint while the episodes run: it is described before them.
    bool ok = policy_resolve(e->policy, e->policy_dir, err) && make_output(e, err) &&
              closed_loop_describe(&options, described, err);
    if (ok) training_log_add(e->policy_dir, figures);
    ok = ok && eval_closed_loop(&options, &result, err);
    progress_clear(&bar);
    if (ok) {
        numbers = closed_loop_to_json(&result);
        json_object_update(numbers, described);
        json_object_set_new(numbers, "seconds", json_real(clock_seconds() - start));
    }
    ok = ok && write_results(e, result.threads, numbers, figures, page, err);
    if (ok && !e->json) {
        if (e->shift_text)
            printf("the gripper starts %s m beside where the seeds put it\n", e->shift_text);
        closed_loop_print(&result, stdout);
        printf("\n%s\n", page);
    }
    json_decref(described);
    json_decref(numbers);
    json_decref(figures);
    closed_loop_free(&result);
    return ok;
}

enum { MOST_OPTIONS = 32 };

// The flags, whose values go into *e; returns how many there are.
static int list_options(Eval *e, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"policy.path", OPTION_TEXT, &e->policy, 0, 0, NULL,
         "training run, checkpoint or pretrained_model"},
        {"dataset.root", OPTION_TEXT, &e->root, 0, 0, NULL, "folder of the LeRobot dataset"},
        {"dataset.repo_id", OPTION_TEXT, &e->repo_id, 0, 0, NULL,
         "its name; without --dataset.root looked for where LeRobot and `hf download` put it"},
        {"dataset.revision", OPTION_TEXT, &e->revision, 0, 0, NULL,
         "with its name: branch, tag or commit"},
        {"rename_map", OPTION_TEXT, &e->rename, 0, 0, NULL,
         "other names for what the dataset has, {\"OLD\": \"NEW\"}; else those of the training"},
        {"dataset.episodes", OPTION_TEXT, &e->episodes, 0, 0, NULL,
         "episodes to evaluate, as [4,5]"},
        {"tolerance_s", OPTION_TEXT, &e->tolerance, 0, 0, NULL,
         "most seconds between a row and its video frame; else a quarter of a frame"},
        {"eval.all", OPTION_BOOL, &e->all, 0, 0, NULL,
         "all episodes, also where the checkpoint says which were held out"},
        {"eval.stride", OPTION_INT, &e->stride, 0, 1000000, NULL,
         "frames from one prediction to the next; 0: half a second, less for short runs"},
        {"policy.device", OPTION_TEXT, &e->device, 0, 0, NULL,
         "what computes; cpu where it is left out"},
        {"policy.dtype", OPTION_TEXT, &e->dtype, 0, 0, NULL,
         "its arithmetic: float32, tf32 (cuda), bfloat16 or, after `tact calibrate`, int8 (cpu)"},
        {"threads", OPTION_INT, &e->threads, 0, 4096, NULL,
         "compute threads, or with --env.type episodes at a time; 0: all processors"},
        {"output_dir", OPTION_TEXT, &e->output, 0, 0, NULL,
         "for report.html and eval.json; else outputs/eval/DATE_POLICY"},
        {"json", OPTION_BOOL, &e->json, 0, 0, NULL, "print eval.json's text instead of the table"},
        {"eval.camera", OPTION_TEXT, &e->camera_flags.camera, 0, 0, NULL,
         "which camera the model below is of; else the policy's first"},
        {"eval.camera_fov", OPTION_TEXT, &e->camera_flags.fov, 0, 0, NULL,
         "horizontal field of view in degrees, of a lens without distortion"},
        {"eval.camera_intrinsics", OPTION_TEXT, &e->camera_flags.intrinsics, 0, 0, NULL,
         "[fx,fy,cx,cy] in pixels of a recorded frame, instead of the field of view"},
        {"eval.camera_pose", OPTION_TEXT, &e->camera_flags.pose, 0, 0, NULL,
         "[x,y,z,rx,ry,rz] of the camera in the frame it is mounted to"},
        {"eval.camera_mount", OPTION_TEXT, &e->camera_flags.mount, 0, 0, "gripper|base",
         "gripper (default): moves with the end effector; base: stands still"},
        {"eval.camera_arm", OPTION_INT, &e->arm, 1, 64, NULL,
         "the arm a gripper's camera is on, from 1"},
        {"env.type", OPTION_TEXT, &e->env, 0, 0, NULL,
         "the simulated task to act in (tact sim lists them)"},
        {"env.start_shift", OPTION_TEXT, &e->shift_text, 0, 0, NULL,
         "[dx,dy,dz] in metres that the gripper starts there beside the place of the seed; x along "
         "the row of plants, y towards it, z up"},
        {"eval.n_episodes", OPTION_INT, &e->n_episodes, 1, 1000000, NULL,
         "episodes in the simulation"},
        {"eval.max_videos", OPTION_INT, &e->max_videos, 0, 1000, NULL,
         "of the first episodes, and as many more of failures"},
        {"seed", OPTION_INT, &e->seed, 0, INT64_MAX, NULL,
         "of the first episode; the next has one more"},
        {"policy.n_action_steps", OPTION_INT, &e->n_action_steps, 0, 100000, NULL,
         "actions of a chunk that are executed in the simulation; 0: as the policy was configured"},
        {"policy.temporal_ensemble_coeff", OPTION_TEXT, &e->coeff, 0, 0, NULL,
         "execute the mean of all predictions there, the i-th oldest weighted exp(-coeff * i); "
         "with --policy.n_action_steps left out or 1"},
        {"policy.blend_steps", OPTION_INT, &e->blend_steps, 0, 100000, NULL,
         "actions of a new chunk that are blended there with the rest of the one before; 0: none"},
        {"policy.max_action_prefix", OPTION_INT, &e->prefix, -1, 100000, NULL,
         "actions, of those executed while a chunk is predicted, that the policy is given at most; "
         "0: none, -1: as in training"},
        {"eval.inference_delay_s", OPTION_TEXT, &e->delay_text, 0, 0, NULL,
         "the next chunk is predicted there while one is played, and takes so many seconds; else "
         "the simulation waits for it"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

static const Eval defaults = {.n_episodes = 50,
                              .delay = -1,
                              .prefix = -1,
                              .max_videos = 3,
                              .seed = CLOSED_LOOP_SEED,
                              .arm = 1};

void describe_eval(const PageWriter *w) {
    Eval e = defaults;
    Option options[MOST_OPTIONS];
    page_usage(w, "eval --policy.path=CHECKPOINT --dataset.root=DIR [--flag=value ...]");
    page_usage(w, "eval --policy.path=CHECKPOINT --env.type=TASK [--flag=value ...]");
    page_text(
        w, "With --env.type: lets a policy act in a simulated task, in episodes of seeds that no "
           "recording has seen if --seed is not among its own. Prints the success rate with its "
           "95 % interval and writes report.html, eval.json and videos of the first episodes and "
           "of failures. With --dataset.root:");
    page_text(
        w,
        "Shows a policy recorded episodes as a robot would, frame by frame, and holds what it "
        "predicts against what was recorded next: position error in mm, rotation error in degrees "
        "and gripper error by time ahead, errors of every value, latency; beside them those of a "
        "robot that stays where it is. Prints a table and writes report.html, to be looked at in a "
        "browser, and eval.json, with every number. CHECKPOINT is a run's directory, a "
        "checkpoint's or its pretrained_model. Without --dataset.episodes: the episodes that the "
        "training held out, where the checkpoint says which, else all.");
    page_options(w, options, list_options(&e, options));
    page_text(w, "A camera model draws the predicted and the recorded path on the frames: "
                 "--eval.camera_fov or --eval.camera_intrinsics, and --eval.camera_pose. The "
                 "camera's axes are OpenCV's: x to the right of the image, y down, z forward. A "
                 "pose is x y z in metres and a rotation vector in radians.");
}

// A flag of recorded episodes is a mistake in a simulation. One of a simulation comes along with a
// command of LeRobot's, which has no other evaluations.
CHECKED static bool check_idle_flags(const Eval *e, const Option *options, int count, Error *err) {
    static const char *const recorded =
        " dataset.revision dataset.episodes rename_map tolerance_s eval.all eval.stride "
        "eval.camera eval.camera_fov eval.camera_intrinsics eval.camera_pose eval.camera_mount "
        "eval.camera_arm ";
    static const char *const simulated = " eval.n_episodes eval.max_videos policy.n_action_steps ";
    for (int i = 0; i < count; i++) {
        const Option *o = &options[i];
        const ptrdiff_t at = (const char *)o->value - (const char *)e;
        const size_t size = o->type == OPTION_TEXT  ? sizeof(const char *)
                            : o->type == OPTION_INT ? sizeof(int64_t)
                                                    : sizeof(bool);
        char word[64];
        snprintf(word, sizeof word, " %s ", o->name);
        if (!strstr(e->env ? recorded : simulated, word) ||
            memcmp(o->value, (const char *)&defaults + at, size) == 0)
            continue;
        if (e->env)
            return fail(err,
                        "--%s: is for recorded episodes (--dataset.root), and would do nothing in "
                        "a simulation; leave it out",
                        o->name);
        log_warn("--%s: is for a simulated task (--env.type), and does nothing here", o->name);
    }
    return true;
}

int cmd_eval(int argc, char **argv) {
    Eval e = defaults;
    Option options[MOST_OPTIONS];
    const int count = list_options(&e, options);
    e.now = time(NULL);
    Error err;
    train_config_default(&e.config);
    int code = EXIT_OK;
    if (!options_take(options, count, &argc, argv, &err) ||
        !check_options(&e, argc, argv, options, count, &err) ||
        !check_idle_flags(&e, options, count, &err) ||
        !camera_from_flags(&e.camera_flags, &e.camera, &err))
        code = cli_error(&err, EXIT_USAGE);
    else if (!(e.env ? run_closed_loop(&e, &err) : run_open_loop(&e, &err)))
        code = cli_error(&err, EXIT_ERROR);
    train_config_free(&e.config);
    return code;
}
