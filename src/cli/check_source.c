// SPDX-License-Identifier: Apache-2.0
#include "cli/check_source.h"

#include "base/log.h"
#include "import/source_dataset.h"
#include <string.h>

bool check_source_is_one(const char *path) {
    return path && source_is_one(path) && (import_recognise(path) || import_look(path));
}

// ---- frames -------------------------------------------------------------------------------------

static bool read_frame(void *user, void **cursor, int64_t episode, int camera, int64_t row,
                       uint8_t *rgb, Error *err) {
    ImportSource *s = user;
    const ImportCamera *c = &s->cameras[camera];
    Image image = {0};
    if (!s->reader->frame(s, cursor, episode, camera, row, &image, err)) return false;
    bool same = image.height == c->height && image.width == c->width;
    if (same) memcpy(rgb, image.rgb, image_rgb_bytes(c->height, c->width));
    if (!same)
        (void)fail(err, "%s: %s, episode %lld, row %lld: a frame of %dx%d, the others are %dx%d",
                   s->path, c->name, (long long)episode, (long long)row, image.width, image.height,
                   c->width, c->height);
    image_free(&image);
    return same;
}

static void free_cursor(void *user, void *cursor) {
    const ImportSource *s = user;
    if (cursor) s->reader->cursor_free(cursor);
}

// ---- the whole ----------------------------------------------------------------------------------

static void refuse_episode(void *user, int64_t episode, const char *why) {
    check_add_to(user, RULE_unreadable, episode, why);
}

// The flags with which tact import makes what was looked at.
static const char *import_flags(Arena *a, const ImportSource *s, const ImportFlags *f) {
    bool still = false;
    for (int i = 0; i < s->n_cameras; i++) still |= !source_camera_is_video(&s->cameras[i]);
    return arena_printf(a, "%s%s%s%s%s%s", f->fps ? " --fps=" : "", f->fps ? f->fps : "",
                        strcmp(f->action, "next") == 0 ? " --action=next" : "",
                        strcmp(f->colors, "auto") == 0 ? "" : " --colors=",
                        strcmp(f->colors, "auto") == 0 ? "" : f->colors,
                        still ? " --images=png" : "");
}

static void describe(CheckedSource *c, const ImportFlags *flags) {
    const ImportSource *s = c->import;
    const char **names = arena_alloc(&c->arena, sizeof *names * (size_t)(s->n_episodes + 1));
    for (int64_t i = 0; i < s->n_episodes; i++) names[i] = s->episodes[i].name;
    c->about = (CheckSource){.form = s->form,
                             .flags = import_flags(&c->arena, s, flags),
                             .names = names,
                             .frame = read_frame,
                             .cursor_free = free_cursor,
                             .user = c->import};
}

bool check_source_open(const char *path, const ImportFlags *flags, const IntList *episodes,
                       CheckReport *report, CheckedSource *out, Dataset **ds, Error *err) {
    ConvertOptions o;
    *out = (CheckedSource){0};
    *ds = NULL;
    if (!import_open(path, &out->import, err)) {
        check_add(report, RULE_unreadable, err->text);
        return true;
    }
    describe(out, flags);
    report->source = &out->about;
    if (!import_flags_read(flags, out->import, &out->arena, &o, err)) return false;
    o.episodes = episodes->values;
    o.n_episodes = episodes->count;
    for (int i = 0; i < out->import->n_left_out; i++)
        log_warn("%s: left out: %s", path, out->import->left_out[i]);
    return source_dataset_open(out->import, &o, refuse_episode, report, ds, err);
}

void check_source_close(CheckedSource *source) {
    import_close(source->import);
    arena_free(&source->arena);
    *source = (CheckedSource){0};
}
