// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/mp4_file.h"

#include "base/memory.h"
#include "formats/ffmpeg/rgb.h"
#include <errno.h>

enum { IO_BUFFER = 1 << 16 };

#if LIBAVFORMAT_VERSION_MAJOR >= 61
typedef const uint8_t WriteByte;
#else
typedef uint8_t WriteByte;
#endif

AVRational mp4_rate(double fps) {
    // Large enough for every rate over 1001.
    return av_d2q(fps, 1001000);
}

static int io_write(void *opaque, WriteByte *bytes, int size) {
    Mp4File *m = opaque;
    if (fwrite(bytes, 1, (size_t)size, m->file.stream) == (size_t)size) return size;
    if (!m->error) m->error = errno ? errno : EIO;
    return AVERROR(m->error);
}

static int64_t io_seek(void *opaque, int64_t offset, int whence) {
    Mp4File *m = opaque;
    if (whence & AVSEEK_SIZE) return AVERROR(ENOSYS);
    if (fseeko(m->file.stream, offset, whence & ~AVSEEK_FORCE) == 0) return ftello(m->file.stream);
    if (!m->error) m->error = errno;
    return AVERROR(m->error);
}

bool mp4_broken(Mp4File *m, const char *what, int code, Error *err) {
    char text[128];
    m->broken = true;
    if (m->error) {
        errno = m->error;
        return fail_errno(err, "%s: cannot write", m->path);
    }
    return fail(err, "%s: %s: %s", m->path, what, ffmpeg_text(code, text));
}

bool mp4_open(Mp4File *m, const char *path, Error *err) {
    m->path = mem_strdup(path);
    if (avformat_alloc_output_context2(&m->format, NULL, "mp4", NULL) < 0)
        return fail(err, "%s: this FFmpeg cannot write MP4", path);
    return atomic_open(&m->file, path, err);
}

bool mp4_header(Mp4File *m, const AVCodecParameters *parameters, AVRational time_base,
                AVRational rate, Error *err) {
    uint8_t *buffer = av_malloc(IO_BUFFER);
    if (buffer) m->io = avio_alloc_context(buffer, IO_BUFFER, 1, m, NULL, io_write, io_seek);
    if (!m->io) {
        av_free(buffer);
        return fail(err, "%s: out of memory", m->path);
    }
    m->format->pb = m->io;
    AVStream *s = avformat_new_stream(m->format, NULL);
    if (!s) return fail(err, "%s: out of memory", m->path);
    s->time_base = time_base;
    s->avg_frame_rate = rate;
    int code = avcodec_parameters_copy(s->codecpar, parameters);
    if (code >= 0) code = avformat_write_header(m->format, NULL);
    return code >= 0 || mp4_broken(m, "cannot write the MP4 header", code, err);
}

bool mp4_packet(Mp4File *m, AVPacket *packet, AVRational time_base, Error *err) {
    av_packet_rescale_ts(packet, time_base, m->format->streams[0]->time_base);
    packet->stream_index = 0;
    int code = av_interleaved_write_frame(m->format, packet);
    return code >= 0 || mp4_broken(m, "cannot write a frame", code, err);
}

bool mp4_finish(Mp4File *m, Error *err) {
    int code = av_write_trailer(m->format);
    avio_flush(m->io);
    if (code >= 0 && m->io->error < 0) code = m->io->error;
    if (code < 0) return mp4_broken(m, "cannot finish the MP4", code, err);
    return fflush(m->file.stream) == 0 || fail_errno(err, "%s: cannot write", m->path);
}

bool mp4_commit(Mp4File *m, Error *err) {
    return mp4_finish(m, err) && atomic_commit(&m->file, err);
}

void mp4_abort(Mp4File *m) {
    avformat_free_context(m->format);
    if (m->io) av_freep(&m->io->buffer);
    avio_context_free(&m->io);
    atomic_abort(&m->file);
    mem_free(m->path);
    *m = (Mp4File){0};
}
