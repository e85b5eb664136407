// SPDX-License-Identifier: Apache-2.0
#include "import/parts.h"

#include "base/file.h"
#include "import/part_file.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { VIDEO_ROWS = 512 };           // of a part: GOPs end with it, and pixel statistics begin anew
enum { IMAGE_BYTES = 32 * 1048576 }; // of the pixels of all cameras in a part's rows

// Rows of a part. They must not depend on anything but source and options: the parts decide which
// bytes a file has.
static int64_t rows_of_part(const Plan *plan) {
    if (plan->o.images == CONVERT_VIDEO) return VIDEO_ROWS;
    int64_t bytes = 1;
    for (int c = 0; c < plan->source->n_cameras; c++)
        bytes += (int64_t)image_rgb_bytes(plan->source->cameras[c].height,
                                          plan->source->cameras[c].width);
    int64_t rows = IMAGE_BYTES / bytes;
    return rows < 8 ? 8 : rows > VIDEO_ROWS ? VIDEO_ROWS : rows;
}

void part_path(const Parts *parts, const Part *part, const char *ending, char *out, size_t size) {
    snprintf(out, size, "%s/e%06lld-r%09lld-c%02d.%s", parts->dir, (long long)part->episode,
             (long long)part->first, part->camera, ending);
}

static const char *part_ending(const Parts *parts) {
    return parts->plan->o.images == CONVERT_VIDEO ? "mp4" : "images";
}

static void look_for_part(Parts *parts, Part *part) {
    char path[4300];
    part->pixels = NEW(PixelCounts, 1);
    part_path(parts, part, "note", path, sizeof path);
    part->noted = part_note_read(path, part);
    part_path(parts, part, part_ending(parts), path, sizeof path);
    int64_t bytes;
    uint32_t sum;
    Error none; // what is not there, or cannot be read, is made anew
    part->done = part->noted && part_look(path, &bytes, &sum, &none) && bytes == part->bytes &&
                 sum == part->sum;
}

void parts_list(Parts *parts, const Plan *plan, ImportSource *source, const char *dir) {
    *parts = (Parts){.plan = plan, .source = source, .rows = rows_of_part(plan)};
    snprintf(parts->dir, sizeof parts->dir, "%s", dir);
    pthread_mutex_init(&parts->lock, NULL);
    pthread_cond_init(&parts->changed, NULL);
    const int cameras = source->n_cameras;
    int64_t n = 0, at = 0;
    for (int64_t e = 0; e < plan->n_episodes; e++)
        n += (plan->episodes[e].length + parts->rows - 1) / parts->rows * cameras;
    parts->n = n;
    parts->part = NEW(Part, n + 1);
    parts->first = NEW(int64_t, plan->n_episodes + 1);
    for (int64_t e = 0; e < plan->n_episodes; e++) {
        int64_t length = plan->episodes[e].length;
        parts->first[e] = at;
        for (int64_t row = 0; row < length; row += parts->rows) {
            int64_t rows = length - row < parts->rows ? length - row : parts->rows;
            for (int c = 0; c < cameras; c++) {
                parts->part[at] = (Part){.episode = e, .camera = c, .first = row, .n = rows};
                look_for_part(parts, &parts->part[at++]);
            }
        }
    }
    parts->first[plan->n_episodes] = at;
}

// ---- the threads --------------------------------------------------------------------------------

// The next part to make, NULL: none is left, or all is to end.
static Part *take_part(Parts *parts) {
    Part *part = NULL;
    pthread_mutex_lock(&parts->lock);
    while (!part && !parts->failed && !parts->drop && parts->next < parts->n) {
        part = &parts->part[parts->next++];
        if (part->done) part = NULL;
    }
    pthread_mutex_unlock(&parts->lock);
    return part;
}

static void give_part(Parts *parts, Part *part, bool ok, const Error *err) {
    pthread_mutex_lock(&parts->lock);
    if (ok) {
        part->done = part->noted = true;
    } else if (!parts->failed) {
        parts->failed = true;
        parts->error = *err;
    }
    pthread_cond_broadcast(&parts->changed);
    pthread_mutex_unlock(&parts->lock);
}

static void *run_thread(void *user) {
    Parts *parts = user;
    PartMaker *maker = part_maker_new(parts->plan, parts->source, &parts->frames, &parts->drop);
    for (Part *part; (part = take_part(parts));) {
        char path[4300], note[4300];
        Error err;
        part_path(parts, part, part_ending(parts), path, sizeof path);
        part_path(parts, part, "note", note, sizeof note);
        *part->pixels = (PixelCounts){0};
        bool ok = part_make(maker, part, path, &err) && part_note_write(note, part, &err);
        give_part(parts, part, ok, &err);
    }
    part_maker_free(maker);
    return NULL;
}

bool parts_start(Parts *parts, int64_t *found, Error *err) {
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    int64_t wanted = parts->plan->o.threads > 0 ? parts->plan->o.threads : processors, todo = 0;
    for (int64_t i = 0; i < parts->n; i++) {
        todo += !parts->part[i].done;
        if (parts->part[i].done) parts->frames += parts->part[i].n;
    }
    *found = parts->frames;
    if (wanted > todo) wanted = todo;
    parts->threads = NEW(pthread_t, wanted + 1);
    for (int64_t i = 0; i < wanted; i++) {
        errno = pthread_create(&parts->threads[i], NULL, run_thread, parts);
        if (errno) return i > 0 || fail_errno(err, "cannot start a thread");
        parts->n_threads++;
    }
    return true;
}

static bool episode_done(const Parts *parts, int64_t episode) {
    for (int64_t i = parts->first[episode]; i < parts->first[episode + 1]; i++)
        if (!parts->part[i].done) return false;
    return true;
}

bool parts_wait(Parts *parts, int64_t episode, Error *err) {
    const ConvertOptions *o = &parts->plan->o;
    int64_t total = parts->plan->rows * parts->source->n_cameras;
    bool ok = true;
    pthread_mutex_lock(&parts->lock);
    while (ok && !episode_done(parts, episode)) {
        struct timespec until;
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 100 * 1000000; // to look at `stop`, and for the progress bar
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_cond_timedwait(&parts->changed, &parts->lock, &until);
        if (o->progress) o->progress(o->user, parts->frames, total);
        if (parts->failed) {
            *err = parts->error;
            ok = false;
        } else if (o->stop && atomic_load(o->stop)) {
            ok = fail(err, "stopped");
        }
    }
    pthread_mutex_unlock(&parts->lock);
    return ok;
}

static void join_threads(Parts *parts) {
    atomic_store(&parts->drop, true);
    for (int i = 0; i < parts->n_threads; i++) pthread_join(parts->threads[i], NULL);
    parts->n_threads = 0;
}

bool parts_any(Parts *parts) {
    join_threads(parts);
    for (int64_t i = 0; i < parts->n; i++)
        if (parts->part[i].noted) return true;
    return false;
}

void parts_end(Parts *parts) {
    if (!parts->part) return;
    join_threads(parts);
    for (int64_t i = 0; i < parts->n; i++) mem_free(parts->part[i].pixels);
    mem_free(parts->threads);
    mem_free(parts->part);
    mem_free(parts->first);
    pthread_cond_destroy(&parts->changed);
    pthread_mutex_destroy(&parts->lock);
    *parts = (Parts){0};
}
