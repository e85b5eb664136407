// SPDX-License-Identifier: Apache-2.0
// The data files: what the writer was given, and strings and images, which are read now.
#include "edit/edit_internal.h"

// Rows whose images are in memory at once.
enum { ROWS_AT_ONCE = 256 };

// Bytes of a row's numbers, about.
static int64_t row_bytes(const EditFeatures *f) {
    int64_t values = 5;
    for (int i = 0; i < f->n_vectors; i++) values += f->vectors[i].dim;
    return 8 * values;
}

static bool check_images(const Dataset *ds, const char *camera, const EditPiece *piece,
                         int64_t first, const ParquetBytes *files, int64_t n, Error *err) {
    for (int64_t i = 0; i < n; i++)
        if (!files[i].data)
            return fail(err,
                        "%s: episode %lld, frame %lld: the image of '%s' is not in the data file; "
                        "only images that lie in it can be copied",
                        ds->root, (long long)ds->episodes[piece->episode].index,
                        (long long)(piece->first + first + i), camera);
    return true;
}

// Rows first .. first+n-1 of a piece; *bytes grows by what their images and texts take.
static bool write_rows(Edit *ed, int64_t p, int64_t first, int64_t n, int64_t *bytes, Error *err) {
    const EditPiece *piece = &ed->o->pieces[p];
    const EditFeatures *f = &ed->features;
    const Dataset *ds = piece_source(ed, piece);
    ColumnReader *columns = ed->columns[piece->source];
    Arena a = {0};
    const ParquetBytes **all =
        arena_alloc(&a, sizeof *all * (size_t)(f->n_cameras + f->n_texts + 1));
    bool ok = true;
    for (int i = 0; ok && i < f->n_cameras + f->n_texts; i++) {
        bool camera = i < f->n_cameras;
        if (camera && !f->cameras[i].in_parquet) continue;
        const char *name = camera ? f->cameras[i].name : f->texts[i - f->n_cameras];
        ParquetBytes *out = arena_alloc(&a, sizeof *out * (size_t)n);
        all[i] = out;
        ok = columns_bytes(columns, feature_on_disk(ds, name), camera ? "bytes" : NULL,
                           piece->episode, piece->first + first, n, &a, out, err) &&
             (!camera || check_images(ds, name, piece, first, out, n, err)) &&
             (!camera || !piece_is_turned(ed, piece, i) || turn_images(out, n, name, &a, err));
        for (int64_t k = 0; ok && k < n; k++) *bytes += (int64_t)out[k].size;
    }
    ok = ok && dataset_writer_data_rows(ed->writer, p, first, n, all, err);
    arena_free(&a);
    return ok;
}

bool edit_data_files(Edit *ed, Error *err) {
    bool large = ed->features.n_texts > 0;
    for (int c = 0; c < ed->features.n_cameras; c++)
        large = large || ed->features.cameras[c].in_parquet;
    int64_t file = 0, bytes = 0;
    if (!dataset_writer_data_open(ed->writer, file, err)) return false;
    for (int64_t p = 0; p < ed->o->n_pieces; p++) {
        int64_t length = ed->o->pieces[p].length;
        bytes += length * row_bytes(&ed->features);
        if (p > 0 && bytes >= WRITER_DATA_MB * INT64_C(1048576)) {
            if (!dataset_writer_data_close(ed->writer, err) ||
                !dataset_writer_data_open(ed->writer, ++file, err))
                return false;
            bytes = 0;
        }
        dataset_writer_place(ed->writer, p, -1, file, 0);
        for (int64_t k = 0, n; k < length; k += n) {
            n = large && length - k > ROWS_AT_ONCE ? ROWS_AT_ONCE : length - k;
            if (!write_rows(ed, p, k, n, &bytes, err)) return false;
        }
        if (!edit_step(ed, err)) return false;
    }
    return dataset_writer_data_close(ed->writer, err);
}
