// SPDX-License-Identifier: Apache-2.0
// A camera's frame with the path of the end effector drawn on it.
#include "eval/html.h"
#include "eval/report_internal.h"
#include "formats/image_codec.h"
#include <string.h>

// The frame as JPEG, at most REPORT_FRAME wide.
CHECKED static bool encode_frame(const Report *p, int camera, int64_t row, uint8_t **jpeg,
                                 size_t *size, Error *err) {
    const Feature *f = p->r->dataset->cameras[camera];
    Image image = {f->height, f->width, mem_alloc((size_t)f->height * (size_t)f->width * 3)};
    Image small = {0};
    bool ok = frames_read(p->frames, camera, row, image.rgb, err);
    if (ok && f->width > REPORT_FRAME) {
        int height = (int)((int64_t)f->height * REPORT_FRAME / f->width);
        small = (Image){height > 0 ? height : 1, REPORT_FRAME, NULL};
        small.rgb = mem_alloc((size_t)small.height * (size_t)small.width * 3);
        image_resize(small.rgb, small.height, small.width, image.rgb, image.height, image.width,
                     NULL);
    }
    ok = ok && image_encode_jpeg(small.rgb ? &small : &image, jpeg, size, err);
    image_free(&image);
    image_free(&small);
    return ok;
}

// One arm's path as SVG: a line, which breaks where it is behind the camera, and a dot every half
// second.
static void draw_path(const Report *p, const EvalWindow *w, const Pose *place, int arm,
                      bool predicted, const char *css, double stroke) {
    const EvalResult *r = p->r;
    const CameraModel *m = &p->o->camera;
    int every = (int)(p->fps / 2 + 0.5) > 0 ? (int)(p->fps / 2 + 0.5) : 1;
    bool dots = strcmp(css, "halo") != 0, down = false;
    fprintf(p->out, "<path class=\"%s\" stroke-width=\"%.2f\" d=\"", css, stroke);
    for (int pass = 0; pass < 2; pass++) {
        for (int s = 0; s < w->valid; s++) {
            const float *a =
                predicted ? w->predicted + s * r->A : r->dataset->action_data + (w->row + s) * r->A;
            const double point[3] = {a[POSE_ROW * arm], a[POSE_ROW * arm + 1],
                                     a[POSE_ROW * arm + 2]};
            double pixel[2];
            bool seen = camera_project(m, place, point, pixel);
            if (pass == 0 && seen)
                fprintf(p->out, "%c%.1f %.1f", down ? 'L' : 'M', pixel[0], pixel[1]);
            if (pass == 1 && seen && s > 0 && s % every == 0)
                fprintf(p->out, "<circle class=\"%s\" cx=\"%.1f\" cy=\"%.1f\" r=\"%.2f\"/>", css,
                        pixel[0], pixel[1], 1.6 * stroke);
            down = seen;
        }
        if (pass == 0) fputs("\"/>", p->out);
        if (!dots) return;
    }
}

static void draw_paths(const Report *p, const EvalWindow *w, int width) {
    const EvalResult *r = p->r;
    const CameraModel *m = &p->o->camera;
    double gripper[6], stroke = width / 200.0;
    const float *state = r->dataset->state_data + w->row * r->A + POSE_ROW * m->arm;
    for (int i = 0; i < 6; i++) gripper[i] = state[i];
    Pose place = camera_place(m, gripper);
    for (int arm = 0; arm < r->arms; arm++) {
        for (int predicted = 0; predicted < 2; predicted++) {
            draw_path(p, w, &place, arm, predicted, "halo", 2 * stroke);
            draw_path(p, w, &place, arm, predicted, predicted ? "will" : "was", stroke);
        }
    }
}

bool report_frame(const Report *p, const EvalWindow *w, int camera, Error *err) {
    const Dataset *ds = p->r->dataset;
    const char *name = p->r->config.policy.cameras[camera].name;
    int at = 0;
    while (at < ds->n_cameras && strcmp(ds->cameras[at]->name, name) != 0) at++;
    if (at == ds->n_cameras) return fail(err, "%s: no camera %s", ds->root, name);
    uint8_t *jpeg = NULL;
    size_t size;
    if (!encode_frame(p, at, w->row, &jpeg, &size, err)) return false;
    const Feature *f = ds->cameras[at];
    fprintf(p->out, "<figure class=\"frame\"><svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"",
            f->width, f->height);
    html_text(p->out, name);
    fprintf(p->out,
            "\"><image width=\"%d\" height=\"%d\" preserveAspectRatio=\"none\" "
            "href=\"data:image/jpeg;base64,",
            f->width, f->height);
    html_base64(p->out, jpeg, size);
    fputs("\"/>", p->out);
    if (p->o->camera.known && p->o->camera.position == camera) draw_paths(p, w, f->width);
    fputs("</svg></figure>\n", p->out);
    mem_free(jpeg);
    return true;
}
