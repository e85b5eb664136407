// SPDX-License-Identifier: Apache-2.0
#include "cli/cli.h"
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
    if (!cli_episode_list("episodes", f->episodes, source->n_episodes, arena, &episodes,
                          &out->n_episodes, err))
        return false;
    out->episodes = episodes;
    return true;
}
