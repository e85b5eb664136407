// SPDX-License-Identifier: Apache-2.0
// What an open dataset is asked.
#include "dataset/dataset.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *dataset_stats_name(const Dataset *ds) {
    const char *digits = ds->version + (ds->version[0] == 'v');
    bool by_episode = *digits == '2' && strcmp(digits, "2.0") != 0;
    return by_episode ? "meta/episodes_stats.jsonl" : "meta/stats.json";
}

const Episode *dataset_episode_of(const Dataset *ds, int64_t row) {
    int64_t low = 0, high = ds->n_episodes; // it is one of [low, high)
    while (high - low > 1) {
        int64_t middle = low + (high - low) / 2;
        if (ds->episodes[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return &ds->episodes[low];
}

int64_t dataset_index_of(const Dataset *ds, int64_t row) {
    const Episode *e = dataset_episode_of(ds, row);
    return e->first_index + row - e->first_row;
}

int64_t dataset_row_of(const Dataset *ds, int64_t index) {
    for (int64_t i = 0; i < ds->n_episodes; i++) {
        const Episode *e = &ds->episodes[i];
        int64_t k = index - e->first_index;
        if (k >= 0 && k < e->length) return e->first_row + k;
    }
    return -1;
}

const DataFile *dataset_file_of(const Dataset *ds, int64_t row, int64_t *at) {
    const Episode *e = dataset_episode_of(ds, row);
    const DataFile *f = &ds->data_files[e->data_file];
    *at = e->data_row + (row - e->first_row);
    while (*at >= f->rows) *at -= f++->rows;
    return f;
}

void dataset_episodes_text(const int64_t *episodes, int64_t n, char *out, size_t size, bool *cut) {
    size_t used = 0;
    *cut = false;
    out[0] = 0;
    for (int64_t i = 0; i < n && !*cut; i++) {
        char one[32];
        int length = snprintf(one, sizeof one, "%s%lld", i ? "," : "[", (long long)episodes[i]);
        *cut = used + (size_t)length + 2 > size;
        if (!*cut) used += (size_t)snprintf(out + used, size - used, "%s", one);
    }
    if (used) snprintf(out + used, size - used, "]");
}

// An episode as it is sorted, so that those of one task follow each other in their order. Tasks are
// one pointer per text, NULL being one of its own.
typedef struct EpisodeOfTask {
    uintptr_t task;
    int64_t position;
} EpisodeOfTask;

static int by_task(const void *a, const void *b) {
    const EpisodeOfTask *x = a, *y = b;
    if (x->task != y->task) return x->task < y->task ? -1 : 1;
    return (x->position > y->position) - (x->position < y->position);
}

void dataset_split(const Dataset *ds, double eval_split, uint8_t *held_out) {
    memset(held_out, 0, (size_t)ds->n_episodes);
    if (!(eval_split > 0)) return;
    EpisodeOfTask *sorted = NEW(EpisodeOfTask, ds->n_episodes);
    for (int64_t i = 0; i < ds->n_episodes; i++)
        sorted[i] = (EpisodeOfTask){(uintptr_t)ds->episodes[i].task, i};
    qsort(sorted, (size_t)ds->n_episodes, sizeof *sorted, by_task);
    for (int64_t i = 0, n; i < ds->n_episodes; i += n) {
        for (n = 1; i + n < ds->n_episodes && sorted[i + n].task == sorted[i].task;) n++;
        int64_t held = (int64_t)ceil((double)n * (eval_split < 1 ? eval_split : 1));
        if (held >= n) held = n - 1;
        for (int64_t k = n - held; k < n; k++) held_out[sorted[i + k].position] = 1;
    }
    mem_free(sorted);
}
