// SPDX-License-Identifier: Apache-2.0
// Decodes frames and measures them. Episodes are shared out over threads, each with a reader of its
// own; what a thread finds goes into its episode's views and nowhere else.
#include "check/pictures.h"

#include "base/file.h"
#include "check/frame_source.h"
#include "check/series.h"
#include "check/thumbs.h"
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLED_FRAMES = 8, MOST_THREADS = 16 };
// Frames are one picture where hardly any value differs by more than the noise of a video, in
// levels of 255: one in so many.
enum { NOISE = 12, ONE_IN = 10000 };

typedef struct Look {
    const Dataset *ds;
    const CheckOptions *options;
    const Looking *looking;
    const CheckSource *source; // NULL: frames are the dataset's
    CheckThumbs *thumbs;       // NULL: none are taken
    atomic_llong next, done;
    atomic_bool failed;
    Error *errors; // (n_episodes) why a frame could not be read; "" where all could
} Look;

// A frame and what is measured of it.
typedef struct Picture {
    uint8_t *rgb;
    int64_t frame;
    double mean, top, sharpness, red, blue;
    float grid[GRID];
} Picture;

// What is counted of pixels.
typedef struct Sums {
    uint32_t white, red, blue;
} Sums;

// Brightness of a row's pixels (ITU-R BT.601's weights, in 256ths), and what is counted of them.
static Sums brighten(const uint8_t *rgb, int width, uint8_t *out) {
    Sums s = {0};
    for (int x = 0; x < width; x++) {
        const uint8_t *p = rgb + 3 * (int64_t)x;
        out[x] = (uint8_t)((77 * p[0] + 150 * p[1] + 29 * p[2]) >> 8);
        s.white += (p[0] >= 250) & (p[1] >= 250) & (p[2] >= 250);
        s.red += p[0], s.blue += p[2];
    }
    return s;
}

static uint64_t sum_of(const uint8_t *values, int n) {
    uint64_t sum = 0;
    for (int i = 0; i < n; i++) sum += values[i];
    return sum;
}

static uint64_t differences(const uint8_t *a, const uint8_t *b, int64_t n) {
    uint64_t sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (uint64_t)abs(a[i] - b[i]);
    return sum;
}

// gray: room for a row.
static void measure(Picture *p, int height, int width, uint8_t *gray) {
    uint64_t total = 0, edges = 0, white = 0, red = 0, blue = 0, sums[GRID] = {0},
             counts[GRID] = {0};
    for (int y = 0; y < height; y++) {
        Sums s = brighten(p->rgb + (int64_t)y * width * 3, width, gray);
        white += s.white, red += s.red, blue += s.blue;
        edges += differences(gray, gray + 1, width - 1);
        for (int c = 0; c < GRID_COLUMNS; c++) {
            int from = c * width / GRID_COLUMNS, to = (c + 1) * width / GRID_COLUMNS;
            int cell = y * GRID_ROWS / height * GRID_COLUMNS + c;
            sums[cell] += sum_of(gray + from, to - from);
            counts[cell] += (uint64_t)(to - from);
        }
    }
    for (int i = 0; i < GRID; i++) {
        p->grid[i] = counts[i] ? (float)sums[i] / (float)counts[i] : 0;
        total += sums[i];
    }
    double n = (double)height * width;
    p->mean = (double)total / n;
    p->top = (double)white / n;
    p->red = (double)red / n;
    p->blue = (double)blue / n;
    p->sharpness = (double)edges / n;
}

static double difference(const Picture *a, const Picture *b, int height, int width) {
    int64_t n = (int64_t)height * width * 3;
    return (double)differences(a->rgb, b->rgb, n) / (double)n;
}

static bool same_picture(const Picture *a, const Picture *b, int height, int width) {
    int64_t n = (int64_t)height * width * 3, others = 0;
    for (int64_t i = 0; i < n; i++) others += abs(a->rgb[i] - b->rgb[i]) > NOISE;
    return others <= n / ONE_IN;
}

static bool moved_between(const Look *l, const Episode *e, int64_t from, int64_t to) {
    int64_t rows = 0;
    for (int64_t i = from + 1; i <= to; i++) rows += l->looking->moves[e->first_row + i];
    return rows * 2 > to - from;
}

enum { SHARPNESS_KEPT = 256 };
typedef struct Running {
    // How many frames it moved while the picture stayed, and the first of them.
    int64_t moved, moved_from;
    double sharpness[SHARPNESS_KEPT];
    int kept;
} Running;

// One of n frames. Of more than are kept every so-manyth one is.
static void add_frame(int64_t n, View *v, const Picture *p, Running *r) {
    if (v->looked_at == 0 || p->mean < v->dark) v->dark = p->mean, v->dark_at = p->frame;
    if (v->looked_at == 0 || p->top > v->bright) v->bright = p->top, v->bright_at = p->frame;
    if (v->looked_at == 0 || p->sharpness < v->dullest)
        v->dullest = p->sharpness, v->dullest_at = p->frame;
    for (int i = 0; i < GRID; i++) v->grid[i] += p->grid[i];
    v->red += p->red, v->blue += p->blue;
    if (r->kept < SHARPNESS_KEPT &&
        (n <= SHARPNESS_KEPT || r->kept * n <= v->looked_at * SHARPNESS_KEPT))
        r->sharpness[r->kept++] = p->sharpness;
    v->looked_at++;
}

static void add_pair(const Look *l, const Episode *e, View *v, const Picture *before,
                     const Picture *now, double change, bool same, Running *r) {
    bool moved = moved_between(l, e, before->frame, now->frame);
    // Rows without movement, in which the picture may well stay, neither count nor end the rest.
    if (!same) r->moved = 0;
    if (same && moved) {
        if (r->moved == 0) r->moved_from = before->frame;
        r->moved += now->frame - before->frame;
    }
    if (r->moved > v->same_longest) v->same_longest = r->moved, v->same_at = r->moved_from;
    if (now->frame == before->frame + 1) {
        double step = fabs(now->mean - before->mean);
        v->pairs += moved;
        v->repeated += moved && same;
        if (step > v->step) v->step = step, v->step_at = now->frame;
        if (change - step > v->cut) v->cut = change - step, v->cut_at = now->frame;
    }
}

// The k-th of n frames to look at in an episode.
static int64_t frame_at(const Episode *e, int64_t k, int64_t n) {
    return n == e->length ? k : n == 1 ? 0 : k * (e->length - 1) / (n - 1);
}

static size_t largest_frame(const Dataset *ds) {
    size_t largest = 1;
    for (int k = 0; k < ds->n_cameras; k++) {
        size_t bytes = (size_t)ds->cameras[k]->height * (size_t)ds->cameras[k]->width * 3;
        if (bytes > largest) largest = bytes;
    }
    return largest;
}

static bool look_at_camera(Look *l, FrameSource *frames, int64_t episode, int camera,
                           Picture pictures[2], Error *err) {
    const Dataset *ds = l->ds;
    const Episode *e = &ds->episodes[episode];
    const Feature *f = ds->cameras[camera];
    View *v = &l->looking->views[episode * ds->n_cameras + camera];
    float *motion = l->looking->motion->pictures + camera * ds->rows + e->first_row;
    bool all = l->options->decode == CHECK_DECODE_ALL || e->length < SAMPLED_FRAMES;
    int64_t n = all ? e->length : SAMPLED_FRAMES;
    Running running = {0};
    if (f->video && !file_exists(e->videos[camera].path)) return true; // check_files names it
    for (int64_t k = 0; k < n; k++) {
        Picture *now = &pictures[k % 2], *before = &pictures[(k + 1) % 2];
        now->frame = frame_at(e, k, n);
        if (!frame_source_read(frames, camera, e, now->frame, now->rgb, err)) {
            v->looked_at = 0;
            return false;
        }
        measure(now, f->height, f->width, pictures[0].rgb + largest_frame(ds));
        add_frame(n, v, now, &running);
        if (l->thumbs)
            thumbs_take(l->thumbs, episode, camera, k, n, &(Image){f->height, f->width, now->rgb});
        if (k == 0) continue;
        double change = difference(before, now, f->height, f->width);
        v->change += change;
        if (now->frame == before->frame + 1) motion[now->frame] = (float)change;
        add_pair(l, e, v, before, now, change, same_picture(before, now, f->height, f->width),
                 &running);
    }
    for (int i = 0; i < GRID; i++) v->grid[i] /= (float)v->looked_at;
    v->red /= v->looked_at, v->blue /= v->looked_at;
    v->sharpness = middle_of(running.sharpness, running.kept);
    v->change = n > 1 ? v->change / (double)(n - 1) : 0;
    return true;
}

// Differences alone, over rows that follow each other.
static bool look_at_motion(Look *l, FrameSource *frames, int64_t episode, int camera,
                           Picture pictures[2], Error *err) {
    const Dataset *ds = l->ds;
    const Episode *e = &ds->episodes[episode];
    const Feature *f = ds->cameras[camera];
    float *motion = l->looking->motion->pictures + camera * ds->rows + e->first_row;
    int64_t from = l->looking->motion->from[episode];
    bool looked_at = l->looking->views[episode * ds->n_cameras + camera].looked_at > 0;
    if (from < 0 || !looked_at || l->options->decode == CHECK_DECODE_ALL) return true;
    for (int64_t i = from; i < from + MOTION_ROWS; i++) {
        Picture *now = &pictures[i % 2], *before = &pictures[(i + 1) % 2];
        if (!frame_source_read(frames, camera, e, i, now->rgb, err)) return false;
        if (i > from) motion[i] = (float)difference(before, now, f->height, f->width);
    }
    return true;
}

static void *look_on(void *argument) {
    Look *l = argument;
    const Dataset *ds = l->ds;
    const size_t frame = largest_frame(ds), bytes = frame + frame / 3; // and room for a row
    FrameSource frames = {0};
    Picture pictures[2] = {{.rgb = mem_try_raw(bytes)}, {.rgb = mem_try_raw(bytes)}};
    Error err;
    bool ok = pictures[0].rgb && pictures[1].rgb && frame_source_open(ds, l->source, &frames, &err);
    if (!ok) atomic_store(&l->failed, true);
    for (int64_t e; ok && (e = atomic_fetch_add(&l->next, 1)) < ds->n_episodes;) {
        for (int k = 0; k < ds->n_cameras; k++)
            if ((!look_at_camera(l, &frames, e, k, pictures, &err) ||
                 !look_at_motion(l, &frames, e, k, pictures, &err)) &&
                !*l->errors[e].text)
                l->errors[e] = err;
        atomic_fetch_add(&l->done, 1);
    }
    frame_source_close(&frames);
    mem_free(pictures[0].rgb);
    mem_free(pictures[1].rgb);
    return NULL;
}

static int start_threads(Look *l, pthread_t *threads) {
    int wanted = l->options->threads, started = 0;
    if (wanted > MOST_THREADS) wanted = MOST_THREADS;
    while (started < wanted && pthread_create(&threads[started], NULL, look_on, l) == 0) started++;
    if (started == 0) (void)look_on(l);
    return started;
}

bool views_gather(const Dataset *ds, const CheckOptions *options, const Looking *looking,
                  CheckReport *report, Error *err) {
    pthread_t threads[MOST_THREADS];
    Look l = {.ds = ds,
              .options = options,
              .looking = looking,
              .source = report->source,
              .thumbs = report->thumbs,
              .errors = NEW(Error, ds->n_episodes)};
    int started = start_threads(&l, threads);
    const struct timespec moment = {.tv_nsec = 50000000};
    while (options->progress && started > 0 && !atomic_load(&l.failed) &&
           atomic_load(&l.done) < ds->n_episodes) {
        options->progress(options->user, atomic_load(&l.done), ds->n_episodes);
        nanosleep(&moment, NULL);
    }
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    for (int64_t e = 0; e < ds->n_episodes; e++) {
        if (!*l.errors[e].text) continue;
        CheckFinding *f = report_add(report, RULE_unreadable, ds->episodes[e].index);
        snprintf(f->text, sizeof f->text, "%s", l.errors[e].text);
    }
    mem_free(l.errors);
    return !atomic_load(&l.failed) || fail_memory(err, "%s: to decode frames", ds->root);
}
