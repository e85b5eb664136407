// SPDX-License-Identifier: Apache-2.0
// The module tact_video. Functions have the names by which the rest of the program calls them.
#include "base/module.h"
#include "formats/video_module.h"

static const VideoModule table = {
    .open = video_open,
    .look = video_look,
    .close = video_close,
    .height = video_height,
    .width = video_width,
    .frames = video_frames,
    .rate = video_rate,
    .time = video_time,
    .read = video_read,
    .read_index = video_read_index,
    .frame_at = video_frame_at,
    .segment = video_segment,
    .decoder_name = video_decoder_name,
    .writer_start = video_writer_start,
    .writer_add = video_writer_add,
    .writer_close = video_writer_close,
    .writer_abort = video_writer_abort,
    .join_open = video_join_open,
    .join_add = video_join_add,
    .join_close = video_join_close,
    .join_abort = video_join_abort,
    .cut_open = video_cut_open,
    .cut_add = video_cut_add,
    .cut_bytes = video_cut_bytes,
    .cut_close = video_cut_close,
    .cut_abort = video_cut_abort,
    .image_decode = image_decode,
    .image_encode_png = image_encode_png,
    .image_encode_jpeg = image_encode_jpeg,
    .image_encode_jpeg_fine = image_encode_jpeg_fine,
};

MODULE_ENTRY(&table)
