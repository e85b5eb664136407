// SPDX-License-Identifier: Apache-2.0
// Rules about files that are not what they should be, before their contents: pointers of Git LFS,
// and what a download left behind or left out.
#include "check/series.h"

#include "base/file.h"
#include "formats/hub_cache.h"
#include "formats/parquet.h"
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

// ---- the folder of a dataset that was refused ---------------------------------------------------

enum { DEEPEST = 8 };

typedef struct Kind {
    int64_t count;
    char first[PATH_MAX]; // the one whose name comes first, so that it is the same each time
} Kind;

typedef struct Tree {
    Kind pointers, unfinished;
} Tree;

static void count_file(Kind *kind, const char *path) {
    if (kind->count++ == 0 || strcmp(path, kind->first) < 0)
        snprintf(kind->first, sizeof kind->first, "%s", path);
}

static bool ends_with(const char *text, const char *end) {
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

// `hf download` and LeRobot write NAME.incomplete until a file is whole; a table or a video without
// a byte is what a full disk leaves.
static void look_at_file(Tree *tree, const char *path, int64_t size) {
    bool contents = ends_with(path, ".parquet") || ends_with(path, ".mp4");
    if (ends_with(path, ".incomplete") || (size == 0 && contents))
        count_file(&tree->unfinished, path);
    else if (size <= 1024 && file_is_lfs_pointer(path))
        count_file(&tree->pointers, path);
}

static void walk(Tree *tree, const char *dir, int depth) {
    DIR *entries = NULL;
    Error ignored;
    char path[PATH_MAX];
    if (depth > DEEPEST || !dir_open(dir, &entries, &ignored) || !entries) return;
    for (struct dirent *d; (d = readdir(entries));) {
        struct stat st;
        if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0) continue;
        int n = snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        if (n < 0 || n >= (int)sizeof path || stat(path, &st) != 0) continue;
        if (S_ISDIR(st.st_mode) && strcmp(d->d_name, ".git") != 0)
            walk(tree, path, depth + 1);
        else if (S_ISREG(st.st_mode))
            look_at_file(tree, path, st.st_size);
    }
    closedir(entries);
}

static void explain(CheckReport *report, CheckRuleId rule, const Kind *kind, const char *what) {
    if (kind->count == 0 || report->broken[rule] > 0) return;
    CheckFinding *f = report_add(report, rule, -1);
    f->measured = (double)kind->count;
    snprintf(f->text, sizeof f->text, "%lld %s, the first: %.700s", (long long)kind->count, what,
             kind->first);
}

void files_explain_refusal(const DatasetOptions *options, CheckReport *report) {
    char root[PATH_MAX];
    Error ignored;
    Tree *tree = NEW(Tree, 1);
    bool known = options->root && *options->root;
    if (known) snprintf(root, sizeof root, "%s", options->root);
    if (known || (options->repo_id && hub_find(HUB_DATASET, options->repo_id, options->revision,
                                               root, sizeof root, &ignored)))
        walk(tree, root, 0);
    explain(report, RULE_lfs_pointer, &tree->pointers, "files are pointers");
    explain(report, RULE_partial_download, &tree->unfinished, "files are unfinished");
    mem_free(tree);
}

// ---- rows that no episode lists -----------------------------------------------------------------

typedef struct Listed {
    Check *c;
    const char **paths; // (n_data_files) sorted
    int64_t rows;       // that no episode lists
    char first[PATH_MAX];
} Listed;

static int by_name(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void add_unlisted(Listed *l, const char *path) {
    ParquetFile *f = NULL;
    Error ignored;
    if (bsearch(&path, l->paths, (size_t)l->c->ds->n_data_files, sizeof *l->paths, by_name) ||
        !parquet_open(path, &f, &ignored))
        return;
    if (parquet_rows(f) > 0 && (!*l->first || strcmp(path, l->first) < 0))
        snprintf(l->first, sizeof l->first, "%s", path);
    l->rows += parquet_rows(f);
    parquet_close(f);
}

static void walk_tables(Listed *l, const char *dir, int depth) {
    DIR *entries = NULL;
    Error ignored;
    char path[PATH_MAX];
    if (depth > DEEPEST || !dir_open(dir, &entries, &ignored) || !entries) return;
    for (struct dirent *d; (d = readdir(entries));) {
        if (d->d_name[0] == '.') continue;
        int n = snprintf(path, sizeof path, "%s/%s", dir, d->d_name);
        if (n < 0 || n >= (int)sizeof path) continue;
        if (ends_with(d->d_name, ".parquet"))
            add_unlisted(l, path);
        else if (d->d_type == DT_DIR || d->d_type == DT_UNKNOWN)
            walk_tables(l, path, depth + 1);
    }
    closedir(entries);
}

// What a file of rows has beyond the episodes, and files that no episode lies in.
static void check_unlisted(Check *c) {
    const Dataset *ds = c->ds;
    char dir[PATH_MAX];
    if (ds->n_episodes != ds->total_episodes) return;
    Listed *l = NEW(Listed, 1);
    l->c = c;
    l->paths = mem_alloc(sizeof *l->paths * (size_t)ds->n_data_files);
    for (int64_t i = 0; i < ds->n_data_files; i++) {
        l->paths[i] = ds->data_files[i].path;
        l->rows += ds->data_files[i].rows;
    }
    l->rows -= ds->rows;
    qsort(l->paths, (size_t)ds->n_data_files, sizeof *l->paths, by_name);
    snprintf(dir, sizeof dir, "%s/data", ds->root);
    walk_tables(l, dir, 0);
    if (l->rows > 0)
        find(c, RULE_rows_unlisted, -1, -1, "data", (double)l->rows,
             "%lld rows belong to no episode%s%.700s", (long long)l->rows,
             *l->first ? ", among them those of " : "", l->first);
    mem_free(l->paths);
    mem_free(l);
}

// ---- the videos of a selection ------------------------------------------------------------------

// Opening a dataset asks for videos only where a training does.
static void check_missing(Check *c) {
    const Dataset *ds = c->ds;
    int64_t missing = 0;
    const char *first = "";
    for (int k = 0; k < ds->n_cameras; k++) {
        const char *last = NULL;
        if (!ds->cameras[k]->video) continue;
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            const char *path = ds->episodes[e].videos[k].path;
            PathKind kind;
            Error ignored;
            if (last && strcmp(path, last) == 0) continue;
            last = path;
            if (path_look(path, &kind, &ignored) && kind != AT_FILE && missing++ == 0) first = path;
        }
    }
    if (missing > 0)
        find(c, RULE_partial_download, -1, -1, "videos", (double)missing,
             "%lld files are not there, the first: %.700s", (long long)missing, first);
}

void check_files(Check *c) {
    check_missing(c);
    check_unlisted(c);
}
