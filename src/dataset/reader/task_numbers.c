// SPDX-License-Identifier: Apache-2.0
// Which text a task_index stands for. What trains goes by the texts that the episodes name; what
// copies rows needs those of single rows.
#include "dataset/dataset.h"

#include "base/array.h"
#include "base/file.h"
#include "dataset/reader/json_lines.h"
#include "dataset/reader/tables.h"
#include <string.h>

// Nobody has more tasks; a number beyond is damage, and no array is made as long as it says.
enum { MOST_TASKS = 10000000 };

typedef struct TaskTexts {
    Arena *arena;
    const char **texts;
    int64_t n, room;
} TaskTexts;

static bool add_text(TaskTexts *t, const char *path, double number, const char *text, size_t size,
                     Error *err) {
    int64_t at;
    if (!number_index(number, &at) || at >= MOST_TASKS)
        return fail(err, "%s: %g is no task_index; copy the file again", path, number);
    while (t->n <= at) *ARENA_ARRAY_ADD(t->arena, t->texts, t->n, t->room) = NULL;
    char *copy = arena_alloc(t->arena, size + 1);
    memcpy(copy, text, size);
    t->texts[at] = copy;
    return true;
}

static bool read_table(TaskTexts *t, ParquetFile *f, const char *path, Error *err) {
    ParquetColumn texts = {0};
    double *numbers = NULL;
    int column = parquet_find(f, "task", NULL);
    if (column < 0) column = parquet_find(f, "__index_level_0__", NULL); // older writers
    bool ok = column < 0 || (numbers_read(f, path, "task_index", false, &numbers, err) &&
                             parquet_read(f, column, 0, -1, &texts, err));
    for (int64_t i = 0; ok && texts.kind == PARQUET_BYTES && i < texts.count; i++)
        if (texts.bytes[i].data)
            ok = add_text(t, path, numbers ? numbers[i] : (double)i,
                          (const char *)texts.bytes[i].data, texts.bytes[i].size, err);
    parquet_column_free(&texts);
    mem_free(numbers);
    return ok;
}

static bool read_lines(TaskTexts *t, const char *path, Error *err) {
    JsonLines l = {.path = path};
    json_t *line = NULL;
    bool ok = json_lines_read(&l, err);
    while (ok && (ok = json_lines_next(&l, &line, err)) && line) {
        const json_t *number = json_object_get(line, "task_index"),
                     *text = json_object_get(line, "task");
        if (json_is_number(number) && json_is_string(text))
            ok = add_text(t, path, json_number_value(number), json_string_value(text),
                          json_string_length(text), err);
        json_decref(line);
    }
    mem_free(l.data);
    return ok;
}

bool dataset_task_texts(const Dataset *ds, Arena *arena, const char ***out, int64_t *n,
                        Error *err) {
    TaskTexts t = {.arena = arena};
    const char *table = arena_printf(arena, "%s/meta/tasks.parquet", ds->root);
    const char *lines = arena_printf(arena, "%s/meta/tasks.jsonl", ds->root);
    bool ok = true;
    if (file_exists(table)) {
        ParquetFile *f = NULL;
        ok = parquet_open(table, &f, err) && read_table(&t, f, table, err);
        parquet_close(f);
    } else if (file_exists(lines)) {
        ok = read_lines(&t, lines, err);
    }
    *out = t.texts;
    *n = t.n;
    return ok;
}
