// SPDX-License-Identifier: Apache-2.0
// Any bytes as a video: it is refused, or its table of packets and frames makes sense however it
// was built, and every frame is refused or can be read; what is cut out of it stands where it is
// said to. FFmpeg's own libraries are not compiled with sanitizers here; what is looked for is what
// we make of their answers.
#include "driver.h"
#include "formats/ffmpeg/rgb.h"
#include "formats/ffmpeg/video_table_build.h"
#include "formats/video.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_PIXELS = 1 << 16, MOST_FRAMES = 6 };

static void check_times(const Video *v) {
    const int64_t n = video_frames(v);
    double before = -INFINITY;
    if (n < 1 || video_height(v) < 1 || video_width(v) < 1) abort();
    for (int64_t i = 0; i < n; i++) {
        const double t = video_time(v, i);
        if (!(t >= before)) abort(); // NaN neither
        before = t;
    }
    for (int64_t i = 0; i < n && i < MOST_FRAMES; i++) {
        const int64_t at = video_frame_at(v, video_time(v, i));
        if (at < 0 || at >= n) abort();
    }
}

static void read_frames(Video *v) {
    const int64_t n = video_frames(v);
    const size_t pixels = (size_t)video_height(v) * (size_t)video_width(v);
    Error err = {""};
    if (pixels > MOST_PIXELS) return;
    uint8_t *rgb = malloc(pixels * 3);
    for (int64_t i = 0; i < n && i < MOST_FRAMES; i++) {
        int64_t first, last, frame = i % 2 ? n - 1 - i / 2 : i / 2; // jumps
        if (frame < 0) break;
        video_segment(v, frame, &first, &last);
        if (first < 0 || first > frame || last < frame || last >= n) abort();
        if (fuzz_ok(video_read_index(v, frame, rgb, &err), &err)) fuzz_use_bytes(rgb, pixels * 3);
    }
    free(rgb);
}

static void check_cut(const char *cut, Video *v, int64_t first, int64_t last, double from) {
    Video *w = NULL;
    Error err = {""};
    if (!fuzz_ok(video_open(cut, NULL, &w, &err), &err)) return;
    for (int64_t k = first; k <= last && k < first + MOST_FRAMES; k++) {
        const double t = from + video_time(v, k) - video_time(v, first);
        const double found = video_time(w, video_frame_at(w, t));
        if (!(fabs(found - t) <= 1e-6 + 1e-12 * fabs(t))) abort();
    }
    video_close(w);
}

// Twice a stretch from within.
static void cut_frames(const char *path, Video *v) {
    const char *folder = fuzz_folder(NULL, 0, "");
    char cut[256];
    const int64_t n = video_frames(v), first = n / 3, last = n - 1 - n / 4;
    VideoCut *c = NULL;
    Error err = {""};
    double from = 0, to = 0, begin = 0;
    bool ok = true, fits = true;
    snprintf(cut, sizeof cut, "%s/cut.mp4", folder);
    if (!fuzz_ok(video_cut_open(cut, &c, &err), &err)) abort();
    for (int i = 0; i < 2 && ok && fits; i++) {
        ok = fuzz_ok(video_cut_add(c, path, NULL, first, last, &from, &to, &fits, &err), &err);
        if (ok && (fits ? !(from >= begin && to > from) : i == 0)) abort();
        if (fits) begin = to;
    }
    if (!ok)
        video_cut_abort(c);
    else if (fuzz_ok(video_cut_close(c, &err), &err) && fits)
        check_cut(cut, v, first, last, from);
}

void fuzz_input(const uint8_t *data, size_t size) {
    const char *path = fuzz_file(data, size);
    Video *v = NULL;
    Error err = {""};
    if (fuzz_ok(video_look(path, NULL, &v, &err), &err)) {
        check_times(v);
        video_close(v);
    }
    if (fuzz_ok(video_open(path, NULL, &v, &err), &err)) {
        check_times(v);
        read_frames(v);
        cut_frames(path, v);
        video_close(v);
    }
}
