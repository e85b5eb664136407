// SPDX-License-Identifier: Apache-2.0
// Statistics of cameras: from frames that are spread evenly over all rows. A few hundred frames
// have as many pixels as it takes; decoding all of a long recording for them would take hours.
#include "edit/edit_internal.h"

#include "base/array.h"
#include "dataset/frames.h"
#include <pthread.h>
#include <stdio.h>

enum { SAMPLED_FRAMES = 512, MOST_THREADS = 16 };

// One thread's share of a camera's samples.
typedef struct Share {
    const Edit *ed;
    int camera;
    int64_t first, end; // samples
    int64_t samples;    // of all threads
    PixelCounts counts;
    Error err;
    bool ok;
} Share;

// The piece with a row of the new dataset; the row becomes one of the piece.
static const EditPiece *piece_of(const Edit *ed, int64_t *row) {
    const EditPiece *p = ed->o->pieces;
    while (*row >= p->length) *row -= p++->length;
    return p;
}

static bool add_sample(Share *s, FrameReader *reader, const EditPiece *piece, int64_t row,
                       uint8_t *rgb) {
    const Dataset *ds = piece_source(s->ed, piece);
    const WriterCamera *camera = &s->ed->features.cameras[s->camera];
    int64_t at = ds->episodes[piece->episode].first_row + piece->first + row;
    if (!frames_read(reader, piece_camera(s->ed, piece, s->camera), at, rgb, &s->err)) return false;
    pixels_add(&s->counts, rgb, camera->height, camera->width);
    return true;
}

static void *take_share(void *user) {
    Share *s = user;
    const Edit *ed = s->ed;
    const WriterCamera *camera = &ed->features.cameras[s->camera];
    FrameReader *reader = NULL;
    int source = -1;
    uint8_t *rgb = mem_try((size_t)camera->height * (size_t)camera->width * 3);
    s->ok = rgb || fail_memory(&s->err, "%s: a frame of '%s'", ed->o->root, camera->name);
    for (int64_t i = s->first; s->ok && i < s->end; i++) {
        int64_t row = i * ed->result.rows / s->samples;
        const EditPiece *piece = piece_of(ed, &row);
        if (piece->source != source) {
            frames_close(reader);
            reader = NULL;
            source = piece->source;
            s->ok = frames_open(ed->o->sources[source], 0, 0, &reader, &s->err);
        }
        s->ok = s->ok && add_sample(s, reader, piece, row, rgb);
    }
    frames_close(reader);
    mem_free(rgb);
    return NULL;
}

static bool count_camera(Edit *ed, int camera, Error *err) {
    int64_t samples = ed->result.rows < SAMPLED_FRAMES ? ed->result.rows : SAMPLED_FRAMES;
    int n = ed->o->threads < MOST_THREADS ? ed->o->threads : MOST_THREADS;
    if (n > samples) n = (int)samples;
    Share *shares = NEW(Share, n);
    pthread_t threads[MOST_THREADS];
    bool begun[MOST_THREADS] = {false}, ok = true;
    for (int i = 0; i < n; i++)
        shares[i] = (Share){.ed = ed,
                            .camera = camera,
                            .first = samples * i / n,
                            .end = samples * (i + 1) / n,
                            .samples = samples};
    for (int i = 1; i < n; i++)
        begun[i] = pthread_create(&threads[i], NULL, take_share, &shares[i]) == 0;
    for (int i = 0; i < n; i++) // what has no thread of its own is done here
        if (!begun[i]) take_share(&shares[i]);
    for (int i = 0; i < n; i++) {
        if (begun[i]) pthread_join(threads[i], NULL);
        if (ok && !shares[i].ok) *err = shares[i].err;
        ok = ok && shares[i].ok;
        if (ok) dataset_writer_pixels(ed->writer, camera, &shares[i].counts);
    }
    mem_free(shares);
    return ok;
}

bool edit_pixels(Edit *ed, Error *err) {
    for (int c = 0; c < ed->features.n_cameras; c++) {
        const Dataset *ds = ed->o->sources[0];
        const char *name = ed->features.cameras[c].name;
        // A depth map has no brightness to count: what is known of the old dataset stays.
        if (ds->cameras[ed->features.camera_of[c]]->depth)
            dataset_writer_camera_stats(ed->writer, c, json_object_get(ds->stats, name));
        else if (!count_camera(ed, c, err))
            return false;
        if (!edit_step(ed, err)) return false;
    }
    return true;
}
