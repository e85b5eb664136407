// SPDX-License-Identifier: Apache-2.0
// What of a dataset would spoil a training, found before it does: rules over its columns, each a
// small function, and what they found.
//
// A rule looks at one thing that can be measured, and holds it against a limit (rules.def). What
// breaks it is a finding: where, how much, and what to do. Limits are robust: they come from the
// dataset's own middle (medians, quantiles), so that units and robots do not matter.
#ifndef TACT_CHECK_CHECK_H
#define TACT_CHECK_CHECK_H

#include "dataset/dataset.h"
#include "dataset/window.h"
#include "formats/json.h"

typedef enum CheckSeverity {
    CHECK_NOTE,    // worth knowing
    CHECK_WARNING, // will cost success
    CHECK_ERROR,   // unfit to train
} CheckSeverity;

typedef struct CheckRule {
    const char *name;  // "action_jump"
    const char *group; // "time", "values", "policy", ...
    CheckSeverity severity;
    double limit;
    const char *unit;     // of what is measured and of the limit
    const char *measures; // what is measured
    const char *fix;      // what to do about a finding
    const char *source;   // why it matters, or where the limit comes from
} CheckRule;

// One line of rules.def each, in its order.
typedef enum CheckRuleId {
#define RULE(id, group, severity, limit, unit, measures, fix, source) RULE_##id,
#include "check/rules.def"
#undef RULE
    CHECK_RULES
} CheckRuleId;

extern const CheckRule check_rules[CHECK_RULES];

typedef struct CheckFinding {
    CheckRuleId rule;
    int64_t episode; // the dataset's episode_index; -1: the whole dataset
    int64_t frame;   // within the episode, where it begins or is worst; -1: none
    char where[96];  // "action[2] gripper", a camera, "" for the dataset
    double measured; // in the rule's unit; NaN: nothing to measure
    char text[1024]; // a clause: "0.31 in one step, where 0.02 is usual"
} CheckFinding;

// A dataset that is none yet: a source of `tact import`, whose rows are in memory as if it had been
// converted. An episode's index is its number in the source.
typedef struct CheckSource {
    const char *form;         // for people: "robomimic (HDF5)"
    const char *flags;        // of tact import, each with a blank before it: " --fps=59.94"
    const char *const *names; // of the source's episodes, by number: "data/demo_3"
    // The frame of a camera (position in Dataset.cameras) at a row of an episode, into rgb (the
    // camera's height, width, 3). Any number of threads, each with a cursor of its own, NULL at
    // first.
    bool (*frame)(void *user, void **cursor, int64_t episode, int camera, int64_t row, uint8_t *rgb,
                  Error *err);
    void (*cursor_free)(void *user, void *cursor); // NULL allowed as cursor
    void *user;
} CheckSource;

typedef struct CheckReport {
    CheckFinding *findings; // by rule, then episode, then where
    int64_t count, capacity;
    int64_t broken[CHECK_RULES]; // findings of each rule
    int64_t episodes, rows;      // that were looked at
    CheckSeverity worst;         // of the findings; CHECK_NOTE without any
    const CheckSource *source;   // NULL: a dataset; set before check_run where there is one
    struct CheckThumbs *thumbs;  // pictures for the page, owned; NULL: none were asked for
} CheckReport;

// Which frames of the cameras are decoded: those of eight moments an episode with SAMPLE.
typedef enum CheckDecode { CHECK_DECODE_NONE, CHECK_DECODE_SAMPLE, CHECK_DECODE_ALL } CheckDecode;

typedef struct CheckOptions {
    const WindowSpec *window; // what the policy will see
    CheckDecode decode;
    // Whether meta/, the tables and the videos' tables are looked into too, beyond what opening the
    // dataset read of them.
    bool files;
    double eval_split; // of the training (dataset_split); 0: nothing is held out
    int threads;       // that decode; at least 1
    bool page;         // check_write_page will be called: keep small pictures of what is decoded
    // Called now and then with how many of how many episodes are done; NULL: not.
    void (*progress)(void *user, int64_t done, int64_t total);
    void *user;
} CheckOptions;

// The text of a picture_turned that half a turn mends; the others are mirrored.
#define CHECK_UPSIDE_DOWN "upside down"

// Opens a dataset as dataset_open does, but goes without the episodes that it refuses: each is a
// finding (unreadable), with the words of the refusal. *out is NULL where nothing can be opened;
// then the finding is of the whole dataset. Fails where episodes were asked for that are not there.
CHECKED bool check_open(const DatasetOptions *options, Dataset **out, CheckReport *report,
                        Error *err);
// Adds a finding that was made elsewhere, in words: of the whole dataset, or of an episode.
void check_add(CheckReport *report, CheckRuleId rule, const char *text);
void check_add_to(CheckReport *report, CheckRuleId rule, int64_t episode, const char *text);
// Looks at the episodes of a dataset, and adds to *report what it finds. The report is the caller's
// (check_report_free), also after a failure; it begins zeroed.
CHECKED bool check_run(const Dataset *ds, const CheckOptions *options, CheckReport *report,
                       Error *err);
void check_report_free(CheckReport *report); // zeroed afterwards; a zeroed one is allowed

// Rows that `tact edit --trim=idle` takes off an episode's begin and end: those that the rules
// idle_head and idle_tail find, but for the half second next to the movement.
#define CHECK_TRIM_KEEPS_S 0.5
typedef struct CheckIdle {
    int64_t head, tail;
} CheckIdle;
void check_idle(const Dataset *ds, CheckIdle *out); // (n_episodes)

// {"verdict", "episodes", "frames", "drop", "trim", "command", "flag", "rules": [{"name", ...}],
// "findings": [...]}; a new reference.
json_t *check_report_json(const Dataset *ds, const CheckReport *report);

// Writes the page (page/check.html), whole or not at all: verdict, findings, the worst episodes
// with their curves and, unless decode is CHECK_DECODE_NONE, frames, and all of them in brief. ds
// NULL: one that could not be opened.
CHECKED bool check_write_page(const Dataset *ds, const CheckOptions *options, CheckReport *report,
                              const char *path, Error *err);

// "note", "warning", "error".
const char *check_severity_name(CheckSeverity severity);

#endif
