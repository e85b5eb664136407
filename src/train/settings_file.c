// SPDX-License-Identifier: Apache-2.0
#include "train/settings_file.h"

#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "config/fields.h"
#include "formats/json.h"
#include "formats/yaml.h"
#include <limits.h>
#include <stdio.h>
#include <string.h>

enum { MAX_FLAGS = 512, MAX_NESTING = 16 };

static bool ends_with(const char *path, const char *end) {
    size_t n = strlen(path), m = strlen(end);
    return n >= m && strcasecmp(path + n - m, end) == 0;
}

CHECKED static bool read_file(const char *path, json_t **root, Error *err) {
    return ends_with(path, ".json") ? json_read(path, root, err) : yaml_read(path, root, err);
}

// Whether it is the train_config.json of a checkpoint of a temporal policy, under whatever name:
// nobody writes by hand what a policy gives out. What such a policy sees is in its tact.json alone.
static bool needs_tact_json(const json_t *root) {
    const json_t *policy = json_object_get(root, "policy");
    const char *type = json_string_value(json_object_get(policy, "type"));
    return type && strcmp(type, "tact") == 0 &&
           json_object_size(json_object_get(policy, "output_features")) > 0;
}

// Whether a file of another name is a checkpoint's too, with its tact.json beside it.
static bool is_renamed(const char *path) {
    char dir[PATH_MAX], beside[PATH_MAX + 16];
    json_t *root = NULL;
    Error ignored;
    path_parent(dir, sizeof dir, path);
    snprintf(beside, sizeof beside, "%s/tact.json", dir);
    bool is = ends_with(path, ".json") && file_exists(beside) && read_file(path, &root, &ignored) &&
              needs_tact_json(root);
    json_decref(root);
    return is;
}

bool settings_file_is_one(const char *path) {
    const char *name = after_last(path, '/');
    bool of_checkpoint = strcmp(name, "train_config.json") == 0 || strcmp(name, "config.json") == 0;
    return file_exists(path) && !of_checkpoint && !is_renamed(path);
}

typedef struct FlagList {
    Arena *arena;
    char **list;
    int count;
    const char *path;
} FlagList;

// A value as it would be typed. Free with mem_free.
static char *text_as_typed(const json_t *value) {
    return json_is_string(value) ? mem_strdup(json_string_value(value)) : json_text_had(value, 0);
}

CHECKED static bool add_as_flags(FlagList *f, const char *name, const json_t *value, int depth,
                                 Error *err) {
    const Field *field = name ? field_find(name) : NULL;
    if (json_is_object(value) && !field) {
        const char *key;
        json_t *member;
        if (depth == MAX_NESTING) return fail(err, "%s: nested too deep", f->path);
        json_object_foreach((json_t *)value, key, member) {
            const char *below = name ? arena_printf(f->arena, "%s.%s", name, key) : key;
            if (!add_as_flags(f, below, member, depth + 1, err)) return false;
        }
        return true;
    }
    if (!name)
        return fail(err, "%s: no settings in it; they are written as `steps: 1000`", f->path);
    // null where there is no such thing, and "", leave a setting as it is.
    bool empty = json_is_string(value) && json_string_length(value) == 0;
    if (empty || (json_is_null(value) && !(field && field->nullable))) return true;
    if (f->count == MAX_FLAGS) return fail(err, "%s: more settings than there are", f->path);
    char *text = text_as_typed(value);
    f->list[f->count++] = arena_printf(f->arena, "--%s=%s", name, text);
    mem_free(text);
    return true;
}

bool settings_file_flags(const char *path, int argc, char **argv, Arena *arena, char ***out,
                         int *count, int *from_file, Error *err) {
    static const char own[] = "--config_path";
    json_t *root = NULL;
    if (ends_with(path, ".toml"))
        return fail(err, "--config_path=%s: write the settings as YAML or JSON", path);
    FlagList f = {.arena = arena, .path = path};
    f.list = arena_alloc(arena, sizeof *f.list * (size_t)(MAX_FLAGS + argc));
    bool ok = read_file(path, &root, err);
    if (ok && needs_tact_json(root))
        ok = fail(err,
                  "%s: the train_config.json of a temporal policy, without the tact.json that says "
                  "what the policy sees; copy the whole pretrained_model directory, or pass "
                  "--config_path=RUN/checkpoints/last",
                  path);
    ok = ok && add_as_flags(&f, NULL, root, 0, err);
    json_decref(root);
    *from_file = f.count;
    for (int i = 0; ok && i < argc; i++) {
        const char *rest = strncmp(argv[i], own, strlen(own)) == 0 ? argv[i] + strlen(own) : "?";
        if (*rest == '=') continue;
        if (!*rest)
            i++; // the next one is its value
        else
            f.list[f.count++] = argv[i];
    }
    *out = f.list;
    *count = f.count;
    return ok;
}
