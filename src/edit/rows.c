// SPDX-License-Identifier: Apache-2.0
// Numbers, times and tasks of the rows.
#include "edit/edit_internal.h"

#include <math.h>
#include <string.h>

// ---- times --------------------------------------------------------------------------------------

// An episode whose begin is cut off starts anew at 0, and so does one that did not start there.
static void shift_times(const Dataset *ds, const EditPiece *piece, double *out) {
    const double *t = ds->timestamp + ds->episodes[piece->episode].first_row + piece->first;
    bool on_grid = true;
    for (int64_t k = 0; k < piece->length; k++) {
        out[k] = t[k] - t[0];
        on_grid = on_grid && fabs(out[k] - (double)k / ds->fps) <= 1e-5;
    }
    // Differences of float32 numbers: what was meant is the grid.
    for (int64_t k = 0; k < piece->length && on_grid; k++) out[k] = (double)k / ds->fps;
}

// Whether all videos have a frame at k / fps for row k of a piece.
static bool frames_on_grid(const Edit *ed, const EditPiece *piece, bool *out, Error *err) {
    const Dataset *ds = piece_source(ed, piece);
    *out = true;
    for (int c = 0; c < ed->features.n_cameras && *out; c++) {
        PieceFrames frames;
        if (ed->features.cameras[c].in_parquet) continue;
        if (!piece_frames(ds, piece_camera(ed, piece, c), piece, &frames, err)) return false;
        *out = frames.on_grid;
    }
    return true;
}

static bool write_times_anew(Edit *ed, int64_t p, double *times, Error *err) {
    const EditPiece *piece = &ed->o->pieces[p];
    const double fps = piece_source(ed, piece)->fps;
    double farthest = 0;
    for (int64_t k = 0; k < piece->length; k++) {
        double off = fabs(times[k] - (double)k / fps);
        if (off > farthest) farthest = off;
    }
    // What is stored is float32.
    if (farthest <= 1e-6 * (1 + (double)piece->length / fps)) return true;
    if (!frames_on_grid(ed, piece, &ed->by_frame[p], err)) return false;
    if (!ed->by_frame[p]) {
        ed->result.off_grid++;
        return true;
    }
    for (int64_t k = 0; k < piece->length; k++) times[k] = (double)k / fps;
    ed->result.retimed++;
    if (farthest > ed->result.farthest) ed->result.farthest = farthest;
    return true;
}

static bool make_times(Edit *ed, int64_t p, double *times, Error *err) {
    const EditPiece *piece = &ed->o->pieces[p];
    const Dataset *ds = piece_source(ed, piece);
    const double *t = ds->timestamp + ds->episodes[piece->episode].first_row + piece->first;
    if (t[0] == 0)
        memcpy(times, t, sizeof *times * (size_t)piece->length);
    else
        shift_times(ds, piece, times);
    return !ed->o->by_frame || write_times_anew(ed, p, times, err);
}

// ---- tasks --------------------------------------------------------------------------------------

typedef struct SourceTasks {
    const char **texts; // (n), by task_index
    int64_t n;
} SourceTasks;

// The task of each row. One that the dataset has no text for is that of the episode.
static bool read_tasks(Edit *ed, const SourceTasks *tasks, const EditPiece *piece, double *numbers,
                       const char **out, Error *err) {
    const Episode *e = &piece_source(ed, piece)->episodes[piece->episode];
    if (!columns_numbers(ed->columns[piece->source], "task_index", 1, false, piece->episode,
                         piece->first, piece->length, numbers, err))
        return false;
    for (int64_t k = 0; k < piece->length; k++) {
        const char *text = NULL;
        if (numbers[k] >= 0 && numbers[k] < (double)tasks->n)
            text = tasks->texts[(int64_t)numbers[k]];
        out[k] = text ? text : e->task ? e->task : "";
    }
    return true;
}

// ---- all ----------------------------------------------------------------------------------------

static bool add_piece(Edit *ed, const SourceTasks *tasks, int64_t p, Error *err) {
    const EditPiece *piece = &ed->o->pieces[p];
    const Dataset *ds = piece_source(ed, piece);
    const EditFeatures *f = &ed->features;
    const size_t n = (size_t)piece->length;
    Arena a = {0};
    const double **values = arena_alloc(&a, sizeof *values * (size_t)(f->n_vectors + 1));
    double *times = arena_alloc(&a, sizeof *times * n),
           *numbers = arena_alloc(&a, sizeof *numbers * n);
    const char **texts = arena_alloc(&a, sizeof *texts * n);
    bool ok = make_times(ed, p, times, err) &&
              read_tasks(ed, &tasks[piece->source], piece, numbers, texts, err);
    for (int i = 0; ok && i < f->n_vectors; i++) {
        const WriterVector *v = &f->vectors[i];
        double *out = arena_alloc(&a, sizeof *out * n * (size_t)v->dim);
        values[i] = out;
        ok = columns_numbers(ed->columns[piece->source], feature_on_disk(ds, v->name), v->dim,
                             strstr(v->dtype, "int") != NULL, piece->episode, piece->first,
                             piece->length, out, err);
    }
    ed->first_times[p] = times[0];
    ok = ok && dataset_writer_rows_of(ed->writer, piece->length, values, times, texts, err);
    arena_free(&a);
    return ok;
}

bool edit_rows(Edit *ed, Error *err) {
    SourceTasks *tasks = arena_alloc(&ed->arena, sizeof *tasks * (size_t)ed->o->n_sources);
    for (int i = 0; i < ed->o->n_sources; i++)
        if (!dataset_task_texts(ed->o->sources[i], &ed->arena, &tasks[i].texts, &tasks[i].n, err))
            return false;
    for (int64_t p = 0; p < ed->o->n_pieces; p++) {
        if (!add_piece(ed, tasks, p, err) || !edit_step(ed, err)) return false;
        ed->result.rows += ed->o->pieces[p].length;
    }
    return true;
}
