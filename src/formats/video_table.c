// SPDX-License-Identifier: Apache-2.0
#include "formats/video_table.h"

#include "base/memory.h"

void video_table_free(VideoTable *t) {
    mem_free(t->packet);
    mem_free(t->by_pts);
    mem_free(t->shown);
    *t = (VideoTable){0};
}

double video_table_time(const VideoTable *t, int64_t frame) {
    return (double)t->packet[t->shown[frame]].pts * t->unit;
}

int64_t video_table_place(const VideoTable *t, int64_t pts) {
    int64_t low = 0, high = t->packets;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (t->packet[t->by_pts[middle]].pts < pts)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t video_table_packet(const VideoTable *t, int64_t pts) {
    int64_t place = video_table_place(t, pts);
    return place < t->packets && t->packet[t->by_pts[place]].pts == pts ? t->by_pts[place] : -1;
}

int64_t video_table_frames_before(const VideoTable *t, double pts) {
    int64_t low = 0, high = t->frames;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if ((double)t->packet[t->shown[middle]].pts < pts)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

int64_t video_table_nearest(const VideoTable *t, double pts) {
    int64_t low = video_table_frames_before(t, pts);
    if (low == t->frames) return t->frames - 1;
    if (low == 0) return 0;
    double after = (double)t->packet[t->shown[low]].pts - pts;
    double before = pts - (double)t->packet[t->shown[low - 1]].pts;
    return before <= after ? low - 1 : low;
}

int64_t video_table_keyframe(const VideoTable *t, int64_t number) {
    int64_t key = number;
    while (key >= 0 && !(t->packet[key].key && t->packet[key].pts <= t->packet[number].pts)) key--;
    return key;
}
