// SPDX-License-Identifier: Apache-2.0
#include "edit/edit_internal.h"

#include "base/file.h"
#include "base/log.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool edit_step(Edit *ed, Error *err) {
    if (ed->o->stop && *ed->o->stop) return fail(err, "%s: not written: stopped", ed->o->root);
    ed->done++;
    if (ed->o->progress) ed->o->progress(ed->o->user, ed->done, ed->total);
    return true;
}

// What opening it says was said when the old ones were opened.
static void drop_line(void *user, LogLevel level, const char *line) {
    (void)user, (void)level, (void)line;
}

// Opens the new dataset as a training would, before it gets its name.
static bool inspect(void *user, const char *folder, Error *err) {
    const Edit *ed = user;
    Dataset *ds = NULL;
    Error why;
    const DatasetOptions options = {.root = folder,
                                    .repo_id = "edited",
                                    .need_videos = true,
                                    .depth_maps = true,
                                    .overview = true,
                                    .tolerance_s = ed->o->sources[0]->tolerance_s};
    LogSink before = log_to((LogSink){drop_line, NULL});
    bool opens = dataset_open(&options, &ds, &why);
    log_to(before);
    if (!opens)
        return fail(err, "%s: not written, as what was made cannot be read: %s", ed->o->root,
                    why.text);
    bool ok = (ds->rows == ed->result.rows && ds->n_episodes == ed->o->n_pieces) ||
              fail(err, "%s: not written, as what was made has %lld rows and not %lld", ed->o->root,
                   (long long)ds->rows, (long long)ed->result.rows);
    dataset_close(ds);
    return ok;
}

static bool open_writer(Edit *ed, Error *err) {
    const Dataset *ds = ed->o->sources[0];
    const EditFeatures *f = &ed->features;
    const WriterOptions options = {.root = ed->o->root,
                                   .robot_type = ds->robot_type,
                                   .fps = ds->fps,
                                   .extras = f->vectors,
                                   .n_extras = f->n_vectors,
                                   .cameras = f->cameras,
                                   .n_cameras = f->n_cameras,
                                   .folder = ed->folder,
                                   .splits = ed->splits,
                                   .n_splits = ed->n_splits,
                                   .features = f->json,
                                   .texts = f->texts,
                                   .n_texts = f->n_texts,
                                   .inspect = inspect,
                                   .user = ed};
    return dataset_writer_open(&options, &ed->writer, err);
}

static bool begin(Edit *ed, Error *err) {
    const EditOptions *o = ed->o;
    char root[4000];
    if (o->n_pieces == 0) return fail(err, "%s: not written: no episode is left", o->root);
    if (!edit_check_sources(o->sources, o->n_sources, err) || !features_make(o, &ed->features, err))
        return false;
    snprintf(root, sizeof root, "%s", o->root);
    for (size_t n = strlen(root); n > 1 && root[n - 1] == '/'; n--) root[n - 1] = 0;
    const char *folder = arena_printf(&ed->arena, "%s.tmp.%ld", root, (long)getpid());
    PathKind there;
    if (!path_look(folder, &there, err)) return false;
    if (there != AT_NONE) return fail(err, "%s: left behind by another run; remove it", folder);
    ed->folder = folder; // ours from here on
    ed->columns = arena_alloc(&ed->arena, sizeof *ed->columns * (size_t)o->n_sources);
    for (int i = 0; i < o->n_sources; i++) ed->columns[i] = columns_open(o->sources[i]);
    ed->first_times = arena_alloc(&ed->arena, sizeof *ed->first_times * (size_t)o->n_pieces);
    ed->by_frame = arena_alloc(&ed->arena, sizeof *ed->by_frame * (size_t)o->n_pieces);
    ed->result.episodes = o->n_pieces;
    int videos = 0;
    for (int c = 0; c < ed->features.n_cameras; c++) videos += !ed->features.cameras[c].in_parquet;
    ed->total = o->n_pieces * (2 + videos) + ed->features.n_cameras;
    return edit_splits(ed, err) && open_writer(ed, err);
}

static bool publish(Edit *ed, Error *err) {
    DatasetWriter *writer = ed->writer;
    ed->writer = NULL;
    return dataset_writer_close(writer, err);
}

bool edit_write(const EditOptions *options, EditResult *out, Error *err) {
    Edit ed = {.o = options};
    bool ok = begin(&ed, err) && edit_rows(&ed, err) && edit_data_files(&ed, err) &&
              edit_videos(&ed, err) && edit_pixels(&ed, err) && publish(&ed, err);
    dataset_writer_abort(ed.writer);
    for (int i = 0; ed.columns && i < options->n_sources; i++) columns_close(ed.columns[i]);
    features_free(&ed.features);
    Error left;
    if (!ok && ed.folder && !remove_tree(ed.folder, &left)) log_warn("%s", left.text);
    *out = ed.result;
    arena_free(&ed.arena);
    return ok;
}
