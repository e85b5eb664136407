// SPDX-License-Identifier: Apache-2.0
#include "formats/ffmpeg/cut_plan.h"

#include <math.h>
#include <stdlib.h>

// A clock has to be this many times as fine as the frames are apart for steps of one or two
// of its ticks to be rounding.
enum { FINE = 8, ROUNDING = 2 };

int64_t cut_pts(const VideoSource *in, int64_t place) {
    return in->table->packet[in->table->by_pts[place]].pts;
}

int64_t cut_usual_step(const VideoSource *in) {
    int64_t n = in->table->packets, step = 0, votes = 0, same = 0;
    for (int64_t i = 1; i < n; i++) { // what has a majority is left over when others are paired off
        int64_t s = cut_pts(in, i) - cut_pts(in, i - 1);
        if (!votes) step = s;
        votes += s == step ? 1 : -1;
    }
    for (int64_t i = 1; i < n; i++) same += cut_pts(in, i) - cut_pts(in, i - 1) == step;
    return same > 9 * (n - 1 - same) ? step : 0;
}

// Whether the frames that are taken stand at multiples of a step of `ticks`.
static bool is_even(const VideoSource *in, const CutPlan *p, double ticks, double slack) {
    int64_t start = cut_pts(in, p->low);
    for (int64_t i = 1; i < p->count; i++)
        if (!(fabs((double)(cut_pts(in, p->low + i) - start) - (double)i * ticks) <= slack))
            return false;
    return true;
}

static AVRational rate_of(const VideoSource *in, const CutPlan *p, int64_t step) {
    const AVStream *s = in->format->streams[in->stream];
    AVRational unit = s->time_base, rate = {0, 1};
    if (step) {
        if (is_even(in, p, (double)step, 0) && step <= INT32_MAX / unit.num)
            av_reduce(&rate.num, &rate.den, unit.den, step * unit.num, INT32_MAX);
        return rate;
    }
    // A clock of milliseconds has steps of 33 and 34.
    const AVRational said[2] = {s->avg_frame_rate, av_d2q(1 / in->table->period, 1001000)};
    for (int i = 0; i < 2; i++) {
        if (said[i].num <= 0 || said[i].den <= 0) continue;
        double ticks = 1 / (av_q2d(said[i]) * av_q2d(unit));
        if (ticks >= FINE && is_even(in, p, ticks, ROUNDING)) return said[i];
    }
    return rate;
}

// Walks on from the keyframe until there is no hole.
static bool find_end(const VideoSource *in, CutPlan *p, int64_t needed) {
    const VideoTable *t = in->table;
    int64_t high = p->low - 1;
    for (int64_t n = p->key; n < t->packets; n++) {
        int64_t place = video_table_place(t, t->packet[n].pts);
        if (place >= p->low) {
            // Taken before it, less than all that are shown before it, are those shown after it.
            if (p->count - (place - p->low) > p->reorder)
                p->reorder = (int)(p->count - (place - p->low));
            p->count++;
            if (place > high) high = place;
        }
        if (n >= needed && high - p->low + 1 == p->count) {
            p->end = n;
            return true;
        }
    }
    return false;
}

bool cut_plan(const VideoSource *in, int64_t step, int64_t first, int64_t last, CutPlan *p,
              Error *err) {
    const VideoTable *t = in->table;
    if (first < 0 || last < first || last >= t->frames)
        return fail(err, "%s: frames %lld to %lld are to be cut out, it has %lld", in->path,
                    (long long)first, (long long)last, (long long)t->frames);
    double time = video_table_time(t, first);
    if (cut_pts(in, 0) < -CUT_MOST_TICKS || cut_pts(in, t->packets - 1) > CUT_MOST_TICKS)
        return fail(err, "%s: its frames have times like %g s; encode the video again", in->path,
                    time);
    *p = (CutPlan){.key = video_table_keyframe(t, t->shown[first])};
    if (p->key < 0)
        return fail(err, "%s: no keyframe before %g s; encode the video again", in->path, time);
    p->low = video_table_place(t, t->packet[p->key].pts);
    p->first = video_table_place(t, t->packet[t->shown[first]].pts);
    p->last = video_table_place(t, t->packet[t->shown[last]].pts);
    if (p->last - p->first != last - first)
        return fail(err,
                    "%s: hides frames among those from %g s on (by an edit list), which cannot be "
                    "cut out; encode the video again",
                    in->path, time);
    int64_t needed = 0;
    for (int64_t f = first; f <= last; f++)
        if (t->shown[f] > needed) needed = t->shown[f];
    if (!find_end(in, p, needed))
        return fail(
            err,
            "%s: its frames from %g s on follow each other in an order in which they cannot "
            "be cut out; encode the video again",
            in->path, time);
    p->rate = rate_of(in, p, step);
    return true;
}

bool cut_plan_goes_on(const VideoSource *in, int64_t step, const CutPlan *before, CutPlan *p) {
    if (p->key < before->key || p->key > before->end + 1 || p->first <= before->last) return false;
    CutPlan whole = {.key = before->key, .low = before->low, .first = p->first, .last = p->last};
    int64_t needed = p->end > before->end ? p->end : before->end;
    if (p->low < whole.low || !find_end(in, &whole, needed)) return false;
    whole.rate = rate_of(in, &whole, step);
    if (av_cmp_q(whole.rate, before->rate) != 0) return false;
    *p = whole;
    return true;
}
