// SPDX-License-Identifier: Apache-2.0
// The steps that dataset_open (open.c) is made of.
#ifndef TACT_DATASET_READER_STEPS_H
#define TACT_DATASET_READER_STEPS_H

#include "dataset/reader/source.h"

// ---- rename.c: LeRobot's rename_map, other names for the features of a dataset ----------------
// Parses DatasetOptions.rename into s.
CHECKED bool rename_parse(Source *s, const DatasetOptions *options, Error *err);
// The name that a feature of the files goes by.
const char *rename_of(const Source *s, const char *disk_name);
// Whether the map fits the features that info.json lists: names that are there, and new ones that
// differ.
CHECKED bool rename_check(const Source *s, const char *info, const json_t *features, Error *err);
// Gives the statistics their new names.
void rename_stats(const Source *s);

// ---- what lies in the folder meta/ ------------------------------------------------------------
// info.c: reads meta/info.json into s->ds and s: version, features, templates.
CHECKED bool info_load(Source *s, Error *err);
// Refuses the label of one version on the files of another.
CHECKED bool info_check_label(Source *s, Error *err);

// meta_v30.c, meta_v21.c (v2.0 too): fill s->listed and s->tasks.
CHECKED bool v30_list(Source *s, Error *err);
CHECKED bool v21_list(Source *s, Error *err);

// recorded_stats.c: fills ds->stats; what cannot be read is a warning, never an error.
void stats_load(Source *s);

// ---- selection.c: from the episodes that meta/ lists to those that were asked for -------------
// Fills s->selected, and checks it and the totals of info.json against the list of episodes.
CHECKED bool selection_make(Source *s, const DatasetOptions *options, Error *err);
// Fills ds->episodes from s->selected and s->places: first rows, places, video times.
CHECKED bool selection_fill(Source *s, Error *err);

// ---- missing.c: files that are missing, and what can be done about it -------------------------
// Says what to do where files are missing: the episodes that are here, as --dataset.episodes takes
// them, or with `copy` to copy what is missing.
void missing_advise(Source *s, bool copy, char *out, size_t size);
// Checks that the video files of the selection exist, where they are needed.
CHECKED bool missing_check_videos(Source *s, Error *err);

// ---- the rows of the selected episodes: where they lie, and what stands in them ---------------
// rows.c: fills s->places and ds->data_files.
CHECKED bool rows_find(Source *s, Error *err);
// Fails, with what can be done about an episode whose rows are not all there.
bool rows_missing(Source *s, int64_t listed, Error *err);
// columns.c: checks every selected data file and reads the columns of ds.
CHECKED bool columns_load(Source *s, Error *err);

// ---- the videos and images of the selected episodes -------------------------------------------
// video_numbers.c: corrects stale file numbers of videos in s->listed, where the times of all
// episodes say how.
CHECKED bool video_numbers_correct(Source *s, Error *err);
// videos.c: looks into the videos and first images of the selection, and says how the frame of a
// row is found.
CHECKED bool videos_check(Source *s, double tolerance, Error *err);

#endif
