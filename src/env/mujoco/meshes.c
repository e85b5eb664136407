// SPDX-License-Identifier: Apache-2.0
// Surfaces made of formulas, written as MJCF meshes.
#include "env/mujoco/scene.h"

#include <math.h>

enum { AROUND = 18, ALONG = 10 };

typedef struct Point {
    double x, y, z, u, v;
} Point;

static void write_points(FILE *xml, const char *name, const Point *p, int n) {
    fprintf(xml, "<mesh name=\"%s\" vertex=\"", name);
    for (int i = 0; i < n; i++) fprintf(xml, "%.6f %.6f %.6f ", p[i].x, p[i].y, p[i].z);
    fputs("\" texcoord=\"", xml);
    for (int i = 0; i < n; i++) fprintf(xml, "%.4f %.4f ", p[i].u, p[i].v);
    fputs("\" face=\"", xml);
}

// Two triangles a b c, a c d; counter-clockwise seen from outside.
static void write_quad(FILE *xml, int a, int b, int c, int d) {
    fprintf(xml, "%d %d %d %d %d %d ", a, b, c, a, c, d);
}

// Radius of a strawberry at s = 0 (its top) to 1 (its tip): broad shoulders, a blunt cone.
static double berry_radius(double s) {
    return BERRY_RADIUS * 1.32 * pow(sin(M_PI * pow(s, 0.62)), 0.62) * (1 - 0.38 * s);
}

void mesh_berry(FILE *xml, const char *name, double size) {
    Point p[(ALONG + 1) * (AROUND + 1)];
    for (int i = 0; i <= ALONG; i++) {
        double s = 0.5 - 0.5 * cos(M_PI * i / ALONG);
        double r = i == 0 || i == ALONG ? 1e-4 : berry_radius(s);
        for (int j = 0; j <= AROUND; j++) {
            double a = 2 * M_PI * j / AROUND;
            p[i * (AROUND + 1) + j] = (Point){size * r * cos(a), size * r * sin(a),
                                              -size * BERRY_LENGTH * s, (double)j / AROUND, s};
        }
    }
    write_points(xml, name, p, (ALONG + 1) * (AROUND + 1));
    for (int i = 0; i < ALONG; i++) {
        for (int j = 0; j < AROUND; j++) {
            int a = i * (AROUND + 1) + j, b = a + AROUND + 1;
            write_quad(xml, a, b, b + 1, a + 1);
        }
    }
    fputs("\"/>\n", xml);
}

// A sheet of rows x columns points as a closed shell: its lower side is `thickness` below.
static void write_shell(FILE *xml, const char *name, Point *p, int rows, int columns,
                        double thickness) {
    int n = rows * columns;
    for (int i = 0; i < n; i++) {
        p[n + i] = p[i];
        p[n + i].z -= thickness;
    }
    write_points(xml, name, p, 2 * n);
    for (int i = 0; i + 1 < rows; i++) {
        for (int j = 0; j + 1 < columns; j++) {
            int a = i * columns + j, b = a + columns;
            write_quad(xml, a, b, b + 1, a + 1);
            write_quad(xml, n + a, n + a + 1, n + b + 1, n + b);
        }
    }
    for (int i = 0; i + 1 < rows; i++) {
        int a = i * columns, b = a + columns;
        write_quad(xml, n + a, n + b, b, a);
        a += columns - 1, b += columns - 1;
        write_quad(xml, a, b, n + b, n + a);
    }
    for (int j = 0; j + 1 < columns; j++) {
        int a = j, b = (rows - 1) * columns + j;
        write_quad(xml, a, a + 1, n + a + 1, n + a);
        write_quad(xml, n + b, n + b + 1, b + 1, b);
    }
    fputs("\"/>\n", xml);
}

// A strawberry's leaflet: 75 mm long, toothed, folded along its rib and drooping.
void mesh_leaf(FILE *xml) {
    enum { ROWS = 11, COLUMNS = 5 };
    Point p[2 * ROWS * COLUMNS];
    for (int i = 0; i < ROWS; i++) {
        double s = (double)i / (ROWS - 1);
        double half = 0.030 * pow(sin(M_PI * pow(s, 0.8)), 0.75) + 0.0006;
        if (i % 2 && i < ROWS - 1) half *= 1.10; // teeth
        for (int j = 0; j < COLUMNS; j++) {
            double t = 2.0 * j / (COLUMNS - 1) - 1;
            double x = 0.075 * s + (i % 2 ? 0.003 * t * t : 0);
            double z = 0.010 * fabs(t) * half / 0.02 - 0.028 * s * s + 0.0012 * cos(9 * t + 7 * s);
            p[i * COLUMNS + j] = (Point){x, half * t, z, s, 0.5 + 0.5 * t};
        }
    }
    write_shell(xml, "leaf", p, ROWS, COLUMNS, 0.0008);
}

// The green star on top of a berry: a ring whose outer edge has five points, bent upwards.
void mesh_calyx(FILE *xml) {
    enum { ROWS = 4, COLUMNS = 31 };
    Point p[2 * ROWS * COLUMNS];
    for (int i = 0; i < ROWS; i++) {
        double s = (double)i / (ROWS - 1);
        for (int j = 0; j < COLUMNS; j++) {
            double a = -2 * M_PI * j / (COLUMNS - 1); // so that it is seen from above
            double star = 0.35 + 0.65 * pow(fabs(cos(3 * a)), 0.8);
            double r = 0.0015 + 0.0185 * s * (1 - s * (1 - star));
            p[i * COLUMNS + j] = (Point){r * cos(a), r * sin(a), 0.0035 - 0.006 * s * star, s,
                                         (double)j / (COLUMNS - 1)};
        }
    }
    write_shell(xml, "calyx", p, ROWS, COLUMNS, 0.0012);
}
