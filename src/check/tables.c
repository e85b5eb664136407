// SPDX-License-Identifier: Apache-2.0
// Rules about the files of rows: their columns beside the features of meta/info.json, and the task
// of each row. What `tact` reads of them was read when the dataset was opened; here is the rest.
#include "check/series.h"

#include "base/file.h"
#include "formats/parquet.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// What is wrong with a feature's column, and in how many files.
typedef struct Fault {
    int64_t missing, unlike;
    int64_t file;   // the first of them
    char text[160]; // what its column is like
} Fault;

typedef struct Place {
    int64_t file, episode;
} Place;

typedef struct Tables {
    Check *c;
    pthread_mutex_t lock;                   // of all below but places
    Fault *faults;                          // (n_features)
    Fault task_column;                      // without task_index there is no task
    bool *used;                             // (tasks.rows)
    int64_t beyond, beyond_file, beyond_at; // rows whose task is in no table; the first
    int64_t other, other_episode;           // episodes whose rows have another task; the first
    const Place *places;                    // (n_episodes) sorted by file
} Tables;

// ---- columns ------------------------------------------------------------------------------------

static bool holds_text(const Feature *f) {
    return strcmp(f->dtype, "string") == 0 || strcmp(f->dtype, "language") == 0;
}

// How a feature's column differs from what its entry says: "" where it does not. Lists may be as
// long as they like here; those that are used are held to their length when they are read.
static const char *column_fault(const ParquetFile *f, const Feature *feature, int column) {
    ParquetLeaf leaf = parquet_leaf(f, column);
    bool image = feature->kind == FEATURE_VISUAL;
    if (image) return parquet_find(f, feature->disk_name, "bytes") < 0 ? "no image" : "";
    if (!leaf.readable) return "of a kind that holds no plain numbers or texts";
    if (leaf.kind == PARQUET_BYTES && !holds_text(feature)) return "bytes or texts";
    if (leaf.kind == PARQUET_NUMBERS && holds_text(feature)) return "numbers";
    if (leaf.list && feature->size == 1 && feature->rank <= 1) return "";
    if (!leaf.list && feature->size > 1 && !holds_text(feature)) return "one number a row";
    return "";
}

static void note_fault(Fault *fault, int64_t file, const char *text) {
    bool first = fault->missing + fault->unlike == 0 || file < fault->file;
    *(*text ? &fault->unlike : &fault->missing) += 1;
    if (!first) return;
    fault->file = file;
    snprintf(fault->text, sizeof fault->text, "%s", text);
}

static void look_at_columns(Tables *t, const ParquetFile *f, int64_t file) {
    const Dataset *ds = t->c->ds;
    for (int i = 0; i < ds->n_features; i++) {
        const Feature *feature = &ds->features[i];
        if (feature->kind == FEATURE_VISUAL && feature->video) continue;
        int column = parquet_find(f, feature->disk_name, NULL);
        const char *text = column < 0 ? "" : column_fault(f, feature, column);
        if (column >= 0 && !*text) continue;
        pthread_mutex_lock(&t->lock);
        note_fault(&t->faults[i], file, text);
        pthread_mutex_unlock(&t->lock);
    }
}

// ---- tasks --------------------------------------------------------------------------------------

// First place of a file.
static int64_t first_place(const Tables *t, int64_t file) {
    int64_t low = 0, high = t->c->ds->n_episodes;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (t->places[middle].file < file)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static const char *task_text(const Tasks *tasks, double number) {
    return number >= 0 && number < (double)tasks->rows ? tasks->texts[(int64_t)number] : NULL;
}

// Whether a row of an episode has the task that meta/ says. Of an episode of several tasks that is
// the first.
static bool has_its_task(const Tables *t, const Episode *e, const ParquetColumn *column) {
    for (int64_t i = 0; i < e->length && e->data_row + i < column->count; i++) {
        const char *text = task_text(&t->c->tasks, column->numbers[e->data_row + i]);
        if (text && e->task && strcmp(text, e->task) == 0) return true;
    }
    return !e->task;
}

static void look_at_episodes(Tables *t, int64_t file, const ParquetColumn *column) {
    const Dataset *ds = t->c->ds;
    for (int64_t i = first_place(t, file); i < ds->n_episodes && t->places[i].file == file; i++) {
        int64_t e = t->places[i].episode;
        if (has_its_task(t, &ds->episodes[e], column)) continue;
        pthread_mutex_lock(&t->lock);
        if (t->other++ == 0 || e < t->other_episode) t->other_episode = e;
        pthread_mutex_unlock(&t->lock);
    }
}

static void look_at_tasks(Tables *t, ParquetFile *f, int64_t file) {
    const Tasks *tasks = &t->c->tasks;
    int at = parquet_find(f, "task_index", NULL);
    ParquetColumn column = {0};
    Error ignored;
    bool numbers = at >= 0 && parquet_leaf(f, at).kind == PARQUET_NUMBERS;
    parquet_expect(f, parquet_rows(f));
    if (!numbers || !parquet_read(f, at, 0, -1, &column, &ignored) || column.count != column.rows) {
        pthread_mutex_lock(&t->lock);
        note_fault(&t->task_column, file, at < 0 ? "" : "not one number a row");
        pthread_mutex_unlock(&t->lock);
        parquet_column_free(&column);
        return;
    }
    int64_t beyond = 0, first = -1;
    double last = NAN;
    for (int64_t i = 0; i < column.count && tasks->rows > 0; i++) {
        double number = column.numbers[i];
        if (number != last && task_text(tasks, number)) {
            pthread_mutex_lock(&t->lock);
            t->used[(int64_t)number] = true;
            pthread_mutex_unlock(&t->lock);
        }
        last = number;
        if (!task_text(tasks, number) && beyond++ == 0) first = i;
    }
    pthread_mutex_lock(&t->lock);
    if (beyond > 0 && (t->beyond == 0 || file < t->beyond_file))
        t->beyond_file = file, t->beyond_at = first;
    t->beyond += beyond;
    pthread_mutex_unlock(&t->lock);
    if (tasks->rows > 0 && beyond == 0) look_at_episodes(t, file, &column);
    parquet_column_free(&column);
}

static void look_at_table(void *user, int64_t file) {
    Tables *t = user;
    ParquetFile *f = NULL;
    Error ignored; // the reader has read this file, or does not need it
    if (!parquet_open(t->c->ds->data_files[file].path, &f, &ignored)) return;
    look_at_columns(t, f, file);
    look_at_tasks(t, f, file);
    parquet_close(f);
}

// ---- findings -----------------------------------------------------------------------------------

static void find_fault(Check *c, const char *name, const Fault *fault, const char *said) {
    const char *path = c->ds->data_files[fault->file].path;
    if (fault->missing > 0)
        find(c, RULE_column_missing, -1, -1, name, (double)fault->missing,
             "%lld of %lld files have no such column, the first: %.600s", (long long)fault->missing,
             (long long)c->ds->n_data_files, path);
    if (fault->unlike > 0)
        find(c, RULE_column_type, -1, -1, name, (double)fault->unlike,
             "%s in meta/info.json, in %lld files %s, the first: %.600s", said,
             (long long)fault->unlike, *fault->text ? fault->text : "otherwise", path);
}

static bool is_declared(const Dataset *ds, const char *column) {
    static const char *const always[] = {"timestamp", "frame_index", "episode_index", "index",
                                         "task_index"};
    for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
        if (strcmp(column, always[i]) == 0) return true;
    for (int i = 0; i < ds->n_features; i++)
        if (strcmp(column, ds->features[i].disk_name) == 0) return true;
    return false;
}

// Files of a dataset have the same columns: the first says which.
static void check_unknown(Check *c) {
    ParquetFile *f = NULL;
    Error ignored;
    const char *last = "";
    if (c->ds->n_data_files == 0 || !parquet_open(c->ds->data_files[0].path, &f, &ignored)) return;
    for (int i = 0; i < parquet_leaves(f); i++) {
        ParquetLeaf leaf = parquet_leaf(f, i);
        if (strcmp(leaf.field, last) != 0 && !is_declared(c->ds, leaf.field))
            find(c, RULE_column_unknown, -1, -1, leaf.field, 1,
                 "%.600s has it, meta/info.json does not", c->ds->data_files[0].path);
        last = leaf.field;
    }
    parquet_close(f);
}

static void find_tasks(Check *c, const Tables *t) {
    const Dataset *ds = c->ds;
    int64_t unused = 0, first = -1;
    if (c->tasks.rows == 0) return;
    if (!c->tasks.ordered)
        find(c, RULE_task_order, -1, -1, c->tasks.place, 1,
             "its rows are not in the order of task_index");
    if (t->beyond > 0)
        find(c, RULE_task_index, -1, -1, "task_index", (double)t->beyond,
             "%lld rows have a task that %s has not, the first is row %lld of %.600s",
             (long long)t->beyond, c->tasks.place, (long long)t->beyond_at,
             ds->data_files[t->beyond_file].path);
    if (t->other > 0)
        find(c, RULE_task_index, t->other_episode, -1, "task_index", (double)t->other,
             "%lld episodes have rows of another task than \"%.120s\", as meta/ says of this one",
             (long long)t->other, ds->episodes[t->other_episode].task);
    for (int64_t i = 0; i < c->tasks.rows; i++)
        if (!t->used[i] && unused++ == 0) first = i;
    // Of a part of the episodes nothing follows.
    if (unused > 0 && ds->n_episodes == ds->total_episodes && t->beyond == 0 &&
        t->task_column.missing + t->task_column.unlike == 0)
        find(c, RULE_task_unused, -1, -1, c->tasks.place, (double)unused,
             "%lld of %lld tasks, the first: \"%.200s\"", (long long)unused,
             (long long)c->tasks.rows, c->tasks.texts[first] ? c->tasks.texts[first] : "");
}

static int by_file(const void *a, const void *b) {
    const Place *x = a, *y = b;
    if (x->file != y->file) return x->file < y->file ? -1 : 1;
    return (x->episode > y->episode) - (x->episode < y->episode);
}

void check_tables(Check *c) {
    const Dataset *ds = c->ds;
    Place *places = NEW(Place, ds->n_episodes);
    Tables t = {.c = c,
                .lock = PTHREAD_MUTEX_INITIALIZER,
                .faults = NEW(Fault, ds->n_features + 1),
                .used = NEW(bool, c->tasks.rows + 1),
                .places = places};
    for (int64_t e = 0; e < ds->n_episodes; e++) places[e] = (Place){ds->episodes[e].data_file, e};
    qsort(places, (size_t)ds->n_episodes, sizeof *places, by_file);
    share_out(c->options->threads, ds->n_data_files, look_at_table, &t);
    for (int i = 0; i < ds->n_features; i++)
        if (strcmp(ds->features[i].disk_name, "task_index") != 0)
            find_fault(c, ds->features[i].name, &t.faults[i], ds->features[i].dtype);
    find_fault(c, "task_index", &t.task_column, "int64");
    check_unknown(c);
    find_tasks(c, &t);
    mem_free(t.used);
    mem_free(t.faults);
    mem_free(places);
}
