// SPDX-License-Identifier: Apache-2.0
#include "curves/run_curves.h"

#include "base/array.h"
#include "base/log.h"
#include "base/memory.h"
#include "config/fields.h"
#include "curves/sheet.h"
#include "curves/track_file.h"
#include "formats/image_codec.h"
#include "formats/json.h"
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096 };

// The figures of metrics.csv, the last of a policy with past actions only. A row of a log line has
// a loss, a row of an evaluation has none.
static const char loss_column[] = "loss";
static const char *const columns[] = {loss_column,
                                      "l1_loss",
                                      "kld_loss",
                                      "grad_norm",
                                      "lr",
                                      "update_s",
                                      "dataloading_s",
                                      "samples",
                                      "episodes",
                                      "epochs",
                                      "eval_loss",
                                      "ema_eval_loss",
                                      "pc_success",
                                      "pc_success_low",
                                      "pc_success_high",
                                      "n_episodes",
                                      "mean_steps",
                                      "ema_pc_success",
                                      "ema_pc_success_low",
                                      "ema_pc_success_high",
                                      "ema_n_episodes",
                                      "ema_mean_steps",
                                      "eval_past_loss",
                                      "ema_eval_past_loss"};
enum { COLUMNS = sizeof columns / sizeof columns[0], PAST_COLUMNS = 2 };

RunCurves run_curves_none(void) {
    return (RunCurves){.csv = {.file = {.fd = -1}}, .events = {.file = {.fd = -1}}};
}

// ---- the settings -------------------------------------------------------------------------------

// A growing text. (A stream in memory does not say that it lost something for want of memory.)
typedef struct Text {
    char *data;
    int64_t length, room;
} Text;

static void put(Text *t, const char *s) {
    const int64_t n = (int64_t)strlen(s) + 1;
    ARRAY_ROOM(t->data, t->length, t->room, n);
    memcpy(t->data + t->length, s, (size_t)n);
    t->length += n - 1;
}

// A value in a cell of a Markdown table. TensorBoard shows nothing of a text with bytes that are no
// UTF-8: U+FFFD stands for each.
static void put_cell(Text *t, const char *text) {
    for (size_t length; *text; text += length) {
        char character[5] = "";
        length = utf8_length(text, strlen(text));
        if (length == 0) {
            length = 1;
            put(t, "\xef\xbf\xbd");
            continue;
        }
        if (*text == '|' || *text == '\\' || *text == '*' || *text == '_') put(t, "\\");
        memcpy(character, *text == '\n' ? " " : text, length);
        put(t, character);
    }
}

// All settings as a table. Free with mem_free.
static char *settings_text(const TrainConfig *c) {
    Text t = {0};
    put(&t, "tact " TACT_VERSION "\n\n| setting | value |\n| --- | --- |\n");
    for (int i = 0; i < train_field_count; i++) {
        const Field *f = &train_fields[i];
        json_t *value = field_json(f, (const char *)c + f->offset);
        char *shown =
            json_is_string(value) ? mem_strdup(json_string_value(value)) : json_text_had(value, 0);
        put(&t, "| ");
        put_cell(&t, f->flag);
        put(&t, " | ");
        put_cell(&t, shown);
        put(&t, " |\n");
        mem_free(shown);
        json_decref(value);
    }
    return t.data;
}

CHECKED static bool write_settings(RunCurves *r, const TrainConfig *c, int64_t step, Error *err) {
    char *text = settings_text(c);
    bool ok = event_text(&r->events, step, "settings", text, err);
    mem_free(text);
    return ok;
}

// ---- files --------------------------------------------------------------------------------------

// An event file forgets whole steps only: with eval_due the figures of the checkpoint's step, whose
// evaluations are to go, are written again without them.
CHECKED static bool open_events(RunCurves *r, const TrainConfig *c, int64_t resumed_step,
                                bool eval_due, Error *err) {
    char path[PATH_SIZE];
    CurvePoint points[COLUMNS];
    snprintf(path, sizeof path, "%.4000s/tensorboard", c->output_dir);
    int64_t first = resumed_step > 0 && !eval_due ? resumed_step + 1 : resumed_step;
    if (!event_file_open(&r->events, path, first, err) || !write_settings(r, c, resumed_step, err))
        return false;
    int n = eval_due ? csv_last_row(&r->csv, resumed_step, points) : 0;
    return n == 0 || event_scalars(&r->events, resumed_step, "train", points, n, err);
}

bool run_curves_open(RunCurves *r, const TrainConfig *c, int64_t resumed_step, bool eval_due,
                     Error *err) {
    char path[PATH_SIZE];
    const int used = c->policy.n_past_actions > 0 ? COLUMNS : COLUMNS - PAST_COLUMNS;
    *r = run_curves_none();
    snprintf(path, sizeof path, "%.4000s/metrics.csv", c->output_dir);
    if ((resumed_step > 0 && !csv_cut(path, resumed_step, eval_due ? loss_column : NULL, err)) ||
        !csv_open(&r->csv, path, columns, used, err))
        return false;
    if (c->wandb.enable) {
        if (!track_file_write(c, err)) return false;
        log_info("To send the run along: python -m libtact.track %s --follow", c->output_dir);
    }
    if (!c->tensorboard) return true;
    return open_events(r, c, resumed_step, eval_due, err);
}

bool run_curves_sync(RunCurves *r, Error *err) {
    return append_sync(&r->csv.file, err) && event_file_sync(&r->events, err);
}

void run_curves_close(RunCurves *r) {
    append_close(&r->csv.file);
    event_file_close(&r->events);
}

// ---- figures ------------------------------------------------------------------------------------

// What fails in one file does not keep the figures from the other.
CHECKED static bool write_figures(RunCurves *r, int64_t step, const char *group,
                                  const CurvePoint *points, int n, Error *err) {
    Error second;
    bool csv = r->csv.file.fd < 0 || csv_write(&r->csv, step, points, n, err);
    bool events = r->events.file.fd < 0 ||
                  event_scalars(&r->events, step, group, points, n, csv ? err : &second);
    return csv && events;
}

bool run_curves_log(RunCurves *r, int64_t step, const CurvePoint *points, int n, Error *err) {
    return write_figures(r, step, "train", points, n, err);
}

bool run_curves_evaluation(RunCurves *r, int64_t step, const CurvePoint *points, int n,
                           Error *err) {
    return write_figures(r, step, "eval", points, n, err);
}

// ---- pictures -----------------------------------------------------------------------------------

static int is_episode(const struct dirent *e) {
    const char *end = strrchr(e->d_name, '.');
    return strncmp(e->d_name, "episode_", 8) == 0 && end && strcmp(end, ".mp4") == 0;
}

// What keeps a picture from being made is warned of; an error is what keeps it from being written.
CHECKED static bool write_picture(RunCurves *r, int64_t step, const char *path, const char *tag,
                                  Error *err) {
    Image sheet = {0};
    uint8_t *png = NULL;
    size_t size;
    Error why;
    bool made = video_sheet(path, &sheet, &why) && image_encode_png(&sheet, &png, &size, &why);
    bool ok =
        !made || event_image(&r->events, step, tag, sheet.height, sheet.width, png, size, err);
    if (!made) {
        log_warn("%.900s; TensorBoard gets no pictures", why.text);
        r->no_images = true;
    }
    mem_free(png);
    image_free(&sheet);
    return ok;
}

bool run_curves_videos(RunCurves *r, int64_t step, const char *prefix, const char *videos,
                       Error *err) {
    struct dirent **names;
    bool ok = true;
    if (r->events.file.fd < 0 || r->no_images) return true;
    int n = scandir(videos, &names, is_episode, alphasort);
    if (n < 0) // none were made, or
        return errno == ENOENT || fail_errno(err, "%s: cannot open", videos);
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        char path[PATH_SIZE + 512], tag[512];
        snprintf(path, sizeof path, "%s/%s", videos, name);
        snprintf(tag, sizeof tag, "eval/%s%.*s", prefix, (int)strlen(name) - 4, name);
        if (ok && !r->no_images) ok = write_picture(r, step, path, tag, err);
        free(names[i]);
    }
    free(names);
    return ok;
}
