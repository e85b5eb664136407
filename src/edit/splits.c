// SPDX-License-Identifier: Apache-2.0
// The splits of info.json, which are ranges of episodes: "train": "0:180". An edit keeps them as
// far as the episodes of each still lie together.
#include "edit/edit_internal.h"

#include "base/array.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>

// The pieces of a split.
typedef struct Found {
    const char *name;
    int64_t first, last, n;
} Found;

typedef struct Splits {
    Found *found;
    int64_t n, room;
    bool whole; // all ranges were read
} Splits;

static Found *split_named(Edit *ed, Splits *s, const char *name) {
    for (int64_t i = 0; i < s->n; i++)
        if (strcmp(s->found[i].name, name) == 0) return &s->found[i];
    Found *f = ARENA_ARRAY_ADD(&ed->arena, s->found, s->n, s->room);
    *f = (Found){.name = arena_strdup(&ed->arena, name)};
    return f;
}

static bool read_range(const json_t *value, long long *first, long long *end) {
    const char *text = json_string_value(value);
    int length = 0;
    return text && sscanf(text, "%lld:%lld%n", first, end, &length) == 2 && !text[length];
}

static void take_pieces(const Edit *ed, int source, long long first, long long end, Found *f) {
    const EditOptions *o = ed->o;
    for (int64_t p = 0; p < o->n_pieces; p++) {
        const EditPiece *piece = &o->pieces[p];
        int64_t e = o->sources[piece->source]->episodes[piece->episode].index;
        if (piece->source != source || e < first || e >= end) continue;
        if (f->n++ == 0 || p < f->first) f->first = p;
        if (p > f->last) f->last = p;
    }
}

static bool take_source(Edit *ed, int source, Splits *s, Error *err) {
    json_t *info = NULL, *value;
    const char *name;
    if (!edit_info(ed->o->sources[source], &info, err)) return false;
    json_object_foreach(json_object_get(info, "splits"), name, value) {
        long long first, end;
        if (read_range(value, &first, &end))
            take_pieces(ed, source, first, end, split_named(ed, s, name));
        else
            s->whole = false;
    }
    json_decref(info);
    return true;
}

bool edit_splits(Edit *ed, Error *err) {
    Splits s = {.whole = true};
    for (int i = 0; i < ed->o->n_sources; i++)
        if (!take_source(ed, i, &s, err)) return false;
    ed->splits = arena_alloc(&ed->arena, sizeof *ed->splits * (size_t)(s.n + 1));
    for (int64_t i = 0; i < s.n; i++) {
        const Found *f = &s.found[i];
        s.whole = s.whole && (f->n == 0 || f->last - f->first + 1 == f->n);
        if (f->n > 0) ed->splits[ed->n_splits++] = (WriterSplit){f->name, f->first, f->last + 1};
    }
    if (s.whole) return true;
    log_warn("%s: the splits in meta/info.json do not go along: their episodes no longer lie "
             "together; all become \"train\"",
             ed->o->root);
    ed->n_splits = 0;
    return true;
}
