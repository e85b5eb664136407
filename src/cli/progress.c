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
    p.enabled = isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
    return p;
}

void progress_duration(char *out, size_t size, double seconds) {
    long long s = seconds > 0 && seconds < 1e12 ? (long long)(seconds + 0.5) : 0;
    if (s < 3600) {
        snprintf(out, size, "%lld:%02lld", s / 60, s % 60);
    } else {
        snprintf(out, size, "%lld:%02lld:%02lld", s / 3600, s / 60 % 60, s % 60);
    }
}

static int terminal_width(void) {
    struct winsize w;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &w) == 0 && w.ws_col > 0 ? w.ws_col : 80;
}

void progress_show(void *user, const TrainProgress *p) {
    enum { LONGEST_BAR = 40 };
    const double interval = 0.1; // seconds between two drawings
    Progress *bar = user;
    double now = clock_seconds();
    if (!bar->enabled || (bar->drawn && now - bar->last < interval && p->step < p->steps)) {
        return;
    }
    char text[160], left[32], hashes[LONGEST_BAR + 1] = "";
    double part = p->steps > 0 ? (double)p->step / (double)p->steps : 0;
    progress_duration(left, sizeof left, (double)(p->steps - p->step) * p->seconds_per_step);
    int used = snprintf(text, sizeof text, " %3d%% %lld/%lld  loss %.3f  %.3f s/step  %s left",
                        (int)(100 * part), (long long)p->step, (long long)p->steps, p->loss,
                        p->seconds_per_step, left);
    int width = terminal_width() - used - 3;
    if (width >= 8) {
        width = width < LONGEST_BAR ? width : LONGEST_BAR;
        int full = (int)(part * width);
        memset(hashes, '.', (size_t)width);
        memset(hashes, '#', (size_t)full);
        fprintf(stderr, "\r[%.*s]%s\033[K", width, hashes, text);
    } else {
        fprintf(stderr, "\r%.*s\033[K", terminal_width() - 1, text + 1);
    }
    fflush(stderr);
    bar->drawn = true;
    bar->last = now;
}

void progress_clear(void *user) {
    Progress *bar = user;
    if (bar->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
        bar->drawn = false;
    }
}
