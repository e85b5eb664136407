// SPDX-License-Identifier: Apache-2.0
#include "eval/svg.h"

#include "eval/html.h"
#include <math.h>

Range range_empty(void) {
    return (Range){INFINITY, -INFINITY};
}

void range_add(Range *r, double value) {
    if (!isfinite(value)) return;
    if (value < r->low) r->low = value;
    if (value > r->high) r->high = value;
}

Range range_padded(Range r, double part) {
    if (!(r.low <= r.high)) return (Range){0, 1};
    double length = r.high - r.low, size = fmax(fabs(r.low), fabs(r.high));
    // Lines that do not move get a field in which they do not.
    if (!(length > 1e-9 * size)) length = size > 0 ? size : 1, part = 0.5;
    return (Range){r.low - part * length, r.high + part * length};
}

int svg_ticks(Range r, int most, double ticks[MOST_TICKS], int *decimals) {
    static const double factors[] = {1, 2, 5, 10};
    double least = (r.high - r.low) / most; // between two ticks
    *decimals = 0;
    if (!(least > 0) || !isfinite(least)) return 0;
    double power = pow(10, floor(log10(least)));
    for (int f = 0; f < 4; f++) {
        double step = factors[f] * power;
        // A hair of room, for ends that are ticks themselves.
        double first = ceil(r.low / step - 1e-9), last = floor(r.high / step + 1e-9);
        if (last - first + 1 > most) continue;
        int digits = (int)-floor(log10(step) + 1e-9);
        *decimals = digits > 0 ? digits : 0;
        int n = 0;
        for (double k = first; k <= last; k++) ticks[n++] = k == 0 ? 0 : k * step;
        return n;
    }
    return 0;
}

static double place(Range r, double value, double from, double to) {
    return from + (value - r.low) / (r.high - r.low) * (to - from);
}

static double at_x(const Chart *c, double x) {
    return place(c->x, x, c->left, c->right);
}

static double at_y(const Chart *c, double y) {
    return place(c->y, y, c->bottom, c->top);
}

// A number of an axis; huge and tiny ones with an exponent.
static void tick_text(FILE *out, double value, int decimals) {
    if (decimals > 4 || fabs(value) >= 1e5)
        fprintf(out, "%.3g", value);
    else
        fprintf(out, "%.*f", decimals, value);
}

static void grid_y(const Chart *c, int most) {
    double ticks[MOST_TICKS];
    int decimals, n = svg_ticks(c->y, most, ticks, &decimals);
    for (int i = 0; i < n; i++) {
        double y = at_y(c, ticks[i]);
        fprintf(c->out, "<path class=\"%s\" d=\"M%.1f %.1fH%.1f\"/>",
                ticks[i] == 0 ? "zero" : "grid", c->left, y, c->right);
        fprintf(c->out, "<text class=\"end\" x=\"%.1f\" y=\"%.1f\">", c->left - 5, y + 3.5);
        tick_text(c->out, ticks[i], decimals);
        fputs("</text>", c->out);
    }
}

static void grid_x(const Chart *c, int most, const char *unit) {
    double ticks[MOST_TICKS];
    int decimals, n = svg_ticks(c->x, most, ticks, &decimals);
    for (int i = 0; i < n; i++) {
        double x = at_x(c, ticks[i]);
        fprintf(c->out, "<path class=\"tick\" d=\"M%.1f %.1fv4\"/>", x, c->bottom);
        fprintf(c->out, "<text class=\"mid\" x=\"%.1f\" y=\"%.1f\">", x, c->bottom + 15);
        tick_text(c->out, ticks[i], decimals);
        if (i == n - 1 && *unit) {
            fputs(" ", c->out);
            html_text(c->out, unit);
        }
        fputs("</text>", c->out);
    }
}

Chart chart_begin(FILE *out, Range x, Range y, const char *label, const char *x_unit, bool small) {
    double width = small ? 270 : 360, height = small ? 125 : 185;
    Chart c = {out, width, height, 44, width - 14, 8, height - 20, x, y};
    fprintf(out, "<svg viewBox=\"0 0 %g %g\" role=\"img\" aria-label=\"", width, height);
    html_text(out, label);
    fputs("\">", out);
    grid_y(&c, small ? 4 : 6);
    grid_x(&c, small ? 5 : 7, x_unit);
    fprintf(out, "<path class=\"axis\" d=\"M%.1f %.1fH%.1f\"/>", c.left, c.bottom, c.right);
    return c;
}

void chart_end(const Chart *c) {
    fputs("</svg>\n", c->out);
}

enum { MOST_POINTS = 600 };

void chart_line(const Chart *c, double x0, double dx, const double *y, int64_t n, const char *css) {
    int64_t every = n / MOST_POINTS + 1;
    bool down = false; // the pen
    fprintf(c->out, "<path class=\"%s\" d=\"", css);
    for (int64_t i = 0; i < n; i++) {
        if (i % every != 0 && i != n - 1) continue;
        if (isfinite(y[i]))
            fprintf(c->out, "%c%.1f %.1f", down ? 'L' : 'M', at_x(c, x0 + (double)i * dx),
                    at_y(c, y[i]));
        down = isfinite(y[i]);
    }
    fputs("\"/>", c->out);
}

void chart_band(const Chart *c, double x0, double dx, const double *low, const double *high,
                int64_t n, const char *css) {
    int64_t every = n / MOST_POINTS + 1, last = -1;
    fprintf(c->out, "<path class=\"%s\" d=\"", css);
    for (int64_t i = 0; i < n; i += every) {
        if (!isfinite(low[i]) || !isfinite(high[i])) break;
        fprintf(c->out, "%c%.1f %.1f", i ? 'L' : 'M', at_x(c, x0 + (double)i * dx),
                at_y(c, high[i]));
        last = i;
    }
    for (int64_t i = last; i >= 0; i -= every)
        fprintf(c->out, "L%.1f %.1f", at_x(c, x0 + (double)i * dx), at_y(c, low[i]));
    fputs("Z\"/>", c->out);
}

void chart_dot(const Chart *c, double x, double y, double radius, const char *css) {
    if (!isfinite(x) || !isfinite(y)) return;
    fprintf(c->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%g\"/>", css, at_x(c, x),
            at_y(c, y), radius);
}

void chart_bar(const Chart *c, double x0, double x1, double y, const char *css) {
    double left = at_x(c, x0), right = at_x(c, x1), top = at_y(c, y), zero = at_y(c, 0);
    fprintf(c->out, "<path class=\"%s\" d=\"M%.1f %.1fV%.1fH%.1fV%.1fZ\"/>", css, left + 0.5, zero,
            top, right - 0.5, zero);
}
