// SPDX-License-Identifier: Apache-2.0
// An edit under way: the steps of edit_write (edit.c). Private to src/edit.
#ifndef TACT_EDIT_EDIT_INTERNAL_H
#define TACT_EDIT_EDIT_INTERNAL_H

#include "base/memory.h"
#include "dataset/writer.h"
#include "edit/columns.h"
#include "edit/edit.h"
#include "edit/features.h"

typedef struct Edit {
    const EditOptions *o;
    EditFeatures features;
    ColumnReader **columns; // (n_sources)
    WriterSplit *splits;    // (n_splits) none: all episodes are "train"
    int n_splits;
    DatasetWriter *writer;
    const char *folder;  // in which the dataset grows
    double *first_times; // (n_pieces) timestamp of the first row, as written
    bool *by_frame;      // (n_pieces) whether timestamps are frame / fps
    int64_t done, total; // for the progress
    EditResult result;
    Arena arena;
} Edit;

// Counts a step of the progress; fails where the user asked to stop.
CHECKED bool edit_step(Edit *ed, Error *err);

// splits.c: makes the splits, of those of the sources.
CHECKED bool edit_splits(Edit *ed, Error *err);
// rows.c: gives the writer the numbers, times and tasks of all pieces.
CHECKED bool edit_rows(Edit *ed, Error *err);
// data_files.c: writes the data files.
CHECKED bool edit_data_files(Edit *ed, Error *err);
// cut_videos.c: writes the videos.
CHECKED bool edit_videos(Edit *ed, Error *err);
// pixel_stats.c: gives the writer the statistics of cameras, from frames all over the pieces.
CHECKED bool edit_pixels(Edit *ed, Error *err);

// ---- piece_frames.c -----------------------------------------------------------------------------

// The frames of a piece in a video, in the file's display order.
typedef struct PieceFrames {
    const char *path;
    int64_t first, last;
    double offset; // seconds by which the piece's first row comes after its frame
    bool counted;  // row k has frame first + k, whatever the times
    bool on_grid;  // each row has a frame of its own, at k / fps after the first
} PieceFrames;

// Where the frames of a piece lie in a source's camera, from the tables of its video.
CHECKED bool piece_frames(const Dataset *ds, int camera, const EditPiece *piece, PieceFrames *out,
                          Error *err);

// ---- turned.c -----------------------------------------------------------------------------------

// Whether the frames of a camera of the new dataset are to be turned in a piece.
bool piece_is_turned(const Edit *ed, const EditPiece *piece, int camera);
// Encodes the frames of a piece, turned, as a video of its own at `path`: frame k at k / fps.
CHECKED bool turned_video(const Edit *ed, const EditPiece *piece, int camera, const char *path,
                          Error *err);
// Turns the image files of n rows, which become PNG files in the arena.
CHECKED bool turn_images(ParquetBytes *files, int64_t n, const char *name, Arena *arena,
                         Error *err);

// The source of a piece, and the position of a camera of the new dataset among its cameras.
static inline const Dataset *piece_source(const Edit *ed, const EditPiece *piece) {
    return ed->o->sources[piece->source];
}
static inline int piece_camera(const Edit *ed, const EditPiece *piece, int camera) {
    return piece->source == 0
               ? ed->features.camera_of[camera]
               : camera_position(piece_source(ed, piece), ed->features.cameras[camera].name);
}

#endif
