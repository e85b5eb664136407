// SPDX-License-Identifier: Apache-2.0
// Videos: the stretches of the pieces, one behind the other, in files of LeRobot's size.
#include "edit/edit_internal.h"

#include "base/file.h"
#include "formats/video.h"
#include <stdio.h>
#include <unistd.h>

// LeRobot compares times of frames as float32 within 1e-4 s. From 1024 s on neighbouring float32
// numbers are further apart than that, and it refuses frames whose times are equal.
static const double most_seconds = 1000;

// The file of a camera that is being written.
typedef struct Output {
    int camera;
    int64_t file; // -1: none yet
    VideoCut *cut;
    double seconds;
} Output;

static bool end_file(Output *out, Error *err) {
    VideoCut *cut = out->cut;
    out->cut = NULL;
    return !cut || video_cut_close(cut, err);
}

static bool begin_file(Edit *ed, Output *out, Error *err) {
    char path[4500], dir[4500];
    if (!end_file(out, err)) return false;
    dataset_writer_path(ed->writer, out->camera, ++out->file, path, sizeof path);
    path_parent(dir, sizeof dir, path);
    out->seconds = 0;
    ed->result.video_files++;
    return make_dirs(dir, err) && video_cut_open(path, &out->cut, err);
}

static bool is_full(const Output *out, double seconds) {
    return video_cut_bytes(out->cut) >= WRITER_VIDEO_MB * INT64_C(1048576) ||
           (out->seconds > 0 && out->seconds + seconds > most_seconds);
}

// Puts frames into the file that is being written, or where they do not fit into a new one.
static bool add_frames(Edit *ed, Output *out, const PieceFrames *f, VideoTables *tables,
                       double length, double *from, double *to, Error *err) {
    bool fits = false;
    if (((!out->cut || is_full(out, length)) && !begin_file(ed, out, err)) ||
        !video_cut_add(out->cut, f->path, tables, f->first, f->last, from, to, &fits, err))
        return false;
    if (!fits && (!begin_file(ed, out, err) || !video_cut_add(out->cut, f->path, tables, f->first,
                                                              f->last, from, to, &fits, err)))
        return false;
    out->seconds = *to;
    return fits || fail(err, "%s: cannot be put into a new file", f->path);
}

// As add_frames, of frames that are turned.
static bool add_turned(Edit *ed, Output *out, const EditPiece *piece, double length, double *from,
                       double *to, Error *err) {
    const char *path = arena_printf(&ed->arena, "%s/turned.mp4", ed->folder);
    const PieceFrames all = {.path = path, .first = 0, .last = piece->length - 1};
    bool ok = turned_video(ed, piece, out->camera, path, err) &&
              add_frames(ed, out, &all, NULL, length, from, to, err);
    (void)unlink(path); // where it stays, it goes with the folder
    return ok;
}

static bool add_piece(Edit *ed, Output *out, int64_t p, Error *err) {
    const EditPiece *piece = &ed->o->pieces[p];
    const Dataset *ds = piece_source(ed, piece);
    const double *t = ds->timestamp + ds->episodes[piece->episode].first_row + piece->first;
    const bool turned = piece_is_turned(ed, piece, out->camera);
    double length = (double)piece->length / ds->fps, from, to;
    PieceFrames frames;
    if (!piece_frames(ds, piece_camera(ed, piece, out->camera), piece, &frames, err) ||
        !(turned ? add_turned(ed, out, piece, length, &from, &to, err)
                 : add_frames(ed, out, &frames, ds->tables, length, &from, &to, err)))
        return false;
    // A row's time counts from here. What was before the file's begin is at it: nothing is shown
    // earlier.
    if (!frames.counted && !ed->by_frame[p]) {
        from += (turned ? 0 : frames.offset) - ed->first_times[p];
        to = from + ed->first_times[p] + t[piece->length - 1] - t[0] + 1 / ds->fps;
    }
    dataset_writer_place_times(ed->writer, p, out->camera, out->file, from > 0 ? from : 0, to);
    return true;
}

bool edit_videos(Edit *ed, Error *err) {
    for (int c = 0; c < ed->features.n_cameras; c++) {
        if (ed->features.cameras[c].in_parquet) continue;
        Output out = {.camera = c, .file = -1};
        bool ok = true;
        for (int64_t p = 0; ok && p < ed->o->n_pieces; p++)
            ok = add_piece(ed, &out, p, err) && edit_step(ed, err);
        ok = ok && end_file(&out, err);
        video_cut_abort(out.cut);
        if (!ok) return false;
    }
    return true;
}
