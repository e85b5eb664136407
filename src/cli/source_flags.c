// SPDX-License-Identifier: Apache-2.0
#include "cli/source.h"
#include "formats/video.h"
#include "import/plan.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const ImportFlags import_flag_defaults = {.images = "video", .action = "same", .colors = "auto"};

// "59.94", "60000/1001".
CHECKED static bool read_fps(const char *text, double *out, Error *err) {
    char *end;
    double fps = strtod(text, &end);
    if (end != text && *end == '/') {
        const char *below = end + 1;
        double divisor = strtod(below, &end);
        fps = end != below ? fps / divisor : NAN;
    }
    if (end == text || *end || !(fps > 0 && fps <= VIDEO_MAX_FPS))
        return fail(err, "--fps=%s: expected frames a second, as 30, 59.94 or 60000/1001", text);
    *out = fps;
    return true;
}

// A whole number at *text, which then points behind it.
static bool take_number(const char **text, int64_t *out) {
    char *end;
    if (**text < '0' || **text > '9') return false;
    *out = strtoll(*text, &end, 10);
    *text = end;
    return true;
}

// "[0,1,5]", "0,1,5", "0:50", and ranges within a list.
CHECKED static bool read_episodes(const char *text, int64_t n, Arena *arena, int64_t **out,
                                  int64_t *count, Error *err) {
    const char *p = text;
    int64_t *list = arena_alloc(arena, sizeof *list * (size_t)(n + 1)), used = 0;
    bool bracket = *p == '[', ok = true;
    p += bracket;
    do {
        int64_t first, end;
        ok = take_number(&p, &first);
        end = first + 1;
        if (ok && *p == ':') {
            p++;
            ok = take_number(&p, &end) && end > first;
        }
        if (ok && (first >= n || end > n))
            return fail(err, "--episodes=%s: the source has episodes 0 to %lld", text,
                        (long long)n - 1);
        for (int64_t i = first; ok && i < end; i++) {
            ok = used == 0 || list[used - 1] < i;
            if (ok) list[used++] = i;
        }
    } while (ok && *p == ',' && p++);
    if (ok && bracket) ok = *p++ == ']';
    *out = list;
    *count = used;
    return (ok && *p == '\0') ||
           fail(err,
                "--episodes=%s: expected numbers that increase, as [0,1,5], or a range, as 0:50",
                text);
}

bool import_flags_read(const ImportFlags *f, ImportSource *source, Arena *arena,
                       ConvertOptions *out, Error *err) {
    *out = (ConvertOptions){.root = f->root,
                            .task = f->task,
                            .next_action = strcmp(f->action, "next") == 0,
                            .threads = (int)f->threads};
    for (int i = 0; i < 4; i++)
        if (strcmp(f->images, convert_images_names[i]) == 0) out->images = (ConvertImages)i;
    if (strcmp(f->colors, "auto") != 0) source->red_is_blue = strcmp(f->colors, "bgr") == 0;
    if (f->fps && !read_fps(f->fps, &out->fps, err)) return false;
    if (!f->episodes) return true;
    int64_t *episodes = NULL;
    if (!read_episodes(f->episodes, source->n_episodes, arena, &episodes, &out->n_episodes, err))
        return false;
    out->episodes = episodes;
    return true;
}
