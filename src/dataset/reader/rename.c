// SPDX-License-Identifier: Apache-2.0
#include "dataset/reader/steps.h"

#include <stdio.h>
#include <string.h>

bool rename_parse(Source *s, const DatasetOptions *options, Error *err) {
    json_error_t problem;
    s->rename_if_there = options->rename_if_there;
    if (!options->rename) return true;
    s->rename = json_parse_argument(options->rename, JSON_REJECT_DUPLICATES, &problem);
    const char *old;
    json_t *name;
    bool ok = json_is_object(s->rename);
    json_object_foreach(s->rename, old, name) {
        ok = ok && json_string_length(name) > 0;
        if (ok && strchr(json_string_value(name), '/'))
            return fail(err, "--rename_map: the new name '%.100s' contains '/'; choose another",
                        json_string_value(name));
    }
    return ok ||
           fail(err, "--rename_map=%.200s: expected an object of names, as {\"OLD\": \"NEW\"}",
                options->rename);
}

const char *rename_of(const Source *s, const char *disk_name) {
    const char *name = json_string_value(json_object_get(s->rename, disk_name));
    return name ? name : disk_name;
}

// "action, observation.state, ...": what the dataset has, without the columns that only count.
static void list_names(const json_t *features, char *out, size_t size) {
    static const char counters[] = " timestamp frame_index episode_index index task_index ";
    const char *name;
    json_t *feature;
    size_t used = 0;
    out[0] = 0;
    json_object_foreach((json_t *)features, name, feature) {
        char word[128];
        snprintf(word, sizeof word, " %.100s ", name);
        if (strstr(counters, word) || used + 128 > size) continue;
        used += (size_t)snprintf(out + used, size - used, "%s%.100s", used ? ", " : "", name);
    }
}

bool rename_check(const Source *s, const char *info, const json_t *features, Error *err) {
    const char *old, *other, *name;
    json_t *value, *feature;
    char names[1024];
    json_object_foreach((json_t *)s->rename, old, value) {
        if (json_object_get(features, old) || s->rename_if_there) continue;
        list_names(features, names, sizeof names);
        return fail(err, "--rename_map: %s has no '%.100s'; it has %s", info, old, names);
    }
    json_object_foreach((json_t *)features, old, feature) {
        name = rename_of(s, old);
        json_object_foreach((json_t *)features, other, value) {
            if (strcmp(old, other) == 0) break; // each pair once
            if (strcmp(name, rename_of(s, other)) != 0) continue;
            return fail(
                err,
                "--rename_map: '%.100s' and '%.100s' of %s would both be '%.100s'; give one "
                "of them another name as well",
                other, old, info, name);
        }
    }
    return true;
}

void rename_stats(const Source *s) {
    Dataset *ds = s->ds;
    if (!s->rename || !ds->stats) return;
    json_t *renamed = json_object(), *value;
    const char *old;
    for (int given = 0; given < 2; given++) // what the map names outranks what had the name before
        json_object_foreach(ds->stats, old, value) {
            if ((json_object_get(s->rename, old) != NULL) == given)
                json_object_set_nocheck(renamed, rename_of(s, old), value);
        }
    json_decref(ds->stats);
    ds->stats = renamed;
}
