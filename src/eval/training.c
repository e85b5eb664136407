// SPDX-License-Identifier: Apache-2.0
#include "eval/training.h"

#include "formats/json.h"
#include "policy/policy_locate.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>

const char *eval_seen_name(EvalSeen seen) {
    return seen == SEEN_TRAINED ? "trained on" : seen == SEEN_HELD_OUT ? "held out" : "unknown";
}

static const char *text_of(EvalTraining *t, const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? arena_strdup(&t->arena, text) : NULL;
}

// found: the absolute path that tact stores; LeRobot stores the root only as it was given.
static bool is_same_dataset(const EvalTraining *t, const char *found, const char *root,
                            const char *repo_id) {
    char a[PATH_MAX], b[PATH_MAX];
    if (found && realpath(found, a)) return realpath(root, b) && strcmp(a, b) == 0;
    if (t->root && realpath(t->root, a)) return realpath(root, b) && strcmp(a, b) == 0;
    return t->repo_id && repo_id && strcmp(t->repo_id, repo_id) == 0;
}

// Works out which episodes the training's split held out, as the training did.
CHECKED static bool read_split(EvalTraining *t, const char *root, const char *repo_id, double split,
                               Error *err) {
    Dataset *ds = NULL;
    const DatasetOptions open = {.repo_id = repo_id,
                                 .root = root,
                                 .episodes = t->chosen.values,
                                 .n_episodes = t->chosen.count,
                                 .skip_videos = true};
    if (!dataset_open(&open, &ds, err)) return false;
    uint8_t *held = NEW(uint8_t, ds->n_episodes);
    t->split.values = arena_alloc(&t->arena, sizeof(int64_t) * (size_t)ds->n_episodes);
    dataset_split(ds, split, held);
    for (int64_t i = 0; i < ds->n_episodes; i++)
        if (held[i]) t->split.values[t->split.count++] = ds->episodes[i].index;
    mem_free(held);
    dataset_close(ds);
    return true;
}

static void read_chosen(EvalTraining *t, const json_t *list) {
    if (!json_is_array(list)) return;
    size_t n = json_array_size(list);
    t->chosen.values = arena_alloc(&t->arena, sizeof(int64_t) * (n + 1));
    for (size_t i = 0; i < n; i++)
        t->chosen.values[t->chosen.count++] = json_integer_value(json_array_get(list, i));
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

// For eval_seen. The split needed the order in which the training was given its episodes.
static void sort_list(IntList *list) {
    if (list->count) qsort(list->values, (size_t)list->count, sizeof *list->values, by_value);
}

void eval_training_read(const char *dir, const char *root, const char *repo_id, EvalTraining *t) {
    *t = (EvalTraining){.step = policy_step(dir)};
    json_t *config = json_read_optional(dir, "train_config.json");
    json_t *tact = json_read_optional(dir, "tact.json");
    const json_t *dataset = json_object_get(config, "dataset");
    if (json_is_object(dataset)) {
        const json_t *ours = json_object_get(json_object_get(tact, "train"), "eval_split");
        const json_t *split = ours ? ours : json_object_get(dataset, "eval_split");
        Error ignored;
        t->known = true;
        t->root = text_of(t, dataset, "root");
        t->repo_id = text_of(t, dataset, "repo_id");
        const json_t *found = json_object_get(json_object_get(tact, "train"), "dataset_root");
        t->same_dataset = is_same_dataset(t, json_string_value(found), root, repo_id);
        read_chosen(t, json_object_get(dataset, "episodes"));
        if (t->same_dataset && json_number_value(split) > 0)
            t->known = read_split(t, root, repo_id, json_number_value(split), &ignored);
        sort_list(&t->chosen);
        sort_list(&t->split);
    }
    json_decref(config);
    json_decref(tact);
}

void eval_training_free(EvalTraining *t) {
    arena_free(&t->arena);
    *t = (EvalTraining){0};
}

static bool list_has(const IntList *list, int64_t value) {
    return list->count > 0 && bsearch(&value, list->values, (size_t)list->count,
                                      sizeof *list->values, by_value) != NULL;
}

EvalSeen eval_seen(const EvalTraining *t, int64_t episode) {
    if (!t->known || !t->same_dataset) return SEEN_UNKNOWN;
    bool chosen = !t->chosen.values || list_has(&t->chosen, episode);
    return chosen && !list_has(&t->split, episode) ? SEEN_TRAINED : SEEN_HELD_OUT;
}
