// SPDX-License-Identifier: Apache-2.0
// Textures made of formulas, painted over the flat ones that the model was compiled with.
#include "env/mujoco/model.h"

#include "base/rng.h"
#include <math.h>
#include <string.h>

typedef struct Colour {
    double r, g, b;
} Colour;

static Colour mix_colours(Colour a, Colour b, double t) {
    t = t < 0 ? 0 : t > 1 ? 1 : t;
    return (Colour){a.r + t * (b.r - a.r), a.g + t * (b.g - a.g), a.b + t * (b.b - a.b)};
}

// Value noise in [0, 1] at (x, y), repeating every `period`; smooth between whole numbers.
static double value_noise(double x, double y, int period, uint32_t site) {
    double value[2][2], fx = x - floor(x), fy = y - floor(y);
    for (int i = 0; i < 2; i++) {
        for (int j = 0; j < 2; j++) {
            int cx = ((int)floor(x) + i) % period, cy = ((int)floor(y) + j) % period;
            uint32_t words[4];
            rng_words(words, (RngKey){.seed = 77, .site = site}, (uint32_t)cx, (uint32_t)cy);
            value[i][j] = rng_unit(words[0]);
        }
    }
    fx = fx * fx * (3 - 2 * fx);
    fy = fy * fy * (3 - 2 * fy);
    double low = value[0][0] + fx * (value[1][0] - value[0][0]);
    double high = value[0][1] + fx * (value[1][1] - value[0][1]);
    return low + fy * (high - low);
}

// Four octaves of it over the unit square.
static double cloud_noise(double u, double v, int cells, uint32_t site) {
    double sum = 0, weight = 0.5;
    for (int i = 0; i < 4; i++) {
        sum += weight * value_noise(u * cells, v * cells, cells, site + (uint32_t)i);
        weight /= 2;
        cells *= 2;
    }
    return sum;
}

// Red, paler at the shoulders, with rows of yellow seeds in small dents.
static Colour berry_colour(double u, double v) {
    Colour red = mix_colours((Colour){0.93, 0.28, 0.20}, (Colour){0.88, 0.05, 0.06}, 6 * v - 0.3);
    red = mix_colours(red, (Colour){0.70, 0.02, 0.05}, 0.5 * cloud_noise(u, v, 6, 1));
    double row = v * 11, column = u * 14 + 0.5 * ((int)floor(row) % 2);
    double dx = (column - floor(column) - 0.5) * 1.7, dy = row - floor(row) - 0.5;
    double far = sqrt(dx * dx + dy * dy);
    if (v < 0.06 || v > 0.96) return red;
    if (far < 0.17) return (Colour){0.96, 0.80, 0.32};
    return far < 0.34 ? mix_colours(red, (Colour){0.55, 0.0, 0.03}, 0.7) : red;
}

// u along the rib, v across; veins run forward from the rib.
static Colour leaf_colour(double u, double v) {
    double across = fabs(2 * v - 1), vein = u * 9 - across * 2.2;
    vein = fabs(vein - floor(vein) - 0.5);
    Colour green = mix_colours((Colour){0.16, 0.42, 0.13}, (Colour){0.30, 0.58, 0.20},
                               cloud_noise(u, v, 5, 9));
    green = mix_colours(green, (Colour){0.10, 0.30, 0.10}, vein > 0.4 ? 0.45 : 0);
    return across < 0.06 ? (Colour){0.52, 0.70, 0.36} : green;
}

// A hedge out of focus: three of them.
static Colour hedge_colour(double u, double v, uint32_t which) {
    static const Colour dark[BACKGROUNDS] = {
        {0.16, 0.27, 0.15}, {0.22, 0.27, 0.20}, {0.12, 0.24, 0.18}};
    static const Colour light[BACKGROUNDS] = {
        {0.48, 0.62, 0.38}, {0.60, 0.62, 0.50}, {0.40, 0.60, 0.46}};
    double n = cloud_noise(u, v, 8, 20 + 8 * which);
    return mix_colours(dark[which], light[which], 2.2 * (n - 0.25) + 0.5 * (v - 0.5));
}

static Colour soil_colour(double u, double v) {
    return mix_colours((Colour){0.25, 0.18, 0.13}, (Colour){0.50, 0.40, 0.30},
                       cloud_noise(u, v, 16, 60));
}

static Colour colour_at(const char *name, double u, double v) {
    if (strcmp(name, "berry") == 0) return berry_colour(u, v);
    if (strcmp(name, "leaf") == 0) return leaf_colour(u, v);
    if (strcmp(name, "soil") == 0) return soil_colour(u, v);
    return hedge_colour(u, v, (uint32_t)(name[strlen(name) - 1] - '0'));
}

void textures_paint(mjModel *m) {
    for (int t = 0; t < m->ntex; t++) {
        const char *name = m->names + m->name_texadr[t];
        if (m->tex_type[t] != mjTEXTURE_2D) continue;
        int w = m->tex_width[t], h = m->tex_height[t];
        mjtByte *rgb = m->tex_rgb + m->tex_adr[t];
        for (int i = 0; i < w * h; i++) {
            Colour c = colour_at(name, (i % w + 0.5) / w, (i / w + 0.5) / h);
            rgb[3 * i] = (mjtByte)(255 * fmin(1, c.r));
            rgb[3 * i + 1] = (mjtByte)(255 * fmin(1, c.g));
            rgb[3 * i + 2] = (mjtByte)(255 * fmin(1, c.b));
        }
    }
}
