// SPDX-License-Identifier: Apache-2.0
// The sections of numbers and charts over the whole run.
#include "eval/html.h"
#include "eval/report_internal.h"
#include "eval/svg.h"
#include <math.h>
#include <string.h>

static const Summary *of_step(const Summary *all, const EvalResult *r, int measure, int step) {
    return &all[measure * r->S + step];
}

static void unit(FILE *out, const char *text) {
    if (*text) {
        fputs(" <small>", out);
        html_text(out, strcmp(text, "deg") == 0 ? "°" : text);
        fputs("</small>", out);
    }
}

static void capitalized(FILE *out, const char *name) {
    char first[2] = {name[0], 0};
    if (first[0] >= 'a' && first[0] <= 'z') {
        first[0] = (char)(first[0] - 'a' + 'A');
        fputs(first, out);
        name++;
    }
    html_text(out, name);
}

// ---- head ---------------------------------------------------------------------------------------

// How many episodes are of one kind.
static int64_t count_seen(const EvalResult *r, EvalSeen seen) {
    int64_t n = 0;
    for (int64_t i = 0; i < r->dataset->n_episodes; i++) n += r->episodes[i].seen == seen;
    return n;
}

static void training_note(const Report *p) {
    const EvalResult *r = p->r;
    int64_t trained = count_seen(r, SEEN_TRAINED), held = count_seen(r, SEEN_HELD_OUT);
    FILE *out = p->out;
    fputs("<p class=\"note\">", out);
    if (!r->training.known) {
        fputs("The checkpoint does not say which episodes it was trained on.", out);
    } else if (!r->training.same_dataset) {
        fputs("Trained on another dataset, ", out);
        html_text(out, r->training.repo_id ? r->training.repo_id
                       : r->training.root  ? r->training.root
                                           : "which it does not name");
        fputs("; whether these episodes are among its data is not known.", out);
    } else if (trained == 0) {
        fprintf(out, "Held out: the policy was trained on none of %s.",
                held == 1 ? "this episode" : "these episodes");
    } else {
        fprintf(out, "<b>%s</b>",
                held == 0 ? "The policy was trained on these episodes"
                          : "The policy was trained on a part of these episodes");
        fprintf(out, " (%lld of %lld): what it does on new ones may be worse.", (long long)trained,
                (long long)(trained + held));
    }
    fputs("</p>\n", out);
}

// One big number, and how much of the staying robot's error it is.
static void card(const Report *p, int measure, int step) {
    const EvalResult *r = p->r;
    const Measure *m = &r->measures.of[measure];
    const Summary *policy = of_step(r->error, r, measure, step);
    const Summary *stay = of_step(r->stay, r, measure, step);
    FILE *out = p->out;
    double share = stay->mean > 0 ? policy->mean / stay->mean : NAN;
    fputs("<div class=\"card\"><div>", out);
    capitalized(out, m->name);
    fputs(m->kind == MEASURE_NORMALIZED ? "" : " error", out);
    fprintf(out, ", %.3g s ahead</div><div class=\"big\">", step / p->fps);
    html_number(out, policy->mean);
    unit(out, m->unit);
    fprintf(out, "</div><div class=\"meter%s\">", share > 1 ? " worse" : "");
    if (isfinite(share)) fprintf(out, "<i style=\"width:%.1f%%\"></i>", 100 * fmin(share, 1));
    fputs("</div><div class=\"note\">staying where it is: ", out);
    html_number(out, stay->mean);
    fputs("</div></div>\n", out);
}

static void latency_card(const Report *p) {
    const EvalResult *r = p->r;
    FILE *out = p->out;
    if (r->latency.count == 0) return;
    fputs("<div class=\"card\"><div>Latency, median</div><div class=\"big\">", out);
    html_number(out, r->latency.median);
    unit(out, "ms");
    fputs("</div><div class=\"meter\">", out);
    fprintf(out, "<i style=\"width:%.1f%%\"></i></div><div class=\"note\">p99: ",
            100 * fmin(1, r->latency.median / r->latency.p99));
    html_number(out, r->latency.p99);
    fprintf(out, " ms; a frame lasts %.3g ms</div></div>\n", 1000 / p->fps);
}

// The column nearest to a second ahead, for the big numbers.
static int card_step(const Report *p, const int *steps, int n) {
    int best = steps[0];
    for (int i = 1; i < n; i++)
        if (fabs(steps[i] - p->fps) < fabs(best - p->fps)) best = steps[i];
    return best;
}

static void figures_table(const Report *p, const int *steps, int n) {
    const EvalResult *r = p->r;
    FILE *out = p->out;
    fputs("<div class=\"scroll\"><table><tr><th>Mean error, by time ahead</th>", out);
    for (int i = 0; i < n; i++) fprintf(out, "<th>%.3g s</th>", steps[i] / p->fps);
    fputs("<th>all</th></tr>\n", out);
    for (int m = 0; m < r->measures.count; m++) {
        if (m >= REPORT_MEASURES - 1 && m != r->measures.count - 1) continue;
        fputs("<tr><td>", out);
        capitalized(out, r->measures.of[m].name);
        unit(out, r->measures.of[m].unit);
        fputs("<span class=\"s\">staying</span></td>", out);
        for (int i = 0; i <= n; i++) {
            const Summary *a = i < n ? of_step(r->error, r, m, steps[i]) : &r->error_all[m];
            const Summary *b = i < n ? of_step(r->stay, r, m, steps[i]) : &r->stay_all[m];
            fprintf(out, "<td%s><b>", a->mean > b->mean ? " class=\"bad\"" : "");
            html_number(out, a->mean);
            fputs("</b><span class=\"s\">", out);
            html_number(out, b->mean);
            fputs("</span></td>", out);
        }
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
}

void report_head(const Report *p) {
    const EvalResult *r = p->r;
    const PolicyConfig *c = &r->config.policy;
    FILE *out = p->out;
    int steps[EVAL_COLUMNS], n = eval_columns(r->S, p->fps, steps);
    fputs("<div class=\"kicker\">Open-loop evaluation</div><h1>", out);
    html_text(out, r->dataset->repo_id);
    fputs("</h1>\n<p><code>", out);
    html_text(out, r->policy_dir);
    fputs("</code></p>\n<p>", out);
    fprintf(
        out,
        "%lld predictions in %lld episode%s, one every %lld frames (%.3g s). The policy sees %d "
        "observation%s and predicts %d actions, %.3g s at %g frames a second",
        (long long)r->windows, (long long)r->dataset->n_episodes,
        r->dataset->n_episodes == 1 ? "" : "s", (long long)r->stride, (double)r->stride / p->fps,
        c->obs_state_horizon, c->obs_state_horizon == 1 ? "" : "s", r->S, r->S / p->fps, p->fps);
    if (r->training.step >= 0)
        fprintf(out, "; it was trained for %lld steps", (long long)r->training.step);
    fputs(".</p>\n", out);
    training_note(p);
    fputs("<div class=\"cards\">\n", out);
    int step = card_step(p, steps, n), shown = 0;
    for (int m = 0; m < r->measures.count && shown < 3 && r->arms > 0; m++, shown++)
        card(p, m, step);
    if (r->arms == 0) card(p, r->measures.headline, step);
    latency_card(p);
    fputs("</div>\n", out);
    figures_table(p, steps, n);
    fputs("<p class=\"note\">In grey: the error of a robot that ", out);
    fputs(strcmp(r->stays, "observed state") == 0 ? "stays in the state it was last observed in. "
                                                  : "repeats the recorded action before. ",
          out);
    fputs("A policy that is worse than that is marked. Open loop: the recorded episode goes on "
          "whatever was predicted, so errors do not add up, nor are they corrected. The normalised "
          "L1 is the quantity that the training's l1_loss averages.</p>\n",
          out);
}

// ---- error by time ahead ------------------------------------------------------------------------

static void horizon_chart(const Report *p, int measure, double *lines[4]) {
    const EvalResult *r = p->r;
    const Measure *m = &r->measures.of[measure];
    Range y = {0, 0}, x = {0, fmax(r->S - 1, 1) / p->fps};
    for (int s = 0; s < r->S; s++) {
        const Summary *a = of_step(r->error, r, measure, s), *b = of_step(r->stay, r, measure, s);
        lines[0][s] = a->mean;
        lines[1][s] = a->median;
        lines[2][s] = a->p95;
        lines[3][s] = b->mean;
        range_add(&y, a->mean);
        range_add(&y, a->p95);
        range_add(&y, b->mean);
    }
    y = y.high > 0 ? (Range){0, 1.05 * y.high} : (Range){0, 1};
    fputs("<figure><figcaption>", p->out);
    capitalized(p->out, m->name);
    fputs(m->kind == MEASURE_NORMALIZED ? "" : " error", p->out);
    unit(p->out, m->unit);
    fputs("</figcaption>", p->out);
    Chart c = chart_begin(p->out, x, y, "error by time ahead", "s", false);
    chart_band(&c, 0, 1 / p->fps, lines[1], lines[2], r->S, "band");
    chart_line(&c, 0, 1 / p->fps, lines[3], r->S, "stay");
    chart_line(&c, 0, 1 / p->fps, lines[0], r->S, "policy");
    chart_end(&c);
    fputs("</figure>\n", p->out);
}

void report_horizon(const Report *p) {
    const EvalResult *r = p->r;
    double *lines[4];
    int shown = 0;
    for (int i = 0; i < 4; i++) lines[i] = NEW(double, r->S);
    fputs("<section><h2>Error by time ahead</h2>\n<div class=\"key\"><span><i "
          "class=\"k-policy\"></i>policy, "
          "mean</span><span><i class=\"k-band\"></i>policy, median to 95th percentile</span><span>"
          "<i class=\"k-stay\"></i>staying, mean</span></div><div class=\"panels\">\n",
          p->out);
    for (int m = 0; m < r->measures.count; m++) {
        if (m >= REPORT_MEASURES - 1 && m != r->measures.count - 1) continue;
        horizon_chart(p, m, lines);
        shown++;
    }
    fputs("</div>\n", p->out);
    if (shown < r->measures.count)
        fprintf(p->out, "<p class=\"note\">%d of %d values shown; all are in eval.json.</p>\n",
                shown - 1, r->measures.count - 1);
    fputs("</section>\n", p->out);
    for (int i = 0; i < 4; i++) mem_free(lines[i]);
}

// ---- tables -------------------------------------------------------------------------------------

static void pair(FILE *out, double policy, double stay) {
    fprintf(out, "<td%s><b>", policy > stay ? " class=\"bad\"" : "");
    html_number(out, policy);
    fputs("</b></td><td>", out);
    html_number(out, stay);
    fputs("</td>", out);
}

void report_dimensions(const Report *p) {
    const EvalResult *r = p->r;
    FILE *out = p->out;
    fputs("<section><h2>Every value of the action</h2>\n<p class=\"note\">As recorded, over all "
          "steps of "
          "all predictions.",
          out);
    if (r->arms > 0)
        fputs(" Of the vectors that stand for one rotation the one nearest to the recorded is "
              "compared.",
              out);
    fputs("</p><div class=\"scroll\"><table><tr><th>Value</th><th class=\"l\">Unit</th><th>L1</th>"
          "<th>staying</th><th>MSE</th><th>staying</th></tr>\n",
          out);
    int n = r->A < REPORT_DIMENSIONS ? r->A : REPORT_DIMENSIONS;
    for (int i = 0; i < n; i++) {
        const EvalDimension *d = &r->dimensions[i];
        fputs("<tr><td>", out);
        html_text(out, d->name);
        fprintf(out, "</td><td class=\"l\">%s</td>", report_unit(r, i));
        pair(out, d->l1, d->stay_l1);
        pair(out, d->mse, d->stay_mse);
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
    if (n < r->A)
        fprintf(out, "<p class=\"note\">The first %d of %d; all are in eval.json.</p>\n", n, r->A);
    fputs("</section>\n", out);
}

void report_episodes(const Report *p) {
    const EvalResult *r = p->r;
    const int by = r->measures.headline, last = r->measures.count - 1;
    const int64_t all = r->dataset->n_episodes;
    int64_t n = all < REPORT_EPISODES ? all : REPORT_EPISODES;
    FILE *out = p->out;
    fputs("<section><h2>Episodes</h2>\n<div "
          "class=\"scroll\"><table><tr><th>Episode</th><th>Frames</th>"
          "<th>Predictions</th><th class=\"l\">Training</th>",
          out);
    for (int m = by;; m = last) {
        fputs("<th>", out);
        capitalized(out, r->measures.of[m].name);
        unit(out, r->measures.of[m].unit);
        fputs("</th><th>staying</th>", out);
        if (m == last) break;
    }
    fputs("</tr>\n", out);
    for (int64_t i = 0; i < n; i++) {
        const EvalEpisode *e = &r->episodes[i];
        fprintf(out, "<tr><td>%lld</td><td>%lld</td><td>%lld</td><td class=\"l\">%s</td>",
                (long long)e->index, (long long)e->length, (long long)e->windows,
                eval_seen_name(e->seen));
        pair(out, e->error[by], e->stay[by]);
        if (by != last) pair(out, e->error[last], e->stay[last]);
        fputs("</tr>\n", out);
    }
    fputs("</table></div>\n", out);
    if (n < all)
        fprintf(out, "<p class=\"note\">The first %lld of %lld; all are in eval.json.</p>\n",
                (long long)n, (long long)all);
    fputs("</section>\n", out);
}

// ---- latency ------------------------------------------------------------------------------------

static void latency_chart(const Report *p) {
    enum { BINS = 24 };
    const EvalResult *r = p->r;
    int64_t counts[BINS] = {0}, most = 0, n = r->latency.count;
    Range x = range_padded((Range){r->latencies[0], r->latency.p99}, 0.02);
    double width = (x.high - x.low) / BINS;
    for (int64_t i = 0; i < n; i++) {
        int bin = (int)((r->latencies[i] - x.low) / width);
        if (bin < 0 || bin >= BINS) continue; // the slowest hundredth
        counts[bin]++;
        most = counts[bin] > most ? counts[bin] : most;
    }
    fputs("<figure><figcaption>Predictions by latency <small>number of them</small></figcaption>",
          p->out);
    Chart c = chart_begin(p->out, x, (Range){0, 1.05 * (double)(most > 0 ? most : 1)},
                          "histogram of latency", "ms", false);
    for (int i = 0; i < BINS; i++)
        if (counts[i] > 0)
            chart_bar(&c, x.low + i * width, x.low + (i + 1) * width, (double)counts[i], "bar");
    chart_end(&c);
    fputs("</figure>\n", p->out);
}

void report_latency(const Report *p) {
    const EvalResult *r = p->r;
    FILE *out = p->out;
    if (r->latency.count == 0) return;
    fputs("<section><h2>Latency</h2>\n<p class=\"note\">From a frame in memory to a chunk of "
          "actions: "
          "scaling and encoding the newest images, then the prediction; earlier frames are encoded "
          "already, as on a robot. On this machine, as busy as it was.</p><div class=\"panels\">\n",
          out);
    latency_chart(p);
    fputs("<table><tr><th>Milliseconds</th><th></th></tr>\n", out);
    const struct {
        const char *name;
        double value;
    } rows[] = {{"median", r->latency.median},
                {"95th percentile", r->latency.p95},
                {"99th percentile", r->latency.p99},
                {"slowest", r->latency.max},
                {"first, which prepares the device", r->first_latency}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fprintf(out, "<tr><td>%s</td><td>", rows[i].name);
        html_number(out, rows[i].value);
        fputs("</td></tr>\n", out);
    }
    fputs("</table></div></section>\n", out);
}

// ---- settings -----------------------------------------------------------------------------------

static void setting(FILE *out, const char *name, const char *value) {
    fprintf(out, "<dt>%s</dt><dd><code>", name);
    html_text(out, value);
    fputs("</code></dd>\n", out);
}

static void setting_int(FILE *out, const char *name, int64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    setting(out, name, text);
}

void report_settings(const Report *p) {
    const EvalResult *r = p->r;
    const PolicyConfig *c = &r->config.policy;
    FILE *out = p->out;
    char text[256], when[64];
    struct tm local;
    strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", localtime_r(&p->o->now, &local));
    fputs("<section><h2>Settings</h2>\n<dl>\n", out);
    setting(out, "policy", r->policy_dir);
    setting(out, "dataset", r->dataset->root);
    setting(out, "evaluated", when);
    snprintf(text, sizeof text, "%.1f s", r->seconds);
    setting(out, "took", text);
    setting_int(out, "eval.stride", r->stride);
    setting(out, "vision_backbone", c->vision_backbone);
    setting_int(out, "obs_state_horizon", c->obs_state_horizon);
    setting_int(out, "obs_down_sample_steps", c->obs_down_sample_steps);
    setting_int(out, "chunk_size", c->chunk_size);
    setting(out, "pose_repr", r->arms > 0 ? "relative" : "none");
    setting(out, "staying holds", r->stays);
    for (int i = 0; i < c->n_cameras; i++) {
        snprintf(text, sizeof text, "%.200s, %dx%d as recorded", c->cameras[i].name,
                 c->cameras[i].width, c->cameras[i].height);
        setting(out, "camera", text);
    }
    if (p->o->camera.known) {
        const CameraModel *m = &p->o->camera;
        snprintf(text, sizeof text,
                 "fx %.5g fy %.5g cx %.5g cy %.5g; pose %.5g %.5g %.5g %.5g %.5g %.5g in "
                 "the frame of the %s",
                 m->fx, m->fy, m->cx, m->cy, m->pose[0], m->pose[1], m->pose[2], m->pose[3],
                 m->pose[4], m->pose[5], m->on_gripper ? "end effector" : "base");
        setting(out, "camera model", text);
    }
    fputs("</dl></section>\n", out);
}
