// SPDX-License-Identifier: Apache-2.0
// The videos and images of the selected episodes.
#ifndef TACT_DATASET_READER_VIDEOS_H
#define TACT_DATASET_READER_VIDEOS_H

#include "dataset/reader/source.h"

// video_numbers.c: corrects stale file numbers of videos in s->listed, where the times of all
// episodes say how.
CHECKED bool video_numbers_correct(Source *s, Error *err);
// videos.c: looks into the videos and first images of the selection, and says how the frame of a
// row is found.
CHECKED bool videos_check(Source *s, double tolerance, Error *err);

#endif
