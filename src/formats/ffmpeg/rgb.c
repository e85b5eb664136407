// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/rgb.h"

#include "base/memory.h"
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/mem.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

// No block that FFmpeg needs is larger: a picture of 16 bits a colour with the most pixels, an
// index of 20 million frames. Its readers ask for what a file announces.
enum { LARGEST_BLOCK = 512 << 20 };

static void set_up_ffmpeg(void) {
    av_log_set_level(AV_LOG_QUIET);
    av_max_alloc(LARGEST_BLOCK);
}

void ffmpeg_quiet(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, set_up_ffmpeg);
}

bool ffmpeg_failed(Error *err, int code, const char *name, const char *format, ...) {
    char text[sizeof err->text];
    va_list args;
    // FFmpeg says the same of a block that is larger than any it needs, which a file may ask for.
    if (code == AVERROR(ENOMEM))
        return fail_memory(err, "%s: decoding it (where memory is not short the file is damaged)",
                           name);
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fail(err, "%s", text);
}

const char *ffmpeg_text(int code, char buffer[128]) {
    if (av_strerror(code, buffer, 128) < 0) strcpy(buffer, "unknown error");
    return buffer;
}

void rgb_free(Rgb *c) {
    sws_freeContext(c->sws);
    mem_free(c->rows);
    *c = (Rgb){0};
}

static bool is_full_range(const AVFrame *f, const AVPixFmtDescriptor *d) {
    return f->color_range == AVCOL_RANGE_JPEG || strncmp(d->name, "yuvj", 4) == 0 ||
           d->nb_components < 3 || (d->flags & AV_PIX_FMT_FLAG_RGB);
}

typedef struct Size {
    int width, height;
} Size;

// What is converted of a frame. swscale stretches the chroma of an odd side over it, as if its last
// sample did not lie half outside; of the whole blocks, which decoders make anyway, it is where it
// belongs.
static Size converted_size(const Rgb *c, const AVFrame *f, const AVPixFmtDescriptor *d) {
    const Size own = {f->width, f->height};
    const int w = (1 << d->log2_chroma_w) - 1, h = (1 << d->log2_chroma_h) - 1;
    const Size whole = {(f->width + w) & ~w, (f->height + h) & ~h};
    const AVBufferRef *luma = f->buf[0];
    const int row = av_image_get_linesize(f->format, whole.width, 0);
    if (!c->exact || !luma || row < 0 || f->linesize[0] < row || f->data[0] < luma->data)
        return own;
    const size_t end = (size_t)(f->data[0] - luma->data) +
                       (size_t)f->linesize[0] * (size_t)(whole.height - 1) + (size_t)row;
    return end <= luma->size ? whole : own;
}

static bool prepare_conversion(Rgb *c, const AVFrame *f, const AVPixFmtDescriptor *d, Size size,
                               const char *name, Error *err) {
    struct SwsContext *before = c->sws;
    // Bilinear chroma of 4:2:0 would be bilinear along rows only: between rows swscale then takes
    // the nearer one or the mean of both.
    int flags = c->exact ? SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT : SWS_BILINEAR;
    int range = is_full_range(f, d), matrix = (int)f->colorspace;
    c->sws = sws_getCachedContext(c->sws, size.width, size.height, f->format, size.width,
                                  size.height, AV_PIX_FMT_RGB24, flags, NULL, NULL, NULL);
    if (!c->sws)
        return fail(err, "%s: pixel format %s cannot be converted; encode as yuv420p or RGB", name,
                    d->name);
    if (c->sws == before && c->range == range && c->matrix == matrix) return true;
    // A frame that does not say its matrix, or says RGB, gets BT.601 here.
    const int *k = sws_getCoefficients(matrix);
    // This fails from RGB to RGB, where there is no matrix to set.
    (void)sws_setColorspaceDetails(c->sws, k, range, k, 1, 0, 1 << 16, 1 << 16);
    c->range = range;
    c->matrix = matrix;
    return true;
}

bool rgb_convert(Rgb *c, const AVFrame *f, uint8_t *rgb, const char *name, Error *err) {
    const AVPixFmtDescriptor *d = av_pix_fmt_desc_get(f->format);
    if (!d) return fail(err, "%s: unknown pixel format; encode as yuv420p or RGB", name);
    const Size size = converted_size(c, f, d);
    if (!prepare_conversion(c, f, d, size, name, err)) return false;
    size_t row = (size_t)f->width * 3, stride = ((size_t)size.width * 3 + 127) / 64 * 64;
    bool direct = f->width % 16 == 0 && size.height == f->height && (uintptr_t)rgb % 16 == 0;
    if (!direct && c->rows_size < stride * (size_t)size.height + 64) {
        mem_free(c->rows);
        c->rows_size = stride * (size_t)size.height + 64;
        c->rows = mem_alloc(c->rows_size);
    }
    uint8_t *target[4] = {direct ? rgb : c->rows};
    int strides[4] = {(int)(direct ? row : stride)};
    int done = sws_scale(c->sws, (const uint8_t *const *)f->data, f->linesize, 0, size.height,
                         target, strides);
    if (done != size.height) return fail(err, "%s: converting %s to RGB failed", name, d->name);
    for (int y = 0; y < f->height && !direct; y++)
        memcpy(rgb + (size_t)y * row, c->rows + (size_t)y * stride, row);
    return true;
}
