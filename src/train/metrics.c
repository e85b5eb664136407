// SPDX-License-Identifier: Apache-2.0
#include "train/metrics.h"

#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "formats/json.h"
#include <string.h>

bool metrics_open(Metrics *m, const char *path, Error *err) {
    return append_open(&m->file, path, err);
}

bool metrics_sync(Metrics *m, Error *err) {
    return append_sync(&m->file, err) && (!m->curves || run_curves_sync(m->curves, err));
}

void metrics_close(Metrics *m) {
    append_close(&m->file);
}

void metrics_tell(Metrics *m, bool written, const Error *err) {
    if (!written && m->missing++ == 0)
        log_warn("%.900s; the run goes on, and its figures are written again when they can be",
                 err->text);
    if (!written || !m->missing) return;
    log_warn("%s: can be written again; what was logged %lld time%s before is missing in it or "
             "beside it",
             m->file.path, (long long)m->missing, m->missing == 1 ? "" : "s");
    m->missing = 0;
}

// Whether a line of the file tells of what was done until `step`.
static bool line_stays(const char *line, size_t length, int64_t step, bool eval_due) {
    json_t *object = json_parse(line, length, 0, NULL);
    const json_t *at = json_object_get(object, "step");
    bool stays = json_is_integer(at) && json_integer_value(at) <= step;
    if (eval_due && json_integer_value(at) == step)
        stays = stays && json_object_get(object, "loss");
    json_decref(object);
    return stays;
}

bool metrics_cut(const char *path, int64_t step, bool eval_due, Error *err) {
    char *text;
    size_t size, kept = 0;
    if (!file_exists(path)) return true;
    if (!file_read(path, &text, &size, err)) return false;
    for (char *line = text, *end; (end = memchr(line, '\n', size - (size_t)(line - text)));
         line = end + 1) {
        size_t length = (size_t)(end - line) + 1;
        if (!line_stays(line, length, step, eval_due)) continue;
        memmove(text + kept, line, length);
        kept += length;
    }
    bool ok = kept == size || file_write(path, text, kept, err);
    mem_free(text);
    return ok;
}

void metrics_add(Metrics *m, ActLosses l, double grad_norm, double lr, double data_s,
                 double update_s) {
    MetricSums *s = &m->sums;
    s->count++;
    s->loss += l.total;
    s->l1 += l.l1;
    s->kld += l.kld;
    s->grad_norm += grad_norm;
    s->lr += lr;
    s->data_s += data_s;
    s->update_s += update_s;
}

void metrics_reset(Metrics *m) {
    m->sums = (MetricSums){0};
}

// Means over the steps since the last line.
static MetricSums metric_means(const MetricSums *s) {
    double n = s->count ? (double)s->count : 1;
    return (MetricSums){.count = s->count,
                        .loss = s->loss / n,
                        .l1 = s->l1 / n,
                        .kld = s->kld / n,
                        .grad_norm = s->grad_norm / n,
                        .update_s = s->update_s / n,
                        .data_s = s->data_s / n,
                        .lr = s->lr / n};
}

double metrics_mean_loss(const Metrics *m) {
    return metric_means(&m->sums).loss;
}

void big_number(char *out, size_t size, double value) {
    static const char *const suffixes[] = {"", "K", "M", "B", "T", "Q"};
    int i = 0;
    for (; i < 5 && value >= 1000; i++) value /= 1000;
    snprintf(out, size, "%.0f%s", value, suffixes[i]);
}

// How much data a number of steps is.
typedef struct Seen {
    double samples, episodes, epochs;
} Seen;

static Seen seen_after(const Metrics *m, int64_t step) {
    double samples = (double)(step * m->batch_size), epochs = samples / (double)m->frames;
    return (Seen){samples, epochs * (double)m->episodes, epochs};
}

void metrics_line(const Metrics *m, int64_t step, char *out, size_t size) {
    char steps[32], samples[32], episodes[32];
    Seen seen = seen_after(m, step);
    const MetricSums mean = metric_means(&m->sums);
    big_number(steps, sizeof steps, (double)step);
    big_number(samples, sizeof samples, seen.samples);
    big_number(episodes, sizeof episodes, seen.episodes);
    snprintf(out, size,
             "step:%s smpl:%s ep:%s epch:%.2f loss:%.3f grdn:%.3f lr:%.1e updt_s:%.3f data_s:%.3f "
             "l1_loss:%.3f kld_loss:%.3f",
             steps, samples, episodes, seen.epochs, mean.loss, mean.grad_norm, mean.lr,
             mean.update_s, mean.data_s, mean.l1, mean.kld);
}

static bool write_line(Metrics *m, json_t *line, Error *err) {
    char *text = json_text_had(line, 0);
    const size_t length = strlen(text);
    bool ok = json_whole(line, m->file.path, err);
    json_decref(line);
    text[length] = '\n'; // in the place of its zero
    ok = ok && append_write(&m->file, text, length + 1, err);
    mem_free(text);
    return ok;
}

// {"step": ..., the points}
static json_t *line_of(int64_t step, const CurvePoint *points, int n) {
    json_t *line = json_pack("{s:I}", "step", (json_int_t)step);
    for (int i = 0; i < n; i++)
        json_object_set_new(line, points[i].name, json_real(points[i].value));
    return line;
}

// What fails in one file does not keep the figures from the others.
CHECKED static bool write_evaluation(Metrics *m, int64_t step, json_t *line,
                                     const CurvePoint *points, int n, Error *err) {
    Error second;
    bool written = write_line(m, line, err);
    bool shown =
        !m->curves || run_curves_evaluation(m->curves, step, points, n, written ? err : &second);
    return written && shown;
}

bool metrics_write(Metrics *m, int64_t step, Error *err) {
    Error second;
    Seen seen = seen_after(m, step);
    const MetricSums mean = metric_means(&m->sums);
    const CurvePoint points[] = {
        {"samples", seen.samples},   {"episodes", seen.episodes},    {"epochs", seen.epochs},
        {"loss", mean.loss},         {"grad_norm", mean.grad_norm},  {"lr", mean.lr},
        {"update_s", mean.update_s}, {"dataloading_s", mean.data_s}, {"l1_loss", mean.l1},
        {"kld_loss", mean.kld},
    };
    const int n = sizeof points / sizeof points[0];
    bool written = write_line(m, line_of(step, points, n), err);
    bool shown = !m->curves || run_curves_log(m->curves, step, points, n, written ? err : &second);
    return written && shown;
}

bool metrics_write_rollouts(Metrics *m, int64_t step, bool average, const TrainRollouts *r,
                            Error *err) {
    const double percent = 100.0 * (double)r->succeeded / (double)r->episodes;
    const CurvePoint points[] = {
        {"ema_pc_success", percent},
        {"ema_pc_success_low", 100 * r->low},
        {"ema_pc_success_high", 100 * r->high},
        {"ema_n_episodes", (double)r->episodes},
        {"ema_mean_steps", r->mean_steps},
    };
    enum { N = sizeof points / sizeof points[0] };
    CurvePoint named[N];
    for (int i = 0; i < N; i++)
        named[i] = (CurvePoint){points[i].name + (average ? 0 : strlen("ema_")), points[i].value};
    json_t *line = json_pack(
        "{s:I, s:f, s:[f, f], s:I, s:f}", "step", (json_int_t)step, named[0].name, percent,
        average ? "ema_pc_success_95" : "pc_success_95", 100 * r->low, 100 * r->high, "n_episodes",
        (json_int_t)r->episodes, "mean_steps", r->mean_steps);
    return write_evaluation(m, step, line, named, N, err);
}

bool metrics_write_eval(Metrics *m, int64_t step, const char *key, double eval_loss, Error *err) {
    const CurvePoint point = {key, eval_loss};
    return write_evaluation(m, step, line_of(step, &point, 1), &point, 1, err);
}
