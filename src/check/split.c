// SPDX-License-Identifier: Apache-2.0
// Rules about the part that is held out of the training, beside the rest.
#include "check/series.h"

#include "base/text_set.h"
#include <math.h>
#include <string.h>

// Mean of one value over the rows of a part, and how many episodes it has.
typedef struct Part {
    double mean, rows;
    int64_t episodes;
} Part;

static void add_episode(Part *p, double mean, int64_t rows) {
    p->rows += (double)rows;
    p->mean += (mean - p->mean) * (double)rows / p->rows;
    p->episodes++;
}

// Means of few episodes differ by chance, as much as those of episodes do over the square root of
// how many there are.
static void check_means(Check *c, const Vector *v, const uint8_t *held_out) {
    const Dataset *ds = c->ds;
    for (int d = 0; d < v->n; d++) {
        const Dim *dim = &v->dims[d];
        Part parts[2] = {{.rows = 0}, {.rows = 0}};
        double squares = 0;
        for (int64_t e = 0; e < ds->n_episodes; e++) {
            double mean = dim_of(v, e, d)->mean;
            add_episode(&parts[held_out[e]], mean, ds->episodes[e].length);
            squares += (mean - dim->mean) * (mean - dim->mean);
        }
        double off = fabs(parts[0].mean - parts[1].mean), many = (double)ds->n_episodes;
        double chance =
            sqrt(squares / many * (1 / (double)parts[0].episodes + 1 / (double)parts[1].episodes));
        if (dim->std > 0 && off > check_rules[RULE_split_apart].limit * dim->std &&
            off > 3 * chance)
            find(c, RULE_split_apart, -1, -1, dim->name, off / dim->std,
                 "a mean of %.4g in the training's episodes, of %.4g in those held out",
                 parts[0].mean, parts[1].mean);
    }
}

static void check_tasks(Check *c, const uint8_t *held_out) {
    const Dataset *ds = c->ds;
    Arena arena = {0};
    TextSet tasks = {0};
    uint8_t *held = NEW(uint8_t, ds->n_episodes);
    int64_t single = 0;
    const char *example = "";
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        const char *task = ds->episodes[e].task ? ds->episodes[e].task : "";
        int number = text_set_add(&tasks, &arena, task, strlen(task));
        if (held_out[e]) held[number] = 1;
    }
    for (int i = 0; i < tasks.n; i++)
        if (!held[i] && single++ == 0) example = tasks.texts[i];
    if (single > check_rules[RULE_split_task].limit)
        find(c, RULE_split_task, -1, -1, "task", (double)single,
             "%lld of %d tasks have one episode, which is trained on; the first: %.80s",
             (long long)single, tasks.n, example);
    mem_free(held);
    arena_free(&arena);
}

void check_split(Check *c) {
    const Dataset *ds = c->ds;
    if (!(c->options->eval_split > 0)) return;
    uint8_t *held_out = NEW(uint8_t, ds->n_episodes);
    int64_t held = 0;
    dataset_split(ds, c->options->eval_split, held_out);
    for (int64_t e = 0; e < ds->n_episodes; e++) held += held_out[e];
    if (held > 0) {
        check_means(c, &c->state, held_out);
        check_means(c, &c->action, held_out);
        check_tasks(c, held_out);
    }
    mem_free(held_out);
}
