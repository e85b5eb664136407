// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "check/advice.h"
#include "cli/check_fix.h"
#include "cli/check_source.h"
#include "cli/cli.h"
#include "config/fields.h"
#include "train/policy_from_dataset.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// What the exit code says, for scripts: a dataset with warnings may well be meant as it is.
enum { CHECK_CLEAN = 0, CHECK_WARNED = 1, CHECK_UNFIT = 2 };

typedef struct CheckFlags {
    bool json, strict, verbose;
    const char *decode, *page, *fix;
    ImportFlags import; // of a source: fps, action, colors
} CheckFlags;

// A source says less than a dataset: these flags say the rest.
static bool any_import_flag(const CheckFlags *f) {
    return f->import.fps || strcmp(f->import.action, import_flag_defaults.action) != 0 ||
           strcmp(f->import.colors, import_flag_defaults.colors) != 0;
}

enum { MOST_OPTIONS = 12 };

// The flags, whose values go into *f; returns how many there are.
static int list_options(CheckFlags *f, Option options[MOST_OPTIONS]) {
    const Option all[] = {
        {"decode", OPTION_TEXT, &f->decode, 0, 0, "none|sample|all",
         "which frames are looked at: none, those of eight moments of each episode, or all"},
        {"json", OPTION_BOOL, &f->json, 0, 0, NULL, "print all rules and findings as JSON"},
        {"report", OPTION_FILE, &f->page, 0, 0, NULL,
         "also write a page to be looked at in a browser: the worst episodes with curves and "
         "frames"},
        {"fix", OPTION_FOLDER, &f->fix, 0, 0, NULL,
         "also write a copy there with what can be mended without guessing: tables, counts, "
         "statistics, timestamps by frame, frames upside down; must not exist"},
        {"strict", OPTION_BOOL, &f->strict, 0, 0, NULL, "end with code 1 where there are warnings"},
        {"verbose", OPTION_BOOL, &f->verbose, 0, 0, NULL,
         "also print notes, every finding of a rule, and the rules that found nothing"},
        {"fps", OPTION_TEXT, &f->import.fps, 0, 0, NULL,
         "of a source: frames a second, as for `tact import`"},
        {"action", OPTION_TEXT, &f->import.action, 0, 0, "same|next",
         "of a source without actions: the state of the same row, or of the next"},
        {"colors", OPTION_TEXT, &f->import.colors, 0, 0, "auto|rgb|bgr",
         "of a source's JPEG and PNG files, as for `tact import`"},
    };
    _Static_assert(sizeof all / sizeof all[0] <= MOST_OPTIONS, "room for the flags");
    memcpy(options, all, sizeof all);
    return sizeof all / sizeof all[0];
}

void describe_check(const PageWriter *w) {
    CheckFlags f = {.decode = "sample", .import = import_flag_defaults};
    Option options[MOST_OPTIONS];
    page_usage(w, "check DATASET [--flag=value ...]");
    page_argument(w, NULL);
    page_text(
        w, "Looks for what would spoil a training before it does: rows and their times, "
           "action and state beside each other, values, episodes beside the others, and the "
           "dataset as the policy of the --policy.* flags sees it. DATASET is a directory or a "
           "name on the Hub, as for `tact info`, or a source of `tact import`, which is looked "
           "at before it is converted. Ends with code 0 where nothing is severe, 1 with --strict "
           "and warnings, 2 where the dataset is unfit to train.");
    page_options(w, options, list_options(&f, options));
    page_borrowed(w, "policy.|dataset.|rename_map|tolerance_s");
    page_heading(w, "Rules");
    for (int i = 0; i < CHECK_RULES; i++) {
        char term[64];
        snprintf(term, sizeof term, "%s, %s", check_rules[i].name,
                 check_severity_name(check_rules[i].severity));
        page_item(w, term, check_rules[i].measures);
    }
}

// ---- printing -----------------------------------------------------------------------------------

// An episode's number, and its name where a source has one that says more.
static void print_episode(const CheckFinding *f, const CheckSource *source) {
    const char *name = source ? source->names[f->episode] : NULL;
    if (name && strncmp(name, "episode ", 8) == 0) // "episode 3 (rows 60 to 80)"
        printf("%s", name);
    else
        printf("episode %lld%s%s%s", (long long)f->episode, name ? " (" : "", name ? name : "",
               name ? ")" : "");
}

static void print_finding(const CheckFinding *f, const CheckSource *source) {
    printf("    ");
    if (f->episode >= 0) print_episode(f, source);
    if (f->episode >= 0 && f->frame >= 0) printf(", frame %lld", (long long)f->frame);
    printf("%s%s%s%s\n", f->episode >= 0 ? ": " : "", f->where, *f->where ? ": " : "", f->text);
}

enum { SHOWN = 5 }; // findings of a rule

static void print_rule(const CheckReport *r, int rule, bool all) {
    const CheckRule *about = &check_rules[rule];
    int64_t shown = 0;
    printf("%-8s %s: %s\n", check_severity_name(about->severity), about->name, about->measures);
    for (int64_t i = 0; i < r->count; i++) {
        if ((int)r->findings[i].rule != rule) continue;
        if (all || shown < SHOWN) print_finding(&r->findings[i], r->source);
        shown++;
    }
    if (!all && shown > SHOWN) printf("    and %lld more\n", (long long)(shown - SHOWN));
    printf("    -> %s\n", about->fix);
}

static int64_t count_broken(const CheckReport *r, CheckSeverity severity) {
    int64_t rules = 0;
    for (int i = 0; i < CHECK_RULES; i++)
        rules += r->broken[i] > 0 && check_rules[i].severity == severity;
    return rules;
}

static void print_verdict(const CheckReport *r) {
    int64_t errors = count_broken(r, CHECK_ERROR), warnings = count_broken(r, CHECK_WARNING);
    int64_t notes = count_broken(r, CHECK_NOTE);
    printf("%s: %lld rules of %d found something: %lld errors, %lld warnings, %lld notes\n",
           errors > 0     ? "unfit to train"
           : warnings > 0 ? "look at the warnings"
                          : "clean",
           (long long)(errors + warnings + notes), CHECK_RULES, (long long)errors,
           (long long)warnings, (long long)notes);
}

enum { SHOWN_EPISODES = 60 }; // of the flag that lists them

// The ready command, and the flag that needs no copy.
static void print_advice(const Dataset *ds, const CheckReport *r) {
    CheckAdvice advice = check_advice(ds, r);
    if (advice.command) printf("without what was flagged: %s\n", advice.command);
    if (advice.flag && advice.n_keep <= SHOWN_EPISODES)
        printf("or without a copy: %s\n", advice.flag);
    else if (advice.flag)
        puts("or without a copy: --dataset.episodes with those left, which --json lists");
    if (advice.n_drop && !advice.command)
        puts("every episode was flagged: look for what they have in common");
    check_advice_free(&advice);
}

static void print_text(const Dataset *ds, const CheckReport *r, bool verbose) {
    if (ds)
        printf("%s: %lld episodes, %lld frames\n", ds->repo_id, (long long)r->episodes,
               (long long)r->rows);
    for (CheckSeverity s = CHECK_ERROR;; s--) {
        for (int i = 0; i < CHECK_RULES; i++)
            if (r->broken[i] > 0 && check_rules[i].severity == s && (s > CHECK_NOTE || verbose))
                print_rule(r, i, verbose);
        if (s == CHECK_NOTE) break;
    }
    for (int i = 0; i < CHECK_RULES && verbose; i++)
        if (r->broken[i] == 0)
            printf("%-8s %s: %s\n", "ok", check_rules[i].name, check_rules[i].measures);
    print_verdict(r);
    print_advice(ds, r);
}

// ---- the command --------------------------------------------------------------------------------

static CheckDecode decode_of(const char *word) {
    return strcmp(word, "none") == 0  ? CHECK_DECODE_NONE
           : strcmp(word, "all") == 0 ? CHECK_DECODE_ALL
                                      : CHECK_DECODE_SAMPLE;
}

static int verdict_code(const CheckReport *r, bool strict) {
    if (r->worst == CHECK_ERROR) return CHECK_UNFIT;
    return r->worst == CHECK_WARNING && strict ? CHECK_WARNED : CHECK_CLEAN;
}

static void print_report(const Dataset *ds, const CheckReport *r, const CheckFlags *f) {
    if (!f->json) {
        print_text(ds, r, f->verbose);
        return;
    }
    json_t *o = check_report_json(ds, r);
    cli_print_json(o, 2);
    json_decref(o);
}

// What is checked: a dataset, or a source of tact import.
typedef struct Checked {
    Dataset *ds; // NULL: it cannot be opened, which is a finding
    DatasetOptions open;
    CheckReport report;
    CheckedSource source;
} Checked;

CHECKED static bool open_checked(const TrainConfig *c, const CheckFlags *f, Checked *k,
                                 Error *err) {
    const char *root = c->dataset.root;
    k->open = dataset_options_of(c, false);
    if (!check_source_is_one(root)) {
        if (any_import_flag(f))
            return fail(err, "--fps, --action and --colors are of a source of `tact import`; a "
                             "LeRobot dataset says these itself");
        return check_open(&k->open, &k->ds, &k->report, err);
    }
    if (f->fix || c->policy.rename_map)
        return fail(err,
                    "%s: %s is for LeRobot datasets; make one with `tact import %s --root=DIR`",
                    root, f->fix ? "--fix" : "--rename_map", root);
    return check_source_open(root, &f->import, &c->dataset.episodes, &k->report, &k->source, &k->ds,
                             err);
}

CHECKED static bool check_opened(TrainConfig *c, const CheckFlags *f, Checked *k, Error *err) {
    Dataset *ds = k->ds;
    Progress bar = progress_new();
    WindowSpec window;
    CheckOptions options = {.window = &window,
                            .decode = decode_of(f->decode),
                            .files = !k->report.source, // a source has none of these files
                            .eval_split = c->dataset.eval_split,
                            .threads = (int)sysconf(_SC_NPROCESSORS_ONLN),
                            .page = f->page != NULL,
                            .progress = progress_count,
                            .user = &bar};
    if (ds && !policy_from_dataset(&c->policy, ds, err))
        check_add(&k->report, RULE_no_policy, err->text);
    window = policy_window(&c->policy);
    bool ok = !ds || check_run(ds, &options, &k->report, err);
    progress_clear(&bar);
    if (ok) print_report(ds, &k->report, f);
    if (ok && f->page) ok = check_write_page(ds, &options, &k->report, f->page, err);
    if (ok && f->page) log_info("report: %s", f->page);
    if (ok && f->fix) ok = check_fix(&k->open, ds, &k->report, f->fix, err);
    return ok;
}

CHECKED static bool check(TrainConfig *c, const CheckFlags *f, int *code, Error *err) {
    Checked k = {0};
    bool ok = open_checked(c, f, &k, err) && check_opened(c, f, &k, err);
    *code = verdict_code(&k.report, f->strict);
    check_report_free(&k.report);
    dataset_close(k.ds);
    check_source_close(&k.source);
    return ok;
}

// A source may be a file, and then is no name on the Hub.
CHECKED static bool name_checked(TrainConfig *c, const char *name, Error *err) {
    return check_source_is_one(name) ? field_set(c, field_find("dataset.root"), name, err)
                                     : cli_name_dataset(c, name, err);
}

int cmd_check(int argc, char **argv) {
    CheckFlags f = {.decode = "sample", .import = import_flag_defaults};
    Option options[MOST_OPTIONS];
    const int count = list_options(&f, options);
    Error err;
    TrainConfig config;
    int code = CHECK_UNFIT;
    train_config_default(&config);
    bool ok = options_take(options, count, &argc, argv, &err) &&
              options_rest_known(options, count, argc, argv, &err);
    const char *name = ok ? options_take_name(&argc, argv) : NULL;
    ok = ok && (!name || name_checked(&config, name, &err)) &&
         train_config_parse(&config, argc, argv, &err) && train_config_check_data(&config, &err) &&
         check(&config, &f, &code, &err);
    train_config_free(&config);
    return ok ? code : cli_error(&err, EXIT_USAGE);
}
