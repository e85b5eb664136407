// SPDX-License-Identifier: Apache-2.0
#include "check/check.h"

#include "base/array.h"
#include "check/series.h"
#include "check/thumbs.h"
#include "dataset/arms.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const CheckRule check_rules[CHECK_RULES] = {
#define RULE(id, group, severity, limit, unit, measures, fix, source)                              \
    {#id, group, severity, limit, unit, measures, fix, source},
#include "check/rules.def"
#undef RULE
};

const char *check_severity_name(CheckSeverity severity) {
    static const char *const names[] = {"note", "warning", "error"};
    return names[severity];
}

CheckFinding *report_add(CheckReport *r, CheckRuleId rule, int64_t episode) {
    CheckFinding *f = ARRAY_ADD(r->findings, r->count, r->capacity);
    *f = (CheckFinding){.rule = rule, .episode = episode, .frame = -1, .measured = NAN};
    r->broken[rule]++;
    if (check_rules[rule].severity > r->worst) r->worst = check_rules[rule].severity;
    return f;
}

void check_add_to(CheckReport *report, CheckRuleId rule, int64_t episode, const char *text) {
    CheckFinding *f = report_add(report, rule, episode);
    snprintf(f->text, sizeof f->text, "%s", text);
}

void check_add(CheckReport *report, CheckRuleId rule, const char *text) {
    check_add_to(report, rule, -1, text);
}

void find(Check *c, CheckRuleId rule, int64_t episode, int64_t frame, const char *where,
          double measured, const char *text, ...) {
    CheckFinding *f =
        report_add(c->report, rule, episode < 0 ? -1 : c->ds->episodes[episode].index);
    va_list args;
    f->frame = frame;
    f->measured = measured;
    snprintf(f->where, sizeof f->where, "%s", where);
    va_start(args, text);
    vsnprintf(f->text, sizeof f->text, text, args);
    va_end(args);
}

void find_episodes(Check *c, CheckRuleId rule, const char *where, const double *measured,
                   const char *before, const char *after) {
    const int64_t n = c->ds->n_episodes;
    double *above = NEW(double, n), limit = check_rules[rule].limit;
    int64_t count = 0;
    for (int64_t e = 0; e < n; e++)
        if (measured[e] > limit) above[count++] = measured[e];
    bool most = n > 1 && count * 2 > n;
    double middle = middle_of(above, count);
    if (most)
        find(c, rule, -1, -1, where, middle, "%s%.3g%s, in %lld of %lld episodes", before, middle,
             after, (long long)count, (long long)n);
    for (int64_t e = 0; e < n && !most; e++)
        if (measured[e] > limit)
            find(c, rule, e, -1, where, measured[e], "%s%.3g%s", before, measured[e], after);
    mem_free(above);
}

static int compare_findings(const void *a, const void *b) {
    const CheckFinding *x = a, *y = b;
    if (x->rule != y->rule) return x->rule < y->rule ? -1 : 1;
    if (x->episode != y->episode) return x->episode < y->episode ? -1 : 1;
    return strcmp(x->where, y->where);
}

bool check_run(const Dataset *ds, const CheckOptions *options, CheckReport *report, Error *err) {
    Check recorded = {.ds = ds, .options = options, .report = report};
    report->episodes = ds->n_episodes;
    report->rows = ds->rows;
    if (options->page && options->decode != CHECK_DECODE_NONE && ds->n_cameras > 0)
        report->thumbs = thumbs_new(ds);
    if (!arms_detect(ds, false, &recorded.arms, err)) return false;
    series_gather(&recorded);
    if (options->files) {
        tasks_gather(&recorded);
        check_files(&recorded);
        check_info(&recorded);
        check_tables(&recorded);
        check_statistics(&recorded);
        check_videos(&recorded);
    }
    check_structure(&recorded);
    check_time(&recorded);
    check_rotations(&recorded);
    check_policy(&recorded);
    check_twins(&recorded);
    // What goes by how values move and where they lie must not take half a turn for a leap.
    Check c = recorded;
    c.arena = (Arena){0};
    series_continue(&c);
    check_lag(&c);
    check_values(&c);
    check_episodes(&c);
    check_grippers(&c);
    check_movement(&c);
    check_starts(&c);
    check_split(&c);
    bool ok = check_pictures(&c, err);
    arena_free(&c.arena);
    arena_free(&recorded.arena);
    if (report->count > 1)
        qsort(report->findings, (size_t)report->count, sizeof *report->findings, compare_findings);
    return ok;
}

void check_report_free(CheckReport *report) {
    mem_free(report->findings);
    thumbs_free(report->thumbs);
    *report = (CheckReport){0};
}
