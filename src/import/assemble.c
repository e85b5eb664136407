// SPDX-License-Identifier: Apache-2.0
#include "import/assemble.h"

#include "base/file.h"
#include "import/part_file.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// LeRobot compares times of frames as float32 within 1e-4 s. From 1024 s on neighbouring float32
// numbers are further apart than that, and it refuses frames whose times are equal.
enum { MOST_SECONDS = 1000 };

// ---- which file ---------------------------------------------------------------------------------

static int64_t row_bytes(const Plan *p) {
    int64_t values = p->state.dim + p->env.dim + p->action.dim + 5;
    for (int i = 0; i < p->n_extras; i++) values += p->extras[i].dim;
    return 8 * values;
}

// Bytes of an episode in a stream, from the notes of its parts.
static int64_t episode_bytes(const Assembly *a, const Stream *s, int64_t episode) {
    int64_t bytes = 0;
    for (int64_t i = a->parts->first[episode]; i < a->parts->first[episode + 1]; i++) {
        const Part *part = &a->parts->part[i];
        if (s->camera == part->camera || (s->camera < 0 && a->plan->o.images != CONVERT_VIDEO))
            bytes += part->bytes;
    }
    if (s->camera < 0) bytes += a->plan->episodes[episode].length * row_bytes(a->plan);
    return bytes;
}

// Whether the episode begins a new file, which *r then is about.
static bool roll_episode(const Assembly *a, const Stream *s, Roll *r, int64_t episode) {
    int64_t bytes = episode_bytes(a, s, episode), length = a->plan->episodes[episode].length;
    int64_t limit = (s->camera < 0 ? WRITER_DATA_MB : WRITER_VIDEO_MB) * INT64_C(1048576);
    bool longer = s->camera >= 0 && (double)(r->frames + length) > MOST_SECONDS * a->plan->fps;
    bool begins = episode == 0 || r->bytes + bytes >= limit || longer;
    if (begins) *r = (Roll){.file = episode == 0 ? 0 : r->file + 1, .first = episode};
    r->bytes += bytes;
    r->frames += length;
    return begins;
}

static bool episode_noted(const Parts *parts, int64_t episode) {
    for (int64_t i = parts->first[episode]; i < parts->first[episode + 1]; i++)
        if (!parts->part[i].noted) return false;
    return true;
}

static void stream_path(const Assembly *a, const Stream *s, int64_t file, char *out, size_t size) {
    dataset_writer_path(a->writer, s->camera, file, out, size);
}

// What to do with every part of a stream in episodes first .. end-1.
static void mark_done(const Assembly *a, const Stream *s, int64_t first, int64_t end) {
    for (int64_t i = a->parts->first[first]; i < a->parts->first[end]; i++) {
        Part *part = &a->parts->part[i];
        if (s->camera < 0 || s->camera == part->camera) part->done = true;
    }
}

static void remove_parts(const Assembly *a, const Stream *s, int64_t first, int64_t end) {
    const char *ending = a->plan->o.images == CONVERT_VIDEO ? "mp4" : "images";
    for (int64_t i = a->parts->first[first]; i < a->parts->first[end]; i++) {
        const Part *part = &a->parts->part[i];
        char path[4300];
        if (s->camera >= 0 && s->camera != part->camera) continue;
        part_path(a->parts, part, ending, path, sizeof path);
        (void)unlink(path); // what stays is removed with the folder
    }
}

// The files of a stream that an earlier run has ended.
static void find_files(const Assembly *a, const Stream *s) {
    Roll r = {0};
    int64_t e = 0, n = a->plan->n_episodes;
    for (; e <= n; e++) {
        Roll before = r;
        bool noted = e < n && episode_noted(a->parts, e);
        if (e < n && !noted) break; // where the file before it ends is not known
        bool ends = e > 0 && (e == n || roll_episode(a, s, &r, e));
        if (e == 0) (void)roll_episode(a, s, &r, e);
        char path[4500];
        stream_path(a, s, before.file, path, sizeof path);
        PathKind there;
        Error unknown; // it is made anew
        if (ends && path_look(path, &there, &unknown) && there == AT_FILE)
            mark_done(a, s, before.first, e);
    }
}

void assembly_new(Assembly *a, const Plan *plan, Parts *parts, DatasetWriter *writer) {
    bool video = plan->o.images == CONVERT_VIDEO;
    *a = (Assembly){.plan = plan, .parts = parts, .writer = writer};
    a->n_streams = video ? plan->source->n_cameras : 1;
    a->streams = NEW(Stream, a->n_streams + 1);
    for (int i = 0; i < a->n_streams; i++) {
        a->streams[i].camera = video ? i : -1;
        if (parts->n) find_files(a, &a->streams[i]);
    }
}

// ---- putting together ---------------------------------------------------------------------------

static bool begin_file(Assembly *a, Stream *s, Error *err) {
    char path[4500], dir[4500];
    stream_path(a, s, s->roll.file, path, sizeof path);
    s->open = true;
    PathKind there;
    if (!path_look(path, &there, err)) return false;
    s->there = there == AT_FILE;
    if (s->there) return true;
    if (s->camera < 0) return dataset_writer_data_open(a->writer, s->roll.file, err);
    path_parent(dir, sizeof dir, path);
    return make_dirs(dir, err) && video_join_open(path, a->plan->fps, &s->video, err);
}

// Ends the file of a stream, which has the episodes up to `end`.
static bool end_file(Assembly *a, Stream *s, int64_t first, int64_t end, Error *err) {
    if (!s->open) return true;
    s->open = false;
    VideoJoin *video = s->video;
    s->video = NULL;
    if (!s->there &&
        !(s->camera < 0 ? dataset_writer_data_close(a->writer, err) : video_join_close(video, err)))
        return false;
    remove_parts(a, s, first, end);
    return true;
}

static bool add_video(Assembly *a, Stream *s, int64_t episode, Error *err) {
    for (int64_t i = a->parts->first[episode]; i < a->parts->first[episode + 1]; i++) {
        const Part *part = &a->parts->part[i];
        char path[4300];
        int64_t frames;
        if (part->camera != s->camera) continue;
        part_path(a->parts, part, "mp4", path, sizeof path);
        if (!video_join_add(s->video, path, &frames, err)) return false;
        if (frames != part->n)
            return fail(err,
                        "%s: %lld frames instead of %lld; remove it and give the same command "
                        "again",
                        path, (long long)frames, (long long)part->n);
    }
    return true;
}

// The rows of one part of every camera, which `part` points to: one row group.
static bool add_row_group(Assembly *a, const Part *part, Error *err) {
    int n = a->plan->source->n_cameras;
    char **data = NEW(char *, n + 1);
    ParquetBytes **images = NEW(ParquetBytes *, n + 1);
    bool ok = true;
    for (int c = 0; c < n && ok; c++) {
        char path[4300];
        images[c] = NEW(ParquetBytes, part->n);
        part_path(a->parts, &part[c], "images", path, sizeof path);
        ok = part_images_read(path, part->n, &data[c], images[c], err);
        if (!ok) data[c] = NULL;
    }
    ok = ok && dataset_writer_data_rows(a->writer, part->episode, part->first, part->n,
                                        (const ParquetBytes *const *)images, err);
    for (int c = 0; c < n; c++) {
        mem_free(images[c]);
        mem_free(data[c]);
    }
    mem_free(images);
    mem_free(data);
    return ok;
}

static bool add_images(Assembly *a, int64_t episode, Error *err) {
    int cameras = a->plan->source->n_cameras;
    if (!cameras)
        return dataset_writer_data_rows(a->writer, episode, 0, a->plan->episodes[episode].length,
                                        NULL, err);
    for (int64_t i = a->parts->first[episode]; i < a->parts->first[episode + 1]; i += cameras)
        if (!add_row_group(a, &a->parts->part[i], err)) return false;
    return true;
}

static bool add_to_stream(Assembly *a, Stream *s, int64_t episode, Error *err) {
    int64_t first = s->roll.first;
    if (roll_episode(a, s, &s->roll, episode) &&
        (!end_file(a, s, first, episode, err) || !begin_file(a, s, err)))
        return false;
    dataset_writer_place(a->writer, episode, s->camera, s->roll.file,
                         s->roll.frames - a->plan->episodes[episode].length);
    if (s->there) return true;
    return s->camera < 0 ? add_images(a, episode, err) : add_video(a, s, episode, err);
}

bool assembly_add(Assembly *a, int64_t episode, Error *err) {
    for (int i = 0; i < a->n_streams; i++)
        if (!add_to_stream(a, &a->streams[i], episode, err)) return false;
    return true;
}

// The data files beside videos: only numbers, so they are written at once, anew in every run.
static bool write_data(Assembly *a, Error *err) {
    Stream s = {.camera = -1};
    for (int64_t e = 0; e < a->plan->n_episodes; e++) {
        if (roll_episode(a, &s, &s.roll, e) &&
            ((e > 0 && !dataset_writer_data_close(a->writer, err)) ||
             !dataset_writer_data_open(a->writer, s.roll.file, err)))
            return false;
        dataset_writer_place(a->writer, e, -1, s.roll.file, 0);
        if (!dataset_writer_data_rows(a->writer, e, 0, a->plan->episodes[e].length, NULL, err))
            return false;
    }
    return dataset_writer_data_close(a->writer, err);
}

bool assembly_finish(Assembly *a, Error *err) {
    for (int i = 0; i < a->n_streams; i++) {
        Stream *s = &a->streams[i];
        if (!end_file(a, s, s->roll.first, a->plan->n_episodes, err)) return false;
    }
    return a->plan->o.images != CONVERT_VIDEO || write_data(a, err);
}

void assembly_free(Assembly *a) {
    for (int i = 0; i < a->n_streams; i++) video_join_abort(a->streams[i].video);
    mem_free(a->streams);
    *a = (Assembly){0};
}
