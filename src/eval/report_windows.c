// SPDX-License-Identifier: Apache-2.0
// Single predictions and single episodes: what was predicted beside what was recorded.
#include "eval/html.h"
#include "eval/report_internal.h"
#include "eval/svg.h"
#include "pose/pose.h"
#include <math.h>

static double recorded(const EvalResult *r, int64_t row, int dimension) {
    return r->dataset->action_data[row * r->A + dimension];
}

static void caption(FILE *out, const EvalResult *r, int dimension) {
    fputs("<figure><figcaption>", out);
    html_text(out, r->dimensions[dimension].name);
    const char *unit = report_unit(r, dimension);
    if (*unit) fprintf(out, " <small>%s</small>", unit);
    fputs("</figcaption>", out);
}

// ---- the worst windows --------------------------------------------------------------------------

// The predicted and the recorded action of a step, rotation vectors made comparable: `was` goes on
// from the step before without a jump, `will` is the nearest to it. before: `was` of the step
// before, or NULL.
static void step_values(const EvalResult *r, const float *predicted, int64_t row,
                        const double *before, double *was, double *will) {
    for (int i = 0; i < r->A; i++) {
        was[i] = recorded(r, row, i);
        will[i] = predicted[i];
    }
    if (before) action_nearest(was, before, r->A, r->arms, was);
    action_nearest(will, was, r->A, r->arms, will);
}

// Which values of an action to draw, the first ones being the most telling.
static int choose_thumbnails(const EvalResult *r, const EvalWindow *w,
                             int chosen[REPORT_THUMBNAILS]) {
    static const int of_arm[] = {0, 1, 2, 6}; // the position and the gripper
    int n = 0;
    for (int k = 0; k < r->arms; k++)
        for (int i = 0; i < 4 && n < REPORT_THUMBNAILS; i++) chosen[n++] = POSE_ROW * k + of_arm[i];
    if (r->arms > 0) return n;
    // Of a plain policy the values that are furthest off, against their mean error.
    const int most = 4;
    while (n < most && n < r->A) {
        int best = -1;
        double worst = -1;
        for (int i = 0; i < r->A; i++) {
            bool taken = false;
            double usual = r->dimensions[i].l1, off = usual > 0 ? w->error[i] / usual : 0;
            for (int k = 0; k < n; k++) taken = taken || chosen[k] == i;
            if (!taken && off > worst) best = i, worst = off;
        }
        chosen[n++] = best;
    }
    return n;
}

static void thumbnails(const Report *p, const EvalWindow *w) {
    const EvalResult *r = p->r;
    int chosen[REPORT_THUMBNAILS], n = choose_thumbnails(r, w, chosen);
    int64_t size = (int64_t)w->valid * r->A;
    double *was = NEW(double, size), *will = NEW(double, size), *line = NEW(double, w->valid);
    for (int s = 0; s < w->valid; s++)
        step_values(r, w->predicted + s * r->A, w->row + s, s ? was + (s - 1) * r->A : NULL,
                    was + s * r->A, will + s * r->A);
    fputs("<div class=\"thumbs\">", p->out);
    for (int k = 0; k < n; k++) {
        Range y = range_empty();
        for (int s = 0; s < w->valid; s++) {
            range_add(&y, was[s * r->A + chosen[k]]);
            range_add(&y, will[s * r->A + chosen[k]]);
        }
        caption(p->out, r, chosen[k]);
        Chart c = chart_begin(p->out, (Range){0, fmax(w->valid - 1, 1) / p->fps},
                              range_padded(y, 0.08), "predicted and recorded", "s", true);
        for (int s = 0; s < w->valid; s++) line[s] = was[s * r->A + chosen[k]];
        chart_line(&c, 0, 1 / p->fps, line, w->valid, "truth");
        for (int s = 0; s < w->valid; s++) line[s] = will[s * r->A + chosen[k]];
        chart_line(&c, 0, 1 / p->fps, line, w->valid, "policy");
        chart_end(&c);
        fputs("</figure>", p->out);
    }
    fputs("</div>\n", p->out);
    mem_free(was);
    mem_free(will);
    mem_free(line);
}

static void window_numbers(const Report *p, const EvalWindow *w) {
    const EvalResult *r = p->r;
    FILE *out = p->out;
    const int most = 3; // measures in a line
    fprintf(out, "<header><h3>Episode %lld, frame %lld <span>(",
            (long long)r->episodes[w->episode].index, (long long)w->frame);
    report_time(out, (double)w->frame / p->fps);
    fprintf(out, ")</span></h3><div class=\"note\">mean over %d step%s: ", w->valid,
            w->valid == 1 ? "" : "s");
    for (int m = 0; m < r->measures.count; m++) {
        const Measure *measure = &r->measures.of[m];
        bool shown = r->arms > 0 ? m < most * r->arms : m == r->measures.headline;
        if (!shown) continue;
        fprintf(out, "%s<b>", m > 0 && r->arms > 0 ? "; " : "");
        html_text(out, measure->name);
        fputs(" ", out);
        html_number(out, w->error[m]);
        fprintf(out, "</b>%s%s (staying ", *measure->unit ? " " : "", measure->unit);
        html_number(out, w->stay[m]);
        fputs(")", out);
    }
    fputs("</div></header>\n", out);
}

bool report_windows(const Report *p, Error *err) {
    const EvalResult *r = p->r;
    int cameras = r->config.policy.n_cameras;
    cameras = cameras < REPORT_CAMERAS ? cameras : REPORT_CAMERAS;
    fputs("<section><h2>The worst predictions</h2>\n<p class=\"note\">By mean ", p->out);
    html_text(p->out, r->measures.of[r->measures.headline].name);
    fputs(r->arms > 0 ? " error over the horizon" : " over the horizon", p->out);
    fputs("; of those within a second of each other the worst.", p->out);
    if (cameras < r->config.policy.n_cameras)
        fprintf(p->out, " %d of %d cameras are shown.", cameras, r->config.policy.n_cameras);
    if (p->o->camera.known)
        fputs(" On the frame: the paths of the end effector, a dot every half second.", p->out);
    fputs("</p><div class=\"key\"><span><i class=\"k-policy\"></i>predicted</span><span>"
          "<i class=\"k-truth\"></i>recorded",
          p->out);
    fputs(p->o->camera.known ? " (white on frames)</span></div>\n" : "</span></div>\n", p->out);
    for (int i = 0; i < r->n_worst; i++) {
        const EvalWindow *w = &r->worst[i];
        fputs("<article class=\"window\">", p->out);
        window_numbers(p, w);
        fputs("<div class=\"frames\">", p->out);
        for (int c = 0; c < cameras; c++) {
            // A known camera among those left out takes the last one's place.
            const CameraModel *m = &p->o->camera;
            bool swap = m->known && c == cameras - 1 && m->position >= cameras;
            if (!report_frame(p, w, swap ? m->position : c, err)) return false;
        }
        fputs("</div>", p->out);
        thumbnails(p, w);
        fputs("</article>\n", p->out);
    }
    fputs("</section>\n", p->out);
    return true;
}

// ---- whole episodes -----------------------------------------------------------------------------

// The recorded actions of an episode (length, A), rotation vectors without jumps.
static double *whole_record(const EvalResult *r, const Episode *e) {
    double *out = NEW(double, e->length * r->A);
    for (int64_t f = 0; f < e->length; f++) {
        double *row = out + f * r->A;
        for (int i = 0; i < r->A; i++) row[i] = recorded(r, e->first_row + f, i);
        if (f > 0) action_nearest(row, row - r->A, r->A, r->arms, row);
    }
    return out;
}

// Step s of a kept prediction, as near to the record as its rotation can be.
static void chunk_step(const EvalResult *r, const EvalCurves *c, int64_t k, int s,
                       const double *record, double *out) {
    const float *chunk = c->chunks + (k * r->S + s) * r->A;
    for (int i = 0; i < r->A; i++) out[i] = chunk[i];
    action_nearest(out, record + (c->frames[k] + s) * r->A, r->A, r->arms, out);
}

static int chunk_length(const EvalResult *r, const Episode *e, int64_t frame) {
    int64_t left = e->length - frame;
    return (int)(left < r->S ? left : r->S);
}

static void episode_chart(const Report *p, const EvalCurves *c, const double *record,
                          int dimension) {
    const EvalResult *r = p->r;
    const Episode *e = &r->dataset->episodes[c->episode];
    double *line = NEW(double, e->length), *step = NEW(double, r->A), *chunk = NEW(double, r->S);
    Range y = range_empty();
    for (int64_t f = 0; f < e->length; f++) {
        line[f] = record[f * r->A + dimension];
        range_add(&y, line[f]);
    }
    for (int64_t k = 0; k < c->count; k++)
        for (int s = 0; s < chunk_length(r, e, c->frames[k]); s++) {
            chunk_step(r, c, k, s, record, step);
            range_add(&y, step[dimension]);
        }
    caption(p->out, r, dimension);
    Chart chart = chart_begin(p->out, (Range){0, fmax((double)e->length - 1, 1) / p->fps},
                              range_padded(y, 0.05), "predicted and recorded", "s", false);
    chart_line(&chart, 0, 1 / p->fps, line, e->length, "truth");
    for (int64_t k = 0; k < c->count; k++) {
        int n = chunk_length(r, e, c->frames[k]);
        double from = (double)c->frames[k] / p->fps;
        for (int s = 0; s < n; s++) {
            chunk_step(r, c, k, s, record, step);
            chunk[s] = step[dimension];
        }
        chart_line(&chart, from, 1 / p->fps, chunk, n, "thin");
        chart_dot(&chart, from, chunk[0], 1.7, "start");
    }
    chart_end(&chart);
    fputs("</figure>\n", p->out);
    mem_free(line);
    mem_free(step);
    mem_free(chunk);
}

void report_curves(const Report *p) {
    const EvalResult *r = p->r;
    int n = r->A < REPORT_CURVES ? r->A : REPORT_CURVES;
    fputs("<section><h2>Predicted against recorded</h2>\n<p class=\"note\">", p->out);
    if (r->n_curves < r->dataset->n_episodes)
        fprintf(p->out, "The %d worst of %lld episodes. ", r->n_curves,
                (long long)r->dataset->n_episodes);
    if (n < r->A) fprintf(p->out, "The first %d of %d values. ", n, r->A);
    fprintf(p->out,
            "Each thin line is a prediction, from the frame where it was made (dot) to its end; at "
            "most %d of an episode are drawn.</p><div class=\"key\"><span>"
            "<i class=\"k-policy\"></i>predicted</span><span><i class=\"k-truth\"></i>recorded"
            "</span></div>\n",
            EVAL_CURVE_WINDOWS);
    for (int i = 0; i < r->n_curves; i++) {
        const EvalCurves *c = &r->curves[i];
        const EvalEpisode *e = &r->episodes[c->episode];
        double *record = whole_record(r, &r->dataset->episodes[c->episode]);
        fprintf(p->out, "<h3>Episode %lld</h3><div class=\"panels\">\n", (long long)e->index);
        for (int k = 0; k < n; k++) episode_chart(p, c, record, k);
        fputs("</div>\n", p->out);
        mem_free(record);
    }
    fputs("</section>\n", p->out);
}
