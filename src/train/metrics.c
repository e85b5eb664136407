// SPDX-License-Identifier: Apache-2.0
#include "train/metrics.h"

#include "base/memory.h"
#include "formats/json.h"
#include <string.h>

bool metrics_open(Metrics *m, const char *path, Error *err) {
    m->path = path;
    m->file = fopen(path, "a");
    return m->file ? true : fail_errno(err, "%s: cannot open", path);
}

void metrics_close(Metrics *m) {
    if (m->file) fclose(m->file);
    m->file = NULL;
}

void metrics_add(Metrics *m, ActLosses l, double grad_norm, double lr, double data_s,
                 double update_s) {
    m->count++;
    m->loss += l.total;
    m->l1 += l.l1;
    m->kld += l.kld;
    m->grad_norm += grad_norm;
    m->lr += lr;
    m->data_s += data_s;
    m->update_s += update_s;
}

void metrics_reset(Metrics *m) {
    m->count = 0;
    m->loss = m->l1 = m->kld = m->grad_norm = m->lr = m->data_s = m->update_s = 0;
}

double metrics_mean_loss(const Metrics *m) {
    return m->count ? m->loss / (double)m->count : 0;
}

void big_number(char *out, size_t size, double value) {
    static const char *const suffixes[] = {"", "K", "M", "B", "T", "Q"};
    int i = 0;
    for (; i < 5 && value >= 1000; i++) value /= 1000;
    snprintf(out, size, "%.0f%s", value, suffixes[i]);
}

// What a step count means in data.
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
    double n = m->count ? (double)m->count : 1;
    big_number(steps, sizeof steps, (double)step);
    big_number(samples, sizeof samples, seen.samples);
    big_number(episodes, sizeof episodes, seen.episodes);
    snprintf(out, size,
             "step:%s smpl:%s ep:%s epch:%.2f loss:%.3f grdn:%.3f lr:%.1e updt_s:%.3f data_s:%.3f "
             "l1_loss:%.3f kld_loss:%.3f",
             steps, samples, episodes, seen.epochs, m->loss / n, m->grad_norm / n, m->lr / n,
             m->update_s / n, m->data_s / n, m->l1 / n, m->kld / n);
}

static bool write_line(Metrics *m, json_t *line, Error *err) {
    char *text = json_text(line, 0);
    json_decref(line);
    int written = fprintf(m->file, "%s\n", text);
    mem_free(text);
    if (written < 0 || fflush(m->file) != 0) {
        clearerr(m->file);
        return fail_errno(err, "%s: cannot write", m->path);
    }
    return true;
}

bool metrics_write(Metrics *m, int64_t step, Error *err) {
    Seen seen = seen_after(m, step);
    double n = m->count ? (double)m->count : 1;
    json_t *line = json_pack(
        "{s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "step", (json_int_t)step,
        "samples", seen.samples, "episodes", seen.episodes, "epochs", seen.epochs, "loss",
        m->loss / n, "grad_norm", m->grad_norm / n, "lr", m->lr / n, "update_s", m->update_s / n,
        "dataloading_s", m->data_s / n, "l1_loss", m->l1 / n, "kld_loss", m->kld / n);
    return write_line(m, line, err);
}

bool metrics_write_eval(Metrics *m, int64_t step, double eval_loss, Error *err) {
    return write_line(m, json_pack("{s:I, s:f}", "step", (json_int_t)step, "eval_loss", eval_loss),
                      err);
}
