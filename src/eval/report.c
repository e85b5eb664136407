// SPDX-License-Identifier: Apache-2.0
#include "eval/report_internal.h"

#include "base/file.h"
#include "eval/html.h"
#include "pose/pose.h"
#include <string.h>

// "wrist" or "observation.images.wrist".
static bool names_camera(const char *given, const char *name) {
    static const char prefix[] = "observation.images.";
    const size_t n = sizeof prefix - 1;
    return strcmp(given, name) == 0 ||
           (strncmp(name, prefix, n) == 0 && strcmp(given, name + n) == 0);
}

bool report_check(const PolicyConfig *policy, CameraModel *camera, Error *err) {
    if (!camera->known) return true;
    if (policy->arms == 0)
        return fail(err,
                    "--eval.camera_pose: this policy's actions are no poses, so there is no path "
                    "to draw");
    if (camera->arm >= policy->arms)
        return fail(err, "--eval.camera_arm=%d: the policy has %d arm%s", camera->arm + 1,
                    policy->arms, policy->arms == 1 ? "" : "s");
    if (policy->n_cameras == 0) return fail(err, "--eval.camera_pose: this policy sees no camera");
    for (int i = 0; i < policy->n_cameras; i++) {
        const CameraConfig *c = &policy->cameras[i];
        if (camera->name && !names_camera(camera->name, c->name)) continue;
        camera->position = i;
        camera_for_frame(camera, c->width, c->height);
        return true;
    }
    return fail(err, "--eval.camera=%s: the policy has no such camera; its first is %s",
                camera->name, policy->cameras[0].name);
}

const char *report_unit(const EvalResult *r, int dimension) {
    int at = dimension % POSE_ROW;
    return r->arms == 0 || at == 6 ? "" : at < 3 ? "m" : "rad";
}

void report_time(FILE *out, double seconds) {
    fprintf(out, "%.3g s", seconds);
}

static void begin(const Report *p) {
    fputs("<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
          "<meta name=\"generator\" content=\"tact " TACT_VERSION "\"><title>tact eval: ",
          p->out);
    html_text(p->out, p->r->policy_dir);
    fprintf(p->out, "</title><style>%s</style></head><body>\n", report_style);
}

CHECKED static bool write_page(const Report *p, Error *err) {
    begin(p);
    report_head(p);
    report_horizon(p);
    if (!report_windows(p, err)) return false;
    report_curves(p);
    report_episodes(p);
    report_dimensions(p);
    report_latency(p);
    report_settings(p);
    fputs("<footer>tact " TACT_VERSION
          ". Every number of this page, unrounded: eval.json beside it.</footer></body></html>\n",
          p->out);
    return true;
}

bool report_write(const char *path, const EvalResult *r, const ReportOptions *o, Error *err) {
    AtomicFile file = {0};
    Report p = {.r = r, .o = o, .fps = r->dataset->fps};
    bool frames = r->config.policy.n_cameras > 0;
    bool ok =
        (!frames || frames_open(r->dataset, 0, 0, &p.frames, err)) && atomic_open(&file, path, err);
    p.out = file.stream;
    ok = ok && write_page(&p, err) && atomic_commit(&file, err);
    atomic_abort(&file);
    frames_close(p.frames);
    return ok;
}
