// SPDX-License-Identifier: Apache-2.0
// Frames by row: a few open videos, and for image columns a few decoded row groups, both in
// least-recently-used order.
#include "dataset/frames.h"

#include "formats/image_codec.h"
#include "formats/parquet.h"
#include "formats/video.h"
#include "image/image.h"
#include <stdio.h>
#include <string.h>

enum { OPEN_VIDEOS = 8, OPEN_TABLES = 4 };
// Image bytes of decoded row groups that one reader may hold; one group is kept whatever its size.
static const size_t GROUP_CACHE_BYTES = (size_t)256 << 20;

typedef struct VideoSlot {
    const char *path; // borrowed from the dataset
    Video *video;     // NULL: free
    uint64_t used;
} VideoSlot;

// The image column of one camera over one row group.
typedef struct Group {
    ParquetColumn column;
    int camera, group;
    size_t bytes;
    uint64_t used;
    struct Group *next;
} Group;

typedef struct TableSlot {
    const char *path;
    ParquetFile *file; // NULL: free
    Group *groups;
    uint64_t used;
} TableSlot;

struct FrameReader {
    const Dataset *ds;
    FrameSize *sizes; // (cameras) of frames given out; 0x0: as recorded
    uint64_t clock;   // counts uses
    VideoSlot videos[OPEN_VIDEOS];
    TableSlot files[OPEN_TABLES];
    size_t group_bytes;
    uint8_t *frame; // a decoded frame before resizing, as large as the largest that is resized
    void *scratch;  // for image_fit
    size_t frame_bytes, scratch_bytes;
};

bool frames_open(const Dataset *ds, int height, int width, FrameReader **out, Error *err) {
    *out = NULL;
    FrameReader *r = NEW(FrameReader, 1);
    r->ds = ds;
    r->sizes = NEW(FrameSize, ds->n_cameras);
    for (int c = 0; c < ds->n_cameras; c++)
        if (!frames_resize(r, c, (FrameSize){.height = height, .width = width}, err)) {
            frames_close(r);
            return false;
        }
    *out = r;
    return true;
}

// Makes a buffer at least that large; what was in it is lost.
static bool buffer_reserve(void **buffer, size_t *has, size_t wanted) {
    if (wanted <= *has) return true;
    mem_free(*buffer);
    *buffer = mem_try(wanted);
    *has = *buffer ? wanted : 0;
    return *buffer != NULL;
}

bool frames_resize(FrameReader *r, int camera, FrameSize size, Error *err) {
    const Feature *f = r->ds->cameras[camera];
    if (size.height < 0 || size.width < 0 || (size.height == 0) != (size.width == 0))
        return fail(err, "%dx%d is no frame size to resize to; give both sides", size.height,
                    size.width);
    r->sizes[camera] = size;
    if (!size.height) return true;
    void *frame = r->frame;
    size_t bytes = image_rgb_bytes(f->height, f->width);
    bool there = buffer_reserve(&frame, &r->frame_bytes, bytes);
    r->frame = frame;
    return (there &&
            buffer_reserve(&r->scratch, &r->scratch_bytes,
                           image_resize_scratch(f->height, f->width, size.height, size.width))) ||
           fail(err, "%s: no memory for a camera's frame", r->ds->root);
}

static void group_free(FrameReader *r, Group *g) {
    r->group_bytes -= g->bytes;
    parquet_column_free(&g->column);
    mem_free(g);
}

static void table_close(FrameReader *r, TableSlot *t) {
    while (t->groups) {
        Group *next = t->groups->next;
        group_free(r, t->groups);
        t->groups = next;
    }
    parquet_close(t->file);
    *t = (TableSlot){0};
}

void frames_close(FrameReader *r) {
    if (!r) return;
    for (int i = 0; i < OPEN_VIDEOS; i++) video_close(r->videos[i].video);
    for (int i = 0; i < OPEN_TABLES; i++) table_close(r, &r->files[i]);
    mem_free(r->sizes);
    mem_free(r->frame);
    mem_free(r->scratch);
    mem_free(r);
}

// ---- video ------------------------------------------------------------------------------------

static bool same_path(const char *a, const char *b) {
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool video_slot_open(FrameReader *r, const char *path, Video **out, Error *err) {
    VideoSlot *oldest = &r->videos[0];
    for (int i = 0; i < OPEN_VIDEOS; i++) {
        VideoSlot *s = &r->videos[i];
        if (s->video && same_path(s->path, path)) {
            s->used = ++r->clock;
            *out = s->video;
            return true;
        }
        if (s->used < oldest->used) oldest = s;
    }
    video_close(oldest->video);
    *oldest = (VideoSlot){0};
    if (!video_open(path, r->ds->tables, &oldest->video, err)) return false;
    oldest->path = path;
    oldest->used = ++r->clock;
    *out = oldest->video;
    return true;
}

// Number of a row's frame in its video.
static int64_t frame_number_of_row(const FrameReader *r, const Video *video, int camera,
                                   int64_t row) {
    const Episode *e = dataset_episode_of(r->ds, row);
    const EpisodeVideo *place = &e->videos[camera];
    if (place->rule == FRAMES_BY_COUNT) return place->first_frame + (row - e->first_row);
    return video_frame_at(video, place->from + r->ds->timestamp[row]);
}

static bool check_size(const Feature *camera, const char *path, int height, int width, Error *err) {
    return (height == camera->height && width == camera->width) ||
           fail(err,
                "%s: is %dx%d (height x width), but the first frames of camera '%s' are %dx%d; one "
                "camera has one size",
                path, height, width, camera->name, camera->height, camera->width);
}

static bool read_video(FrameReader *r, int camera, const Episode *e, int64_t row, uint8_t *rgb,
                       Error *err) {
    const EpisodeVideo *place = &e->videos[camera];
    Video *video = NULL;
    if (!video_slot_open(r, place->path, &video, err)) return false; // and says what is missing
    if (place->rule == FRAMES_UNKNOWN)
        return fail(err, "%s: was not there when the dataset was opened; open it again",
                    place->path);
    return check_size(r->ds->cameras[camera], place->path, video_height(video), video_width(video),
                      err) &&
           // With a tolerance of the user's own a frame may be farther than video_read allows.
           (place->rule == FRAMES_BY_COUNT || r->ds->tolerance_s > 0
                ? video_read_index(video, frame_number_of_row(r, video, camera, row), rgb, err)
                : video_read(video, place->from + r->ds->timestamp[row], rgb, err));
}

// ---- image columns ----------------------------------------------------------------------------

static bool table_slot_open(FrameReader *r, const char *path, TableSlot **out, Error *err) {
    TableSlot *oldest = &r->files[0];
    for (int i = 0; i < OPEN_TABLES; i++) {
        TableSlot *t = &r->files[i];
        if (t->file && same_path(t->path, path)) {
            t->used = ++r->clock;
            *out = t;
            return true;
        }
        if (t->used < oldest->used) oldest = t;
    }
    table_close(r, oldest);
    if (!parquet_open(path, &oldest->file, err)) return false;
    oldest->path = path;
    oldest->used = ++r->clock;
    *out = oldest;
    return true;
}

// Drops the row group used longest ago, but not `keep`. False if there is no other.
static bool drop_oldest_group(FrameReader *r, const Group *keep) {
    Group **oldest = NULL;
    for (int i = 0; i < OPEN_TABLES; i++) {
        for (Group **g = &r->files[i].groups; *g; g = &(*g)->next)
            if (*g != keep && (!oldest || (*g)->used < (*oldest)->used)) oldest = g;
    }
    if (!oldest) return false;
    Group *g = *oldest;
    *oldest = g->next;
    group_free(r, g);
    return true;
}

static bool table_slot_read_group(FrameReader *r, TableSlot *t, int camera, int group, Group **out,
                                  Error *err) {
    for (Group *g = t->groups; g; g = g->next) {
        if (g->camera != camera || g->group != group) continue;
        g->used = ++r->clock;
        *out = g;
        return true;
    }
    const char *name = r->ds->cameras[camera]->disk_name;
    int column = parquet_find(t->file, name, "bytes");
    if (column < 0) {
        return fail(err, "%s: there is no image column '%s'; the file changed while it was in use",
                    t->path, name);
    }
    Group *g = NEW(Group, 1);
    if (!parquet_read(t->file, column, group, 1, &g->column, err)) {
        mem_free(g);
        return false;
    }
    g->camera = camera;
    g->group = group;
    g->used = ++r->clock;
    const ParquetColumn *c = &g->column;
    bool images = c->kind == PARQUET_BYTES && !c->offsets && c->count == c->rows;
    if (!images) {
        group_free(r, g);
        return fail(err, "%s: column '%s' does not hold one image a row; the file is damaged",
                    t->path, name);
    }
    for (int64_t i = 0; i < c->count; i++) g->bytes += c->bytes[i].size;
    r->group_bytes += g->bytes;
    g->next = t->groups;
    t->groups = g;
    while (r->group_bytes > GROUP_CACHE_BYTES && drop_oldest_group(r, g)) continue;
    *out = g;
    return true;
}

// Decodes the image of a row; image_free(out) after it. `name` is what errors call it.
static bool decode_image(FrameReader *r, int camera, int64_t row, char *name, size_t size,
                         Image *out, Error *err) {
    const Feature *f = r->ds->cameras[camera];
    const Episode *e = dataset_episode_of(r->ds, row);
    TableSlot *t = NULL;
    int64_t at;
    const DataFile *file = dataset_file_of(r->ds, row, &at);
    if (!table_slot_open(r, file->path, &t, err)) return false;
    int64_t within = at;
    int group = 0, groups = parquet_row_groups(t->file);
    while (group < groups && within >= parquet_row_group_rows(t->file, group))
        within -= parquet_row_group_rows(t->file, group++);
    Group *g = NULL;
    if (group == groups)
        return fail(err, "%s: row %lld is not there; the file changed while it was in use", t->path,
                    (long long)at);
    if (!table_slot_read_group(r, t, camera, group, &g, err)) return false;
    if (within >= g->column.rows || !g->column.bytes[within].data) {
        return fail(err,
                    "%s: row %lld has no image in column '%s'; leave episode %lld out with "
                    "--dataset.episodes",
                    t->path, (long long)at, f->name, (long long)e->index);
    }
    snprintf(name, size, "%.400s: row %lld of column '%.150s'", t->path, (long long)at, f->name);
    ParquetBytes bytes = g->column.bytes[within];
    return image_decode(bytes.data, bytes.size, name, out, err);
}

static bool read_image(FrameReader *r, int camera, int64_t row, uint8_t *rgb, Error *err) {
    char name[640];
    Image image = {0};
    if (!decode_image(r, camera, row, name, sizeof name, &image, err)) return false;
    bool ok = check_size(r->ds->cameras[camera], name, image.height, image.width, err);
    if (ok) memcpy(rgb, image.rgb, image_rgb_bytes(image.height, image.width));
    image_free(&image);
    return ok;
}

bool frames_image_size(FrameReader *r, int camera, int64_t row, int *height, int *width,
                       Error *err) {
    char name[640];
    Image image = {0};
    if (!decode_image(r, camera, row, name, sizeof name, &image, err)) return false;
    *height = image.height;
    *width = image.width;
    image_free(&image);
    return true;
}

// ---- both -------------------------------------------------------------------------------------

CHECKED static bool check_row(const FrameReader *r, int camera, int64_t row, Error *err) {
    const Dataset *ds = r->ds;
    return (camera >= 0 && camera < ds->n_cameras && row >= 0 && row < ds->rows) ||
           fail(err, "%s: no frame at row %lld of camera %d", ds->root, (long long)row, camera);
}

bool frames_segment(FrameReader *r, int camera, int64_t row, int64_t *first, int64_t *end,
                    Error *err) {
    const Dataset *ds = r->ds;
    if (!check_row(r, camera, row, err)) return false;
    *first = row;
    *end = row + 1;
    if (!ds->cameras[camera]->video) return true;
    const Episode *e = dataset_episode_of(ds, row);
    const EpisodeVideo *place = &e->videos[camera];
    Video *video = NULL;
    if (!video_slot_open(r, place->path, &video, err)) return false;
    int64_t from, to, last_row = e->first_row + e->length - 1;
    video_segment(video, frame_number_of_row(r, video, camera, row), &from, &to);
    while (*first > e->first_row && frame_number_of_row(r, video, camera, *first - 1) >= from)
        --*first;
    while (*end <= last_row && frame_number_of_row(r, video, camera, *end) <= to) ++*end;
    return true;
}

bool frames_read(FrameReader *r, int camera, int64_t row, uint8_t *rgb, Error *err) {
    const Dataset *ds = r->ds;
    if (!check_row(r, camera, row, err)) return false;
    const Feature *f = ds->cameras[camera];
    const Episode *e = dataset_episode_of(ds, row);
    const FrameSize size = r->sizes[camera];
    bool resize = size.height && (size.height != f->height || size.width != f->width);
    uint8_t *target = resize ? r->frame : rgb;
    bool ok = f->video ? read_video(r, camera, e, row, target, err)
                       : read_image(r, camera, row, target, err);
    if (ok && resize) {
        const ImageFit fit = {.height = size.height,
                              .width = size.width,
                              .filter = size.filter,
                              .rows = size.height,
                              .columns = size.width};
        image_fit(rgb, &fit, r->frame, (size_t)f->width * 3, f->height, f->width, r->scratch);
    }
    return ok;
}
