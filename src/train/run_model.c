// SPDX-License-Identifier: Apache-2.0
#include "train/run_model.h"

#include "base/log.h"
#include "download/backbone_file.h"
#include "model/frame_norms.h"
#include "model/pretrained.h"
#include "policy/policy_weights.h"
#include "train/settings.h"

typedef struct DownloadReport {
    const TrainHooks *hooks;
    double logged; // when
} DownloadReport;

static bool report_download(void *user, const char *file, int64_t done, int64_t total) {
    static const double interval = 5; // seconds between two lines
    DownloadReport *report = user;
    double now = clock_seconds();
    if (now - report->logged >= interval && total > 0) {
        log_info("downloading %s: %.0f of %.0f MB", file, (double)done / 1e6, (double)total / 1e6);
        report->logged = now;
    }
    return !hooks_stopping(report->hooks);
}

bool run_model_find_backbone(RunModel *m, const TrainConfig *c, const TrainHooks *hooks,
                             Error *err) {
    const PolicyConfig *p = &c->policy;
    DownloadReport report = {.hooks = hooks};
    const DownloadProgress progress = {report_download, &report};
    if (!p->pretrained_backbone_weights || p->n_cameras == 0) return true;
    if (train_first_policy(c)) return true; // a checkpoint brings its own
    return backbone_file_find(p->pretrained_backbone_weights, p->vision_backbone, &progress,
                              m->backbone_file, sizeof m->backbone_file, err);
}

CHECKED static bool fill_params(RunModel *m, const TrainConfig *c, Error *err) {
    const WeightsOptions options = {.new_times = !c->resume || c->new_times,
                                    .new_prefix = !c->resume,
                                    .past_added = c->past_added};
    const char *first = train_first_policy(c);
    params_initialize(&m->params, (uint64_t)c->seed);
    if (m->backbone_file[0] &&
        !pretrained_load(&m->params, m->backbone_file, c->policy.vision_backbone, err))
        return false;
    return !first || policy_read_weights(first, &m->params, options, err);
}

bool run_model_takes_norms(const TrainConfig *c) {
    return c->policy.backbone_norm_frames > 0 && c->policy.n_cameras > 0 && !train_first_policy(c);
}

bool run_model_open(RunModel *m, Device *d, const TrainConfig *c, const ImageStats *images,
                    const uint8_t *const *norm_frames, int n, Error *err) {
    if (!run_device_check_memory(c, d, err) || !params_init(&m->params, d, &c->policy, true, err) ||
        !fill_params(m, c, err) ||
        (norm_frames &&
         !frame_norms_fill(d, &c->policy, &m->params, norm_frames, n, images, err)) ||
        !act_new(d, &c->policy, &m->params, c->batch_size, true, images, &m->act, err) ||
        !optimizer_init(&m->optimizer, &m->params, c, err) ||
        (c->ema.enable && !ema_init(&m->ema, &c->ema, &m->params, err)))
        return false;
    step_init(&m->step, m->act, &m->optimizer, c->gradient_accumulation_steps);
    return true;
}

void run_model_close(RunModel *m) {
    step_free(&m->step);
    ema_free(&m->ema);
    optimizer_free(&m->optimizer);
    act_free(m->act);
    params_free(&m->params);
}
