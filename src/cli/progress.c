// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"
#include "cli/cli.h"
#include "train/train.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

Progress progress_new(void) {
    const char *terminal = getenv("TERM");
    Progress p = {0};
    p.start = clock_seconds();
    p.enabled = isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
    return p;
}

void progress_duration(char *out, size_t size, double seconds) {
    long long s = seconds > 0 && seconds < 1e12 ? (long long)(seconds + 0.5) : 0;
    if (s < 3600)
        snprintf(out, size, "%lld:%02lld", s / 60, s % 60);
    else
        snprintf(out, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
}

static int terminal_width(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

bool progress_due(const Progress *bar, int64_t done, int64_t total) {
    const double interval = 0.1; // seconds between two drawings
    return bar->enabled &&
           (!bar->drawn || clock_seconds() - bar->last >= interval || done >= total);
}

void progress_draw(Progress *bar, int64_t done, int64_t total, const char *text) {
    enum { LONGEST_BAR = 40 };
    char counted[192], hashes[LONGEST_BAR + 1] = "";
    double part = total > 0 ? (double)done / (double)total : 0;
    int used = snprintf(counted, sizeof counted, " %3d%% %lld/%lld  %s", (int)(100 * part),
                        (long long)done, (long long)total, text);
    int width = terminal_width() - used - 3;
    if (width >= 8) {
        width = width < LONGEST_BAR ? width : LONGEST_BAR;
        int full = (int)(part * width);
        memset(hashes, '.', (size_t)width);
        memset(hashes, '#', (size_t)full);
        fprintf(stderr, "\r[%.*s]%s\033[K", width, hashes, counted);
    } else {
        fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, counted + 1);
    }
    fflush(stderr);
    bar->drawn = true;
    bar->last = clock_seconds();
}

void progress_show(void *user, const TrainProgress *p) {
    Progress *bar = user;
    if (!progress_due(bar, p->step, p->steps)) return;
    char text[128], left[32];
    progress_duration(left, sizeof left, (double)(p->steps - p->step) * p->seconds_per_step);
    snprintf(text, sizeof text, "loss %.3f  %.3f s/step  %s left", p->loss, p->seconds_per_step,
             left);
    progress_draw(bar, p->step, p->steps, text);
}

void progress_count(void *user, int64_t done, int64_t total) {
    Progress *bar = user;
    if (!progress_due(bar, done, total) || done <= 0) return;
    char text[64], left[32];
    double taken = clock_seconds() - bar->start;
    progress_duration(left, sizeof left, taken * (double)(total - done) / (double)done);
    snprintf(text, sizeof text, "%s left", left);
    progress_draw(bar, done, total, text);
}

void progress_clear(void *user) {
    Progress *bar = user;
    if (bar->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        bar->drawn = false;
    }
}
