// SPDX-License-Identifier: Apache-2.0
// The picture of the synthetic scene: a background gradient, the target disc with a mark, the
// gripper's palm and two fingers, and the frame number.
#include "dataset/sample.h"
#include "dataset/sample/scene.h"

#include <math.h>

// From metres to pixels.
typedef struct View {
    uint8_t *rgb;
    int height, width;
    double scale;        // pixels per metre
    double x, y;         // the point that lies in the picture's centre
    double cosine, sine; // of the turn from world to picture
} View;

typedef struct Colour {
    double r, g, b;
} Colour;

static void to_pixels(const View *v, double x, double y, double *px, double *py) {
    double dx = x - v->x, dy = y - v->y;
    *px = v->width / 2.0 + v->scale * (v->cosine * dx - v->sine * dy);
    // The number covers the top, so the scene's centre lies a little lower than the middle.
    *py = v->height * (0.5 + 0.5 / SAMPLE_BAND) + v->scale * (v->sine * dx + v->cosine * dy);
}

// A shape is blended in by its signed distance, so that edges are smooth.
static void blend_pixel(uint8_t *pixel, Colour c, double distance) {
    double cover = 0.5 - distance;
    if (cover <= 0) return;
    if (cover > 1) cover = 1;
    pixel[0] = (uint8_t)lround(pixel[0] + cover * (c.r - pixel[0]));
    pixel[1] = (uint8_t)lround(pixel[1] + cover * (c.g - pixel[1]));
    pixel[2] = (uint8_t)lround(pixel[2] + cover * (c.b - pixel[2]));
}

static int pixel_clamp(double x, int low, int high) {
    return x < low ? low : x > high ? high : (int)x;
}

// A box with half sides a and b (metres), turned by `angle`, with rounded corners of radius
// `round` (metres): a disc when a and b are 0.
static void draw_shape(const View *v, double x, double y, double angle, double a, double b,
                       double round, Colour c) {
    double cx, cy, reach = (length_2d(a, b) + round) * v->scale + 2;
    to_pixels(v, x, y, &cx, &cy);
    // The turn of the shape in the picture.
    double cosine = cos(angle) * v->cosine - sin(angle) * v->sine;
    double sine = sin(angle) * v->cosine + cos(angle) * v->sine;
    int top = pixel_clamp(floor(cy - reach), 0, v->height),
        bottom = pixel_clamp(ceil(cy + reach), 0, v->height);
    int left = pixel_clamp(floor(cx - reach), 0, v->width),
        right = pixel_clamp(ceil(cx + reach), 0, v->width);
    for (int py = top; py < bottom; py++) {
        for (int px = left; px < right; px++) {
            double dx = px + 0.5 - cx, dy = py + 0.5 - cy;
            double u = fabs(cosine * dx + sine * dy) - a * v->scale;
            double w = fabs(-sine * dx + cosine * dy) - b * v->scale;
            double outside = length_2d(u > 0 ? u : 0, w > 0 ? w : 0), inside = u > w ? u : w;
            double distance = outside + (inside < 0 ? inside : 0) - round * v->scale;
            blend_pixel(v->rgb + ((int64_t)py * v->width + px) * 3, c, distance);
        }
    }
}

static void draw_background(const View *v, int camera) {
    for (int y = 0; y < v->height; y++) {
        for (int x = 0; x < v->width; x++) {
            uint8_t *pixel = v->rgb + ((int64_t)y * v->width + x) * 3;
            double down = (double)y / v->height, across = (double)x / v->width;
            pixel[0] = (uint8_t)(170 - 50 * down + 20 * across - 25 * (camera % 3));
            pixel[1] = (uint8_t)(165 - 40 * down + 5 * (camera % 4));
            pixel[2] = (uint8_t)(150 - 20 * down - 30 * across + 20 * (camera % 2));
        }
    }
}

static void draw_target(const View *v, const Scene *s) {
    static const Colour colours[] = {{205, 45, 40}, {40, 70, 200}};
    const double *t = s->target;
    draw_shape(v, t[0], t[1], 0, 0, 0, 0.030, colours[s->colour % 2]);
    // The mark shows how the gripper must be turned.
    draw_shape(v, t[0], t[1], t[2], 0.026, 0.002, 0.003, (Colour){240, 235, 225});
}

// A point given in the gripper's own turned axes.
static void gripper_part(const View *v, const Scene *s, double along, double across, double a,
                         double b, Colour c) {
    // Higher is nearer to the camera, so larger.
    double size = 1 + 1.5 * s->pose[2], yaw = s->pose[5];
    double x = s->pose[0] + size * (cos(yaw) * along - sin(yaw) * across);
    double y = s->pose[1] + size * (sin(yaw) * along + cos(yaw) * across);
    draw_shape(v, x, y, yaw, a * size, b * size, 0.003, c);
}

static void draw_gripper(const View *v, const Scene *s) {
    const Colour dark = {40, 42, 48}, finger = {70, 74, 84}, lamp = {250, 220, 60};
    double open = 0.012 + 0.030 * s->pose[6];
    gripper_part(v, s, -0.045, 0, 0.012, 0.045, dark);
    gripper_part(v, s, -0.010, open, 0.030, 0.005, finger);
    gripper_part(v, s, -0.010, -open, 0.030, 0.005, finger);
    // A lamp that moves on the palm shows how the gripper is tilted.
    gripper_part(v, s, -0.045 + 0.03 * s->pose[4], 0.12 * s->pose[3], 0.002, 0.002, lamp);
}

// ---- the number -------------------------------------------------------------------------------

static void draw_number(const View *v, int64_t number) {
    for (int i = 0; i < SAMPLE_NUMBER_BITS; i++) {
        uint8_t value = (number >> (SAMPLE_NUMBER_BITS - 1 - i)) & 1 ? 255 : 0;
        for (int y = 0; y < v->height / SAMPLE_BAND; y++) {
            for (int x = sample_block_edge(i, v->width); x < sample_block_edge(i + 1, v->width);
                 x++) {
                uint8_t *pixel = v->rgb + ((int64_t)y * v->width + x) * 3;
                pixel[0] = pixel[1] = pixel[2] = value;
            }
        }
    }
}

void scene_draw(const Scene *s, int camera, int64_t number, uint8_t *rgb, int height, int width) {
    const double quarter = 1.5707963267948966;
    double side =
        height * (1 - 1.0 / SAMPLE_BAND) < width ? height * (1 - 1.0 / SAMPLE_BAND) : width;
    View v = {.rgb = rgb, .height = height, .width = width, .scale = side / 0.5, .cosine = 1};
    if (camera == 1) {
        v.x = s->pose[0];
        v.y = s->pose[1];
        v.scale *= 1.4;
    } else if (camera > 1) {
        v.cosine = cos(quarter * (camera - 1));
        v.sine = sin(quarter * (camera - 1));
    }
    draw_background(&v, camera);
    draw_target(&v, s);
    draw_gripper(&v, s);
    draw_number(&v, number);
}
