// SPDX-License-Identifier: Apache-2.0
#include "import/part_file.h"

#include "base/file.h"
#include "formats/image_codec.h"
#include "formats/video.h"
#include <string.h>
#include <zlib.h>

struct PartMaker {
    const Plan *plan;
    ImportSource *source;
    _Atomic int64_t *frames;
    const _Atomic bool *drop;
    void **cursors; // (n_cameras)
};

PartMaker *part_maker_new(const Plan *plan, ImportSource *source, _Atomic int64_t *frames,
                          const _Atomic bool *drop) {
    PartMaker *m = NEW(PartMaker, 1);
    *m = (PartMaker){plan, source, frames, drop, NEW(void *, source->n_cameras + 1)};
    return m;
}

void part_maker_free(PartMaker *m) {
    for (int c = 0; c < m->source->n_cameras; c++)
        if (m->cursors[c]) m->source->reader->cursor_free(m->cursors[c]);
    mem_free(m->cursors);
    mem_free(m);
}

// ---- frames of the source -----------------------------------------------------------------------

static int64_t source_episode(const PartMaker *m, const Part *part) {
    return m->plan->episodes[part->episode].source;
}

CHECKED static bool read_frame(PartMaker *m, const Part *part, int64_t row, Image *out,
                               Error *err) {
    const ImportCamera *camera = &m->source->cameras[part->camera];
    if (!m->source->reader->frame(m->source, &m->cursors[part->camera], source_episode(m, part),
                                  part->camera, row, out, err))
        return false;
    if (out->height == camera->height && out->width == camera->width) return true;
    fail(err, "%s: camera %s: the frame at row %lld of episode %lld is %dx%d, the others %dx%d",
         m->source->path, camera->name, (long long)row, (long long)source_episode(m, part),
         out->width, out->height, camera->width, camera->height);
    image_free(out);
    return false;
}

static void count_pixels(Part *part, int64_t row, const Image *image) {
    if (row % WRITER_PIXEL_STEP == 0)
        pixels_add(part->pixels, image->rgb, image->height, image->width);
}

// After each frame: whether to go on.
CHECKED static bool frame_done(PartMaker *m, Error *err) {
    atomic_fetch_add(m->frames, 1);
    return !atomic_load(m->drop) || fail(err, "stopped");
}

// ---- a video ------------------------------------------------------------------------------------

static bool add_frames(PartMaker *m, Part *part, VideoWriter *video, Error *err) {
    for (int64_t row = part->first; row < part->first + part->n; row++) {
        Image image;
        if (!read_frame(m, part, row, &image, err)) return false;
        count_pixels(part, row, &image);
        bool ok = video_writer_add(video, image.rgb, err);
        image_free(&image);
        if (!ok || !frame_done(m, err)) return false;
    }
    return true;
}

static bool make_video(PartMaker *m, Part *part, const char *path, Error *err) {
    const ImportCamera *camera = &m->source->cameras[part->camera];
    VideoWriter *video;
    if (!video_writer_open_part(path, camera->height, camera->width, m->plan->fps, WRITER_GOP,
                                WRITER_CRF, &video, err))
        return false;
    if (add_frames(m, part, video, err)) return video_writer_close(video, err);
    video_writer_abort(video);
    return false;
}

// ---- image files --------------------------------------------------------------------------------

CHECKED static bool copy_image(PartMaker *m, const Part *part, int64_t row, uint8_t **bytes,
                               size_t *size, Error *err) {
    const ImportSource *s = m->source;
    const ImportCamera *camera = &s->cameras[part->camera];
    *bytes = NULL;
    if (!s->reader->stored(m->source, &m->cursors[part->camera], source_episode(m, part),
                           part->camera, row, bytes, size, err))
        return false;
    return *bytes ||
           fail(err,
                "--images=copy: %s stores the frames of camera %s as %s, not as JPEG or PNG files; "
                "give --images=png, which loses nothing",
                s->path, camera->name, camera->codec);
}

CHECKED static bool encode_image(const PartMaker *m, const Image *image, uint8_t **bytes,
                                 size_t *size, Error *err) {
    return m->plan->o.images == CONVERT_JPEG ? image_encode_jpeg_fine(image, bytes, size, err)
                                             : image_encode_png(image, bytes, size, err);
}

// The image file of a row. The bytes of the source are looked into only where their pixels count.
CHECKED static bool make_image(PartMaker *m, Part *part, int64_t row, uint8_t **bytes, size_t *size,
                               Error *err) {
    bool copy = m->plan->o.images == CONVERT_COPY;
    *bytes = NULL;
    if (copy && !copy_image(m, part, row, bytes, size, err)) return false;
    if (copy && row % WRITER_PIXEL_STEP != 0) return true;
    Image image;
    if (!read_frame(m, part, row, &image, err)) return false;
    count_pixels(part, row, &image);
    bool ok = copy || encode_image(m, &image, bytes, size, err);
    image_free(&image);
    return ok;
}

static bool write_images(PartMaker *m, Part *part, AtomicFile *f, int64_t *sizes, Error *err) {
    size_t header = sizeof *sizes * (size_t)part->n;
    bool ok = fwrite(sizes, 1, header, f->stream) == header || // room for what comes at the end
              fail_errno(err, "%s: cannot write", f->path);
    for (int64_t k = 0; ok && k < part->n; k++) {
        uint8_t *bytes;
        size_t size = 0;
        ok = make_image(m, part, part->first + k, &bytes, &size, err) &&
             (fwrite(bytes, 1, size, f->stream) == size ||
              fail_errno(err, "%s: cannot write", f->path)) &&
             frame_done(m, err);
        sizes[k] = (int64_t)size;
        mem_free(bytes);
    }
    return ok && ((fseeko(f->stream, 0, SEEK_SET) == 0 &&
                   fwrite(sizes, 1, header, f->stream) == header) ||
                  fail_errno(err, "%s: cannot write", f->path));
}

static bool make_images(PartMaker *m, Part *part, const char *path, Error *err) {
    AtomicFile f = {0};
    int64_t *sizes = NEW(int64_t, part->n);
    bool ok = atomic_open(&f, path, err);
    f.unsynced = true;
    ok = ok && write_images(m, part, &f, sizes, err) && atomic_commit(&f, err);
    atomic_abort(&f);
    mem_free(sizes);
    return ok;
}

bool part_images_read(const char *path, int64_t n, char **data, ParquetBytes *images, Error *err) {
    size_t size, at = sizeof(int64_t) * (size_t)n;
    if (!file_read(path, data, &size, err)) return false;
    for (int64_t k = 0; k < n; k++) {
        int64_t bytes = -1;
        if (at <= size) memcpy(&bytes, *data + sizeof bytes * (size_t)k, sizeof bytes);
        if (bytes < 0 || (size_t)bytes > size - at) {
            mem_free(*data);
            return fail(err, "%s: damaged; remove it and give the same command again", path);
        }
        images[k] = (ParquetBytes){(const uint8_t *)*data + at, (size_t)bytes};
        at += (size_t)bytes;
    }
    return true;
}

bool part_make(PartMaker *m, Part *part, const char *path, Error *err) {
    bool video = m->plan->o.images == CONVERT_VIDEO;
    if (!(video ? make_video(m, part, path, err) : make_images(m, part, path, err))) return false;
    return part_look(path, &part->bytes, &part->sum, err);
}

bool part_look(const char *path, int64_t *bytes, uint32_t *sum, Error *err) {
    char *data;
    size_t size;
    if (!file_read(path, &data, &size, err)) return false;
    *bytes = (int64_t)size;
    *sum = (uint32_t)crc32_z(0, (const Bytef *)data, size);
    mem_free(data);
    return true;
}

// ---- notes --------------------------------------------------------------------------------------

typedef struct PartNote {
    char magic[8];
    int64_t n, bytes;
    uint64_t part_sum, note_sum; // crc32 of the part; of the note with 0 in this place
    PixelCounts pixels;
} PartNote;

static const char magic[8] = "tactpart";

static uint64_t note_sum(PartNote note) {
    note.note_sum = 0;
    return crc32_z(0, (const Bytef *)&note, sizeof note);
}

bool part_note_read(const char *path, Part *part) {
    char *data;
    size_t size;
    Error none; // without a note the part is made anew
    if (!file_exists(path) || !file_read(path, &data, &size, &none)) return false;
    PartNote note;
    bool ok = size == sizeof note;
    if (ok) memcpy(&note, data, sizeof note);
    mem_free(data);
    ok = ok && memcmp(note.magic, magic, sizeof magic) == 0 && note.n == part->n &&
         note.note_sum == note_sum(note);
    if (!ok) return false;
    part->bytes = note.bytes;
    part->sum = (uint32_t)note.part_sum;
    *part->pixels = note.pixels;
    return true;
}

bool part_note_write(const char *path, const Part *part, Error *err) {
    PartNote note = {
        .n = part->n, .bytes = part->bytes, .part_sum = part->sum, .pixels = *part->pixels};
    memcpy(note.magic, magic, sizeof magic);
    note.note_sum = note_sum(note);
    AtomicFile f = {0};
    if (!atomic_open(&f, path, err)) return false;
    f.unsynced = true;
    bool ok = fwrite(&note, 1, sizeof note, f.stream) == sizeof note ||
              fail_errno(err, "%s: cannot write", path);
    ok = ok && atomic_commit(&f, err);
    atomic_abort(&f);
    return ok;
}
