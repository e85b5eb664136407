// SPDX-License-Identifier: Apache-2.0
#include "import/convert.h"

#include "base/file.h"
#include "base/log.h"
#include "import/assemble.h"
#include "import/begun.h"
#include "import/rows.h"
#include <stdio.h>
#include <string.h>

typedef struct Conversion {
    Plan plan;
    Begun begun; // ROOT.partial
    DatasetWriter *writer;
    Parts parts;
    Assembly assembly;
    Digest digest; // of the source
} Conversion;

static bool add_episode(Conversion *c, ImportSource *source, const PlanEpisode *e, Error *err) {
    Rows rows;
    if (!rows_read(&c->plan, source, e, &c->digest, &rows, err)) return false;
    bool ok = dataset_writer_rows(c->writer, e->length, rows.values, e->task, err);
    rows_free(&rows);
    return ok;
}

// ---- the steps ----------------------------------------------------------------------------------

static bool open_writer(Conversion *c, ImportSource *source, Error *err) {
    char folder[4300];
    snprintf(folder, sizeof folder, "%s/dataset", c->begun.dir);
    const WriterOptions o = plan_writer_options(&c->plan, c->plan.o.root, folder);
    if (!dataset_writer_open(&o, &c->writer, err)) return false;
    if (!digest_source(&c->digest, source, err)) return false;
    for (int64_t e = 0; e < c->plan.n_episodes; e++)
        if (!add_episode(c, source, &c->plan.episodes[e], err)) return false;
    return true;
}

// Statistics of a camera in an episode, of what was counted in its parts.
static void add_pixels(Conversion *c, int64_t episode, int camera) {
    PixelCounts sum = {0};
    for (int64_t i = c->parts.first[episode]; i < c->parts.first[episode + 1]; i++)
        if (c->parts.part[i].camera == camera) pixels_sum(&sum, c->parts.part[i].pixels);
    const CameraStats s = camera_stats(&sum);
    dataset_writer_pixels(c->writer, camera, &sum);
    dataset_writer_episode_camera(c->writer, episode, camera, &s);
}

static bool convert_frames(Conversion *c, ImportSource *source, ConvertResult *out, Error *err) {
    char dir[4300];
    snprintf(dir, sizeof dir, "%s/parts", c->begun.dir);
    if (!make_dirs(dir, err)) return false;
    parts_list(&c->parts, &c->plan, source, dir);
    assembly_new(&c->assembly, &c->plan, &c->parts, c->writer);
    if (!parts_start(&c->parts, &out->found, err)) return false;
    for (int64_t e = 0; e < c->plan.n_episodes; e++)
        if (!parts_wait(&c->parts, e, err) || !assembly_add(&c->assembly, e, err)) return false;
    if (!assembly_finish(&c->assembly, err)) return false;
    for (int64_t e = 0; e < c->plan.n_episodes; e++)
        for (int k = 0; k < source->n_cameras; k++) add_pixels(c, e, k);
    return true;
}

static bool run_conversion(Conversion *c, ImportSource *source, ConvertResult *out, Error *err) {
    if (!plan_check(&c->plan, err) || !begun_open(&c->begun, &c->plan, err) ||
        !open_writer(c, source, err) || !begun_check(&c->begun, &c->plan, &c->digest, err) ||
        !convert_frames(c, source, out, err))
        return false;
    DatasetWriter *writer = c->writer;
    c->writer = NULL;
    if (!dataset_writer_close(writer, err)) return false;
    *out = (ConvertResult){c->plan.n_episodes, c->plan.rows, c->plan.rows * source->n_cameras,
                           out->found};
    begun_finished(&c->begun);
    return true;
}

bool convert_source(ImportSource *source, const ConvertOptions *options, ConvertResult *out,
                    Error *err) {
    Conversion c = {0};
    *out = (ConvertResult){0};
    if (!plan_make(source, options, &c.plan, err)) return false;
    bool ok = run_conversion(&c, source, out, err);
    // What was begun now, and has come to nothing, need not be kept.
    if (!ok && c.begun.fresh && !parts_any(&c.parts)) c.begun.drop = true;
    parts_end(&c.parts);
    assembly_free(&c.assembly);
    dataset_writer_abort(c.writer);
    begun_close(&c.begun);
    plan_free(&c.plan);
    return ok;
}
