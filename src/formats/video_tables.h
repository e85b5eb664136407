// SPDX-License-Identifier: Apache-2.0
// Private to src/formats: the store behind VideoTables of video.h.
#ifndef TACT_FORMATS_VIDEO_TABLES_H
#define TACT_FORMATS_VIDEO_TABLES_H

#include "formats/video.h"
#include "formats/video_table.h"

// The table of a path, valid until video_tables_free, or NULL. Any thread.
const VideoTable *video_tables_find(VideoTables *t, const char *path);
// Keeps what *table holds, unless there is a table for the path already, and returns the one that
// is kept. *table is empty afterwards. Any thread may call.
const VideoTable *video_tables_add(VideoTables *t, const char *path, VideoTable *table);

#endif
