// SPDX-License-Identifier: Apache-2.0
#include "formats/image_codec.h"
#include "base/memory.h"
#include "formats/ffmpeg/image_file.h"
#include "formats/ffmpeg/rgb.h"
#include "image/image.h"
#include <libavcodec/avcodec.h>
#include <libavutil/imgutils.h>
#include <libavutil/opt.h>
#include <libswscale/swscale.h>
#include <string.h>

enum {
    MAX_SIDE = 16384,
    MARK = 16, // shortest row that is long enough to carry the mark of an undecoded row
};

#define DAMAGED "the image is cut short or damaged; copy or record it again"

static uint8_t row_mark(int x) {
    return (uint8_t)((unsigned)x * 2654435761u >> 23);
}

static int marked_row(const AVFrame *f) {
    int bytes = av_image_get_linesize(f->format, f->width, 0);
    return bytes >= MARK ? bytes : 0;
}

// What decoding an image may take: 64 MiB, and so many times its bytes. (The smallest JPEG has 64
// pixels a byte.)
enum { FREE_BYTES = 64 << 20, BYTES_PER_BYTE = 512 };

typedef struct Allowed {
    size_t bytes;
    size_t beside; // of a pixel, beside the decoder's frame
    bool exceeded;
} Allowed;

// The pixels as RGB, twice where they are turned; of a progressive JPEG its coefficients.
static Allowed allowed_for(const ImageFile *file, size_t size) {
    size_t rgb = file->orientation == ORIENT_UPRIGHT ? 3 : 6;
    size_t coefficients = file->codec == AV_CODEC_ID_MJPEG ? 3 : 0;
    return (Allowed){FREE_BYTES + BYTES_PER_BYTE * size, rgb + coefficients, false};
}

static bool is_allowed(AVCodecContext *c, const AVFrame *f) {
    Allowed *a = c->opaque;
    int frame = av_image_get_buffer_size(f->format, f->width, f->height, 1);
    size_t beside = (size_t)f->width * (size_t)f->height * a->beside;
    a->exceeded = frame < 0 || (size_t)frame + beside > a->bytes;
    return !a->exceeded;
}

// FFmpeg's PNG decoder accepts image data that ends early, and leaves the rows below as they
// were. So the last row gets a mark first: if the mark is still there afterwards, the data ended
// early.
static int get_marked_buffer(AVCodecContext *c, AVFrame *f, int flags) {
    if (f->width > 0 && f->height > 0 && !is_allowed(c, f)) return AVERROR(ENOMEM);
    int code = avcodec_default_get_buffer2(c, f, flags);
    if (code < 0 || f->height <= 0) return code;
    uint8_t *row = f->data[0] + (ptrdiff_t)(f->height - 1) * f->linesize[0];
    for (int x = 0; x < marked_row(f); x++) row[x] = row_mark(x);
    return code;
}

static bool any_row_still_marked(const AVFrame *f) {
    const uint8_t *row = f->data[0] + (ptrdiff_t)(f->height - 1) * f->linesize[0];
    int n = marked_row(f);
    for (int x = 0; x < n; x++)
        if (row[x] != row_mark(x)) return false;
    return n > 0;
}

// Decodes one packet that holds the whole image.
static bool decode_frame(AVFrame *frame, const ImageFile *file, const void *bytes, size_t size,
                         const char *name, Error *err) {
    bool ok = false;
    enum AVCodecID id = file->codec;
    char text[128];
    Allowed allowed = allowed_for(file, size);
    AVPacket *packet = av_packet_alloc();
    AVCodecContext *c = NULL;
    const AVCodec *codec = avcodec_find_decoder(id);
    if (codec) c = avcodec_alloc_context3(codec);
    if (!codec || !c || !packet || av_new_packet(packet, (int)size) < 0) {
        if (codec)
            fail_memory(err, "%s: decoding it", name);
        else
            fail(err, "%s: this FFmpeg cannot decode %s", name, avcodec_get_name(id));
        goto done;
    }
    memcpy(packet->data, bytes, size);
    c->thread_count = 1;
    c->err_recognition = AV_EF_CRCCHECK | AV_EF_BITSTREAM | AV_EF_BUFFER | AV_EF_EXPLODE;
    c->max_pixels = (int64_t)MAX_SIDE * MAX_SIDE;
    c->get_buffer2 = get_marked_buffer;
    c->opaque = &allowed;
    int code = avcodec_open2(c, codec, NULL);
    if (code >= 0) code = avcodec_send_packet(c, packet);
    if (code >= 0) code = avcodec_send_packet(c, NULL);
    if (code >= 0) code = avcodec_receive_frame(c, frame);
    if (allowed.exceeded) {
        fail(err, "%s: far more pixels than its %zu bytes can hold; " DAMAGED, name, size);
        goto done;
    }
    if (code < 0) {
        ffmpeg_failed(err, code, name, "%s: %s; " DAMAGED, name, ffmpeg_text(code, text));
        goto done;
    }
    if ((frame->flags & AV_FRAME_FLAG_CORRUPT) || frame->decode_error_flags ||
        any_row_still_marked(frame)) {
        fail(err, "%s: " DAMAGED, name);
        goto done;
    }
    if (frame->width > MAX_SIDE || frame->height > MAX_SIDE) {
        fail(err, "%s: %d x %d is too large; at most %d a side", name, frame->width, frame->height,
             MAX_SIDE);
        goto done;
    }
    ok = true;
done:
    avcodec_free_context(&c);
    av_packet_free(&packet);
    return ok;
}

// PNG has 16 bits a channel, of which the upper 8 are taken, as LeRobot's reader (Pillow) does. The
// rest is left to swscale, which would dither here.
static bool take_upper_bytes(const AVFrame *f, uint8_t *rgb) {
    int channels = f->format == AV_PIX_FMT_RGB48BE    ? 3
                   : f->format == AV_PIX_FMT_RGBA64BE ? 4
                   : f->format == AV_PIX_FMT_YA16BE   ? 2
                                                      : 0;
    if (!channels) return false;
    for (int y = 0; y < f->height; y++) {
        const uint8_t *p = f->data[0] + (ptrdiff_t)y * f->linesize[0];
        for (int x = 0; x < f->width; x++, p += 2 * channels, rgb += 3)
            for (int c = 0; c < 3; c++) rgb[c] = p[channels > 2 ? 2 * c : 0];
    }
    return true;
}

// The frame's pixels, set upright, into *out, which is empty.
static bool take_pixels(const AVFrame *frame, Orientation orientation, const char *name, Image *out,
                        Error *err) {
    Rgb rgb = {.exact = true};
    bool swapped = orient_swaps(orientation), turned = orientation != ORIENT_UPRIGHT, ok = false;
    size_t bytes = image_rgb_bytes(frame->height, frame->width);
    out->height = swapped ? frame->width : frame->height;
    out->width = swapped ? frame->height : frame->width;
    out->rgb = mem_try(bytes);
    uint8_t *stored = turned ? mem_try(bytes) : out->rgb;
    if (!out->rgb || !stored) {
        fail_memory(err, "%s: an image of %d x %d", name, frame->width, frame->height);
        goto done;
    }
    ok = take_upper_bytes(frame, stored) || rgb_convert(&rgb, frame, stored, name, err);
    if (ok && turned) orient_rgb(out->rgb, stored, frame->height, frame->width, orientation);
done:
    if (turned) mem_free(stored);
    rgb_free(&rgb);
    return ok;
}

bool image_decode(const void *bytes, size_t size, const char *name, Image *out, Error *err) {
    ImageFile file;
    ffmpeg_quiet();
    *out = (Image){0};
    if (!image_file_look(bytes, size, name, &file, err)) return false;
    AVFrame *frame = av_frame_alloc();
    if (!frame) return fail_memory(err, "%s: decoding it", name);
    bool ok = decode_frame(frame, &file, bytes, size, name, err) &&
              take_pixels(frame, file.orientation, name, out, err);
    if (!ok) {
        mem_free(out->rgb);
        *out = (Image){0};
    }
    av_frame_free(&frame);
    return ok;
}

// An empty frame for an encoder.
static AVFrame *new_frame(const Image *image, enum AVPixelFormat format) {
    AVFrame *f = av_frame_alloc();
    if (!f) return NULL;
    f->format = format;
    f->width = image->width;
    f->height = image->height;
    if (av_frame_get_buffer(f, 0) < 0) av_frame_free(&f);
    return f;
}

// A frame with a copy of the pixels.
static AVFrame *rgb_frame(const Image *image) {
    AVFrame *f = new_frame(image, AV_PIX_FMT_RGB24);
    size_t row = (size_t)image->width * 3;
    for (int y = 0; f && y < image->height; y++)
        memcpy(f->data[0] + (ptrdiff_t)y * f->linesize[0], image->rgb + (size_t)y * row, row);
    return f;
}

// A frame with the pixels as JPEG (JFIF) means them: BT.601, full range, in the given format.
static AVFrame *jpeg_frame(const Image *image, enum AVPixelFormat to) {
    AVFrame *rgb = rgb_frame(image), *f = new_frame(image, to);
    int w = image->width, h = image->height;
    struct SwsContext *sws =
        sws_getContext(w, h, AV_PIX_FMT_RGB24, w, h, to,
                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, NULL, NULL, NULL);
    bool ok = rgb && f && sws &&
              sws_scale(sws, (const uint8_t *const *)rgb->data, rgb->linesize, 0, h, f->data,
                        f->linesize) == h;
    sws_freeContext(sws);
    av_frame_free(&rgb);
    if (!ok) av_frame_free(&f);
    return f;
}

// Encodes the frame into one packet. quality: 0 for a lossless codec, else on libavcodec's scale
// from 1, the best, to 31.
static bool encode_frame(const Image *image, AVFrame *frame, enum AVCodecID id, int quality,
                         uint8_t **out, size_t *size, Error *err) {
    bool ok = false;
    char text[128];
    AVCodecContext *c = NULL;
    AVPacket *packet = av_packet_alloc();
    const AVCodec *codec = avcodec_find_encoder(id);
    if (codec) c = avcodec_alloc_context3(codec);
    if (!c || !packet || !frame) {
        fail(err, "this FFmpeg cannot write %s", avcodec_get_name(id));
        goto done;
    }
    c->width = image->width;
    c->height = image->height;
    c->pix_fmt = frame->format;
    c->time_base = (AVRational){1, 1};
    c->thread_count = 1;
    if (quality == 0) {
        c->compression_level = 6; // as LeRobot's images
        av_opt_set(c->priv_data, "pred", "mixed", 0);
    } else {
        c->flags |= AV_CODEC_FLAG_QSCALE;
        c->global_quality = frame->quality = quality * FF_QP2LAMBDA;
    }
    int code = avcodec_open2(c, codec, NULL);
    if (code >= 0) code = avcodec_send_frame(c, frame);
    if (code >= 0) code = avcodec_send_frame(c, NULL);
    if (code >= 0) code = avcodec_receive_packet(c, packet);
    if (code < 0) {
        fail(err, "%s of %d x %d: %s", avcodec_get_name(id), image->width, image->height,
             ffmpeg_text(code, text));
        goto done;
    }
    *size = (size_t)packet->size;
    *out = mem_alloc(*size);
    memcpy(*out, packet->data, *size);
    ok = true;
done:
    avcodec_free_context(&c);
    av_packet_free(&packet);
    return ok;
}

static bool begin_encoding(const Image *image, const char *what, uint8_t **out, size_t *size,
                           Error *err) {
    ffmpeg_quiet();
    *out = NULL;
    *size = 0;
    bool ok = image->width >= 1 && image->height >= 1 && image->width <= MAX_SIDE &&
              image->height <= MAX_SIDE;
    return ok || fail(err, "an image of %d x %d cannot be written as %s", image->width,
                      image->height, what);
}

bool image_encode_png(const Image *image, uint8_t **out, size_t *size, Error *err) {
    if (!begin_encoding(image, "PNG", out, size, err)) return false;
    AVFrame *frame = rgb_frame(image);
    bool ok = encode_frame(image, frame, AV_CODEC_ID_PNG, 0, out, size, err);
    av_frame_free(&frame);
    return ok;
}

static bool encode_jpeg(const Image *image, enum AVPixelFormat format, int quality, uint8_t **out,
                        size_t *size, Error *err) {
    if (!begin_encoding(image, "JPEG", out, size, err)) return false;
    AVFrame *frame = jpeg_frame(image, format);
    bool ok = encode_frame(image, frame, AV_CODEC_ID_MJPEG, quality, out, size, err);
    av_frame_free(&frame);
    return ok;
}

bool image_encode_jpeg(const Image *image, uint8_t **out, size_t *size, Error *err) {
    const int good = 4;
    return encode_jpeg(image, AV_PIX_FMT_YUVJ420P, good, out, size, err);
}

bool image_encode_jpeg_fine(const Image *image, uint8_t **out, size_t *size, Error *err) {
    const int fine = 2;
    return encode_jpeg(image, AV_PIX_FMT_YUVJ444P, fine, out, size, err);
}
