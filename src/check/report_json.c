// SPDX-License-Identifier: Apache-2.0
#include "check/advice.h"
#include "check/page_data.h"
#include <math.h>

static json_t *number(double x) {
    return isfinite(x) ? json_real(x) : json_null();
}

static json_t *rule_json(const CheckRule *rule, int64_t broken) {
    json_t *o = json_object();
    json_object_set_new(o, "name", json_string(rule->name));
    json_object_set_new(o, "group", json_string(rule->group));
    json_object_set_new(o, "severity", json_string(check_severity_name(rule->severity)));
    json_object_set_new(o, "measures", json_string(rule->measures));
    json_object_set_new(o, "limit", number(rule->limit));
    json_object_set_new(o, "unit", json_string(rule->unit));
    json_object_set_new(o, "fix", json_string(rule->fix));
    json_object_set_new(o, "source", json_string(rule->source));
    json_object_set_new(o, "findings", json_integer(broken));
    return o;
}

static json_t *finding_json(const CheckFinding *f, const CheckSource *source) {
    json_t *o = json_object();
    json_object_set_new(o, "rule", json_string(check_rules[f->rule].name));
    json_object_set_new(o, "episode", f->episode < 0 ? json_null() : json_integer(f->episode));
    if (source)
        json_object_set_new(o, "name",
                            f->episode < 0 ? json_null() : json_bytes(source->names[f->episode]));
    json_object_set_new(o, "frame", f->frame < 0 ? json_null() : json_integer(f->frame));
    json_object_set_new(o, "where", json_bytes(f->where));
    json_object_set_new(o, "measured", number(f->measured));
    json_object_set_new(o, "text", json_bytes(f->text));
    return o;
}

static json_t *numbers_json(const int64_t *list, int64_t n) {
    json_t *numbers = json_array();
    for (int64_t i = 0; i < n; i++) json_array_append_new(numbers, json_integer(list[i]));
    return numbers;
}

static json_t *findings_json(const CheckReport *report, int64_t most) {
    json_t *findings = json_array();
    int64_t kept[CHECK_RULES] = {0};
    for (int64_t i = 0; i < report->count; i++)
        if (kept[report->findings[i].rule]++ < most)
            json_array_append_new(findings, finding_json(&report->findings[i], report->source));
    return findings;
}

json_t *page_report(const Dataset *ds, const CheckReport *report, int64_t most) {
    static const char *const verdicts[] = {"clean", "warnings", "unfit"};
    json_t *o = json_object(), *rules = json_array();
    CheckAdvice advice = check_advice(ds, report);
    for (int i = 0; i < CHECK_RULES; i++)
        json_array_append_new(rules, rule_json(&check_rules[i], report->broken[i]));
    json_object_set_new(o, "version", json_integer(1));
    json_object_set_new(o, "dataset", ds ? json_bytes(ds->repo_id) : json_null());
    json_object_set_new(o, "verdict", json_string(verdicts[report->worst]));
    json_object_set_new(o, "episodes", json_integer(report->episodes));
    json_object_set_new(o, "frames", json_integer(report->rows));
    json_object_set_new(o, "drop", numbers_json(advice.drop, advice.n_drop));
    json_object_set_new(o, "trim", json_boolean(advice.trim));
    json_object_set_new(o, "command", json_bytes(advice.command));
    json_object_set_new(o, "flag", json_bytes(advice.flag));
    json_object_set_new(o, "rules", rules);
    json_object_set_new(o, "findings", findings_json(report, most));
    check_advice_free(&advice);
    return o;
}

json_t *check_report_json(const Dataset *ds, const CheckReport *report) {
    return page_report(ds, report, INT64_MAX);
}
