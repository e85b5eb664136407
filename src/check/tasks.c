// SPDX-License-Identifier: Apache-2.0
// The table of tasks, as it lies in meta/.
#include "check/series.h"

#include "base/file.h"
#include "formats/parquet.h"
#include <stdio.h>
#include <string.h>

enum { MOST_TASKS = 1000000 };

// Puts row `row` with `index` into the table.
static void put_task(Check *c, int64_t row, double index, const char *text, size_t size) {
    Tasks *t = &c->tasks;
    t->ordered &= index == (double)row;
    if (!(index >= 0 && index < (double)t->rows) || index != (double)(int64_t)index) return;
    char *copy = arena_alloc(&c->arena, size + 1);
    memcpy(copy, text, size);
    t->texts[(int64_t)index] = copy;
}

static void make_table(Check *c, int64_t rows) {
    c->tasks.rows = rows <= MOST_TASKS ? rows : 0;
    c->tasks.ordered = true;
    c->tasks.texts = arena_alloc(&c->arena, sizeof *c->tasks.texts * (size_t)(c->tasks.rows + 1));
}

static void gather_v30(Check *c, const char *path) {
    ParquetFile *f = NULL;
    ParquetColumn texts = {0}, numbers = {0};
    Error ignored; // the reader has read this file
    if (!parquet_open(path, &f, &ignored)) return;
    int text = parquet_find(f, "task", NULL), number = parquet_find(f, "task_index", NULL);
    if (text < 0) text = parquet_find(f, "__index_level_0__", NULL);
    bool ok = text >= 0 && number >= 0 && parquet_read(f, text, 0, -1, &texts, &ignored) &&
              parquet_read(f, number, 0, -1, &numbers, &ignored) && texts.kind == PARQUET_BYTES &&
              numbers.kind == PARQUET_NUMBERS && texts.count == texts.rows &&
              numbers.count == texts.count;
    if (ok) make_table(c, texts.rows);
    for (int64_t i = 0; ok && i < c->tasks.rows; i++)
        put_task(c, i, numbers.numbers[i], (const char *)texts.bytes[i].data, texts.bytes[i].size);
    parquet_column_free(&numbers);
    parquet_column_free(&texts);
    parquet_close(f);
}

static void gather_v21(Check *c, const char *path) {
    char *data = NULL;
    size_t size;
    Error ignored;
    int64_t rows = 0, row = 0;
    if (!file_read(path, &data, &size, &ignored)) return;
    for (const char *p = data; (p = strchr(p, '{')); p = strchr(p, '\n') ? strchr(p, '\n') : "")
        rows++;
    make_table(c, rows);
    for (char *line = data, *next; row < c->tasks.rows && line && *line; line = next) {
        next = strchr(line, '\n');
        size_t n = next ? (size_t)(next - line) : strlen(line);
        json_t *o = json_parse(line, n, 0, NULL);
        const json_t *text = json_object_get(o, "task"), *index = json_object_get(o, "task_index");
        if (json_is_string(text) && json_is_integer(index))
            put_task(c, row++, (double)json_integer_value(index), json_string_value(text),
                     json_string_length(text));
        json_decref(o);
        if (next) next++;
    }
    mem_free(data);
}

void tasks_gather(Check *c) {
    const Dataset *ds = c->ds;
    char path[4096];
    c->tasks.place = "meta/tasks.parquet";
    snprintf(path, sizeof path, "%s/%s", ds->root, c->tasks.place);
    if (file_exists(path)) {
        gather_v30(c, path);
        return;
    }
    c->tasks.place = "meta/tasks.jsonl";
    snprintf(path, sizeof path, "%s/%s", ds->root, c->tasks.place);
    if (file_exists(path)) gather_v21(c, path);
}
